//! A commit as inserts, one per table that has rows.

use std::collections::BTreeMap;

use causeway_interface::Digest;

use super::{
    http::Request,
    journal::now_ms,
    native::{Block, Text},
};
use crate::store::commit::{Commit, DeviceRow};

/// The inserts of a commit of this number.
pub fn requests(commit: &Commit, number: u32) -> Vec<Request> {
    let blocks = [
        ("device", devices(commit, number)),
        ("series", series(commit, number)),
        ("batch", batches(commit, number)),
        ("interface_sample", interfaces(commit, number)),
        ("adjacency_sample", adjacencies(commit, number)),
        ("probe_sample", probes(commit, number)),
        ("session_sample", sessions(commit, number)),
        ("system_sample", systems(commit, number)),
    ];
    let filled = blocks.into_iter().filter(|(_, block)| !block.is_empty());
    filled.map(|(table, block)| block.insert_into(table)).collect()
}

/// The number of the commit, in every row.
fn numbered(rows: usize, number: u32) -> Block {
    Block::new(rows).column("commit", std::iter::repeat(number))
}

fn devices(commit: &Commit, number: u32) -> Block {
    // Of several rows of one device the last holds.
    let last: BTreeMap<u32, &DeviceRow> = commit.devices.iter().map(|row| (row.id, row)).collect();
    let rows = || last.values();
    let config = || rows().map(|row| row.config.as_ref());
    let digest = |digest: Option<Digest>| digest.unwrap_or(Digest::ZERO).0;
    numbered(last.len(), number)
        .column("id", rows().map(|row| row.id))
        .column("code", rows().map(|row| Text(row.code.as_str().as_bytes())))
        .column("written_ms", std::iter::repeat(now_ms()))
        .column("last_sequence", rows().map(|row| row.last_sequence))
        .column("chain", rows().map(|row| row.chain.0))
        .column("lost_samples", rows().map(|row| row.lost_samples))
        // A state of configuration that was never heard has the time 0.
        .column("config_at_ms", config().map(|config| config.map_or(0, |config| config.at_ms)))
        .column("config_polled_ms", config().map(|config| config.map_or(0, |config| config.polled_ms)))
        .column("offered_generation", config().map(|config| config.map_or(0, |config| config.offered_generation)))
        .column("offered_sha256", config().map(|config| digest(config.map(|config| config.offered_sha256))))
        .column("applied_generation", config().map(|config| config.map_or(0, |config| config.applied_generation)))
        .column("applied_sha256", config().map(|config| digest(config.map(|config| config.applied_sha256))))
        .column("evaluated_slot", config().map(|config| config.map_or(0, |config| config.evaluated_slot)))
        .column("in_sync_ms", config().map(|config| config.map_or(0, |config| config.in_sync_ms)))
}

fn series(commit: &Commit, number: u32) -> Block {
    let rows = || commit.series.iter();
    numbered(commit.series.len(), number)
        .column("id", rows().map(|row| row.id))
        .column("device", rows().map(|row| row.device))
        .column("kind", rows().map(|row| u8::try_from(row.key.kind_number()).unwrap_or(0)))
        .column("name", rows().map(|row| Text(row.key.name().as_bytes())))
        .column("first_ms", rows().map(|row| row.first_ms))
}

fn batches(commit: &Commit, number: u32) -> Block {
    let rows = || commit.batches.iter();
    numbered(commit.batches.len(), number)
        .column("device", rows().map(|row| row.device))
        .column("sequence", rows().map(|row| row.sequence))
        .column("received_ms", rows().map(|row| row.received_ms))
        .column("signature", rows().map(|row| row.signature))
        .column("bytes", rows().map(|row| Text(&row.bytes)))
}

fn interfaces(commit: &Commit, number: u32) -> Block {
    let rows = || commit.interfaces.iter();
    numbered(commit.interfaces.len(), number)
        .column("series", rows().map(|row| row.series))
        .column("at_ms", rows().map(|row| row.at_ms))
        .column("up", rows().map(|row| u8::from(row.growth.down == 0)))
        .column("in_octets", rows().map(|row| row.counters.octets[0]))
        .column("out_octets", rows().map(|row| row.counters.octets[1]))
        .column("in_errors", rows().map(|row| row.counters.errors[0]))
        .column("out_errors", rows().map(|row| row.counters.errors[1]))
        .column("in_discards", rows().map(|row| row.counters.discards[0]))
        .column("out_discards", rows().map(|row| row.counters.discards[1]))
        .column("carrier_transitions", rows().map(|row| row.counters.carrier))
        .column("compared", rows().map(|row| u8::from(row.growth.compared > 0)))
        .column("octets", rows().map(|row| row.growth.octets))
        .column("errors", rows().map(|row| row.growth.errors))
        .column("discards", rows().map(|row| row.growth.discards))
        .column("flaps", rows().map(|row| row.growth.flaps))
}

fn adjacencies(commit: &Commit, number: u32) -> Block {
    let rows = || commit.adjacencies.iter();
    numbered(commit.adjacencies.len(), number)
        .column("series", rows().map(|row| row.series))
        .column("at_ms", rows().map(|row| row.at_ms))
        .column("up", rows().map(|row| u8::from(row.up)))
}

fn probes(commit: &Commit, number: u32) -> Block {
    let rows = || commit.probes.iter();
    numbered(commit.probes.len(), number)
        .column("series", rows().map(|row| row.series))
        .column("at_ms", rows().map(|row| row.at_ms))
        .column("sent", rows().map(|row| row.sent))
        .column("received", rows().map(|row| row.received))
        .column("rtt_max_ns", rows().map(|row| row.rtt_max_ns))
}

fn sessions(commit: &Commit, number: u32) -> Block {
    let rows = || commit.sessions.iter();
    let peers: Vec<String> = rows().map(|row| row.peer.to_string()).collect();
    numbered(commit.sessions.len(), number)
        .column("device", rows().map(|row| row.device))
        .column("at_ms", rows().map(|row| row.at_ms))
        .column("peer", peers.iter().map(|peer| Text(peer.as_bytes())))
        .column("established", rows().map(|row| u8::from(row.established)))
        .column("prefixes_known", rows().map(|row| u8::from(row.prefixes_received.is_some())))
        .column("prefixes_received", rows().map(|row| row.prefixes_received.unwrap_or(0)))
}

fn systems(commit: &Commit, number: u32) -> Block {
    let rows = || commit.systems.iter();
    numbered(commit.systems.len(), number)
        .column("device", rows().map(|row| row.device))
        .column("at_ms", rows().map(|row| row.at_ms))
        .column("cpu_busy_permille", rows().map(|row| row.cpu_busy_permille))
}
