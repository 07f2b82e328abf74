//! A table per criterion: healthy, failing, missing, flapping, a gap just under and just over the limit.

use causeway_interface::{DeviceHealth, DeviceType, Digest, LinkHealth, LinkStatus, LoopbackType};
use proptest::prelude::*;

use super::{
    coverage::{Rules, Window},
    device::{ActivatedLink, DeviceFacts, LoopbackFact, evaluate_device},
    link::{LinkFacts, evaluate_link},
    standard::Standard,
    *,
};
use crate::telemetry::{
    AdjacencyBucket, Bucket, ConfigState, DeviceTelemetry, InterfaceBucket, ProbeBucket, ProbeKind, ReportBucket, Track,
};

pub(super) const BUCKET: u64 = 1_000;
pub(super) const NOW: u64 = 1_000_000;
/// The window of these tests: 200 buckets up to the last before NOW, breaks held for 20.
pub(super) const FROM: u64 = 800;
pub(super) const TO: u64 = 1_000;

pub(super) fn rules() -> Rules {
    Rules {
        bucket_ms: BUCKET,
        min_share_ppm: 950_000,
        spare_buckets: 1,
        max_gap_ms: 5_000,
        min_buckets: 3,
        hold_ms: 20_000,
        lag_ms: 0,
        settle_ms: 5_000,
        loss_limit_ppm: 0,
        max_poll_age_ms: 30_000,
        config_grace_ms: 10_000,
        qa_successes_min: 4,
    }
}

pub(super) fn window() -> Window {
    Window::new(NOW, 200_000, None, &rules())
}

/// Blocks that a track of these tests holds.
const KEEP: usize = 64;

/// Buckets by number, to be made a track.
#[derive(Clone, Default)]
pub(super) struct Series<T> {
    pub(super) first_ms: Option<u64>,
    pub(super) buckets: Vec<(u64, T)>,
}

impl<T: Bucket> From<Series<T>> for Track<T> {
    fn from(series: Series<T>) -> Self {
        let mut track = Track::default();
        if let Some(first_ms) = series.first_ms {
            track.began(first_ms);
        }
        for (number, bucket) in series.buckets {
            track.push(number, bucket, KEEP);
        }
        track
    }
}

fn series<T: Copy>(bucket: T) -> Series<T> {
    Series { first_ms: Some(1), buckets: (FROM - 50..TO).map(|n| (n, bucket)).collect() }
}

const UP: InterfaceBucket =
    InterfaceBucket { samples: 2, down: 0, compared: 2, octets: 100, errors: 0, discards: 0, flaps: 0 };
const PROBED: ProbeBucket = ProbeBucket { samples: 2, sent: 20, received: 20, rtt_max_ns: 1 };
const REPORTED: ReportBucket = ReportBucket { samples: 4 };
const ADJACENT: AdjacencyBucket = AdjacencyBucket { samples: 2, down: 0 };

pub(super) fn telemetry() -> DeviceTelemetry {
    let mut t = DeviceTelemetry {
        interface_reports: series(REPORTED).into(),
        probe_reports: series(REPORTED).into(),
        config: Some(ConfigState {
            at_ms: NOW - 1_000,
            polled_ms: NOW - 2_000,
            offered_generation: 90,
            offered_sha256: Digest([1; 32]),
            applied_generation: 90,
            applied_sha256: Digest([1; 32]),
            evaluated_slot: 0,
            in_sync_ms: 0,
        }),
        ..DeviceTelemetry::default()
    };
    for name in ["dia", "eth1"] {
        t.interfaces.insert(name.parse().unwrap(), series(UP).into());
    }
    t.adjacencies.insert("eth1".parse().unwrap(), series(ADJACENT).into());
    t.probes.insert((ProbeKind::Link, "l-1".parse().unwrap()), series(PROBED).into());
    t
}

