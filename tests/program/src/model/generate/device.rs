//! What happens to devices and their interfaces.

use causeway_interface::{
    DesiredStatus, DeviceStatus, DeviceType, InterfaceKind, InterfaceRole, LoopbackType, Platform, Prefix,
};

use super::{Generator, around, owner_of, plain};
use crate::model::{
    atlas::{ACTORS, OWNERS},
    command::{Around, Command, Fields, Interface, What},
    state::{Actor, Device, Id, Model},
};

impl Generator {
    pub(super) fn device(&mut self, model: &Model) -> Command {
        let id = self.rng.within(0..self.profile.devices);
        let Some(device) = model.devices.get(&id) else { return self.create_device(model, id) };
        if self.rng.chance(2) {
            return self.create_device(model, id);
        }
        if self.rng.chance(6) {
            // Any of it in any status.
            let choice = self.rng.below(8);
            return self.device_step(model, id, device, choice);
        }
        let held = !matches!(device.desired, DesiredStatus::Activated);
        let keys = device.public_ip != 0 && device.agent_key != 0 && device.telemetry_key != 0;
        let routed = device.has_routing(LoopbackType::Vpnv4) && device.has_routing(LoopbackType::Ipv4);
        let choices: &[(u64, u64)] = match device.status {
            DeviceStatus::Pending if !routed => &[(30, 2), (20, 6), (3, 0)],
            DeviceStatus::Pending if !keys => &[(40, 1), (6, 0), (6, 2)],
            DeviceStatus::Pending => &[(50, 0), (5, 1), (8, 2), (2, 3), (1, 4), (2, 6)],
            DeviceStatus::DeviceProvisioning | DeviceStatus::LinkProvisioning => {
                if held {
                    &[(50, 5), (5, 1)]
                } else {
                    &[(8, 1), (40, 2), (3, 5), (2, 3), (1, 4), (1, 6)]
                }
            }
            DeviceStatus::Activated => &[(25, 5), (8, 1), (40, 2), (5, 3)],
            DeviceStatus::Drained if held => &[(50, 5), (5, 3), (3, 6), (5, 1), (20, 2)],
            DeviceStatus::Drained => &[(8, 1), (40, 2), (3, 5), (3, 3), (2, 6)],
            DeviceStatus::Suspended => &[(50, 7), (6, 6), (10, 2), (8, 1)],
            DeviceStatus::Rejected => &[(40, 6), (5, 2)],
            DeviceStatus::Deleting => &[(40, 8), (5, 7), (5, 1)],
        };
        let mut choice = self.rng.weighted(choices);
        let growing = device.is_live() && device.status != DeviceStatus::Suspended;
        if growing && matches!(choice, 3 | 4 | 6) && self.rng.chance(self.profile.calm) {
            choice = if device.status == DeviceStatus::Pending { 0 } else { 2 };
        }
        self.device_step(model, id, device, choice)
    }

    fn device_step(&mut self, model: &Model, id: Id, device: &Device, choice: u64) -> Command {
        let contributor = device.contributor;
        let (owner, authority) = (owner_of(model, contributor), model.net().authority);
        match choice {
            0 => plain(owner, What::ProvisionDevice { id, around: around(model, id) }),
            1 => plain(owner, What::UpdateDevice { id, contributor, fields: self.fields() }),
            2 => self.interface(model, id, device),
            3 => plain(authority, What::SuspendDevice { id }),
            4 => plain(authority, What::RejectDevice { id, reason: self.reason() }),
            5 => {
                let by = self.operator(model, contributor);
                let desired = self.desired(device.desired);
                plain(by, What::SetDeviceDesired { id, contributor, desired })
            }
            6 => {
                let by = if self.rng.chance(70) { owner } else { authority };
                plain(by, What::DeleteDevice { id, contributor })
            }
            7 => plain(authority, What::ResumeDevice { id }),
            _ => {
                let recipient = if self.rng.chance(92) { owner } else { self.rng.within(OWNERS) };
                let by = if self.rng.chance(70) { owner } else { authority };
                plain(by, What::CloseDevice { id, around: around(model, id), recipient })
            }
        }
    }

    /// Somebody who may operate: the operations key where there is one, or the owner.
    pub(super) fn operator(&mut self, model: &Model, contributor: Id) -> Actor {
        let operations = model.contributors.get(&contributor).and_then(|c| c.operations);
        operations.filter(|_| self.rng.chance(60)).unwrap_or(owner_of(model, contributor))
    }

    /// Mostly what is not so now, and mostly back into service.
    pub(super) fn desired(&mut self, now: DesiredStatus) -> DesiredStatus {
        use DesiredStatus::{Activated, HardDrained, Pending, SoftDrained};
        if now != Activated && self.rng.chance(70) {
            return Activated;
        }
        self.rng.weighted(&[(10, HardDrained), (10, SoftDrained), (3, Pending), (3, Activated)])
    }

    fn create_device(&mut self, model: &Model, id: Id) -> Command {
        use DeviceType::{Edge, Hybrid, Transit};
        let contributor = self.rng.any(model.contributors.keys().copied()).unwrap_or(0);
        let location = self.rng.any(model.locations.keys().copied()).unwrap_or(0);
        let exchange = self.rng.any(model.exchanges.keys().copied()).unwrap_or(0);
        let device_type = self.rng.weighted(&[(55, Hybrid), (20, Transit), (25, Edge)]);
        let platform = self.rng.one_of(&[Platform::Eos, Platform::Frr]);
        let desired =
            if self.rng.chance(90) { DesiredStatus::Activated } else { self.desired(DesiredStatus::Activated) };
        let around = Around { contributor, location, exchange };
        let (fields, skip_recipe) = (self.fields(), self.rng.chance(6));
        let what = What::CreateDevice { id, around, device_type, platform, fields, desired, skip_recipe };
        plain(owner_of(model, contributor), what)
    }

