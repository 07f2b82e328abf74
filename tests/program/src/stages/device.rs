//! A device, and everything that can be asked of it.

use std::collections::BTreeSet;

use causeway_interface::{
    DeviceHealth, DeviceStatus, ErrorCode, InterfaceRole, NetworkStatus, PoolKind, RejectReason,
    accounts::{RawDevice, RawInterface, RawNetwork},
    instruction::CreateDevice,
};
use causeway_sdk::DeviceRefs;
use solana_sdk::{instruction::Instruction, pubkey::Pubkey, signature::Signer};

use super::{Bytes, NOW, grow, plant_words, suspend};
use crate::{
    World,
    plant::{PLACE, hybrid},
    reference::{
        Answer, Suspended, Who,
        device::{Around, Event, State, advance, order_of},
        health::{SITUATIONS, Situation},
    },
    scene::Scene,
    world::code,
};

const BYTES: Bytes = Bytes {
    bad: DeviceHealth::Impaired.byte(),
    ready_for_links: DeviceHealth::ReadyForLinks.byte(),
    good: DeviceHealth::ReadyForUsers.byte(),
    levels: 2,
};

/// How far the program has taken the device before a state is planted in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceBase {
    /// It is not there.
    Nothing = 0,
    /// It is registered and holds nothing of the pools.
    Registered = 1,
    /// It has its loopbacks and its segment id.
    Provisioned = 2,
}

/// What the reference says of a case.
struct Expected {
    answer: Answer<DeviceStatus>,
    /// Health, where it is another one.
    health: Option<DeviceHealth>,
    base: DeviceBase,
    /// The program writes to the list of interfaces and takes from the pools.
    assigns: bool,
}

/// A hybrid device in a network of three oracles.
pub struct DeviceStage {
    scene: Scene,
    refs: DeviceRefs,
    attestations: Pubkey,
    network: Pubkey,
    pools: [Pubkey; 2],
    prefixes: Pubkey,
    signers: [Pubkey; 6],
    epoch: u32,
    data: CreateDevice,
    cases: usize,
}

impl DeviceStage {
    /// Makes the device.
    pub fn new() -> Self {
        let mut world = World::new();
        let (party, other) = (world.party("acme"), world.party("zeta"));
        let stranger = world.somebody();
        world.place(PLACE);
        world.warp(NOW - world.slot);
        let data = world.device_data(hybrid("a"));
        let addresses = *world.ix.addresses();
        let refs = DeviceRefs::by_codes(&addresses, &data.code, &party.code, &code(PLACE), &code(PLACE));
        let signers = [&world.authority, &party.owner, &party.operations, &other.owner, &other.operations, &stranger];
        let mut stage = Self {
            refs,
            attestations: addresses.attestations(&causeway_sdk::address::to_key(&refs.device)),
            network: addresses.network(),
            pools: [PoolKind::Loopback, PoolKind::NodeSegment].map(|kind| addresses.pool(kind)),
            prefixes: addresses.prefix_table(),
            signers: signers.map(|key| key.pubkey()),
            epoch: world.network().oracle_epoch,
            data,
            cases: 0,
            scene: Scene::new(world),
        };
        let create = stage.order(Event::Create, Who::Owner);
        stage.scene.send(&create).expect("the device is registered");
        stage.scene.keep();
        let provision = stage.order(Event::Provision, Who::Owner);
        stage.scene.send(&provision).expect("the device begins provisioning");
        stage.scene.keep();
        stage
    }

    /// Cases tried so far.
    pub fn cases(&self) -> usize {
        self.cases
    }

    fn order(&self, event: Event, who: Who) -> Instruction {
        let (ix, refs) = (&self.scene.world.ix, &self.refs);
        let signer = &self.signers[who as usize];
        match event {
            Event::Create => {
                let place = code(PLACE);
                ix.create_device(signer, &code("acme"), &place, &place, self.data.clone())
            }
            Event::Provision => ix.provision_device(signer, refs, 0),
            Event::Suspend => ix.suspend_device(signer, &refs.device, 0),
            Event::Resume => ix.resume_device(signer, &refs.device, 0),
            Event::Reject => ix.reject_device(signer, &refs.device, RejectReason::Policy, 0),
            Event::Delete => ix.delete_device(signer, refs, 0),
            Event::Close => ix.close_device(signer, refs, &self.signers[Who::Owner as usize], 0),
            Event::Want(desired) => ix.set_device_desired(signer, refs, desired, 0),
        }
    }

