//! The ledger of one deployment as one value.
//!
//! Maps are ordered by address, so that the same accounts give the same bytes in whatever order they were read. What
//! can't be decoded is listed in `undecodable` and never guessed; a snapshot with an entry there is not the whole
//! truth, and whoever acts on it has to look.
//!
//! As JSON it is the offline form of the ledger, which `causeway topology export` writes.

use std::collections::BTreeMap;

use causeway_interface::{
    AccountType, Code, Key, PoolKind,
    accounts::{
        Attestations, Contributor, DecodeError, Device, Exchange, Link, Location, Network, Pool, PrefixTable, Record,
    },
};
use serde::{Deserialize, Serialize};

use crate::{
    address::{Addresses, to_key, to_pubkey},
    explain::{self, Explain},
    instructions::{DeviceRefs, LinkContext, LinkRefs},
};

/// An account of the program that this build can't read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undecodable {
    /// Its address.
    pub address: Key,
    /// Its length in bytes.
    pub data_len: usize,
    /// Why it can't be read.
    pub error: String,
}

/// Everything that the program holds, at one slot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The slot at which it was read.
    pub slot: u64,
    /// The program.
    pub program_id: Key,
    /// The network; none before it was initialised.
    pub network: Option<Network>,
    /// Contributors by address.
    pub contributors: BTreeMap<Key, Contributor>,
    /// Locations by address.
    pub locations: BTreeMap<Key, Location>,
    /// Exchanges by address.
    pub exchanges: BTreeMap<Key, Exchange>,
    /// Devices by address.
    pub devices: BTreeMap<Key, Device>,
    /// Links by address.
    pub links: BTreeMap<Key, Link>,
    /// What the oracles say, by the subject's address.
    pub attestations: BTreeMap<Key, Attestations>,
    /// Pools by kind.
    pub pools: BTreeMap<PoolKind, Pool>,
    /// The table of dz prefixes.
    pub prefix_table: Option<PrefixTable>,
    /// Accounts that could not be read, by address.
    pub undecodable: Vec<Undecodable>,
}

