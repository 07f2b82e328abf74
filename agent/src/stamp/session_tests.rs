use proptest::prelude::*;

use super::*;
use crate::stamp::reflect::{Arrived, answer};

const PATIENCE: u64 = 1_000_000_000;

fn path(address: u32) -> Path {
    Path { lane: 0, address: Ipv4Addr::from_bits(address) }
}

/// How long the reflector holds a packet.
const HELD: u64 = 100;

/// As a reflector that holds the packet for [`HELD`] ns would answer.
fn reflected(probe: &Probe) -> Reflection {
    let packet = probe.encode();
    let source = "10.0.0.1:40000".parse().unwrap();
    let arrived = Arrived { packet: &packet, source, destination: None, ttl: Some(1), at_unix_ns: 10_000 };
    Reflection::decode(&answer(probe, &arrived, 10_000 + HELD)).unwrap()
}

#[test]
fn an_answer_counts_once_in_time_and_from_where_it_was_asked() {
    let mut book = Book::new(7);
    book.begin(&[path(1), path(2)], 3, PATIENCE);
    let probes: Vec<Probe> = (0..3).map(|n| book.send(0, n, 5_000 + u64::from(n), 50).unwrap()).collect();
    assert_eq!(book.open(), 3);
    let first = reflected(&probes[0]);
    assert_eq!(book.arrived(path(2), &first, 6_000, 1_100), Arrival::Foreign, "sent to someone else");
    assert_eq!(book.arrived(Path { lane: 1, ..path(1) }, &first, 6_000, 1_100), Arrival::Foreign);
    for wrong in [
        Reflection { sender_timestamp: first.sender_timestamp ^ 1, ..first },
        Reflection { sender_sequence: 1, ..first },
        Reflection { sender_sequence: 3, ..first },
        Reflection { sender_sequence: u32::MAX, ..first },
        Reflection { ssid: first.ssid + 1, ..first },
    ] {
        assert_eq!(book.arrived(path(1), &wrong, 6_000, 1_100), Arrival::Foreign, "{wrong:?}");
    }
    assert_eq!(book.arrived(path(1), &first, 6_000, 1_100), Arrival::Counted);
    assert_eq!(book.arrived(path(1), &first, 6_000, 1_100), Arrival::Duplicate);
    let too_long = 5_001 + PATIENCE + HELD + 1;
    assert_eq!(book.arrived(path(1), &reflected(&probes[1]), too_long, 51 + 2 * PATIENCE), Arrival::Late);
    book.unsend(0, 2);
    assert_eq!(book.open(), 1);
    let expected = ProbeOutcome { sent: 2, received: 1, rtt_min_ns: 900, rtt_avg_ns: 900, rtt_max_ns: 900 };
    assert_eq!(book.outcomes(), [expected, ProbeOutcome::default()]);
}

#[test]
fn an_answer_that_came_in_time_counts_however_late_it_is_read() {
    let mut book = Book::new(7);
    book.begin(&[path(1)], 2, PATIENCE);
    let probes: Vec<Probe> = (0..2).map(|n| book.send(0, n, 5_000, 50).unwrap()).collect();
    assert_eq!(book.arrived(path(1), &reflected(&probes[0]), 6_000, 50 + 2 * PATIENCE), Arrival::Counted);
    // A wall clock that was set says nothing; then only the time of reading is left.
    assert_eq!(book.arrived(path(1), &reflected(&probes[1]), 4_000, 50 + 2 * PATIENCE), Arrival::Late);
    assert_eq!((book.outcomes()[0].received, book.outcomes()[0].rtt_max_ns), (1, 900));
}