pub(super) fn facts() -> DeviceFacts {
    let loopback = |name: &str, kind, address: &str| LoopbackFact {
        name: name.parse().unwrap(),
        kind,
        address: address.parse().unwrap(),
    };
    DeviceFacts {
        public_ip: "198.18.0.1".parse().unwrap(),
        dz_prefixes: vec!["198.18.8.0/29".parse().unwrap()],
        loopbacks: vec![
            loopback("Loopback255", LoopbackType::Vpnv4, "172.16.0.1/32"),
            loopback("Loopback256", LoopbackType::Ipv4, "172.16.0.2/32"),
        ],
        dia: vec!["dia".parse().unwrap()],
        activated: vec![ActivatedLink {
            code: "l-1".parse().unwrap(),
            interface: "eth1".parse().unwrap(),
            since_ms: NOW - 500_000,
        }],
        device_type: DeviceType::Hybrid,
        has_cyoa: true,
        wan_in_service: 1,
        dzx_in_service: 0,
        changed_slot: 80,
        changed_ms: NOW - 400_000,
        shown_slot: 80,
        in_service: true,
        qa_targets: Vec::new(),
        qa_joined_ms: None,
    }
}

fn judge(facts: &DeviceFacts, telemetry: &DeviceTelemetry) -> Verdict {
    evaluate_device(&window(), facts, telemetry, &Standard::from(&rules()), NOW)
}

fn of(verdict: &Verdict, id: Criterion) -> Outcome {
    verdict.criteria.iter().find(|c| c.id == id).unwrap().passed
}

fn link_facts() -> LinkFacts {
    LinkFacts {
        code: "l-1".parse().unwrap(),
        status: LinkStatus::Activated,
        status_since_ms: NOW - 500_000,
        ends: [("a".parse().unwrap(), "eth1".parse().unwrap()), ("z".parse().unwrap(), "eth1".parse().unwrap())],
    }
}

fn judge_link(facts: &LinkFacts, a: &DeviceTelemetry, z: &DeviceTelemetry) -> Verdict {
    evaluate_link(&window(), facts, [a, z], &Standard::from(&rules()), NOW)
}

#[test]
fn a_healthy_device_is_ready_for_users() {
    let verdict = judge(&facts(), &telemetry());
    assert_eq!(verdict.level, Level::Device(DeviceHealth::ReadyForUsers), "{verdict:#?}");
    assert_eq!(verdict.failed_bits(), 0);
    assert_eq!(verdict.criteria.len(), 11);
}

#[test]
fn facts_fail_one_criterion_each() {
    type Change = fn(&mut DeviceFacts);
    let cases: [(Criterion, &str, Change); 13] = [
        (Criterion::D1, "no address", |f| f.public_ip = causeway_interface::Ip4::ZERO),
        (Criterion::D1, "private", |f| f.public_ip = "10.0.0.1".parse().unwrap()),
        (Criterion::D2, "none", |f| f.dz_prefixes.clear()),
        (Criterion::D2, "/30", |f| f.dz_prefixes = vec!["198.18.8.0/30".parse().unwrap()]),
        (Criterion::D3, "none", |f| f.loopbacks.clear()),
        (Criterion::D3, "no address", |f| f.loopbacks[1].address = causeway_interface::Prefix::NONE),
        (Criterion::D3, "both vpnv4", |f| f.loopbacks[1].kind = LoopbackType::Vpnv4),
        (Criterion::D3, "another number", |f| f.loopbacks[0].name = "Loopback1".parse().unwrap()),
        (Criterion::D4, "no DIA interface", |f| f.dia.clear()),
        (Criterion::U1, "no link", |f| f.activated.clear()),
        (Criterion::U2, "no link", |f| f.activated.clear()),
        (Criterion::U3, "no WAN link", |f| f.wan_in_service = 0),
        (Criterion::U3, "no CYOA", |f| f.has_cyoa = false),
    ];
    for (id, name, change) in cases {
        let mut facts = facts();
        change(&mut facts);
        let verdict = judge(&facts, &telemetry());
        assert_eq!(of(&verdict, id), Outcome::Failed, "{id:?} {name}");
        let level = if id.is_for_users() { DeviceHealth::ReadyForLinks } else { DeviceHealth::Impaired };
        assert_eq!(verdict.level, Level::Device(level), "{id:?} {name}");
        assert_ne!(verdict.failed_bits() & id.bit(), 0);
    }
}

