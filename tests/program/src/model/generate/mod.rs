//! Commands: sensible ones that lead somewhere from where the model is, and a share of wrong ones.
//!
//! A sequence that is only random stays where it began: a link in service takes two devices, an oracle set, addresses
//! and a hundred words in time. So most commands are chosen for what their subject can do next, and then some are
//! spoiled: another signer, another account, a stale sequence.

mod device;
mod link;
mod network;
mod spoil;

use std::collections::BTreeMap;

use causeway_interface::{DeviceStatus, LinkStatus, Prefix, RejectReason};

use super::{
    atlas::{AUTHORITIES, DEVICES, LINKS},
    changes,
    command::{Around, Command, End, Registry, Subject, Terms, What},
    rng::Rng,
    state::{Actor, Id, Link, Model},
};

/// What one sequence is like.
#[derive(Clone, Debug)]
struct Profile {
    terms: Terms,
    blocks: [Prefix; 3],
    oracles: u8,
    /// Devices and links that there are at most.
    devices: Id,
    links: Id,
    /// Commands that are spoiled, of a hundred.
    spoiled: u64,
    /// Stops, refusals and deletions that are left out, of a hundred: what is to grow old needs peace.
    calm: u64,
}

/// Makes the commands of one sequence.
pub struct Generator {
    rng: Rng,
    profile: Profile,
    /// When each oracle was last made to speak.
    spoken: BTreeMap<Actor, u64>,
    /// Subjects that oracles don't hold to be at their best, and what they say instead.
    mood: BTreeMap<Subject, u8>,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let profile = Profile::draw(&mut rng);
        Self { rng, profile, spoken: BTreeMap::new(), mood: BTreeMap::new() }
    }

    /// The next command.
    pub fn next(&mut self, model: &Model) -> Command {
        let mut command = self.sensible(model);
        if self.rng.chance(25) {
            command.expect = sequence_of(model, &command.what);
        }
        // One spoiled word is lost on every subject of its batch.
        let spared = matches!(command.what, What::Attest { .. }) && self.rng.chance(60);
        if !spared && self.rng.chance(self.profile.spoiled) {
            self.spoil(model, &mut command);
        }
        command
    }

    fn sensible(&mut self, model: &Model) -> Command {
        let Some(net) = &model.network else { return self.init() };
        if let Some(command) = self.foundation(model) {
            return command;
        }
        // What stops everything is soon taken back.
        if net.paused && self.rng.chance(8) {
            return plain(net.authority, What::SetPaused(false));
        }
        if let Some(target) = network::suspended(model).filter(|_| self.rng.chance(8)) {
            return plain(net.authority, What::SetRegistryStatus { target, suspended: false });
        }
        let words = if net.oracles.is_empty() || model.words.is_empty() { 0 } else { 4 };
        match self.rng.weighted(&[(words, 0), (46, 1), (18, 2), (14, 3), (18, 4), (6, 5), (1, 6)]) {
            0 => self.attest(model),
            1 => self.warp(model),
            2 => self.advance(model),
            3 => self.device(model),
            4 => self.link(model),
            5 => self.administer(model),
            _ if self.rng.chance(30) => self.init(),
            _ => self.advance(model),
        }
    }

    /// Time goes by: mostly once every oracle has spoken, and less than words live; now and then longer.
    fn warp(&mut self, model: &Model) -> Command {
        let net = model.net();
        let silent = |oracle: &Actor| self.spoken.get(oracle).is_none_or(|slot| *slot < model.slot);
        if !model.words.is_empty() && net.oracles.iter().any(silent) && !self.rng.chance(4) {
            return self.attest(model);
        }
        let age = net.max_age;
        let slots = if self.rng.chance(1) { age + 1 + self.rng.below(age) } else { 1 + self.rng.below(age) };
        Command { by: 0, expect: None, what: What::Warp(slots) }
    }

    /// The oracle that has been silent longest speaks of everything.
    fn attest(&mut self, model: &Model) -> Command {
        let net = model.net();
        let rng = &mut self.rng;
        // Moods are shared by all oracles, come seldom and pass soon.
        self.mood.retain(|_, _| !rng.chance(15));
        if let Some(subject) = rng.any(model.words.keys().copied()).filter(|_| rng.chance(5)) {
            self.mood.insert(subject, rng.one_of(&[1, 2, 4]));
        }
        let oldest = net.oracles.iter().enumerate().min_by_key(|(_, oracle)| self.spoken.get(oracle).copied());
        let (place, by) = oldest.map_or((0, AUTHORITIES[0]), |(place, oracle)| (place, *oracle));
        let room = |words: &super::state::Words| words.places.len() > place;
        if let Some((subject, _)) = model.words.iter().find(|(_, words)| !room(words)).filter(|_| rng.chance(60)) {
            let payer = rng.within(0..super::atlas::ACTORS);
            let entries = if rng.chance(80) { 0 } else { rng.below(4) as u32 };
            return plain(payer, What::ExtendAttestations { subject: *subject, entries });
        }
        self.spoken.insert(by, model.slot);
        let mut verdicts = Vec::new();
        for (subject, words) in &model.words {
            if room(words) && rng.chance(98) || rng.below(500) == 0 {
                let best = if matches!(subject, Subject::Device(_)) { 3 } else { 2 };
                let mood = self.mood.get(subject).copied().unwrap_or(best);
                // What is no verdict of a link's stays a device's word, but for a few.
                let mood = if best == 2 && mood == 4 { 3 } else { mood };
                verdicts.push((*subject, if rng.below(400) == 0 { rng.below(6) as u8 } else { mood }));
            }
        }
        let late = if rng.chance(2) { rng.below(net.max_age + 2) } else { 0 };
        let end = if rng.chance(1) { model.slot + 1 } else { model.slot - late };
        let start = if rng.chance(1) { end + 1 } else { end.saturating_sub(rng.below(100)) };
        let stale = changes::ATTEST_NAMES_EPOCH && rng.chance(2);
        let epoch = if stale { net.epoch.wrapping_sub(1) } else { net.epoch };
        plain(by, What::Attest { epoch, window: [start, end], verdicts })
    }

    fn advance(&mut self, model: &Model) -> Command {
        let rng = &mut self.rng;
        let by = rng.within(0..super::atlas::ACTORS);
        let any = rng.chance(40);
        let devices = model.devices.iter().filter(|(_, d)| any || d.status != DeviceStatus::Pending && d.is_live());
        let links = model.links.iter().filter(|(_, l)| any || l.attached && l.status != LinkStatus::Pending);
        let devices = devices.map(|(id, _)| Subject::Device(*id));
        match rng.any(devices.chain(links.map(|(id, _)| Subject::Link(*id)))) {
            Some(Subject::Device(id)) => plain(by, What::AdvanceDevice { id, around: around(model, id) }),
            Some(Subject::Link(id)) => plain(by, What::AdvanceLink { id, ends: ends(model, &model.links[&id]) }),
            None => {
                let id = rng.within(0..DEVICES);
                plain(by, What::AdvanceDevice { id, around: around(model, id) })
            }
        }
    }

    fn reason(&mut self) -> RejectReason {
        use RejectReason::{Duplicate, None, NotAgreed, Policy, WrongData};
        self.rng.weighted(&[(9, WrongData), (9, Duplicate), (9, Policy), (9, NotAgreed), (3, None)])
    }
}