    /// Puts the accounts into a state.
    fn plant(&mut self, base: DeviceBase, state: &State, situation: &Situation, around: &Around) {
        self.cases += 1;
        self.plant_around(base, around);
        let around = *around;
        self.scene.plant_bytes(&self.refs.device, |bytes| {
            let (record, list) = bytes.split_at_mut(RawDevice::LEN);
            let device: &mut RawDevice = bytemuck::from_bytes_mut(record);
            device.header.status = state.status.byte();
            device.header.health = state.health.byte();
            device.header.desired = state.desired.byte();
            device.header.kind = around.device_type.byte();
            device.header.status_since_slot.set(NOW - situation.status_age);
            device.health_since_slot.set(NOW - situation.status_age);
            device.suspended_from = state.left.byte();
            device.link_count.set(around.links);
            device.activated_wan_links.set(around.wan);
            device.activated_dzx_links.set(around.dzx);
            if !around.complete {
                device.agent_key.0 = [0; 32];
            }
            if !around.cyoa {
                let interfaces: &mut [RawInterface] = bytemuck::cast_slice_mut(&mut list[4..]);
                for interface in interfaces.iter_mut().filter(|i| i.role == InterfaceRole::Cyoa.byte()) {
                    interface.role = InterfaceRole::Fabric.byte();
                }
            }
        });
    }

    fn plant_around(&mut self, base: DeviceBase, around: &Around) {
        self.scene.restore(base as usize);
        if !around.running {
            self.scene.plant(&self.network, |network: &mut RawNetwork| {
                network.header.status = NetworkStatus::Paused.byte();
            });
        }
        match around.suspended {
            Suspended::Contributor => suspend(&mut self.scene, &self.refs.contributor),
            Suspended::Location => suspend(&mut self.scene, &self.refs.location),
            Suspended::Exchange => suspend(&mut self.scene, &self.refs.exchange),
            Suspended::Nobody | Suspended::OtherContributor | Suspended::OtherLocation | Suspended::OtherExchange => {}
        }
    }

    /// Registers the device where there is none.
    ///
    /// # Panics
    /// The program does otherwise than the order of refusals says.
    pub fn try_create(&mut self, who: Who, around: &Around, desired: causeway_interface::DesiredStatus) {
        self.cases += 1;
        self.plant_around(DeviceBase::Nothing, around);
        self.data.desired = desired;
        let order = self.order(Event::Create, who);
        let expected = match (who, around) {
            (Who::Owner, Around { running: false, .. }) => Err(ErrorCode::NetworkPaused),
            (Who::Owner, Around { suspended: Suspended::Nobody, .. }) => Ok(()),
            (Who::Owner, _) => Err(ErrorCode::RegistrySuspended),
            _ => Err(ErrorCode::NotDeviceOwner),
        };
        assert_eq!(self.scene.send(&order).map(|_| ()), expected, "create: {who:?} {around:?}");
        let Some(device) = self.scene.record::<RawDevice>(&self.refs.device) else {
            return assert!(expected.is_err(), "{who:?} {around:?}");
        };
        let header = device.header;
        let found = (header.status, header.health, header.desired, header.status_since_slot.get());
        assert_eq!(found, (DeviceStatus::Pending.byte(), DeviceHealth::Pending.byte(), desired.byte(), NOW));
    }