/// What happens to a series, and what its criterion then is. `$bad` is a bad bucket.
fn stories<T: Bucket>(good: T, bad: T) -> Vec<(&'static str, Series<T>, Outcome)> {
    let without = |gone: std::ops::Range<u64>| {
        let mut s = series(good);
        s.buckets.retain(|(n, _)| !gone.contains(n));
        s
    };
    let with_bad = |at: std::ops::Range<u64>| {
        let mut s = series(good);
        for (n, bucket) in &mut s.buckets {
            if at.contains(n) {
                *bucket = bad;
            }
        }
        s
    };
    let sparse = |every: u64| {
        let mut s = series(good);
        s.buckets.retain(|(n, _)| n % every != 0);
        s
    };
    let fresh = |from: u64| Series { first_ms: Some(from * BUCKET), buckets: (from..TO).map(|n| (n, good)).collect() };
    let came_up = |bad_until: u64| {
        let mut s = with_bad(0..bad_until);
        s.first_ms = Some(970 * BUCKET);
        s
    };
    vec![
        ("healthy", series(good), Outcome::Passed),
        ("never reported", Series::default(), Outcome::NotObserved),
        ("reported long ago", without(FROM..TO), Outcome::NotObserved),
        ("bad now", with_bad(TO - 1..TO), Outcome::Failed),
        ("bad for long", with_bad(FROM..TO), Outcome::Failed),
        ("bad within the hold", with_bad(985..986), Outcome::Failed),
        ("bad before the hold", with_bad(970..975), Outcome::Passed),
        ("flapping", with_bad(990..991), Outcome::Failed),
        ("a gap of the limit", without(990..995), Outcome::Passed),
        ("a gap over the limit", without(990..996), Outcome::NotObserved),
        ("a gap of the limit at the end", without(995..1000), Outcome::Passed),
        ("a gap over the limit at the end", without(994..1000), Outcome::NotObserved),
        ("a gap over the limit before the hold", without(960..970), Outcome::Passed),
        ("1 of 20 missing", sparse(20), Outcome::Passed),
        ("1 of 18 missing", sparse(18), Outcome::NotObserved),
        ("first samples, too few", fresh(TO - 2), Outcome::NotObserved),
        ("first samples, enough", fresh(TO - 3), Outcome::Passed),
        ("came up for the first time", came_up(995), Outcome::Passed),
        ("came up a moment ago", came_up(998), Outcome::NotObserved),
        ("not up yet", came_up(1000), Outcome::Failed),
    ]
}

#[test]
fn interfaces_d4_u2_l1() {
    let bad =
        [InterfaceBucket { down: 1, ..UP }, InterfaceBucket { errors: 1, ..UP }, InterfaceBucket { flaps: 1, ..UP }];
    for bad in bad {
        for (name, story, expected) in stories(UP, bad) {
            let mut t = telemetry();
            t.interfaces.insert("dia".parse().unwrap(), story.clone().into());
            assert_eq!(of(&judge(&facts(), &t), Criterion::D4), expected, "D4 {name} {bad:?}");
            let mut t = telemetry();
            t.interfaces.insert("eth1".parse().unwrap(), story.into());
            assert_eq!(of(&judge(&facts(), &t), Criterion::U2), expected, "U2 {name} {bad:?}");
            for (a, z) in [(&t, &telemetry()), (&telemetry(), &t)] {
                assert_eq!(of(&judge_link(&link_facts(), a, z), Criterion::L1), expected, "L1 {name} {bad:?}");
            }
        }
    }
}

