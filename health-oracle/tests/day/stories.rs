//! The stories of the day: what happens, to which criteria, and what these then are at which minute.
//!
//! Numbers follow from the design's: at minute `m` the buckets before `m` are looked at. A break that ended with bucket
//! `e - 1` is held until minute `e + 18` (18 min 20 s, the hold) and gone at `e + 19`. In service the window is 33 buckets,
//! of which one may be missing; of a new subject 1 199, of which 11 may.

// Stretches of minutes: most stories have one, some have several.
#![allow(clippy::single_range_in_vec_init)]

use causeway_health_oracle::criteria::{Criterion, Outcome};

use Criterion::{D4, D5, D6, D7, L1, L2, L3, U2, U4};
use Outcome::{Failed, NotObserved, Passed};

use crate::{
    script::{Fault, MINUTES, What, Where},
    timeline::{Changes, calm},
};

/// One day of one series.
pub struct Story {
    pub name: &'static str,
    pub place: Where,
    pub faults: Vec<Fault>,
    /// The criteria that it tells of. All others are as on a calm day.
    pub of: Vec<Criterion>,
    /// What these become of subjects in service, after the beginning of a calm day.
    pub in_service: Changes,
    /// And of new ones.
    pub new: Changes,
    /// What is said at a minute, of subjects in service or of new ones.
    pub words: Vec<(u64, bool, &'static str)>,
}

impl Story {
    /// The whole day of a criterion.
    pub fn changes(&self, id: Criterion, in_service: bool) -> Changes {
        let told = if in_service { &self.in_service } else { &self.new };
        if in_service && id == U4 {
            return vec![(0, Passed)];
        }
        match (self.of.contains(&id), told.first()) {
            (false, _) | (true, None) => calm(id),
            (true, Some((0, _))) => told.clone(),
            (true, Some(_)) => calm(id).into_iter().chain(told.iter().copied()).collect(),
        }
    }
}

/// The series that are judged throughout, what is bad in each and what then is said, and the criteria that rest on it.
/// Nothing is bad of what only has to be reported.
type Kind = (Where, &'static [(What, &'static str)], &'static [Criterion]);
const INTERFACE_FAULTS: &[(What, &str)] =
    &[(What::Down, "down in 1 of 2 samples"), (What::Errors, "3 errors"), (What::Flap, "carrier changed 2 times")];
const KINDS: [Kind; 6] = [
    (Where::Dia, INTERFACE_FAULTS, &[D4]),
    (Where::Fabric, INTERFACE_FAULTS, &[U2, L1]),
    (Where::Adjacencies, &[(What::Down, "adjacency down in 1 of 2 samples")], &[L3]),
    (Where::LinkProbes, &[(What::Lossy, "1 of 20 probes lost")], &[L2]),
    (Where::Interfaces, &[], &[D4, D5, U2, L1]),
    (Where::Probes, &[], &[D7, L2]),
];

/// Every story of telemetry.
pub fn all() -> Vec<Story> {
    let mut all = Vec::new();
    for (place, bad, of) in KINDS {
        all.extend(missing(place, of));
        for (index, (what, why)) in bad.iter().enumerate() {
            let mut told = failing(place, of, *what, why);
            if index > 0 {
                // The times are those of the first fault: one story shows that the others count as well.
                told.retain(|story| story.name == HEALED);
            }
            all.extend(told);
        }
        if bad == INTERFACE_FAULTS {
            all.extend(idle(place, of));
        }
    }
    all.extend(configuration());
    all.extend(end_to_end());
    all.push(silent_agent());
    all
}

const HEALED: &str = "failed and healed in the morning";

type Stretches = Vec<std::ops::Range<u64>>;

fn story(
    name: &'static str,
    (place, what): (Where, What),
    of: &[Criterion],
    when: Stretches,
    in_service: &[(u64, Outcome)],
    new: &[(u64, Outcome)],
) -> Story {
    let faults = when.into_iter().map(|minutes| Fault::new(place, what, minutes)).collect();
    Story {
        name,
        place,
        faults,
        of: of.to_vec(),
        in_service: in_service.to_vec(),
        new: new.to_vec(),
        words: Vec::new(),
    }
}

