//! Larger synthetic networks, and what a controller makes of them without a daemon.

use std::collections::{BTreeMap, BTreeSet};

use causeway_controller::{
    change::{self, Announced},
    events::Change,
    prepare::{Settings, device_codes, prepare, probes},
    render::Family,
    store::{Signer, Store},
    testing::{PROGRAM_ID, SyntheticLedger},
    topology::Topology,
};
use causeway_interface::{Code, Key, accounts::Record};
use causeway_sdk::snapshot::Snapshot;
use ed25519_dalek::SigningKey;

/// Longitudes of three cities far from each other.
#[allow(dead_code)]
const PLACES: [i32; 3] = [-74_005_970, 8_682_130, 139_691_710];

#[allow(dead_code)]
pub struct Serving {
    pub store: Store,
    pub settings: Settings,
    pub signer: Signer,
}

/// Of a device: text, generation and signature; hash of the probe plan; slot; whether it has a problem.
pub type Offered = (Option<(String, u64, [u8; 64])>, [u8; 32], u64, bool);

#[allow(dead_code)]
impl Serving {
    pub fn new() -> Self {
        let signer = Signer { key: SigningKey::from_bytes(&[5; 32]), program_id: PROGRAM_ID };
        Self { store: Store::default(), settings: Settings::default(), signer }
    }

    /// Takes a whole snapshot in.
    pub fn take(&mut self, snapshot: &Snapshot) -> Vec<Change> {
        let prepared = prepare(&self.store.basis(), snapshot, &self.settings).unwrap();
        self.store.commit(prepared, &self.signer, &self.settings.limits)
    }

    /// Takes announced accounts in on the quick way; nothing where it is not for them.
    pub fn quick(&mut self, announced: &Announced) -> Option<Vec<Change>> {
        let store = &self.store;
        let change = store
            .served()
            .and_then(|served| change::prepare(&served, announced, |d| store.made_of(d), &self.settings.renderer))?;
        let reprobe = change.probes;
        let changes = self.store.commit_change(change, &self.signer, &self.settings.limits);
        if reprobe {
            let effective = self.store.effective().unwrap();
            let probes = probes(&Topology::new(effective), &device_codes(effective));
            self.store.take_probes(probes);
        }
        Some(changes)
    }

    /// Everything that an agent could be served: text, generation, signature, probe plan, slot.
    pub fn everything(&self) -> BTreeMap<Code, Offered> {
        let of = |code: &Code| {
            let entry = self.store.entry(code).unwrap();
            let bundle = entry.current.as_ref().map(|b| (b.text.to_string(), b.generation, b.signature));
            (bundle, entry.probes.sha256, self.store.evaluated_slot(entry), entry.problem.is_some())
        };
        self.store.entries().keys().map(|code| (*code, of(code))).collect()
    }

    pub fn texts(&self) -> BTreeMap<Code, String> {
        let text = |e: &causeway_controller::store::Entry| Some(e.current.as_ref()?.text.to_string());
        self.store.entries().iter().filter_map(|(code, e)| Some((*code, text(e)?))).collect()
    }
}

#[allow(dead_code)]
pub fn changed(changes: &[Change]) -> BTreeSet<String> {
    let device = |c: &Change| match c {
        Change::ConfigChanged { device, .. } => Some(device.to_string()),
        _ => None,
    };
    changes.iter().filter_map(device).collect()
}

#[allow(dead_code)]
pub fn encode(record: &impl Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.serialize(&mut bytes).unwrap();
    bytes
}

/// `devices` devices `d000`, `d001` and so on in a ring with links `l000` to the next, spread over three regions.
#[allow(dead_code)]
pub fn ring(devices: usize, family: Family) -> SyntheticLedger {
    let mut ledger = SyntheticLedger::new(family);
    for n in 0..devices {
        let place = n % PLACES.len();
        let location = ledger.location(&format!("place{place}"), 0, PLACES[place]);
        ledger.device(&format!("d{n:03}")).location = location;
    }
    for n in 0..devices {
        ledger.link(&format!("l{n:03}"), &format!("d{n:03}"), &format!("d{:03}", (n + 1) % devices));
    }
    ledger
}

/// Every account of a ledger as bytes.
#[allow(dead_code)]
pub fn accounts(snapshot: &Snapshot) -> BTreeMap<Key, Vec<u8>> {
    let mut accounts = BTreeMap::new();
    accounts.insert(Key([42; 32]), encode(snapshot.network.as_ref().unwrap()));
    accounts.extend(snapshot.locations.iter().map(|(k, r)| (*k, encode(r))));
    accounts.extend(snapshot.devices.iter().map(|(k, r)| (*k, encode(r))));
    accounts.extend(snapshot.links.iter().map(|(k, r)| (*k, encode(r))));
    accounts
}