#[test]
fn one_good_interface_of_several_is_enough_for_d4() {
    let mut facts = facts();
    facts.dia.insert(0, "dia2".parse().unwrap());
    let mut t = telemetry();
    assert_eq!(of(&judge(&facts, &t), Criterion::D4), Outcome::Passed);
    t.interfaces.insert("dia".parse().unwrap(), series(InterfaceBucket { down: 2, ..UP }).into());
    assert_eq!(of(&judge(&facts, &t), Criterion::D4), Outcome::NotObserved, "the unobserved one might be good");
}

#[test]
fn traffic_may_pause_but_not_stop() {
    let idle = |from: u64, to: u64| {
        let mut s = series(UP);
        for (n, bucket) in &mut s.buckets {
            if (from..to).contains(n) {
                bucket.octets = 0;
            }
        }
        s
    };
    let cases = [
        ("a pause of the limit", idle(990, 995), Outcome::Passed),
        ("a pause over the limit", idle(990, 996), Outcome::Failed),
        ("stopped", idle(0, 1_000), Outcome::Failed),
        ("a pause before the hold", idle(960, 970), Outcome::Passed),
    ];
    for (name, story, expected) in cases {
        let mut t = telemetry();
        t.interfaces.insert("dia".parse().unwrap(), story.into());
        assert_eq!(of(&judge(&facts(), &t), Criterion::D4), expected, "{name}");
    }
    let mut first = Series { first_ms: Some(997_000), buckets: vec![] };
    first.buckets = (997..1_000).map(|n| (n, InterfaceBucket { octets: 0, ..UP })).collect();
    let mut t = telemetry();
    t.interfaces.insert("dia".parse().unwrap(), first.into());
    assert_eq!(of(&judge(&facts(), &t), Criterion::D4), Outcome::NotObserved, "no traffic yet");
}

#[test]
fn reports_d5_d7() {
    for (name, story, expected) in stories(REPORTED, REPORTED).into_iter().filter(|(name, ..)| !name.contains("bad")) {
        let expected = match name {
            "flapping" | "came up a moment ago" | "not up yet" => Outcome::Passed,
            _ => expected,
        };
        let t = DeviceTelemetry { interface_reports: story.clone().into(), ..telemetry() };
        assert_eq!(of(&judge(&facts(), &t), Criterion::D5), expected, "D5 {name}");
        let t = DeviceTelemetry { probe_reports: story.into(), ..telemetry() };
        assert_eq!(of(&judge(&facts(), &t), Criterion::D7), expected, "D7 {name}");
    }
}

