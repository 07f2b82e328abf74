//! What the authority does.

use causeway_interface::Country;

use super::{Generator, plain};
use crate::model::{
    atlas::{ACTORS, AUTHORITIES, CONTRIBUTORS, OPERATIONS, ORACLES, OWNERS, PLACES, UPGRADER},
    command::{Command, Particulars, Registry, Terms, What},
    state::{Actor, Id, Model},
};

impl Generator {
    pub(super) fn init(&mut self) -> Command {
        let (mut terms, mut blocks) = (self.profile.terms, self.profile.blocks);
        let mut authority = Some(AUTHORITIES[0]);
        let mut by = UPGRADER;
        match self.rng.below(12) {
            0 => by = AUTHORITIES[0],
            1 => authority = None,
            2 => terms = self.bad_terms(),
            3 => blocks[0].len = self.rng.one_of(&[7, 31]),
            4 => blocks[1] = blocks[2],
            _ => {}
        }
        plain(by, What::InitNetwork { authority, terms, blocks })
    }

    fn bad_terms(&mut self) -> Terms {
        let mut terms = self.profile.terms;
        match self.rng.below(5) {
            0 => terms.core_asn = self.rng.one_of(&[0, 23_456, 65_535, u32::MAX]),
            1 => terms.burn_in_new = self.rng.one_of(&[0, 160_000_001]),
            2 => terms.burn_in_maintenance = self.rng.one_of(&[0, terms.burn_in_new + 1]),
            3 => terms.max_age = self.rng.one_of(&[0, 160_000_001, terms.burn_in_maintenance + 1]),
            _ => terms.max_age = 0,
        }
        terms
    }

    /// What has to be there before anything else makes sense.
    pub(super) fn foundation(&mut self, model: &Model) -> Option<Command> {
        let net = model.net();
        let by = net.authority;
        if net.oracles.is_empty() && self.rng.chance(50) {
            return Some(self.oracle_set(model));
        }
        let absent = |id: &Id, taken: bool, least: Id| *id < least && !taken;
        let contributor = (0..CONTRIBUTORS).find(|id| absent(id, model.contributors.contains_key(id), 2));
        let location = (0..PLACES).find(|id| absent(id, model.locations.contains_key(id), 1));
        let exchange = (0..PLACES).find(|id| absent(id, model.exchanges.contains_key(id), 1));
        if let Some(id) = contributor.filter(|_| self.rng.chance(70)) {
            return Some(self.create_contributor(by, id));
        }
        if let Some(id) = location.filter(|_| self.rng.chance(70)) {
            return Some(plain(by, What::CreateLocation { id, particulars: self.particulars() }));
        }
        let id = exchange.filter(|_| self.rng.chance(70))?;
        Some(plain(by, What::CreateExchange { id, particulars: self.particulars() }))
    }

    fn create_contributor(&mut self, by: Actor, id: Id) -> Command {
        // Usually an owner of its own; two contributors of one owner are allowed, too.
        let usual = OWNERS.start + id;
        let owner = if self.rng.chance(90) { usual } else { self.rng.within(OWNERS) };
        let owner = Some(owner).filter(|_| !self.rng.chance(2));
        let operations = Some(OPERATIONS.start + id).filter(|_| self.rng.chance(90));
        plain(by, What::CreateContributor { id, owner, operations })
    }

    fn particulars(&mut self) -> Particulars {
        let rng = &mut self.rng;
        let country = rng.weighted(&[(20, *b"NL"), (20, *b"JP"), (1, *b"n1")]);
        let lat_e6 = rng.weighted(&[(20, 52_370_000), (20, -90_000_000), (1, 90_000_001)]);
        let lng_e6 = rng.weighted(&[(20, 4_890_000), (20, 180_000_000), (1, -180_000_001)]);
        Particulars { country: Country(country), lat_e6, lng_e6, community: rng.below(65_536) as u16 }
    }

    fn oracle_set(&mut self, model: &Model) -> Command {
        let rng = &mut self.rng;
        let (first, most) = (ORACLES.start, ORACLES.end - ORACLES.start);
        let size = if rng.chance(70) { self.profile.oracles } else { rng.within(0..most + 1) };
        // Another set each time, in another order: places in the set pass from one oracle to another.
        let turn = rng.within(0..most);
        let mut oracles: Vec<Actor> = (0..size).map(|n| first + (n + turn) % most).collect();
        if rng.chance(3) {
            oracles.push(first + turn % most);
        }
        if rng.chance(2) {
            oracles = (0..32).map(|n| n % ACTORS).collect();
        }
        let least = match size {
            0 | 1 => size,
            2 | 3 => 2,
            n => n * 2 / 3 + 1,
        };
        let quorum = rng.weighted(&[(12, least), (2, size), (1, least.saturating_sub(1)), (1, size + 1)]);
        plain(model.net().authority, What::SetOracleSet { oracles, quorum })
    }

