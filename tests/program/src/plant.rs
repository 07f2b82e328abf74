//! Devices and links, made and brought into service in one line each.

use causeway_interface::{
    Code, DesiredStatus, DeviceHealth, DeviceType, Digest, InterfaceName, Ip4, Key, LinkHealth, LinkType, Platform,
    Prefix, VrfName,
    accounts::MAX_DZ_PREFIXES,
    instruction::{CreateDevice, CreateLink, Verdict},
};
use causeway_sdk::{DeviceRefs, LinkContext, LinkRefs, Window, address::to_key};
use solana_sdk::signature::Signer;

use crate::{
    parties::Party,
    world::{Done, Failure, MAX_AGE, World, code},
};

/// Where all devices of a [`World`] stand unless a test says otherwise.
pub const PLACE: &str = "ams";
/// Slots between two rounds of the oracles: well within the maximum age.
pub const ROUND: u64 = MAX_AGE / 2;

/// A device to be made.
#[derive(Clone, Copy, Debug)]
pub struct Spec<'a> {
    /// Its code.
    pub code: &'a str,
    /// Its type.
    pub device_type: DeviceType,
}

/// A hybrid device.
pub const fn hybrid(code: &str) -> Spec<'_> {
    Spec { code, device_type: DeviceType::Hybrid }
}

/// An edge device.
pub const fn edge(code: &str) -> Spec<'_> {
    Spec { code, device_type: DeviceType::Edge }
}

/// A transit device.
pub const fn transit(code: &str) -> Spec<'_> {
    Spec { code, device_type: DeviceType::Transit }
}

/// An interface name.
pub fn interface(name: &str) -> InterfaceName {
    name.parse().unwrap_or_else(|error| panic!("{error}"))
}

impl World {
    /// Data that registers a complete device with an address and a dz prefix of its own.
    pub fn device_data(&mut self, spec: Spec<'_>) -> CreateDevice {
        self.addresses_given += 1;
        let n = self.addresses_given;
        let mut dz_prefixes = [Prefix::NONE; MAX_DZ_PREFIXES];
        dz_prefixes[0] = Prefix::new(0xc613_0000 + n * 8, 29);
        CreateDevice {
            code: code(spec.code),
            device_type: spec.device_type,
            platform: Platform::Frr,
            public_ip: Ip4::from_u32(0xc612_0000 + n),
            dz_prefix_count: 1,
            dz_prefixes,
            agent_key: Key([0xa; 32]),
            telemetry_key: Key([0xb; 32]),
            management_vrf: VrfName::ZERO,
            desired: DesiredStatus::Activated,
            skip_recipe: false,
        }
    }

    /// Registers a device with this data at [`PLACE`].
    ///
    /// # Errors
    /// The program refuses.
    pub fn create_device(&mut self, party: &Party, data: CreateDevice) -> Result<Done, Failure> {
        if self.account(&self.ix.addresses().location(&code(PLACE))).is_none() {
            self.place(PLACE);
        }
        let place = code(PLACE);
        let ix = self.ix.create_device(&party.owner.pubkey(), &party.code, &place, &place, data);
        self.by(&party.owner, ix)
    }

    /// Registers a complete device.
    pub fn add_device(&mut self, party: &Party, spec: Spec<'_>) -> Code {
        let data = self.device_data(spec);
        self.create_device(party, data).expect("the device is registered");
        code(spec.code)
    }

    /// The accounts around a device.
    pub fn device_refs(&self, device: &Code) -> DeviceRefs {
        self.ix.device_refs(&self.device(device))
    }

    /// The accounts around a link.
    pub fn link_refs(&self, link: &Code) -> LinkRefs {
        let link = self.link(link);
        let device_a = self.record(&self.address(&link.device_a));
        let device_z = self.record(&self.address(&link.device_z));
        self.ix.link_refs(&LinkContext { link: &link, device_a: &device_a, device_z: &device_z })
    }

    /// The key under which a device is attested.
    pub fn device_key(&self, device: &Code) -> Key {
        to_key(&self.ix.addresses().device(device))
    }

    /// The key under which a link is attested.
    pub fn link_key(&self, link: &Code) -> Key {
        to_key(&self.ix.addresses().link(link))
    }

    /// Begins a device's provisioning.
    ///
    /// # Errors
    /// The program refuses.
    pub fn provision_device(&mut self, party: &Party, device: &Code) -> Result<Done, Failure> {
        let ix = self.ix.provision_device(&party.owner.pubkey(), &self.device_refs(device), 0);
        self.by(&party.owner, ix)
    }

    /// Sets what a device is wanted to be.
    ///
    /// # Errors
    /// The program refuses.
    pub fn want_device(&mut self, party: &Party, device: &Code, desired: DesiredStatus) -> Result<Done, Failure> {
        let refs = self.device_refs(device);
        let ix = self.ix.set_device_desired(&party.operations.pubkey(), &refs, desired, 0);
        self.by(&party.operations, ix)
    }

    /// Sets what a party wants a link to be.
    ///
    /// # Errors
    /// The program refuses.
    pub fn want_link(&mut self, party: &Party, link: &Code, desired: DesiredStatus) -> Result<Done, Failure> {
        let contributor = self.ix.addresses().contributor(&party.code);
        let link = self.ix.addresses().link(link);
        let ix = self.ix.set_link_desired(&party.operations.pubkey(), &contributor, &link, desired, 0);
        self.by(&party.operations, ix)
    }

