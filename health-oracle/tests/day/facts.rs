//! The criteria that ask the ledger: what changes there during the day, and what they then are. The telemetry is that of
//! a calm day; what the ledger says counts at once.

use causeway_health_oracle::criteria::{Criterion, Outcome};
use causeway_interface::{DeviceStatus, InterfaceRole, Ip4, LinkStatus, Prefix};
use causeway_sdk::Snapshot;

use Criterion::{D1, D2, D3, D4, D6, L3, U1, U2, U3, U4};
use Outcome::{Failed, NotObserved, Passed};

use crate::{
    ledger::{activated_links, slot_of, subjects},
    script::{Fault, What, Where},
    timeline::{Changes, calm},
};

/// One day of the ledger.
pub struct Story {
    pub name: &'static str,
    /// Whether it is so at a minute.
    pub when: fn(u64) -> bool,
    /// What then is different, and what was when it was so last: called with the minute, and whether it is so.
    pub change: fn(&mut Snapshot, u64, bool),
    /// What goes wrong with the telemetry meanwhile.
    pub faults: Vec<Fault>,
    /// What becomes of which criteria, whether in service or new.
    pub told: Vec<(Criterion, Changes)>,
}

impl Story {
    /// The whole day of a criterion.
    pub fn changes(&self, id: Criterion, in_service: bool) -> Changes {
        if in_service && id == U4 {
            return vec![(0, Passed)];
        }
        if !in_service && id == L3 {
            // Of links only those in service are touched.
            return calm(id);
        }
        let told = self.told.iter().find(|(told, _)| *told == id);
        told.map_or_else(|| calm(id), |(_, changes)| changes.clone())
    }
}

const MORNING: std::ops::Range<u64> = 480..490;

fn always(_: u64) -> bool {
    true
}

fn in_the_morning(minute: u64) -> bool {
    MORNING.contains(&minute)
}

/// Every other minute from ten o'clock on.
fn flapping(minute: u64) -> bool {
    (600..606).contains(&minute) && minute.is_multiple_of(2)
}

type Change = fn(&mut Snapshot, u64, bool);

/// What breaks a criterion, and what just does not.
const CHANGES: [(Criterion, &str, bool, Change); 10] = [
    (D1, "no address", true, |s, _, on| each(s, on, |d| d.public_ip = Ip4::ZERO)),
    (D1, "a private address", true, |s, _, on| each(s, on, |d| d.public_ip = "10.0.0.1".parse().unwrap())),
    (D1, "another address", false, |s, _, on| each(s, on, |d| d.public_ip = "198.18.0.9".parse().unwrap())),
    (D2, "no prefix", true, |s, _, on| each(s, on, |d| d.dz_prefix_count = 0)),
    (D2, "a prefix just too small", true, |s, _, on| {
        each(s, on, |d| d.dz_prefixes[0] = "198.18.9.0/30".parse().unwrap());
    }),
    (D2, "a prefix just large enough", false, |s, _, on| {
        each(s, on, |d| d.dz_prefixes[0] = "198.18.9.0/29".parse().unwrap());
    }),
    (D3, "no loopback 255", true, |s, _, on| {
        each(s, on, |d| {
            d.interfaces.remove(0);
        })
    }),
    (D3, "loopback 255 without address", true, |s, _, on| each(s, on, |d| d.interfaces[0].address = Prefix::NONE)),
    (U3, "no interface for users", true, |s, _, on| {
        each(s, on, |d| d.interfaces.retain(|i| i.role != InterfaceRole::Cyoa));
    }),
    (D4, "no interface for the internet", true, |s, _, on| {
        each(s, on, |d| d.interfaces.retain(|i| i.role != InterfaceRole::Dia));
    }),
];

fn each(snapshot: &mut Snapshot, on: bool, change: fn(&mut causeway_interface::accounts::Device)) {
    if on {
        subjects(snapshot).for_each(change);
    }
}

/// The links are drained while it is so, and activated again from then on.
fn drained(snapshot: &mut Snapshot, minute: u64, on: bool, when: fn(u64) -> bool) {
    let began = (0..=minute).rev().take_while(|m| when(*m) == on).last().unwrap_or(minute);
    if began == 0 && !on {
        return;
    }
    for link in activated_links(snapshot) {
        link.header.status = if on { LinkStatus::HardDrained } else { LinkStatus::Activated };
        link.header.status_since_slot = slot_of(began);
    }
}

