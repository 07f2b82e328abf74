//! What is not judged because the ledger could not be read as a whole. Pure.
//!
//! An account that can't be decoded is missing from the snapshot, and what is missing looks as if it were not there: a
//! device whose link can't be read has no link. No word rests on that.

use std::collections::{BTreeSet, HashMap};

use causeway_interface::Key;
use causeway_sdk::{Snapshot, address::to_key};
use solana_sdk::pubkey::Pubkey;
use tracing::warn;

use crate::subjects::{Judged, Kind};

/// Takes out of a round what depends on an account that can't be read: a subject whose attestations can't be, and a device
/// that has more links than can be read. A link whose device can't be read was not judged to begin with.
///
/// `addresses` are those of the attestations accounts, by subject.
pub(super) fn leave_out(snapshot: &Snapshot, addresses: &HashMap<Key, Pubkey>, round: &mut Vec<Judged>) {
    if snapshot.undecodable.is_empty() {
        return;
    }
    let unreadable: BTreeSet<Key> = snapshot.undecodable.iter().map(|account| account.address).collect();
    let mut links: HashMap<Key, u64> = HashMap::new();
    for end in snapshot.links.values().flat_map(|link| [link.device_a, link.device_z]) {
        *links.entry(end).or_default() += 1;
    }
    let whole = |judged: &Judged| {
        let heard = addresses.get(&judged.key).is_none_or(|address| !unreadable.contains(&to_key(address)));
        let linked = match (judged.kind, snapshot.devices.get(&judged.key)) {
            (Kind::Device, Some(device)) => {
                links.get(&judged.key).copied().unwrap_or_default() >= u64::from(device.link_count)
            }
            (Kind::Device, None) | (Kind::Link, _) => true,
        };
        heard && linked
    };
    let before = round.len();
    round.retain(whole);
    if round.len() < before {
        warn!(subjects = before - round.len(), "not judged, because an account that they depend on can't be read");
    }
}