    fn target(&mut self) -> Registry {
        match self.rng.below(3) {
            0 => Registry::Contributor(self.rng.within(0..CONTRIBUTORS)),
            1 => Registry::Location(self.rng.within(0..PLACES)),
            _ => Registry::Exchange(self.rng.within(0..PLACES)),
        }
    }

    pub(super) fn administer(&mut self, model: &Model) -> Command {
        let net = model.net();
        let by = net.authority;
        if let Some(pending) = net.pending.filter(|_| self.rng.chance(30)) {
            return plain(pending, What::AcceptAuthority);
        }
        match self.rng.weighted(&[
            (8, 0),
            (4, 1),
            (2, 2),
            (8, 3),
            (3, 4),
            (4, 5),
            (18, 6),
            (8, 7),
            (18, 8),
            (6, 9),
            (6, 10),
            (2, 11),
        ]) {
            0 => {
                let mut terms = self.profile.terms;
                terms.core_asn += self.rng.below(3) as u32;
                terms.max_age += self.rng.below(3);
                terms.burn_in_maintenance += self.rng.below(3);
                plain(by, What::UpdateNetwork(if self.rng.chance(25) { self.bad_terms() } else { terms }))
            }
            1 => plain(by, What::SetPaused(!net.paused || self.rng.chance(20))),
            2 => self.oracle_set(model),
            3 => {
                let next = Some(self.rng.one_of(&AUTHORITIES)).filter(|_| self.rng.chance(85));
                plain(by, What::ProposeAuthority(next))
            }
            4 => plain(by, What::AcceptAuthority),
            5 => {
                let entries = self.rng.weighted(&[(20, 1), (20, 5), (1, 0), (8, 1_281)]);
                plain(self.rng.within(0..ACTORS), What::ExtendPrefixTable { entries })
            }
            6 => self.create_place(by),
            7 => {
                let id = self.rng.within(0..CONTRIBUTORS);
                let owner = Some(self.rng.within(OWNERS)).filter(|_| !self.rng.chance(5));
                let operations = Some(self.rng.within(OPERATIONS)).filter(|_| self.rng.chance(80));
                let by = if self.rng.chance(50) { super::owner_of(model, id) } else { by };
                plain(by, What::UpdateContributor { id, owner, operations })
            }
            8 => {
                let particulars = self.particulars();
                let id = self.rng.within(0..PLACES);
                let location = self.rng.chance(50);
                plain(
                    by,
                    if location {
                        What::UpdateLocation { id, particulars }
                    } else {
                        What::UpdateExchange { id, particulars }
                    },
                )
            }
            9 => {
                let suspended = self.rng.chance(70);
                plain(by, What::SetRegistryStatus { target: self.target(), suspended })
            }
            10 => plain(by, What::CloseRegistry { target: self.target(), recipient: self.rng.within(0..ACTORS) }),
            _ => {
                let subject = self.rng.any(model.words.keys().copied());
                let subject = subject.unwrap_or(crate::model::command::Subject::Device(0));
                let entries = self.rng.one_of(&[0, 1, 32]);
                plain(self.rng.within(0..ACTORS), What::ExtendAttestations { subject, entries })
            }
        }
    }

    fn create_place(&mut self, by: Actor) -> Command {
        match self.rng.below(3) {
            0 => {
                let id = self.rng.within(0..CONTRIBUTORS);
                self.create_contributor(by, id)
            }
            1 => plain(by, What::CreateLocation { id: self.rng.within(0..PLACES), particulars: self.particulars() }),
            _ => plain(by, What::CreateExchange { id: self.rng.within(0..PLACES), particulars: self.particulars() }),
        }
    }
}

/// A contributor, location or exchange that is suspended.
pub(super) fn suspended(model: &Model) -> Option<Registry> {
    let contributors = model.contributors.iter().filter(|(_, c)| c.suspended).map(|(id, _)| Registry::Contributor(*id));
    let locations = model.locations.iter().filter(|(_, p)| p.suspended).map(|(id, _)| Registry::Location(*id));
    let exchanges = model.exchanges.iter().filter(|(_, p)| p.suspended).map(|(id, _)| Registry::Exchange(*id));
    contributors.chain(locations).chain(exchanges).next()
}