#[test]
fn configuration_d6() {
    type Change = fn(&mut ConfigState, &mut DeviceFacts);
    let cases: [(&str, Outcome, Change); 22] = [
        ("current", Outcome::Passed, |_, _| {}),
        ("last word at the limit", Outcome::Passed, |c, _| (c.at_ms, c.polled_ms) = (NOW - 30_000, NOW - 30_000)),
        ("last word over the limit", Outcome::NotObserved, |c, _| c.at_ms = NOW - 30_001),
        ("poll over the limit", Outcome::Failed, |c, _| c.polled_ms = NOW - 30_001),
        ("never polled", Outcome::Failed, |c, _| c.polled_ms = 0),
        ("another hash", Outcome::Failed, |c, _| c.applied_sha256 = Digest([2; 32])),
        ("no hash", Outcome::Failed, |c, _| (c.applied_sha256, c.offered_sha256) = (Digest::ZERO, Digest::ZERO)),
        ("the same text under a younger generation", Outcome::Passed, |c, _| c.offered_generation = 95),
        ("older than the change", Outcome::Failed, |_, f| f.shown_slot = 91),
        ("older than the change, within the grace", Outcome::Passed, |_, f| {
            (f.shown_slot, f.changed_ms) = (91, NOW - 10_000);
        }),
        ("older than the change, grace over", Outcome::Failed, |_, f| {
            (f.shown_slot, f.changed_ms) = (91, NOW - 10_001);
        }),
        ("older than a change that does not show", Outcome::Passed, |_, f| f.changed_slot = 91),
        ("another hash, in sync at the grace ago", Outcome::Passed, |c, _| {
            (c.applied_sha256, c.in_sync_ms) = (Digest([2; 32]), NOW - 10_000);
        }),
        ("another hash, in sync longer ago", Outcome::Failed, |c, _| {
            (c.applied_sha256, c.in_sync_ms) = (Digest([2; 32]), NOW - 10_001);
        }),
        ("as of the change", Outcome::Passed, |c, f| (c.evaluated_slot, f.changed_slot) = (95, 95)),
        ("as of the change, the text being older than it", Outcome::Passed, |c, f| {
            (c.evaluated_slot, f.changed_slot, f.shown_slot) = (95, 95, 95);
        }),
        ("as of before the change", Outcome::Failed, |c, f| (c.evaluated_slot, f.changed_slot) = (94, 95)),
        ("as of before the change, within the grace", Outcome::Passed, |c, f| {
            (c.evaluated_slot, f.changed_slot, f.changed_ms) = (94, 95, NOW - 10_000);
        }),
        ("as of the change, and another hash", Outcome::Failed, |c, f| {
            (c.evaluated_slot, f.changed_slot, c.applied_sha256) = (95, 95, Digest([2; 32]));
        }),
        ("as of the change, and a poll over the limit", Outcome::Failed, |c, f| {
            (c.evaluated_slot, f.changed_slot, c.polled_ms) = (95, 95, NOW - 30_001);
        }),
        ("another hash, within the grace", Outcome::Passed, |c, f| {
            (c.applied_sha256, f.changed_ms) = (Digest([2; 32]), NOW - 1);
        }),
        ("nothing applied yet", Outcome::NotObserved, |c, f| {
            (c.applied_sha256, c.applied_generation, f.changed_ms) = (Digest::ZERO, 0, NOW - 1);
        }),
    ];
    for (name, expected, change) in cases {
        let (mut t, mut f) = (telemetry(), facts());
        change(t.config.as_mut().unwrap(), &mut f);
        assert_eq!(of(&judge(&f, &t), Criterion::D6), expected, "{name}");
    }
    let silent = DeviceTelemetry { config: None, ..telemetry() };
    assert_eq!(of(&judge(&facts(), &silent), Criterion::D6), Outcome::NotObserved);
}

#[test]
fn probes_l2() {
    let lossy = ProbeBucket { received: 19, ..PROBED };
    for (name, story, expected) in stories(PROBED, lossy) {
        let mut t = telemetry();
        t.probes.insert((ProbeKind::Link, "l-1".parse().unwrap()), story.into());
        for (a, z) in [(&t, &telemetry()), (&telemetry(), &t)] {
            assert_eq!(of(&judge_link(&link_facts(), a, z), Criterion::L2), expected, "{name}");
        }
    }
    let mut t = telemetry();
    t.probes.insert(
        (ProbeKind::Link, "l-1".parse().unwrap()),
        series(ProbeBucket { sent: 0, received: 0, ..PROBED }).into(),
    );
    assert_eq!(of(&judge_link(&link_facts(), &t, &telemetry()), Criterion::L2), Outcome::NotObserved, "none sent");
    t.probes.insert((ProbeKind::Link, "l-1".parse().unwrap()), series(lossy).into());
    let tolerant = Rules { loss_limit_ppm: 50_000, ..rules() };
    let verdict = evaluate_link(&window(), &link_facts(), [&t, &telemetry()], &Standard::from(&tolerant), NOW);
    assert_eq!(of(&verdict, Criterion::L2), Outcome::Passed, "5 % lost, 5 % allowed");
}

