//! Random sequences of instructions, through the program and through a simple model of it.
//!
//! `CAUSEWAY_MODEL_SEED` begins with another seed, to see one sequence again or to try others;
//! `CAUSEWAY_MODEL_SECONDS` goes on with further seeds for that long.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeMap,
    mem::{offset_of, size_of},
    time::{Duration, Instant},
};

use causeway_interface::{
    DeviceStatus, DeviceType, LinkStatus, LinkType, PoolKind,
    accounts::{RawContributor, RawDevice, RawInterface, RawLink, RawLocation, RawNetwork, RawPool, RawPrefixTable},
    instruction::Tag,
};
use causeway_program_tests::{
    counts::report,
    model::{
        self,
        atlas::Place,
        command::{Registry, Subject},
        runner::Reached,
        state::Flaw,
    },
};

/// Sequences of a usual run.
const SEQUENCES: u64 = 80;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn random_sequences_leave_the_ledger_as_a_simple_model_says() {
    let first = number("CAUSEWAY_MODEL_SEED").unwrap_or(0);
    let seconds = number("CAUSEWAY_MODEL_SECONDS").map(Duration::from_secs);
    let begun = Instant::now();
    let mut reached = Reached::default();
    let mut sequences = 0;
    while sequences < SEQUENCES || seconds.is_some_and(|seconds| begun.elapsed() < seconds) {
        match model::run(first + sequences, None, model::CUTS) {
            Ok(more) => reached.add(more),
            Err(found) => panic!("{found}"),
        }
        sequences += 1;
    }
    println!("{reached:#?}");
    let sum = |counts: &BTreeMap<Tag, usize>| counts.values().sum::<usize>();
    report("random sequences", sequences as usize);
    report("random instructions", reached.instructions);
    report("random instructions accepted", sum(&reached.accepted));
    report("random instructions refused", sum(&reached.refused));
    report("random refusals predicted to the one code", reached.exact);
    assert!(reached.instructions >= 10_000, "{} instructions", reached.instructions);
    for tag in Tag::ALL {
        assert!(reached.accepted.contains_key(tag), "no {tag} was accepted");
        assert!(reached.refused.contains_key(tag), "no {tag} was refused");
    }
    // Depth: a generator that never gets anything into service and out again proves little.
    for status in DeviceStatus::ALL {
        assert!(reached.devices.contains_key(status), "no device became {status}");
    }
    for status in LinkStatus::ALL {
        assert!(reached.links.contains_key(status), "no link became {status}");
    }
    assert_eq!(reached.served_devices.len(), DeviceType::ALL.len(), "in service: {:?}", reached.served_devices);
    assert_eq!(reached.served_links.len(), LinkType::ALL.len(), "in service: {:?}", reached.served_links);
}

#[test]
fn a_model_with_a_flaw_is_told_from_the_program() {
    for flaw in Flaw::ALL {
        let found = (0..SEQUENCES).find_map(|seed| model::run(seed, Some(flaw), 30).err());
        let found = found.unwrap_or_else(|| panic!("nobody notices {flaw:?}"));
        let (seed, step, left) = (found.seed, found.step, found.commands.len());
        println!("{flaw:?}: seed {seed}, command {step}, cut down to {left}: {}", found.difference);
        assert!(left < step, "nothing of {step} commands was cut away");
    }
}

/// Adds one to the little-endian number that begins here.
fn count_up(offset: usize) -> impl Fn(&mut Vec<u8>) {
    move |data| data[offset] = data[offset].wrapping_add(1)
}

#[test]
fn every_invariant_is_found_broken_when_the_ledger_is_tampered_with() {
    let two_in_service = |m: &model::state::Model| {
        m.links.values().filter(|l| l.status == LinkStatus::Activated).count() >= 2 && !m.prefixes().is_empty()
    };
    let mut runner = (0..SEQUENCES)
        .find_map(|seed| model::run_until(seed, two_in_service))
        .expect("a sequence with two links in service");
    assert_eq!(runner.violations(), [""; 0]);

    let (link_id, link) = runner.model.links.iter().find(|(_, l)| l.status == LinkStatus::Activated).expect("a link");
    let (link_id, device_id, contributor_id) = (*link_id, link.devices[0], link.contributors[0]);
    let device = &runner.model.devices[&device_id];
    let held = device.ports.iter().position(|port| port.link.is_some()).expect("an interface that is held");
    let routing = device.ports.iter().position(|port| port.segment != 0).expect("a loopback");
    let entry = |index: usize| size_of::<RawDevice>() + 4 + index * size_of::<RawInterface>();
    let network = Place::Network;
    let contributor = Place::Registry(Registry::Contributor(contributor_id));
    let location = Place::Registry(Registry::Location(device.location));
    let device = Place::Subject(Subject::Device(device_id));
    let link = Place::Subject(Subject::Link(link_id));
    let pool = |kind: PoolKind| Place::Pool(kind.byte());
    let cases: [(Place, usize, &str); 18] = [
        (network, offset_of!(RawNetwork, contributor_count), "contributor_count"),
        (network, offset_of!(RawNetwork, location_count), "location_count"),
        (network, offset_of!(RawNetwork, exchange_count), "exchange_count"),
        (network, offset_of!(RawNetwork, device_count), "device_count"),
        (network, offset_of!(RawNetwork, link_count), "link_count"),
        (contributor, offset_of!(RawContributor, device_count), "device_count"),
        (contributor, offset_of!(RawContributor, link_count), "link_count"),
        (location, offset_of!(RawLocation, device_count), "location"),
        (device, offset_of!(RawDevice, link_count), "link_count"),
        (device, offset_of!(RawDevice, activated_wan_links), "activated_wan_links"),
        (device, offset_of!(RawDevice, activated_dzx_links), "activated_dzx_links"),
        (device, entry(held) + offset_of!(RawInterface, link), "hold"),
        (device, entry(routing) + offset_of!(RawInterface, node_segment), "pool node-segment"),
        (link, offset_of!(RawLink, tunnel_id), "pool link-id"),
        (pool(PoolKind::Loopback), offset_of!(RawPool, allocated), "pool loopback"),
        (pool(PoolKind::LinkNet), size_of::<RawPool>() + 4 + 5, "pool link-net"),
        (pool(PoolKind::LinkId), offset_of!(RawPool, full_words), "summary"),
        (Place::PrefixTable, size_of::<RawPrefixTable>() + 4, "prefix table"),
    ];
    for (place, offset, expected) in cases {
        let before = runner.tamper(place, count_up(offset));
        let found = runner.violations();
        assert!(found.iter().any(|f| f.contains(expected)), "{place:?} at {offset}: {found:?}, not {expected}");
        assert!(runner.check_all().is_err(), "{place:?} at {offset} is found beside the model, too");
        runner.tamper(place, |data| data.clone_from(&before));
    }
    assert_eq!(runner.violations(), [""; 0]);

    // Service that no quorum has brought about.
    let stranger = runner.model.devices.iter().find(|(_, d)| !d.in_service()).map(|(id, _)| *id);
    if let Some(id) = stranger {
        let status =
            |data: &mut Vec<u8>| data[causeway_interface::accounts::OFFSET_STATUS] = DeviceStatus::Activated.byte();
        runner.tamper(Place::Subject(Subject::Device(id)), status);
        let found = runner.violations();
        assert!(found.iter().any(|f| f.contains("no quorum")), "{found:?}");
    }
}