    /// Data that registers a link between two interfaces.
    pub fn link_data(&self, name: &str, link_type: LinkType, a: &str, z: &str) -> CreateLink {
        CreateLink {
            code: code(name),
            link_type,
            interface_a: interface(a),
            interface_z: interface(z),
            bandwidth_bps: 100_000_000_000,
            mtu: 9_000,
            delay_ns: 5_000_000,
            jitter_ns: 50_000,
            desired: DesiredStatus::Activated,
        }
    }

    /// Registers a link with this data.
    ///
    /// # Errors
    /// The program refuses.
    pub fn create_link(&mut self, party: &Party, a: &Code, z: &Code, data: CreateLink) -> Result<Done, Failure> {
        let (a, z) = (self.device_refs(a), self.device_refs(z));
        let ix = self.ix.create_link(&party.owner.pubkey(), &a, &z, data);
        self.by(&party.owner, ix)
    }

    /// Registers a WAN link.
    pub fn add_wan(&mut self, party: &Party, name: &str, a: (&Code, &str), z: (&Code, &str)) -> Code {
        let data = self.link_data(name, LinkType::Wan, a.1, z.1);
        self.create_link(party, a.0, z.0, data).expect("the link is registered");
        code(name)
    }

    /// Registers a DZX link, which side Z has yet to accept.
    pub fn request_dzx(&mut self, party: &Party, name: &str, a: (&Code, &str), z: (&Code, &str)) -> Code {
        let data = self.link_data(name, LinkType::Dzx, a.1, z.1);
        self.create_link(party, a.0, z.0, data).expect("the link is requested");
        code(name)
    }

    /// Side Z agrees as proposed.
    ///
    /// # Errors
    /// The program refuses.
    pub fn accept(&mut self, party: &Party, link: &Code) -> Result<Done, Failure> {
        let ix = self.ix.accept_link(&party.owner.pubkey(), &self.link_refs(link), InterfaceName::ZERO, 0);
        self.by(&party.owner, ix)
    }

    /// Begins a link's provisioning.
    ///
    /// # Errors
    /// The program refuses.
    pub fn provision_link(&mut self, party: &Party, link: &Code) -> Result<Done, Failure> {
        let ix = self.ix.provision_link(&party.owner.pubkey(), &self.link_refs(link), 0);
        self.by(&party.owner, ix)
    }

    /// One oracle's word on many subjects, on the window up to now.
    ///
    /// # Errors
    /// The program refuses.
    pub fn attest(&mut self, oracle: usize, verdicts: &[(Key, u8)]) -> Result<Done, Failure> {
        let oracle = self.oracles[oracle].insecure_clone();
        let window = self.window();
        let verdicts: Vec<_> =
            verdicts.iter().map(|(key, byte)| (*key, Verdict { verdict: *byte, failed: 0 })).collect();
        let ix = self.ix.attest(&oracle.pubkey(), window, &verdicts);
        self.by(&oracle, ix)
    }

    /// A valid window.
    pub fn window(&self) -> Window {
        let epoch = self.network().oracle_epoch;
        Window { epoch, start_slot: self.slot - 100, end_slot: self.slot, evidence_root: Digest([0xe; 32]) }
    }

    /// Every oracle says the same.
    pub fn attest_all(&mut self, verdicts: &[(Key, u8)]) {
        for oracle in 0..self.oracles.len() {
            self.attest(oracle, verdicts).expect("the attestation lands");
        }
    }

    /// Every oracle says the same now and every [`ROUND`] until so many slots have passed, and then once more.
    pub fn attest_for(&mut self, verdicts: &[(Key, u8)], slots: u64) {
        let end = self.slot + slots;
        self.attest_all(verdicts);
        while self.slot < end {
            self.warp(ROUND.min(end - self.slot));
            self.attest_all(verdicts);
        }
    }

    /// Advances a device.
    ///
    /// # Errors
    /// The program refuses.
    pub fn advance_device(&mut self, device: &Code) -> Result<Done, Failure> {
        let sender = self.oracles[0].insecure_clone();
        let ix = self.ix.advance_device(&sender.pubkey(), &self.device_refs(device), 0);
        self.by(&sender, ix)
    }

    /// Advances a link.
    ///
    /// # Errors
    /// The program refuses.
    pub fn advance_link(&mut self, link: &Code) -> Result<Done, Failure> {
        let sender = self.oracles[0].insecure_clone();
        let ix = self.ix.advance_link(&sender.pubkey(), &self.link_refs(link), 0);
        self.by(&sender, ix)
    }

    /// Two hybrid devices of one party with one WAN link, all activated.
    pub fn pair_in_service(&mut self, party: &Party) -> (Code, Code, Code) {
        let a = self.add_device(party, hybrid("a"));
        let z = self.add_device(party, hybrid("z"));
        let link = self.add_wan(party, "a-z", (&a, "eth3"), (&z, "eth3"));
        for device in [&a, &z] {
            self.provision_device(party, device).expect("the device begins provisioning");
        }
        self.provision_link(party, &link).expect("the link begins provisioning");
        let all = [
            (self.device_key(&a), DeviceHealth::ReadyForUsers.byte()),
            (self.device_key(&z), DeviceHealth::ReadyForUsers.byte()),
            (self.link_key(&link), LinkHealth::ReadyForService.byte()),
        ];
        self.attest_for(&all, crate::world::BURN_IN_NEW);
        for device in [&a, &z] {
            self.advance_device(device).expect("to link provisioning");
        }
        self.advance_link(&link).expect("to activated");
        for device in [&a, &z] {
            self.advance_device(device).expect("to activated");
        }
        (a, z, link)
    }
}