#[test]
fn adjacencies_l3() {
    for (name, story, expected) in stories(ADJACENT, AdjacencyBucket { samples: 2, down: 1 }) {
        let mut t = telemetry();
        t.adjacencies.insert("eth1".parse().unwrap(), story.into());
        for (a, z) in [(&t, &telemetry()), (&telemetry(), &t)] {
            assert_eq!(of(&judge_link(&link_facts(), a, z), Criterion::L3), expected, "{name}");
        }
        let drained = LinkFacts { status: LinkStatus::HardDrained, ..link_facts() };
        let verdict = judge_link(&drained, &t, &telemetry());
        assert_eq!(verdict.level, Level::Link(LinkHealth::ReadyForService), "passive by intent: {name}");
    }
}

#[test]
fn an_undrained_link_has_time_for_its_adjacency_and_no_more() {
    let mut t = telemetry();
    t.adjacencies.insert("eth1".parse().unwrap(), series(AdjacencyBucket { samples: 2, down: 2 }).into());
    let undrained = |ago: u64| LinkFacts { status_since_ms: NOW - ago, ..link_facts() };
    assert_eq!(of(&judge_link(&undrained(3_000), &t, &telemetry()), Criterion::L3), Outcome::Passed);
    assert_eq!(of(&judge_link(&undrained(15_000), &t, &telemetry()), Criterion::L3), Outcome::Failed);
    let provisioning = LinkFacts { status: LinkStatus::Provisioning, ..undrained(3_000) };
    assert_eq!(of(&judge_link(&provisioning, &t, &telemetry()), Criterion::L3), Outcome::Failed);
}

#[test]
fn levels_of_a_link() {
    let good = telemetry();
    assert_eq!(judge_link(&link_facts(), &good, &good).level, Level::Link(LinkHealth::ReadyForService));
    let silent = DeviceTelemetry::default();
    assert_eq!(judge_link(&link_facts(), &good, &silent).level, Level::Link(LinkHealth::Pending));
    let mut down = telemetry();
    down.interfaces.insert("eth1".parse().unwrap(), series(InterfaceBucket { down: 2, ..UP }).into());
    let verdict = judge_link(&link_facts(), &down, &silent);
    assert_eq!(verdict.level, Level::Link(LinkHealth::Impaired), "bad decides over missing");
    assert_eq!(verdict.failed_bits(), 0b111);
}

#[test]
fn a_stage_begins_with_a_clean_slate() {
    let rules = rules();
    let mut t = telemetry();
    // Down until 4 s ago, which is before the link could be up: it began 10 s ago and had 5 s to settle.
    let mut s = series(UP);
    for (n, bucket) in &mut s.buckets {
        if *n < 996 {
            bucket.down = 2;
        }
    }
    t.interfaces.insert("eth1".parse().unwrap(), s.into());
    let facts = LinkFacts { status: LinkStatus::Provisioning, status_since_ms: NOW - 10_000, ..link_facts() };
    let stage = Window::new(NOW, 200_000, Some(facts.status_since_ms + rules.settle_ms), &rules);
    let verdict = evaluate_link(&stage, &facts, [&t, &telemetry()], &Standard::from(&rules), NOW);
    assert_eq!(verdict.level, Level::Link(LinkHealth::ReadyForService), "{verdict:#?}");
    let unaware = Window::new(NOW, 200_000, None, &rules);
    let verdict = evaluate_link(&unaware, &facts, [&t, &telemetry()], &Standard::from(&rules), NOW);
    assert_eq!(verdict.level, Level::Link(LinkHealth::Impaired));
    // Just begun: nothing is known, nothing is bad.
    let begun = Window::new(NOW, 200_000, Some(NOW + 2_000), &rules);
    let verdict = evaluate_link(&begun, &facts, [&t, &telemetry()], &Standard::from(&rules), NOW);
    assert_eq!(verdict.level, Level::Link(LinkHealth::Pending));
}

