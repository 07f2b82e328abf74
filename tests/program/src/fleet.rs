//! Very many devices or links of one kind and state, each with attestations of its own.
//!
//! One is made by the program; the others are copies of its accounts at other addresses, each attestations account
//! naming its own subject. The program looks at what accounts hold and at who owns them, so a copy is as good as the
//! first, and thousands of them cost nothing.

use causeway_interface::{
    DeviceHealth, DeviceStatus, Key, LinkHealth, LinkStatus,
    accounts::{RawAttestations, RawDevice, RawHeader},
    instruction::UpdateNetwork,
};
use causeway_sdk::{DeviceRefs, LinkRefs, address::to_pubkey};
use solana_sdk::{account::ReadableAccount, pubkey::Pubkey, signature::Signer, transaction::Transaction};

use crate::{World, plant::hybrid};

/// Subjects that fit one `Attest` transaction without lookup tables.
pub const BATCH: usize = 24;
/// Both burn-ins and the maximum age, in slots: two words are a burn-in.
pub const BURN_IN: u64 = 10;

/// Devices or links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Devices in link provisioning, with a WAN link in service.
    Devices,
    /// Links in provisioning, between devices in link provisioning.
    Links,
}

/// The subjects.
pub struct Fleet {
    /// The virtual machine, with the oracle set.
    pub world: World,
    /// The subjects' keys.
    pub subjects: Vec<Key>,
    kind: Kind,
    advances: Vec<Transaction>,
}

impl Fleet {
    /// So many subjects before a set of this many oracles.
    pub fn new(kind: Kind, oracles: usize, quorum: u8, subjects: usize) -> Self {
        let mut world = World::with_oracles(oracles, quorum);
        world.svm = std::mem::take(&mut world.svm).with_sigverify(false).with_transaction_history(0);
        let data = UpdateNetwork {
            expected_sequence: 0,
            core_asn: 65_000,
            burn_in_new_slots: BURN_IN,
            burn_in_maintenance_slots: BURN_IN,
            attestation_max_age_slots: BURN_IN,
        };
        let update = world.ix.update_network(&world.authority.pubkey(), data);
        world.as_authority(update).expect("the burn-in is short");

        let party = world.party("acme");
        let (a, z) = (world.add_device(&party, hybrid("a")), world.add_device(&party, hybrid("z")));
        let link = world.add_wan(&party, "a-z", (&a, "eth3"), (&z, "eth3"));
        for device in [&a, &z] {
            world.provision_device(&party, device).expect("the device begins provisioning");
            world.tamper(&world.ix.addresses().device(device), |account| {
                let record: &mut RawDevice = bytemuck::from_bytes_mut(&mut account.data[..RawDevice::LEN]);
                record.header.status = DeviceStatus::LinkProvisioning.byte();
                if kind == Kind::Devices {
                    record.activated_wan_links.set(1);
                }
            });
        }
        world.provision_link(&party, &link).expect("the link begins provisioning");
        let model = match kind {
            Kind::Devices => world.device_key(&a),
            Kind::Links => world.link_key(&link),
        };
        let refs = world.link_refs(&link);
        let mut fleet = Self { world, subjects: Vec::new(), kind, advances: Vec::new() };
        for n in 0..subjects {
            fleet.copy(&model, &refs, n as u64);
        }
        fleet
    }

    fn copy(&mut self, model: &Key, refs: &LinkRefs, n: u64) {
        let mut bytes = [0xcc; 32];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        let (key, address) = (Key(bytes), Pubkey::new_from_array(bytes));
        let addresses = *self.world.ix.addresses();
        let subject = self.world.account(&to_pubkey(model)).expect("the model");
        let mut attestations = self.world.account(&addresses.attestations(model)).expect("its attestations");
        let record: &mut RawAttestations = bytemuck::from_bytes_mut(&mut attestations.data[..RawAttestations::LEN]);
        record.subject = key;
        self.world.svm.set_account(address, subject).expect("a copy");
        self.world.svm.set_account(addresses.attestations(&key), attestations).expect("a copy");
        let sender = self.world.oracles[0].pubkey();
        let advance = match self.kind {
            Kind::Devices => self.world.ix.advance_device(&sender, &DeviceRefs { device: address, ..refs.a }, 0),
            Kind::Links => self.world.ix.advance_link(&sender, &LinkRefs { link: address, ..*refs }, 0),
        };
        self.subjects.push(key);
        self.advances.push(Transaction::new_with_payer(&[advance], Some(&sender)));
    }

    /// One oracle says something of some subjects.
    ///
    /// # Panics
    /// The program refuses.
    pub fn attest(&mut self, oracle: usize, verdicts: &[(Key, u8)]) {
        for batch in verdicts.chunks(BATCH) {
            self.world.attest(oracle, batch).expect("the attestation lands");
        }
    }

    /// Advances every subject.
    ///
    /// # Panics
    /// One does not land.
    pub fn advance(&mut self) {
        self.world.svm.expire_blockhash();
        let blockhash = self.world.svm.latest_blockhash();
        for advance in &self.advances {
            let mut advance = advance.clone();
            advance.message.recent_blockhash = blockhash;
            self.world.svm.send_transaction(advance).expect("the advance lands");
        }
    }

    /// Whether a subject is in service; otherwise whether its health is pending rather than unknown.
    ///
    /// # Panics
    /// It is in any other state.
    pub fn state(&self, n: usize) -> State {
        let account = self.world.svm.accounts_db().get_account_ref(&to_pubkey(&self.subjects[n])).expect("a subject");
        let header: RawHeader = bytemuck::pod_read_unaligned(&account.data()[..RawHeader::LEN]);
        let (up, waiting, good, looked_at) = match self.kind {
            Kind::Devices => (
                DeviceStatus::Activated.byte(),
                DeviceStatus::LinkProvisioning.byte(),
                DeviceHealth::ReadyForUsers.byte(),
                DeviceHealth::Pending.byte(),
            ),
            Kind::Links => (
                LinkStatus::Activated.byte(),
                LinkStatus::Provisioning.byte(),
                LinkHealth::ReadyForService.byte(),
                LinkHealth::Pending.byte(),
            ),
        };
        match (header.status, header.health) {
            (status, health) if status == up && health == good => State::InService,
            (status, health) if status == waiting && health == looked_at => State::LookedAt,
            (status, 0) if status == waiting => State::Unknown,
            other => panic!("subject {n}: {other:?}"),
        }
    }
}

/// How far a subject is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// In service, at the best health.
    InService,
    /// Not in service; a quorum looks.
    LookedAt,
    /// Not in service; fewer than a quorum look.
    Unknown,
}