    /// Asks for something in a state.
    ///
    /// # Panics
    /// The program does otherwise than the reference says.
    pub fn try_order(&mut self, base: DeviceBase, state: &State, around: &Around, event: Event, who: Who) {
        self.plant(base, state, &SITUATIONS[0], around);
        let answer = order_of(state, event, who, around);
        let order = self.order(event, who);
        let what = format_args!("{base:?} {state:?} {event:?} by {who:?} {around:?}");
        let expected = Expected { answer, health: None, base, assigns: event == Event::Provision };
        self.judge(&order, &expected, what, |device| match event {
            Event::Suspend => device.suspended_from = state.status.byte(),
            Event::Resume => device.suspended_from = DeviceStatus::Pending.byte(),
            Event::Reject => device.reject_reason = RejectReason::Policy.byte(),
            Event::Want(desired) => device.header.desired = desired.byte(),
            Event::Create | Event::Provision | Event::Delete | Event::Close => {}
        });
    }

    /// Sends an `Advance` in a state.
    ///
    /// # Panics
    /// The program does otherwise than the reference says.
    pub fn try_advance(&mut self, base: DeviceBase, state: &State, situation: &Situation, around: &Around, who: Who) {
        self.plant(base, state, situation, around);
        plant_words(&mut self.scene, &self.attestations, situation, self.epoch, &BYTES);
        let (health, answer) = advance(state, situation.said, around);
        let order = self.scene.world.ix.advance_device(&self.signers[who as usize], &self.refs, 0);
        let what = format_args!("{base:?} {state:?} advance on {:?} by {who:?} {around:?}", situation.said);
        let health = (health != state.health).then_some(health);
        self.judge(&order, &Expected { answer, health, base, assigns: false }, what, |_| {});
    }

    /// Sends, and compares every byte of the device and the list of accounts that are others than before.
    fn judge(
        &mut self,
        order: &Instruction,
        expect: &Expected,
        what: std::fmt::Arguments<'_>,
        change: impl FnOnce(&mut RawDevice),
    ) {
        let device = self.refs.device;
        let mut expected: RawDevice = self.scene.record(&device).expect("the device is there");
        let list = self.scene.bytes(&device)[RawDevice::LEN..].to_vec();
        let changed = match self.scene.send(order) {
            Ok(changed) => changed,
            Err(error) => return assert_eq!(Answer::Refused(error), expect.answer, "{what}"),
        };
        let mut touched = BTreeSet::from([device]);
        match expect.answer {
            Answer::Refused(error) => panic!("it landed instead of {error}: {what}"),
            Answer::Gone => {
                let DeviceRefs { contributor, location, exchange, .. } = self.refs;
                touched.extend([self.attestations, self.network, contributor, location, exchange, self.prefixes]);
                if expect.base == DeviceBase::Provisioned {
                    touched.extend(self.pools);
                }
                assert!(self.scene.record::<RawDevice>(&device).is_none(), "it is there: {what}");
                return assert_eq!(changed.into_iter().collect::<BTreeSet<_>>(), touched, "{what}");
            }
            Answer::To(status) => {
                expected.header.status = status.byte();
                expected.header.status_since_slot.set(NOW);
                grow(&mut expected.header);
            }
            Answer::Wanted => grow(&mut expected.header),
            Answer::Stays if expect.health.is_some() => grow(&mut expected.header),
            Answer::Stays => touched.clear(),
        }
        if let Some(health) = expect.health {
            expected.header.health = health.byte();
            expected.health_since_slot.set(NOW);
        }
        change(&mut expected);
        let found: RawDevice = self.scene.record(&device).expect("the device is there");
        let (h, e) = (found.header, expected.header);
        assert_eq!((h.status, h.health, h.desired), (e.status, e.health, e.desired), "{what}");
        assert!(bytemuck::bytes_of(&found) == bytemuck::bytes_of(&expected), "another field changed: {what}");
        if expect.assigns {
            touched.extend(self.pools);
        } else {
            assert!(self.scene.bytes(&device)[RawDevice::LEN..] == list, "an interface changed: {what}");
        }
        assert_eq!(changed.into_iter().collect::<BTreeSet<_>>(), touched, "{what}");
    }
}

impl Default for DeviceStage {
    fn default() -> Self {
        Self::new()
    }
}
