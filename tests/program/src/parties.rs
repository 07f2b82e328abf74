//! Contributors with their keys, and the registry around them.

use causeway_interface::{
    Code, Label,
    instruction::{CreateContributor, CreateExchange, CreateLocation},
};
use causeway_sdk::address::to_key;
use solana_sdk::signature::{Keypair, Signer};

use crate::world::{World, code};

/// A contributor with its keys.
#[derive(Debug)]
pub struct Party {
    /// Its code.
    pub code: Code,
    /// Its owner's key.
    pub owner: Keypair,
    /// Its operations key.
    pub operations: Keypair,
}

impl World {
    /// Registers a contributor with funded keys.
    pub fn party(&mut self, name: &str) -> Party {
        let party = Party { code: code(name), owner: self.somebody(), operations: self.somebody() };
        let data = CreateContributor {
            code: party.code,
            owner: to_key(&party.owner.pubkey()),
            operations_key: to_key(&party.operations.pubkey()),
        };
        let authority = self.authority.pubkey();
        let ix = self.ix.create_contributor(&authority, &authority, data);
        self.as_authority(ix).expect("the contributor is registered");
        party
    }

    /// Registers a location and an exchange of the same code.
    pub fn place(&mut self, name: &str) -> Code {
        let authority = self.authority.pubkey();
        let location = self.ix.create_location(&authority, &authority, location(name));
        let exchange = self.ix.create_exchange(&authority, &authority, exchange(name));
        let signer = self.authority.insecure_clone();
        self.send(&[location, exchange], &[&signer]).expect("location and exchange are registered");
        code(name)
    }
}

/// A valid location.
pub fn location(name: &str) -> CreateLocation {
    CreateLocation {
        code: code(name),
        name: label(name),
        country: "NL".parse().expect("a country"),
        lat_e6: 52_370_000,
        lng_e6: 4_890_000,
    }
}

/// A valid exchange.
pub fn exchange(name: &str) -> CreateExchange {
    CreateExchange {
        code: code(name),
        name: label(name),
        country: "NL".parse().expect("a country"),
        lat_e6: 52_370_000,
        lng_e6: 4_890_000,
        bgp_community: 10_000,
    }
}

/// A name for people.
pub fn label(text: &str) -> Label {
    text.parse().expect("a name")
}