/// Single minutes at these distances.
fn each(from: u64, to: u64, step: usize) -> Stretches {
    (from..to).step_by(step).map(|minute| minute..minute + 1).collect()
}

fn missing(place: Where, of: &[Criterion]) -> Vec<Story> {
    let told = |name, when, in_service: &[_], new: &[_]| story(name, (place, What::Missing), of, when, in_service, new);
    let mut altogether = told("missing altogether", vec![0..MINUTES], &[(0, NotObserved)], &[(0, NotObserved)]);
    altogether.words = vec![(30, true, "no samples"), (MINUTES, false, "no samples")];
    if place == Where::Probes {
        altogether.of.push(U4);
    }
    let mut over = told(
        "gap over the limit",
        vec![720..726],
        &[(722, NotObserved), (745, Passed)],
        &[(726, NotObserved), (745, Passed)],
    );
    over.words = vec![
        (726, true, "27 of 33 buckets, a gap of 360 s"),
        (726, false, "719 of 725 buckets, a gap of 360 s"),
        (745, true, "19 of 19 buckets"),
    ];
    let mut below = told(
        "share just below 99 %",
        [each(300, 1_301, 100), each(1_350, 1_351, 1)].concat(),
        &[],
        &[(1_351, NotObserved)],
    );
    below.words = vec![(1_440, true, "33 of 33 buckets"), (1_440, false, "1187 of 1199 buckets")];
    vec![
        told("healthy", vec![], &[], &[]),
        altogether,
        told("fell silent at noon", vec![720..MINUTES], &[(722, NotObserved)], &[(726, NotObserved)]),
        // In service it is the share that isn't reached, until the gap leaves the window.
        told("gap of the limit", vec![720..725], &[(722, NotObserved), (757, Passed)], &[]),
        over,
        told("gap of one minute", vec![720..721], &[], &[]),
        told("share just at 99 %", each(300, 1_301, 100), &[], &[]),
        below,
        told("flapping reports", each(720, 741, 20), &[(741, NotObserved), (754, Passed)], &[]),
    ]
}

fn failing(place: Where, of: &[Criterion], what: What, why: &'static str) -> Vec<Story> {
    let same = |name, when, changes: &[_]| story(name, (place, what), of, when, changes, changes);
    let mut healed = same(HEALED, vec![480..490], &[(481, Failed), (509, Passed)]);
    healed.words = vec![(485, true, why), (490, false, why), (508, true, why), (509, true, "19 of 19 buckets")];
    vec![
        same("failing now", vec![1_380..MINUTES], &[(1_381, Failed)]),
        same("failing all day", vec![0..MINUTES], &[(0, NotObserved), (2, Failed)]),
        healed,
        same("flapping", each(600, 900, 15), &[(601, Failed), (905, Passed)]),
        same(
            "flapping slowly",
            each(600, 720, 30),
            &[
                (601, Failed),
                (620, Passed),
                (631, Failed),
                (650, Passed),
                (661, Failed),
                (680, Passed),
                (691, Failed),
                (710, Passed),
            ],
        ),
        // What was never good holds nothing against a new subject. One in service is looked at for half an hour only, and
        // by then it is long since it was first seen.
        story(
            "good for the first time at five",
            (place, what),
            of,
            vec![0..300],
            &[(0, NotObserved), (2, Failed), (319, Passed)],
            &[(0, NotObserved), (2, Failed), (301, NotObserved), (303, Passed)],
        ),
    ]
}

fn idle(place: Where, of: &[Criterion]) -> Vec<Story> {
    let same = |name, what, when, changes: &[_]| story(name, (place, what), of, when, changes, changes);
    let mut stopped = same("no traffic over the limit", What::Idle, vec![720..726], &[(726, Failed), (745, Passed)]);
    stopped.words = vec![(726, true, "no traffic, 60 s ago")];
    vec![
        same("no traffic for the limit", What::Idle, vec![720..725], &[]),
        stopped,
        same("restarted", What::Restart, vec![480..481], &[]),
    ]
}