/// A command with no idea of the sequence.
fn plain(by: Actor, what: What) -> Command {
    Command { by, expect: None, what }
}

/// Contributor, location and exchange of a device, or some where there is no such device.
fn around(model: &Model, id: Id) -> Around {
    let first = Around { contributor: 0, location: 0, exchange: 0 };
    model.devices.get(&id).map_or(first, |device| Around {
        contributor: device.contributor,
        location: device.location,
        exchange: device.exchange,
    })
}

/// The ends of a link as a client would name them.
fn ends(model: &Model, link: &Link) -> [End; 2] {
    [0, 1].map(|side| {
        let device = link.devices[side];
        End { device, around: Around { contributor: link.contributors[side], ..around(model, device) } }
    })
}

fn owner_of(model: &Model, contributor: Id) -> Actor {
    model.contributors.get(&contributor).map_or(super::atlas::STRANGER, |c| c.owner)
}

/// The sequence of what a command is about.
fn sequence_of(model: &Model, what: &What) -> Option<u64> {
    let registry = |target: &Registry| match target {
        Registry::Contributor(id) => model.contributors.get(id).map(|c| c.stamp.sequence),
        Registry::Location(id) => model.locations.get(id).map(|p| p.stamp.sequence),
        Registry::Exchange(id) => model.exchanges.get(id).map(|p| p.stamp.sequence),
    };
    match what {
        What::UpdateNetwork(_)
        | What::SetPaused(_)
        | What::SetOracleSet { .. }
        | What::ProposeAuthority(_)
        | What::AcceptAuthority => model.network.as_ref().map(|net| net.stamp.sequence),
        What::UpdateContributor { id, .. } => registry(&Registry::Contributor(*id)),
        What::UpdateLocation { id, .. } => registry(&Registry::Location(*id)),
        What::UpdateExchange { id, .. } => registry(&Registry::Exchange(*id)),
        What::SetRegistryStatus { target, .. } | What::CloseRegistry { target, .. } => registry(target),
        What::UpdateDevice { id, .. }
        | What::ProvisionDevice { id, .. }
        | What::SetDeviceDesired { id, .. }
        | What::SuspendDevice { id }
        | What::ResumeDevice { id }
        | What::RejectDevice { id, .. }
        | What::DeleteDevice { id, .. }
        | What::CloseDevice { id, .. }
        | What::AddInterface { id, .. }
        | What::UpdateInterface { id, .. }
        | What::RemoveInterface { id, .. }
        | What::AdvanceDevice { id, .. } => model.devices.get(id).map(|device| device.stamp.sequence),
        What::AcceptLink { id, .. }
        | What::RejectLink { id, .. }
        | What::ProvisionLink { id, .. }
        | What::UpdateLink { id, .. }
        | What::SetLinkDesired { id, .. }
        | What::SuspendLink { id, .. }
        | What::ResumeLink { id }
        | What::DeleteLink { id, .. }
        | What::CloseLink { id, .. }
        | What::AdvanceLink { id, .. } => model.links.get(id).map(|link| link.stamp.sequence),
        What::Warp(_)
        | What::InitNetwork { .. }
        | What::ExtendPrefixTable { .. }
        | What::CreateContributor { .. }
        | What::CreateLocation { .. }
        | What::CreateExchange { .. }
        | What::CreateDevice { .. }
        | What::CreateLink { .. }
        | What::Attest { .. }
        | What::ExtendAttestations { .. } => None,
    }
}

