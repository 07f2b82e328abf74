//! A link between two devices, and everything that can be asked of it.

use std::collections::BTreeSet;

use causeway_interface::{
    DesiredStatus, InterfaceName, LinkHealth, LinkStatus, LinkType, NetworkStatus, PoolKind, RejectReason,
    accounts::{LINK_FLAG_Z_ATTACHED, RawDevice, RawLink, RawNetwork},
    instruction::CreateLink,
};
use causeway_sdk::{DeviceRefs, LinkRefs, address::to_key};
use solana_sdk::{instruction::Instruction, pubkey::Pubkey, signature::Signer};

use super::{Bytes, NOW, grow, plant_words, suspend};
use crate::{
    World,
    plant::{PLACE, hybrid},
    reference::{
        Answer, Suspended, Who,
        health::{SITUATIONS, Situation},
        link::{Around, Event, State, advance, order_of, stricter, wishes},
    },
    scene::Scene,
    world::code,
};

const BYTES: Bytes = Bytes {
    bad: LinkHealth::Impaired.byte(),
    ready_for_links: LinkHealth::Impaired.byte(),
    good: LinkHealth::ReadyForService.byte(),
    levels: 1,
};

/// How far the program has taken the link before a state is planted in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkBase {
    /// It is not there.
    Nothing = 0,
    /// Side Z has yet to accept: it holds nothing. Of a DZX link only.
    Requested = 1,
    /// It holds both interfaces.
    Accepted = 2,
    /// It has its tunnel id and net too.
    Provisioned = 3,
}

/// What the reference says of a case.
struct Expected {
    answer: Answer<LinkStatus>,
    /// Health, where it is another one.
    health: Option<LinkHealth>,
    /// Accounts that are others than before, besides the link and what follows from its status.
    besides: Vec<Pubkey>,
}

/// A link between two hybrid devices at two places.
pub struct LinkStage {
    kind: LinkType,
    scene: Scene,
    refs: LinkRefs,
    attestations: Pubkey,
    network: Pubkey,
    pools: [Pubkey; 2],
    signers: [Pubkey; 6],
    epoch: u32,
    data: CreateLink,
    cases: usize,
}

impl LinkStage {
    /// Makes the devices and the link.
    pub fn new(kind: LinkType) -> Self {
        let mut world = World::new();
        let (party, other) = (world.party("acme"), world.party("zeta"));
        let stranger = world.somebody();
        let side_z = if kind == LinkType::Wan { &party } else { &other };
        let elsewhere = world.place("fra");
        let a = world.add_device(&party, hybrid("a"));
        let mut data = world.device_data(hybrid("z"));
        data.code = code("z");
        let create = world.ix.create_device(&side_z.owner.pubkey(), &side_z.code, &elsewhere, &elsewhere, data);
        world.by(&side_z.owner, create).expect("the device is registered");
        for (party, device) in [(&party, &a), (side_z, &code("z"))] {
            world.provision_device(party, device).expect("the device begins provisioning");
        }
        world.warp(NOW - world.slot);
        let data = world.link_data("a-z", kind, "eth3", "eth3");
        let addresses = *world.ix.addresses();
        let side = |device: &str, owner, place: &str| {
            DeviceRefs::by_codes(&addresses, &code(device), owner, &code(place), &code(place))
        };
        let refs =
            LinkRefs::by_code(&addresses, &data.code, side("a", &party.code, PLACE), side("z", &side_z.code, "fra"));
        let signers = [&world.authority, &party.owner, &party.operations, &other.owner, &other.operations, &stranger];
        let mut stage = Self {
            kind,
            refs,
            attestations: addresses.attestations(&to_key(&refs.link)),
            network: addresses.network(),
            pools: [PoolKind::LinkNet, PoolKind::LinkId].map(|pool| addresses.pool(pool)),
            signers: signers.map(|key| key.pubkey()),
            epoch: world.network().oracle_epoch,
            data,
            cases: 0,
            scene: Scene::new(world),
        };
        stage.make(Event::Create, Who::Owner);
        match kind {
            // Nobody has to accept it.
            LinkType::Wan => {
                stage.scene.keep();
            }
            LinkType::Dzx => stage.make(Event::Accept, Who::OtherOwner),
        }
        stage.make(Event::Provision, Who::Owner);
        stage
    }

    fn make(&mut self, event: Event, who: Who) {
        let order = self.order(event, who);
        self.scene.send(&order).unwrap_or_else(|error| panic!("{event:?}: {error}"));
        self.scene.keep();
    }

    /// Cases tried so far.
    pub fn cases(&self) -> usize {
        self.cases
    }