/// Why a text is not a snapshot.
#[derive(Debug, thiserror::Error)]
#[error("not a ledger snapshot: {0}")]
pub struct SnapshotError(#[from] serde_json::Error);

impl Explain for SnapshotError {
    fn code(&self) -> String {
        explain::SNAPSHOT_MALFORMED.code.into()
    }

    fn cause(&self) -> String {
        format!("{self}.")
    }

    fn remedy(&self) -> String {
        explain::SNAPSHOT_MALFORMED.remedy.into()
    }
}

impl Snapshot {
    /// A deployment that holds nothing.
    #[must_use]
    pub fn empty(program_id: Key, slot: u64) -> Self {
        Self { slot, program_id, ..Self::default() }
    }

    /// From accounts in any order.
    pub fn from_accounts<'a>(program_id: Key, slot: u64, accounts: impl IntoIterator<Item = (Key, &'a [u8])>) -> Self {
        let mut snapshot = Self::empty(program_id, slot);
        for (address, data) in accounts {
            snapshot.put(address, data);
        }
        snapshot
    }

    /// Puts one account in place of what was known of it. One that can't be decoded takes its older state with it.
    pub fn put(&mut self, address: Key, data: &[u8]) {
        self.undecodable.retain(|u| u.address != address);
        if let Err(error) = self.decode_into(address, data) {
            self.contributors.remove(&address);
            self.locations.remove(&address);
            self.exchanges.remove(&address);
            self.devices.remove(&address);
            self.links.remove(&address);
            let error = error.to_string();
            let at = self.undecodable.partition_point(|u| u.address < address);
            self.undecodable.insert(at, Undecodable { address, data_len: data.len(), error });
        }
    }

    fn decode_into(&mut self, address: Key, data: &[u8]) -> Result<(), DecodeError> {
        let byte = *data.first().ok_or(DecodeError::TooShort)?;
        let account_type = AccountType::from_byte(byte)
            .ok_or_else(|| DecodeError::Malformed(format!("undefined type byte {byte}")))?;
        match account_type {
            AccountType::Network => self.network = Some(Network::decode(data)?),
            AccountType::Contributor => drop(self.contributors.insert(address, Contributor::decode(data)?)),
            AccountType::Location => drop(self.locations.insert(address, Location::decode(data)?)),
            AccountType::Exchange => drop(self.exchanges.insert(address, Exchange::decode(data)?)),
            AccountType::Device => drop(self.devices.insert(address, Device::decode(data)?)),
            AccountType::Link => drop(self.links.insert(address, Link::decode(data)?)),
            AccountType::Attestations => {
                let attestations = Attestations::decode(data)?;
                self.attestations.insert(attestations.subject, attestations);
            }
            AccountType::Pool => {
                let pool = Pool::decode(data)?;
                self.pools.insert(pool.header.kind, pool);
            }
            AccountType::PrefixTable => self.prefix_table = Some(PrefixTable::decode(data)?),
        }
        Ok(())
    }

    /// Reads a snapshot's JSON.
    ///
    /// # Errors
    /// Not JSON, an unknown or missing field, an undefined name or an invalid value.
    pub fn from_json(text: &str) -> Result<Self, SnapshotError> {
        Ok(serde_json::from_str(text)?)
    }

    /// Writes a snapshot's JSON: the same snapshot gives the same bytes.
    ///
    /// # Errors
    /// An address that is all zeros, which the ledger can't hold.
    pub fn to_json(&self) -> Result<String, SnapshotError> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    /// Where the deployment's accounts are.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        Addresses::new(to_pubkey(&self.program_id))
    }

    /// A contributor by its code, with its address.
    #[must_use]
    pub fn contributor(&self, code: &Code) -> Option<(Key, &Contributor)> {
        let key = to_key(&self.addresses().contributor(code));
        self.contributors.get(&key).map(|found| (key, found))
    }

    /// A location by its code, with its address.
    #[must_use]
    pub fn location(&self, code: &Code) -> Option<(Key, &Location)> {
        let key = to_key(&self.addresses().location(code));
        self.locations.get(&key).map(|found| (key, found))
    }

    /// An exchange by its code, with its address.
    #[must_use]
    pub fn exchange(&self, code: &Code) -> Option<(Key, &Exchange)> {
        let key = to_key(&self.addresses().exchange(code));
        self.exchanges.get(&key).map(|found| (key, found))
    }

    /// A device by its code, with its address.
    #[must_use]
    pub fn device(&self, code: &Code) -> Option<(Key, &Device)> {
        let key = to_key(&self.addresses().device(code));
        self.devices.get(&key).map(|found| (key, found))
    }

    /// A link by its code, with its address.
    #[must_use]
    pub fn link(&self, code: &Code) -> Option<(Key, &Link)> {
        let key = to_key(&self.addresses().link(code));
        self.links.get(&key).map(|found| (key, found))
    }

    /// A link with its devices, where both exist.
    #[must_use]
    pub fn link_context<'a>(&'a self, link: &'a Link) -> Option<LinkContext<'a>> {
        let device_a = self.devices.get(&link.device_a)?;
        let device_z = self.devices.get(&link.device_z)?;
        Some(LinkContext { link, device_a, device_z })
    }

    /// The accounts that an instruction on this device needs.
    #[must_use]
    pub fn device_refs(&self, code: &Code) -> Option<DeviceRefs> {
        self.device(code).map(|(_, device)| DeviceRefs::of(&self.addresses(), device))
    }

    /// The accounts that an instruction on this link needs.
    #[must_use]
    pub fn link_refs(&self, code: &Code) -> Option<LinkRefs> {
        let (_, link) = self.link(code)?;
        self.link_context(link).map(|context| LinkRefs::of(&self.addresses(), &context))
    }

    /// Links that have an end on this device, by address.
    pub fn links_of<'a>(&'a self, device: &'a Key) -> impl Iterator<Item = (&'a Key, &'a Link)> {
        self.links.iter().filter(move |(_, link)| link.device_a == *device || link.device_z == *device)
    }
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