impl Profile {
    fn draw(rng: &mut Rng) -> Self {
        let burn_in_new = rng.weighted(&[(4, 20), (4, 30), (3, 50), (1, 100)]);
        let burn_in_maintenance = rng.one_of(&[10, 15, 20]);
        let max_age = rng.one_of(&[6, 8, 10]);
        let text = |text: &str| crate::world::prefix(text);
        // Small blocks run out; large ones never do.
        let (link_block, loopback_block) = rng.weighted(&[
            (3, ("172.16.0.0/16", "172.17.0.0/16")),
            (2, ("172.16.0.0/29", "172.17.0.0/28")),
            (1, ("172.16.0.8/30", "172.17.0.0/27")),
            (1, ("172.16.0.0/28", "172.17.0.0/29")),
        ]);
        Self {
            terms: Terms { core_asn: 65_000, burn_in_new, burn_in_maintenance, max_age },
            blocks: [text(link_block), text(loopback_block), text("172.18.0.0/16")],
            oracles: rng.weighted(&[(2, 1), (2, 2), (6, 3), (3, 4), (2, 5), (1, 7)]),
            devices: rng.one_of(&[4, 6, DEVICES]),
            links: rng.one_of(&[4, 6, LINKS]),
            spoiled: rng.one_of(&[4, 8, 16]),
            calm: rng.one_of(&[20, 80, 95]),
        }
    }
}