    fn order(&self, event: Event, who: Who) -> Instruction {
        let (ix, refs) = (&self.scene.world.ix, &self.refs);
        let signer = &self.signers[who as usize];
        // Everybody names the contributor that is theirs, as the instruction asks; others name side A's.
        let of_side_z = [Who::OtherOwner, Who::OtherOperations].contains(&who);
        let contributor = if of_side_z { &refs.z.contributor } else { &refs.a.contributor };
        match event {
            Event::Create => ix.create_link(signer, &refs.a, &refs.z, self.data.clone()),
            Event::Accept => ix.accept_link(signer, refs, InterfaceName::ZERO, 0),
            Event::Provision => ix.provision_link(signer, refs, 0),
            Event::Suspend => ix.suspend_link(signer, refs, 0),
            Event::Resume => ix.resume_link(signer, &refs.link, 0),
            Event::Reject => ix.reject_link(signer, refs, RejectReason::Policy, 0),
            Event::Delete => ix.delete_link(signer, contributor, &refs.link, 0),
            Event::Close => ix.close_link(signer, refs, &self.signers[Who::Owner as usize], 0),
            Event::Want(desired) => ix.set_link_desired(signer, contributor, &refs.link, desired, 0),
        }
    }

    fn plant_around(&mut self, base: LinkBase, around: &Around) {
        self.scene.restore(base as usize);
        if !around.running {
            self.scene.plant(&self.network, |network: &mut RawNetwork| {
                network.header.status = NetworkStatus::Paused.byte();
            });
        }
        let LinkRefs { a, z, .. } = self.refs;
        match around.suspended {
            Suspended::Nobody => {}
            Suspended::Contributor => suspend(&mut self.scene, &a.contributor),
            Suspended::Location => suspend(&mut self.scene, &a.location),
            Suspended::Exchange => suspend(&mut self.scene, &a.exchange),
            Suspended::OtherContributor => suspend(&mut self.scene, &z.contributor),
            Suspended::OtherLocation => suspend(&mut self.scene, &z.location),
            Suspended::OtherExchange => suspend(&mut self.scene, &z.exchange),
        }
    }

    /// Puts the accounts into a state. A link in service is counted at both devices, any other at none.
    fn plant(&mut self, base: LinkBase, state: &State, situation: &Situation, around: &Around) {
        self.cases += 1;
        self.plant_around(base, around);
        self.scene.plant(&self.refs.link, |link: &mut RawLink| {
            link.header.status = state.status.byte();
            link.header.health = state.health.byte();
            link.header.desired = stricter(state.desired[0], state.desired[1]).byte();
            link.header.status_since_slot.set(NOW - situation.status_age);
            link.health_since_slot.set(NOW - situation.status_age);
            link.suspended_from = state.left.byte();
            link.desired_a = state.desired[0].byte();
            link.desired_z = state.desired[1].byte();
        });
        for (device, status) in [self.refs.a.device, self.refs.z.device].iter().zip(around.devices) {
            self.scene.plant(device, |device: &mut RawDevice| {
                device.header.status = status.byte();
                counter(device, state.kind).set(u32::from(state.status == LinkStatus::Activated));
            });
        }
    }

    /// Registers the link where there is none.
    ///
    /// # Panics
    /// The program does otherwise than `expected`.
    pub fn try_create(&mut self, who: Who, around: &Around, desired: DesiredStatus, expected: Answer<LinkStatus>) {
        self.cases += 1;
        self.plant_around(LinkBase::Nothing, around);
        self.data.desired = desired;
        let order = self.order(Event::Create, who);
        let result = self.scene.send(&order);
        let Some(link) = self.scene.record::<RawLink>(&self.refs.link) else {
            let error = result.expect_err("nothing was created");
            return assert_eq!(Answer::Refused(error), expected, "create: {who:?} {around:?}");
        };
        let status = LinkStatus::from_byte(link.header.status).expect("a status");
        assert_eq!(Answer::To(status), expected, "create: {who:?} {around:?}");
        let found = (link.header.health, link.header.desired, link.header.status_since_slot.get());
        assert_eq!(found, (LinkHealth::Pending.byte(), desired.byte(), NOW));
    }