/// Every story of the ledger.
pub fn all() -> Vec<Story> {
    let mut all = vec![Story { name: "healthy", when: |_| false, change: |_, _, _| {}, faults: vec![], told: vec![] }];
    for (id, name, breaks, change) in CHANGES {
        let begin = calm(id);
        let told = |changes: &[(u64, Outcome)]| {
            let changes = if breaks { begin.iter().chain(changes).copied().collect() } else { begin.clone() };
            vec![(id, changes)]
        };
        let missing = if breaks { vec![(0, Failed)] } else { begin.clone() };
        let on_and_off: Vec<_> = (600..606).map(|m| (m, if m % 2 == 0 { Failed } else { Passed })).collect();
        let morning = told(&[(MORNING.start, Failed), (MORNING.end, Passed)]);
        all.push(Story { name, when: always, change, faults: vec![], told: vec![(id, missing)] });
        all.push(Story { name, when: in_the_morning, change, faults: vec![], told: morning });
        all.push(Story { name, when: flapping, change, faults: vec![], told: told(&on_and_off) });
    }
    all.extend(links());
    all.extend(changed());
    all.push(nobody_to_probe());
    all
}

/// U1: without a link U2 has nothing to go by either, and no other device is in reach. A link that is back counts from
/// then: three whole buckets later something can be said of it.
fn links() -> Vec<Story> {
    let no_targets = || (U4, vec![(0, Passed)]);
    vec![
        Story {
            name: "no activated link",
            when: always,
            change: |s, minute, on| drained(s, minute, on, always),
            faults: vec![],
            told: vec![(U1, vec![(0, Failed)]), (U2, vec![(0, Failed)]), no_targets(), (L3, vec![(0, Passed)])],
        },
        Story {
            name: "no activated link",
            when: in_the_morning,
            change: |s, minute, on| drained(s, minute, on, in_the_morning),
            faults: vec![],
            told: vec![
                (U1, vec![(0, Passed), (480, Failed), (490, Passed)]),
                (U2, vec![(0, NotObserved), (4, Passed), (480, Failed), (490, NotObserved), (493, Passed)]),
            ],
        },
        Story {
            name: "no activated link",
            when: flapping,
            change: |s, minute, on| drained(s, minute, on, flapping),
            faults: vec![],
            told: vec![
                (
                    U1,
                    vec![
                        (0, Passed),
                        (600, Failed),
                        (601, Passed),
                        (602, Failed),
                        (603, Passed),
                        (604, Failed),
                        (605, Passed),
                    ],
                ),
                (
                    U2,
                    vec![
                        (0, NotObserved),
                        (4, Passed),
                        (600, Failed),
                        (601, NotObserved),
                        (602, Failed),
                        (603, NotObserved),
                        (604, Failed),
                        (605, NotObserved),
                        (608, Passed),
                    ],
                ),
            ],
        },
    ]
}

/// D6: the ledger has asked for something else since eight o'clock. What runs may be older for two minutes.
fn changed() -> Vec<Story> {
    let changed = |name, faults, told: &[(u64, Outcome)]| Story {
        name,
        when: |minute| minute >= MORNING.start,
        change: |s, _, on| {
            if on {
                subjects(s).for_each(|device| device.header.status_since_slot = slot_of(MORNING.start));
            }
        },
        faults,
        told: vec![(D6, calm(D6).into_iter().chain(told.iter().copied()).collect())],
    };
    let outdated = vec![Fault::new(Where::Config, What::Outdated(470), 470..485)];
    vec![
        changed("changed, and offered at once", vec![], &[]),
        changed("changed, and offered late", outdated, &[(482, Failed), (486, Passed)]),
    ]
}

/// U4 until noon, when the first targets come into reach. What was said until then rests on there being nobody, and
/// until the probes are under way nothing is asked.
fn nobody_to_probe() -> Story {
    Story {
        name: "nobody to probe until noon",
        when: |minute| minute < 720,
        change: |s, _, on| {
            for device in s.devices.values_mut().filter(|device| device.code.as_str() != "new") {
                if on {
                    device.header.status = DeviceStatus::Drained;
                } else {
                    device.header.status_since_slot = slot_of(720);
                }
            }
        },
        faults: vec![],
        told: vec![(U4, vec![(0, Passed)])],
    }
}