#[test]
fn bits_are_fixed() {
    use Criterion::*;
    let device: Vec<u32> =
        [D1, D2, D3, D4, D5, D6, D7, U1, U2, U3, U4].iter().map(|c| c.bit().trailing_zeros()).collect();
    assert_eq!(device, [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11]);
    assert_eq!([L1, L2, L3].map(|c| c.bit().trailing_zeros()), [0, 1, 2]);
}

#[test]
fn rules_that_would_make_silence_health_are_refused() {
    assert!(Rules::default().check().is_ok());
    assert!(Rules::seconds().check().is_ok());
    assert!(Rules { qa_successes_min: 0, ..Rules::default() }.check().is_err());
    assert!(Rules { min_buckets: 0, ..Rules::default() }.check().is_err());
    assert!(Rules { bucket_ms: 0, ..Rules::default() }.check().is_err());
    assert!(Rules { loss_limit_ppm: 1_000_000, ..Rules::default() }.check().is_err());
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let small = 0..100_000u64;
    (1..20_000u64, 1..=1_000_000u32, small.clone(), 1..50u64, small.clone(), small.clone(), small).prop_map(
        |(bucket_ms, min_share_ppm, max_gap_ms, min_buckets, hold_ms, lag_ms, settle_ms)| Rules {
            bucket_ms,
            min_share_ppm,
            spare_buckets: 1,
            max_gap_ms,
            min_buckets,
            hold_ms,
            lag_ms,
            settle_ms,
            loss_limit_ppm: 0,
            max_poll_age_ms: 30_000,
            config_grace_ms: 30_000,
            qa_successes_min: 4,
        },
    )
}