    /// Asks for something in a state.
    ///
    /// # Panics
    /// The program does otherwise than the reference says.
    pub fn try_order(&mut self, base: LinkBase, state: &State, around: &Around, event: Event, who: Who) {
        self.plant(base, state, &SITUATIONS[0], around);
        let answer = order_of(state, event, who, around);
        let order = self.order(event, who);
        let what = format_args!("{base:?} {state:?} {event:?} by {who:?} {around:?}");
        let besides = match event {
            Event::Accept => vec![self.refs.z.device, self.refs.z.contributor],
            Event::Provision => self.pools.to_vec(),
            Event::Close => self.freed_by_closing(base),
            _ => Vec::new(),
        };
        let found = |stage: &Self| stage.scene.record::<RawLink>(&stage.refs.link).expect("the link is there");
        self.judge(&order, &Expected { answer, health: None, besides }, what, |stage, link| match event {
            Event::Accept => link.header.flags |= LINK_FLAG_Z_ATTACHED,
            Event::Provision => {
                link.tunnel_id = found(stage).tunnel_id;
                link.tunnel_net = found(stage).tunnel_net;
                assert!(link.tunnel_id.get() != 0 && link.tunnel_net.len == 31, "{what}");
            }
            Event::Suspend => link.suspended_from = state.status.byte(),
            Event::Resume => link.suspended_from = LinkStatus::Pending.byte(),
            Event::Reject => link.reject_reason = RejectReason::Policy.byte(),
            Event::Want(wish) => {
                let [a, z] = wishes(state, who, wish);
                link.desired_a = a.byte();
                link.desired_z = z.byte();
                link.header.desired = stricter(a, z).byte();
            }
            Event::Create | Event::Delete | Event::Close => {}
        });
    }

    fn freed_by_closing(&self, base: LinkBase) -> Vec<Pubkey> {
        let LinkRefs { a, z, .. } = self.refs;
        let mut freed = vec![self.attestations, self.network, a.contributor, a.device];
        if base != LinkBase::Requested {
            freed.extend([z.contributor, z.device]);
        }
        if base == LinkBase::Provisioned {
            freed.extend(self.pools);
        }
        freed
    }

    /// Sends an `Advance` in a state.
    ///
    /// # Panics
    /// The program does otherwise than the reference says.
    pub fn try_advance(&mut self, base: LinkBase, state: &State, situation: &Situation, around: &Around, who: Who) {
        self.plant(base, state, situation, around);
        plant_words(&mut self.scene, &self.attestations, situation, self.epoch, &BYTES);
        let (health, answer) = advance(state, situation.said, around);
        let order = self.scene.world.ix.advance_link(&self.signers[who as usize], &self.refs, 0);
        let what = format_args!("{base:?} {state:?} advance on {:?} by {who:?} {around:?}", situation.said);
        let health = (health != state.health).then_some(health);
        self.judge(&order, &Expected { answer, health, besides: Vec::new() }, what, |_, _| {});
    }

    /// Sends, and compares every byte of the link, its counts at the devices, and the list of accounts that are others
    /// than before.
    fn judge(
        &mut self,
        order: &Instruction,
        expect: &Expected,
        what: std::fmt::Arguments<'_>,
        change: impl FnOnce(&Self, &mut RawLink),
    ) {
        let link = self.refs.link;
        let mut expected: RawLink = self.scene.record(&link).expect("the link is there");
        let was_in_service = expected.header.status == LinkStatus::Activated.byte();
        let changed = match self.scene.send(order) {
            Ok(changed) => changed.into_iter().collect::<BTreeSet<_>>(),
            Err(error) => return assert_eq!(Answer::Refused(error), expect.answer, "{what}"),
        };
        let mut touched = BTreeSet::from([link]);
        touched.extend(&expect.besides);
        match expect.answer {
            Answer::Refused(error) => panic!("it landed instead of {error}: {what}"),
            Answer::Gone => {
                assert!(self.scene.record::<RawLink>(&link).is_none(), "it is there: {what}");
                return assert_eq!(changed, touched, "{what}");
            }
            Answer::To(status) => {
                let is_in_service = status == LinkStatus::Activated;
                if is_in_service != was_in_service {
                    touched.extend([self.refs.a.device, self.refs.z.device]);
                }
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
        change(self, &mut expected);
        let found: RawLink = self.scene.record(&link).expect("the link is there");
        let (h, e) = (found.header, expected.header);
        assert_eq!((h.status, h.health, h.desired), (e.status, e.health, e.desired), "{what}");
        assert!(bytemuck::bytes_of(&found) == bytemuck::bytes_of(&expected), "another field changed: {what}");
        let in_service = u32::from(found.header.status == LinkStatus::Activated.byte());
        for device in [self.refs.a.device, self.refs.z.device] {
            let mut device: RawDevice = self.scene.record(&device).expect("the device is there");
            assert_eq!(counter(&mut device, self.kind).get(), in_service, "links in service at a device: {what}");
        }
        assert_eq!(changed, touched, "{what}");
    }
}

/// Where a device counts its activated links of a kind.
fn counter(device: &mut RawDevice, kind: LinkType) -> &mut causeway_interface::Le32 {
    match kind {
        LinkType::Wan => &mut device.activated_wan_links,
        LinkType::Dzx => &mut device.activated_dzx_links,
    }
}