    fn fields(&mut self) -> Fields {
        let rng = &mut self.rng;
        let own = 0xc612_0001 + rng.below(60_000) as u32;
        let public_ip = rng.weighted(&[(90, own), (4, 0), (2, 0x0a00_0001), (1, 0xc0a8_0101), (1, 0x7f00_0001)]);
        let count = rng.weighted(&[(20, 0), (60, 1), (15, 2), (4, 4), (1, 5)]);
        let prefixes = (0..count).map(|_| self.prefix()).collect();
        let rng = &mut self.rng;
        let key = rng.within(1..10);
        let agent_key = rng.weighted(&[(95, key), (5, 0)]);
        let telemetry_key = rng.weighted(&[(95, key), (5, 0)]);
        Fields { public_ip, prefixes, agent_key, telemetry_key }
    }

    /// Of a space small enough that two devices meet in it now and then.
    fn prefix(&mut self) -> Prefix {
        let rng = &mut self.rng;
        let len = rng.weighted(&[(80, 29), (15, 28), (5, 26), (1, 30)]);
        let base = rng.weighted(&[(90, 0xc613_0000), (1, 0xac10_0000), (1, 0xe000_0000)]);
        let size = 1 << (32 - u32::from(len));
        let host_bits = u32::from(rng.chance(1));
        Prefix::new(base + rng.below(u64::from(4_096 / size)) as u32 * size + host_bits, len)
    }

    fn interface(&mut self, model: &Model, id: Id, device: &Device) -> Command {
        let contributor = device.contributor;
        let by = self.operator(model, contributor);
        let own = self.rng.any(device.ports.iter());
        match (self.rng.weighted(&[(40, 0), (40, 1), (20, 2)]), own) {
            (1, Some(port)) => {
                let mut interface = self.interface_like(device);
                interface.name.clone_from(&port.given.name);
                if self.rng.chance(80) {
                    // The same kind of thing with other figures.
                    (interface.kind, interface.loopback) = (port.given.kind, port.given.loopback);
                    interface.vlan = port.given.vlan;
                    if self.rng.chance(70) {
                        interface.role = port.given.role;
                    }
                }
                plain(by, What::UpdateInterface { id, contributor, interface })
            }
            (2, Some(port)) => {
                let owner = owner_of(model, contributor);
                let recipient = if self.rng.chance(92) { owner } else { self.rng.within(0..ACTORS) };
                let name = if self.rng.chance(95) { port.given.name.clone() } else { "absent1".into() };
                plain(by, What::RemoveInterface { id, contributor, name, recipient })
            }
            _ => plain(by, What::AddInterface { id, contributor, interface: self.interface_like(device) }),
        }
    }

    /// An interface that mostly makes sense on this device.
    fn interface_like(&mut self, device: &Device) -> Interface {
        use InterfaceKind::{Loopback, Management, Physical, PortChannel, SubInterface};
        let rng = &mut self.rng;
        let kind =
            rng.weighted(&[(40, Physical), (12, Loopback), (3, Management), (15, PortChannel), (40, SubInterface)]);
        let number = rng.below(30);
        let parent = rng.any(device.ports.iter().filter(|p| matches!(p.given.kind, Physical | PortChannel)));
        let name = match kind {
            Physical => format!("eth{number}"),
            Loopback => rng.one_of(&["Loopback255", "Loopback256", "Loopback0", "Loopback1"]).into(),
            Management => "Management2".into(),
            PortChannel => format!("Port-Channel{number}"),
            SubInterface => format!("{}.{number}", parent.map_or("eth99", |parent| parent.given.name.as_str())),
        };
        let name = if rng.chance(2) { rng.one_of(&["", "9eth", "eth 1", "eth1.x", "eth1."]).into() } else { name };
        let role = rng.weighted(&[(75, InterfaceRole::Fabric), (13, InterfaceRole::Cyoa), (12, InterfaceRole::Dia)]);
        let role = if matches!(kind, Loopback | Management) && rng.chance(95) { InterfaceRole::Fabric } else { role };
        let routing = rng.weighted(&[(4, LoopbackType::None), (3, LoopbackType::Vpnv4), (3, LoopbackType::Ipv4)]);
        let loopback = if kind == Loopback || rng.chance(1) { routing } else { LoopbackType::None };
        let vlan = if kind == SubInterface { 1 + rng.below(4_094) as u16 } else { 0 };
        let vlan = if rng.chance(2) { rng.one_of(&[0, 1, 4_095]) } else { vlan };
        let mtu = rng.weighted(&[(50, 9_000), (50, 1_500), (1, 1_499), (1, 9_217)]);
        let host = 0xc612_8001 + rng.below(200) as u32 * 4;
        let address = rng.weighted(&[
            (60, Prefix::NONE),
            (10, Prefix::new(host, 30)),
            (10, Prefix::new(host, 31)),
            (10, Prefix::new(host, 32)),
            (1, Prefix::new(host - 1, 30)),
            (1, Prefix::new(0x7f00_0001, 32)),
            (1, Prefix::new(host, 33)),
            (1, Prefix::new(host, 0)),
        ]);
        let bandwidth_bps = rng.one_of(&[0, 10_000_000_000, 100_000_000_000]);
        Interface { name, kind, role, loopback, vlan, mtu, bandwidth_bps, address }
    }
}