proptest! {
    #[test]
    fn no_telemetry_never_gives_a_good_level(
        rules in any_rules(),
        now in 0..10_000_000u64,
        burn_in in 0..10_000_000u64,
        since in proptest::option::of(0..10_000_000u64),
        status in proptest::sample::select(LinkStatus::ALL),
    ) {
        let window = Window::new(now, burn_in, since, &rules);
        let silent = DeviceTelemetry::default();
        let verdict = evaluate_device(&window, &facts(), &silent, &Standard::from(&rules), now);
        prop_assert_eq!(verdict.level.rank(), 0);
        let facts = LinkFacts { status, ..link_facts() };
        let verdict = evaluate_link(&window, &facts, [&silent, &telemetry()], &Standard::from(&rules), now);
        prop_assert_eq!(verdict.level.rank(), 0);
    }

    /// The promise that streaks rest on: whatever bad bucket or long gap there is, the verdict is bad in every moment
    /// from when it is visible until a hold after it ended.
    #[test]
    fn a_break_is_held(bad_at in 850..990u64, gap in proptest::bool::ANY, seen in 0..19u64) {
        let rules = rules();
        let mut s = series(ADJACENT);
        s.buckets.extend((TO..1_100).map(|n| (n, ADJACENT)));
        let length = if gap { 6 } else { 1 };
        if gap {
            s.buckets.retain(|(n, _)| !(bad_at..bad_at + 6).contains(n));
        } else {
            s.buckets.iter_mut().filter(|(n, _)| *n == bad_at).for_each(|(_, b)| b.down = 1);
        }
        let now = (bad_at + length + seen) * BUCKET;
        s.buckets.retain(|(n, _)| *n < now / BUCKET);
        let mut t = telemetry();
        t.adjacencies.insert("eth1".parse().unwrap(), s.into());
        let window = Window::new(now, 200_000, None, &rules);
        let verdict = evaluate_link(&window, &link_facts(), [&t, &telemetry()], &Standard::from(&rules), now);
        let expected = if gap { Outcome::NotObserved } else { Outcome::Failed };
        prop_assert_eq!(of(&verdict, Criterion::L3), expected);
    }

    /// The same where the window is no longer than the hold, wherever in its bucket the moment lies.
    #[test]
    fn a_break_is_held_in_the_shortest_window(bad_at in 850..980u64, gap in proptest::bool::ANY, seen_ms in 0..19_999u64) {
        let rules = rules();
        let mut s = series(ADJACENT);
        let length = if gap { 6 } else { 1 };
        if gap {
            s.buckets.retain(|(n, _)| !(bad_at..bad_at + 6).contains(n));
        } else {
            s.buckets.iter_mut().filter(|(n, _)| *n == bad_at).for_each(|(_, b)| b.down = 1);
        }
        let now = (bad_at + length) * BUCKET + seen_ms;
        s.buckets.extend((TO..1_100).map(|n| (n, ADJACENT)));
        s.buckets.retain(|(n, _)| *n < now / BUCKET);
        let mut t = telemetry();
        t.adjacencies.insert("eth1".parse().unwrap(), s.into());
        let window = Window::new(now, 0, None, &rules);
        let verdict = evaluate_link(&window, &link_facts(), [&t, &telemetry()], &Standard::from(&rules), now);
        let expected = if gap { Outcome::NotObserved } else { Outcome::Failed };
        prop_assert_eq!(of(&verdict, Criterion::L3), expected);
    }

    /// The promise itself, against the program's own streaks: whatever is bad, however late it arrives and whichever
    /// words land, no streak onchain reaches over a bad bucket that is older than the longest delay.
    #[test]
    fn no_streak_outlives_a_break(
        bad in proptest::collection::btree_set(0..180u64, 0..4),
        outages in proptest::collection::vec((0..180u64, 1..40u64), 0..3),
        lost in proptest::collection::vec((0..200u64, 1..30u64), 0..4),
    ) {
        const SLOT_MS: u64 = 400;
        const MAX_AGE: u64 = 25;
        const ROUND_MS: u64 = 1_000;
        let mut rules = rules();
        rules.hold_ms = rules.safe_hold_ms(MAX_AGE * SLOT_MS, ROUND_MS);
        let origin = 10_000u64;
        let within = |ranges: &[(u64, u64)], at: u64| ranges.iter().find(|(s, l)| (*s..s + l).contains(&at)).copied();
        // A bucket is seen once it is over and no outage is under way; outages may follow each other.
        let seen_at = |bucket: u64| {
            let mut at = bucket + 1;
            while let Some((start, length)) = within(&outages, at) {
                at = start + length;
            }
            at
        };
        let mut word = causeway_interface::quorum::Word::default();
        for step in 1..200u64 {
            let now_ms = (origin + step) * BUCKET;
            let visible: Vec<(u64, AdjacencyBucket)> = (0..step)
                .filter(|n| seen_at(*n) <= step)
                .map(|n| (origin + n, AdjacencyBucket { samples: 1, down: u32::from(bad.contains(&n)) }))
                .collect();
            let series = Series { first_ms: Some(origin * BUCKET), buckets: visible };
            let window = Window::new(now_ms, 1_000_000, None, &rules);
            let judged = super::series::adjacency(Some(&series.into()), &window, &rules);
            if within(&lost, step).is_some() {
                continue;
            }
            let rank = u8::from(judged.outcome == Outcome::Passed);
            word = word.next(now_ms / SLOT_MS, 1, rank, MAX_AGE);
            if rank == 0 {
                continue;
            }
            let since_ms = word.since[0] * SLOT_MS;
            let latest = rules.max_gap_ms + rules.bucket_ms + rules.lag_ms;
            for b in &bad {
                let ended_ms = (origin + b + 1) * BUCKET;
                prop_assert!(
                    since_ms >= ended_ms || ended_ms + latest >= now_ms,
                    "a streak since {since_ms} at {now_ms} over the bad bucket that ended at {ended_ms}"
                );
            }
        }
    }
}
