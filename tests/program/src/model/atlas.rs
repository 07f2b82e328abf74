//! Which key and which address each small number of the model stands for, and back.

use std::{collections::BTreeMap, sync::LazyLock};

use causeway_interface::{Code, Key, PoolKind};
use causeway_sdk::{
    DeviceRefs, Instructions, LinkRefs,
    address::{to_key, to_pubkey},
};
use solana_sdk::{
    pubkey::Pubkey,
    signature::{Keypair, Signer},
};

use super::{
    command::{Around, End, Registry, Subject},
    state::{Actor, Id},
};
use crate::world::code;

/// The first authority and whom it may hand over to.
pub const AUTHORITIES: [Actor; 3] = [0, 1, 2];
/// Who deployed the program.
pub const UPGRADER: Actor = 3;
/// Has no right to anything.
pub const STRANGER: Actor = 4;
/// Owners of contributors; more than there are contributors, so that ownership can pass on.
pub const OWNERS: std::ops::Range<Actor> = 5..11;
/// Operations keys of contributors.
pub const OPERATIONS: std::ops::Range<Actor> = 11..15;
/// Oracles, of which some are in the set.
pub const ORACLES: std::ops::Range<Actor> = 15..22;
/// Everybody.
pub const ACTORS: Actor = 22;

/// Contributors that there can be at once.
pub const CONTRIBUTORS: Id = 4;
/// Locations, and as many exchanges.
pub const PLACES: Id = 3;
/// Devices that there can be at once.
pub const DEVICES: Id = 8;
/// Links that there can be at once.
pub const LINKS: Id = 9;

/// An account of the program, in the model's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Network,
    PrefixTable,
    Pool(u8),
    Registry(Registry),
    Subject(Subject),
    Attestations(Subject),
}

/// Every key and address that a sequence can name.
pub struct Atlas {
    keys: Vec<Keypair>,
    actors: BTreeMap<Key, Actor>,
    places: BTreeMap<Pubkey, Place>,
    addresses: BTreeMap<Place, Pubkey>,
}

static ATLAS: LazyLock<Atlas> = LazyLock::new(Atlas::draw);

/// The program's id in every [`crate::World`].
pub const PROGRAM: Pubkey = Pubkey::new_from_array([7; 32]);

/// The one atlas: addresses follow from the program's id, which is the same in every world.
pub fn atlas() -> &'static Atlas {
    &ATLAS
}

/// A code of the model's numbers.
pub fn code_of(letter: char, id: Id) -> Code {
    code(&format!("{letter}{id}"))
}

impl Atlas {
    fn draw() -> Self {
        let keys: Vec<_> = (0..ACTORS).map(|actor| Keypair::new_from_array([actor + 100; 32])).collect();
        let actors = keys.iter().zip(0..).map(|(key, actor)| (to_key(&key.pubkey()), actor)).collect();
        let ix = Instructions::new(PROGRAM);
        let at = ix.addresses();
        let mut addresses = BTreeMap::from([(Place::Network, at.network()), (Place::PrefixTable, at.prefix_table())]);
        addresses.extend(PoolKind::ALL.iter().map(|kind| (Place::Pool(kind.byte()), at.pool(*kind))));
        for id in 0..CONTRIBUTORS {
            addresses.insert(Place::Registry(Registry::Contributor(id)), at.contributor(&code_of('c', id)));
        }
        for id in 0..PLACES {
            addresses.insert(Place::Registry(Registry::Location(id)), at.location(&code_of('p', id)));
            addresses.insert(Place::Registry(Registry::Exchange(id)), at.exchange(&code_of('p', id)));
        }
        let devices = (0..DEVICES).map(|id| (Subject::Device(id), at.device(&code_of('d', id))));
        let links = (0..LINKS).map(|id| (Subject::Link(id), at.link(&code_of('k', id))));
        for (subject, address) in devices.chain(links) {
            addresses.insert(Place::Subject(subject), address);
            addresses.insert(Place::Attestations(subject), at.attestations(&to_key(&address)));
        }
        let places = addresses.iter().map(|(place, address)| (*address, *place)).collect();
        Self { keys, actors, places, addresses }
    }

    pub fn key(&self, actor: Actor) -> &Keypair {
        &self.keys[usize::from(actor)]
    }

    pub fn pubkey(&self, actor: Actor) -> Pubkey {
        self.key(actor).pubkey()
    }

    /// The ledger's form of an optional actor: zero for none.
    pub fn ledger_key(&self, actor: Option<Actor>) -> Key {
        actor.map_or(Key::ZERO, |actor| to_key(&self.pubkey(actor)))
    }

    /// Who has this key.
    pub fn actor(&self, key: &Key) -> Option<Actor> {
        self.actors.get(key).copied()
    }

    pub fn address(&self, place: Place) -> Pubkey {
        self.addresses[&place]
    }

    /// What is at this address.
    pub fn place(&self, address: &Pubkey) -> Option<Place> {
        self.places.get(address).copied()
    }

    /// What a ledger record means by this key.
    pub fn named(&self, key: &Key) -> Option<Place> {
        self.place(&to_pubkey(key))
    }

    /// Every account that there can be.
    pub fn everywhere(&self) -> impl Iterator<Item = (Place, Pubkey)> {
        self.addresses.iter().map(|(place, address)| (*place, *address))
    }

    /// The key under which a subject is attested.
    pub fn subject_key(&self, subject: Subject) -> Key {
        to_key(&self.address(Place::Subject(subject)))
    }

    pub fn device_refs(&self, device: Id, around: Around) -> DeviceRefs {
        DeviceRefs {
            device: self.address(Place::Subject(Subject::Device(device))),
            contributor: self.address(Place::Registry(Registry::Contributor(around.contributor))),
            location: self.address(Place::Registry(Registry::Location(around.location))),
            exchange: self.address(Place::Registry(Registry::Exchange(around.exchange))),
        }
    }

    pub fn link_refs(&self, link: Id, ends: [End; 2]) -> LinkRefs {
        let [a, z] = ends.map(|end| self.device_refs(end.device, end.around));
        LinkRefs { link: self.address(Place::Subject(Subject::Link(link))), a, z }
    }
}