#[test]
fn answers_of_the_round_before_are_late_and_not_of_this_one() {
    let mut book = Book::new(u16::MAX - 2);
    let mut before: Option<Reflection> = None;
    for round in 0..8 {
        book.begin(&[path(1), path(1), path(2)], 1, PATIENCE);
        let probes: Vec<Probe> = (0..3).map(|t| book.send(t, 0, 9, 9).unwrap()).collect();
        assert!(probes[0].ssid != probes[1].ssid && probes[0].ssid == probes[2].ssid, "one path, one identifier each");
        assert!(probes.iter().all(|probe| probe.ssid != 0));
        if let Some(before) = before {
            assert_eq!(book.arrived(path(1), &before, 20, 20), Arrival::Late, "round {round}");
        }
        assert_eq!(book.arrived(path(1), &reflected(&probes[1]), 20, 20), Arrival::Counted);
        assert_eq!(book.outcomes().iter().map(|o| o.received).collect::<Vec<_>>(), [0, 1, 0]);
        before = Some(reflected(&probes[0]));
    }
}

#[test]
fn a_round_trip_is_what_the_wall_clock_says_as_far_as_the_other_allows() {
    for (sent, received, elapsed, held, expected) in [
        (1_000, 3_000, 2_500, Some(500), 1_500),
        (1_000, 3_000, 2_500, None, 2_000),
        (1_000, 3_000, 1_500, Some(500), 1_000), // the wall clock was set forward
        (3_000, 1_000, 2_500, Some(500), 2_000), // or back
        (1_000, 1_000, 2_500, Some(0), 2_500),
        (1_000, 3_000, 2_500, Some(2_000), 2_000), // held longer than it was away
        (1_000, 3_000, 2_500, Some(u64::MAX), 2_000),
        (1_000, 1_000, 0, Some(0), 1),
    ] {
        assert_eq!(round_trip_ns(sent, received, elapsed, held), expected, "{sent} {received} {elapsed} {held:?}");
    }
}

proptest! {
    /// Against a model that remembers everything: each packet is counted at most once, and what is open is what went out
    /// and was not answered.
    #[test]
    fn packets_are_counted_as_a_model_counts_them(
        targets in 1_usize..5, count in 1_usize..5, steps in prop::collection::vec((0_u8..4, 0_usize..5, 0_u32..5, any::<bool>()), 0..80),
    ) {
        let paths: Vec<Path> = (0..targets).map(|t| path(u32::try_from(t % 2).unwrap())).collect();
        let mut book = Book::new(1);
        book.begin(&paths, count, PATIENCE);
        let mut model = std::collections::BTreeMap::new();
        for (step, target, sequence, late) in steps {
            let key = (target, sequence);
            match step {
                0 | 1 if !model.contains_key(&key) => {
                    let stamp = u64::from(sequence) + 100 * target as u64;
                    let probe = book.send(target, sequence, stamp, 0);
                    prop_assert_eq!(probe.is_some(), target < targets && (sequence as usize) < count);
                    if let Some(probe) = probe { model.insert(key, (probe, "open")); }
                }
                2 => {
                    let Some((probe, state)) = model.get_mut(&key) else { continue };
                    let stamp = u64::from(sequence) + 100 * target as u64;
                    let (received, now) = if late { (stamp + PATIENCE + HELD + 1, 2 * PATIENCE) } else { (2_000, 1_000) };
                    let found = book.arrived(paths[target], &reflected(probe), received, now);
                    let expected = match (*state, late) {
                        ("open", false) => { *state = "answered"; Arrival::Counted }
                        ("open", true) => Arrival::Late,
                        ("answered", _) => Arrival::Duplicate,
                        _ => Arrival::Foreign,
                    };
                    prop_assert_eq!(found, expected);
                }
                3 => {
                    book.unsend(target, sequence);
                    if let Some((_, state)) = model.get_mut(&key).filter(|(_, state)| *state == "open") { *state = "unsent"; }
                }
                _ => {}
            }
        }
        let states = |wanted: &str| model.values().filter(|(_, state)| *state == wanted).count();
        prop_assert_eq!(book.open(), states("open"));
        let outcomes = book.outcomes();
        prop_assert_eq!(outcomes.iter().map(|o| o.received as usize).sum::<usize>(), states("answered"));
        prop_assert_eq!(outcomes.iter().map(|o| o.sent as usize).sum::<usize>(), states("answered") + states("open"));
        prop_assert!(outcomes.iter().all(|o| o.rtt_min_ns <= o.rtt_avg_ns && o.rtt_avg_ns <= o.rtt_max_ns));
    }
}