fn configuration() -> Vec<Story> {
    let of = &[D6];
    let same = |name, what, when, changes: &[_]| story(name, (Where::Config, what), of, when, changes, changes);
    // The word before is said at a second that makes it old enough, or just not.
    let after = |second: u64, mut story: Story| {
        story.faults.push(Fault::new(Where::Config, What::Second(second), 719..720));
        story
    };
    let mut unreached = same("controller not reached", What::Unpolled, vec![720..800], &[(725, Failed), (801, Passed)]);
    unreached.words = vec![(725, true, "polled 350 s ago")];
    vec![
        same("healthy", What::Missing, vec![], &[]),
        same("missing altogether", What::Missing, vec![0..MINUTES], &[(0, NotObserved)]),
        same("failing all day", What::NeverPolled, vec![0..MINUTES], &[(0, NotObserved), (1, Failed)]),
        same("failing now", What::Drifted, vec![1_380..MINUTES], &[(1_382, Failed)]),
        same(HEALED, What::Drifted, vec![480..490], &[(482, Failed), (491, Passed)]),
        after(20, same("last word at the limit", What::Missing, vec![720..760], &[(725, NotObserved), (761, Passed)])),
        after(
            19,
            same("last word over the limit", What::Missing, vec![720..760], &[(724, NotObserved), (761, Passed)]),
        ),
        after(20, same("last poll at the limit", What::Unpolled, vec![720..760], &[(725, Failed), (761, Passed)])),
        after(19, same("last poll over the limit", What::Unpolled, vec![720..760], &[(724, Failed), (761, Passed)])),
        unreached,
        same("flapping within the grace", What::Drifted, each(720, 900, 2), &[]),
        same(
            "flapping",
            What::Drifted,
            vec![720..722, 724..726],
            &[(722, Failed), (723, Passed), (726, Failed), (727, Passed)],
        ),
    ]
}

fn end_to_end() -> Vec<Story> {
    const TARGETS: [&str; 2] = ["old-a", "old-z"];
    let both = |name, what, when: Stretches, new: &[_]| {
        let mut told = story(name, (Where::Qa(TARGETS[0]), what), &[U4], when.clone(), &[(0, Passed)], new);
        told.faults.extend(when.into_iter().map(|minutes| Fault::new(Where::Qa(TARGETS[1]), what, minutes)));
        told
    };
    let but = |answered: std::ops::Range<u64>| -> Story {
        let mut told = both("", What::Unanswered, vec![0..answered.start, answered.end..MINUTES], &[]);
        told.faults.push(Fault::new(Where::Qa(TARGETS[1]), What::Unanswered, answered));
        told
    };
    vec![
        both("healthy", What::Missing, vec![], &[(0, NotObserved), (2, Passed)]),
        both("missing altogether", What::Missing, vec![0..MINUTES], &[(0, NotObserved)]),
        both("failing all day", What::Unanswered, vec![0..MINUTES], &[(0, NotObserved), (2, Failed)]),
        both("fell silent at noon", What::Missing, vec![720..MINUTES], &[(0, NotObserved), (2, Passed)]),
        Story { name: "three answers", new: vec![(0, NotObserved), (2, Failed)], ..but(10..13) },
        // The window leaves the first of the four behind.
        Story {
            name: "four answers",
            new: vec![(0, NotObserved), (2, Failed), (14, Passed), (1_210, Failed)],
            ..but(10..14)
        },
        both(
            "flapping",
            What::Unanswered,
            vec![1..30, 31..60, 61..90, 91..MINUTES],
            &[(0, NotObserved), (2, Failed), (31, Passed), (1_260, Failed)],
        ),
    ]
}

/// Everything at once: nothing is observed and so nothing is bad.
fn silent_agent() -> Story {
    story(
        "the agent fell silent at noon and came back",
        (Where::Agent, What::Missing),
        &[D4, D5, D7, U2, L1, L2, L3],
        vec![720..723],
        &[(722, NotObserved), (755, Passed)],
        &[],
    )
}
