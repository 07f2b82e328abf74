//! What a criterion is expected to be at every minute of the day.

use causeway_health_oracle::criteria::{Criterion, Level, Outcome};
use causeway_interface::{DeviceHealth, LinkHealth};

use Outcome::{Failed, NotObserved, Passed};

/// Every criterion.
pub const ALL: [Criterion; 14] = [
    Criterion::D1,
    Criterion::D2,
    Criterion::D3,
    Criterion::D4,
    Criterion::D5,
    Criterion::D6,
    Criterion::D7,
    Criterion::U1,
    Criterion::U2,
    Criterion::U3,
    Criterion::U4,
    Criterion::L1,
    Criterion::L2,
    Criterion::L3,
];

/// The minutes at which an outcome changes, ascending, the first being 0.
pub type Changes = Vec<(u64, Outcome)>;

/// The outcome at this minute.
pub fn at(changes: &[(u64, Outcome)], minute: u64) -> Outcome {
    changes.iter().rev().find(|(from, _)| *from <= minute).map(|(_, outcome)| *outcome).unwrap()
}

/// What a criterion is on a day on which nothing happens, beginning with the day's first sample. Minute 0 is cut by the
/// first sample; three whole buckets have to follow. End-to-end answers are counted, four of them, from two targets.
pub fn calm(id: Criterion) -> Changes {
    match id {
        Criterion::D1 | Criterion::D2 | Criterion::D3 | Criterion::U1 | Criterion::U3 => vec![(0, Passed)],
        Criterion::D6 => vec![(0, NotObserved), (1, Passed)],
        Criterion::U4 => vec![(0, NotObserved), (2, Passed)],
        Criterion::D4
        | Criterion::D5
        | Criterion::D7
        | Criterion::U2
        | Criterion::L1
        | Criterion::L2
        | Criterion::L3 => vec![(0, NotObserved), (4, Passed)],
    }
}

/// The level of a device with these outcomes, from the design: links need every D, users every U as well, and what was
/// seen to be bad among the D impairs.
pub fn device_level(outcomes: &[(Criterion, Outcome)]) -> Level {
    let any = |users: bool, outcome| outcomes.iter().any(|(id, o)| id.is_for_users() == users && *o == outcome);
    Level::Device(if any(false, Failed) {
        DeviceHealth::Impaired
    } else if any(false, NotObserved) {
        DeviceHealth::Pending
    } else if any(true, Failed) || any(true, NotObserved) {
        DeviceHealth::ReadyForLinks
    } else {
        DeviceHealth::ReadyForUsers
    })
}

/// The level of a link with these outcomes.
pub fn link_level(outcomes: &[(Criterion, Outcome)]) -> Level {
    let any = |outcome| outcomes.iter().any(|(_, o)| *o == outcome);
    Level::Link(if any(Failed) {
        LinkHealth::Impaired
    } else if any(NotObserved) {
        LinkHealth::Pending
    } else {
        LinkHealth::ReadyForService
    })
}

/// In short: `- 4+ 481! 509+`, with `+` for passed, `!` for failed and `-` for not observed.
pub fn short(changes: &[(u64, Outcome)]) -> String {
    let sign = |outcome| match outcome {
        Passed => '+',
        Failed => '!',
        NotObserved => '-',
    };
    let words = changes.iter().map(|(minute, outcome)| match minute {
        0 => sign(*outcome).to_string(),
        _ => format!("{minute}{}", sign(*outcome)),
    });
    words.collect::<Vec<_>>().join(" ")
}
