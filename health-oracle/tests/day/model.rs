//! The design read once more, slowly: every bucket of a window looked at by itself, nothing remembered between rounds.
//!
//! It knows the batches that arrived and the ledger of [`crate::ledger::healthy`], and shares no code with the oracle.
//! Buckets are numbered by the minutes of the day, so that the hours before it have negative numbers.

use std::collections::BTreeMap;

use causeway_health_oracle::criteria::{Criterion, Outcome};
use causeway_wire::telemetry::{Batch, ConfigSample, InterfaceSample, ProbeKind};

use crate::{
    play::ROUND_MS,
    script::{DAY_MS, DEVICES, MINUTE_MS, MINUTES, at_ms},
};

const HOLD_MS: i64 = 1_100_000;
const NEW_MS: i64 = 20 * 3_600_000;
const MAINTENANCE_MS: i64 = 2_000_000;
/// Minutes that a gap may have.
const GAP: i64 = 5;
/// When what is in its first stage could be observed: two hours before the day, and two minutes to settle.
const OBSERVABLE: i64 = -118;

/// What is said of a subject: outcomes and words.
pub type Said = Vec<(Criterion, Outcome, String)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Interface(&'static str),
    Adjacency(&'static str),
    Link(&'static str),
    Qa(&'static str),
    InterfaceReports,
    ProbeReports,
}

#[derive(Clone, Debug, Default)]
struct Cell {
    samples: u64,
    down: u64,
    compared: u64,
    octets: u64,
    errors: u64,
    flaps: u64,
    sent: u64,
    received: u64,
}

/// One for each minute of the day; without samples where there were none.
#[derive(Clone, Debug)]
struct Cells(Vec<Cell>);

impl Default for Cells {
    fn default() -> Self {
        Self(vec![Cell::default(); MINUTES as usize])
    }
}

impl Cells {
    fn get(&self, n: i64) -> Option<&Cell> {
        self.0.get(usize::try_from(n).ok()?).filter(|cell| cell.samples > 0)
    }

    /// How many minutes of a window are like this.
    fn count(&self, from: i64, to: i64, is: impl Fn(&Cell) -> bool) -> usize {
        (from.max(0)..to).filter(|n| self.get(*n).is_some_and(&is)).count()
    }
}

#[derive(Clone, Debug, Default)]
struct Series {
    /// The first whole minute since its first sample.
    first: Option<i64>,
    cells: Cells,
    last: Option<InterfaceSample>,
}

#[derive(Clone, Copy)]
struct Window {
    start: i64,
    end: i64,
    hold_from: i64,
    fresh: bool,
}

enum Say {
    Good,
    Bad(String),
}

/// What an oracle that forgets nothing knows.
#[derive(Default)]
pub struct Model {
    series: BTreeMap<(usize, Name), Series>,
    config: BTreeMap<usize, (ConfigSample, u64)>,
}

fn known(name: &str) -> &'static str {
    let all = ["eth2", "eth3", "eth4", "l-old", "l-new", "l-prov", "old-a", "old-z"];
    all.into_iter().find(|known| *known == name).unwrap()
}

impl Model {
    fn cell(&mut self, device: usize, name: Name, at: u64) -> (&mut Cell, &mut Option<InterfaceSample>) {
        let series = self.series.entry((device, name)).or_default();
        let since = at - DAY_MS;
        let first = i64::try_from(since.div_ceil(MINUTE_MS)).unwrap();
        series.first = Some(series.first.map_or(first, |known| known.min(first)));
        let cell = &mut series.cells.0[usize::try_from(since / MINUTE_MS).unwrap()];
        cell.samples += 1;
        (cell, &mut series.last)
    }

    /// A batch has arrived.
    pub fn take(&mut self, device: usize, batch: &Batch) {
        for sample in &batch.interfaces {
            let at = sample.at_unix_ms;
            self.cell(device, Name::InterfaceReports, at);
            let (cell, last) = self.cell(device, Name::Interface(known(&sample.interface)), at);
            cell.down += u64::from(!sample.oper_up);
            if let Some(before) = last.replace(sample.clone()) {
                // A counter that went back began anew; so did the carrier's, together with the octets'.
                let grown = |before: u64, now: u64| if now < before { now } else { now - before };
                let octets = [(before.in_octets, sample.in_octets), (before.out_octets, sample.out_octets)];
                let carrier = (before.carrier_transitions, sample.carrier_transitions);
                let restarted = octets.iter().chain([&carrier]).any(|(before, now)| now < before);
                cell.compared += 1;
                cell.octets += octets.iter().map(|(before, now)| grown(*before, *now)).sum::<u64>();
                cell.errors += grown(before.in_errors, sample.in_errors);
                cell.flaps += if restarted { 0 } else { carrier.1 - carrier.0 };
            }
        }
        for sample in &batch.adjacencies {
            let (cell, _) = self.cell(device, Name::Adjacency(known(&sample.interface)), sample.at_unix_ms);
            cell.down += u64::from(!sample.up);
        }
        for sample in &batch.probes {
            self.cell(device, Name::ProbeReports, sample.at_unix_ms);
            let name = match sample.kind() {
                ProbeKind::Link => Name::Link(known(&sample.target)),
                ProbeKind::Qa => Name::Qa(known(&sample.target)),
                ProbeKind::Reachability | ProbeKind::Unspecified => continue,
            };
            let (cell, _) = self.cell(device, name, sample.at_unix_ms);
            cell.sent += u64::from(sample.sent);
            cell.received += u64::from(sample.received);
        }
        for sample in &batch.configs {
            let in_sync = sample.applied_sha256 == sample.offered_sha256;
            let before = self.config.get(&device).map_or(0, |(_, at)| *at);
            let synced = if in_sync { sample.at_unix_ms } else { before };
            self.config.insert(device, (sample.clone(), synced));
        }
    }

    fn of(&self, device: usize, name: Name) -> Option<&Series> {
        self.series.get(&(device, name))
    }

    fn interface(&self, device: usize, name: &'static str, window: Window) -> (Outcome, String) {
        let Some(series) = self.of(device, Name::Interface(name)) else { return nothing() };
        let idle = idle(series, window);
        let say = |n: i64, cell: &Cell| match cell {
            _ if cell.down > 0 => Say::Bad(format!("down in {} of {} samples", cell.down, cell.samples)),
            _ if cell.errors > 0 => Say::Bad(format!("{} errors", cell.errors)),
            _ if cell.flaps > 0 => Say::Bad(format!("carrier changed {} times", cell.flaps)),
            _ if idle.contains(&n) => Say::Bad("no traffic".to_owned()),
            _ => Say::Good,
        };
        let (outcome, words, from) = throughout(series, window, say);
        if outcome != Outcome::Passed {
            return (outcome, words);
        }
        match series.cells.count(from, window.end, |cell| cell.octets > 0) {
            0 => (Outcome::NotObserved, format!("{words}, no traffic yet")),
            busy => (Outcome::Passed, format!("{words}, traffic in {busy}")),
        }
    }

    fn reports(&self, device: usize, name: Name, window: Window) -> (Outcome, String) {
        let Some(series) = self.of(device, name) else { return nothing() };
        let (outcome, words, _) = throughout(series, window, |_, _| Say::Good);
        (outcome, words)
    }

    fn adjacency(&self, device: usize, name: &'static str, window: Window) -> (Outcome, String) {
        let Some(series) = self.of(device, Name::Adjacency(name)) else { return nothing() };
        let (outcome, words, _) = throughout(series, window, |_, cell| match cell.down {
            0 => Say::Good,
            down => Say::Bad(format!("adjacency down in {down} of {} samples", cell.samples)),
        });
        (outcome, words)
    }

    fn probes(&self, device: usize, link: &'static str, window: Window) -> (Outcome, String) {
        let Some(series) = self.of(device, Name::Link(link)) else { return nothing() };
        let (outcome, words, _) = throughout(series, window, |_, cell| match cell.sent - cell.received {
            0 => Say::Good,
            lost => Say::Bad(format!("{lost} of {} probes lost", cell.sent)),
        });
        (outcome, words)
    }

    fn configuration(&self, device: usize, now: u64) -> (Outcome, String) {
        let Some((config, synced)) = self.config.get(&device) else {
            return (Outcome::NotObserved, "no word about the configuration".to_owned());
        };
        let (said, polled) = (now - config.at_unix_ms, now - config.polled_unix_ms);
        if said > 300_000 {
            return (Outcome::NotObserved, format!("last word about the configuration {} s ago", said / 1_000));
        }
        let slot = config.offered_evaluated_slot;
        let words = format!("polled {} s ago, generation 5 of 5 applied, offered as of slot {slot}", polled / 1_000);
        let runs = config.applied_sha256 == config.offered_sha256 || (*synced > 0 && now - synced <= 120_000);
        let outcome = if polled <= 300_000 && runs { Outcome::Passed } else { Outcome::Failed };
        (outcome, words)
    }

    fn end_to_end(&self, device: usize, window: Window) -> (Outcome, String) {
        let targets = DEVICES[device].targets;
        let count = |pick: fn(&Cell) -> bool| -> Vec<usize> {
            let series = targets.iter().filter_map(|target| self.of(device, Name::Qa(target)));
            series.map(|series| series.cells.count(window.start, window.end, pick)).collect()
        };
        let (sent, answered) = (count(|cell| cell.sent > 0), count(|cell| cell.received > 0));
        let by = answered.iter().filter(|count| **count > 0).count();
        let (sent, answered): (usize, usize) = (sent.iter().sum(), answered.iter().sum());
        let words = format!("answered in {answered} of {sent} buckets, by {by} of {} targets", targets.len());
        let outcome = match (answered >= 4, sent >= 4) {
            (true, _) => Outcome::Passed,
            (false, true) => Outcome::Failed,
            (false, false) => Outcome::NotObserved,
        };
        (outcome, words)
    }

    /// What is found of a device by what it measures, at this minute.
    pub fn device(&self, code: &str, minute: u64) -> Said {
        let device = DEVICES.iter().position(|model| model.code == code).unwrap();
        let in_service = code != "new";
        let window = window(minute, in_service, false);
        let now = at_ms(minute) + ROUND_MS;
        let dia = self.interface(device, "eth2", window);
        let links: &[(&str, &'static str)] = match code {
            "old-a" => &[("l-old", "eth3")],
            "old-z" => &[("l-old", "eth3"), ("l-new", "eth4")],
            _ => &[("l-new", "eth3")],
        };
        let judged: Vec<_> = links.iter().map(|(_, port)| self.interface(device, port, window)).collect();
        let best = [Outcome::Passed, Outcome::NotObserved, Outcome::Failed];
        let u2 = best.into_iter().find(|one| judged.iter().any(|(outcome, _)| outcome == one)).unwrap();
        let mut words: Vec<String> =
            links.iter().zip(&judged).map(|((link, port), (_, words))| format!("{link} on {port}: {words}")).collect();
        // The order of links is that of their addresses, which is nobody's business.
        words.sort();
        let qa = if in_service { (Outcome::Passed, "in service".to_owned()) } else { self.end_to_end(device, window) };
        let d6 = self.configuration(device, now);
        let d5 = self.reports(device, Name::InterfaceReports, window);
        let d7 = self.reports(device, Name::ProbeReports, window);
        vec![
            (Criterion::D4, dia.0, format!("eth2: {}", dia.1)),
            (Criterion::D5, d5.0, d5.1),
            (Criterion::D6, d6.0, d6.1),
            (Criterion::D7, d7.0, d7.1),
            (Criterion::U2, u2, words.join("; ")),
            (Criterion::U4, qa.0, qa.1),
        ]
    }

    /// What is found of a link by what both ends measure, at this minute.
    pub fn link(&self, code: &str, minute: u64) -> Said {
        type Ends = [(usize, &'static str); 2];
        let (ends, code): (Ends, _) = match code {
            "l-old" => ([(0, "eth3"), (1, "eth3")], "l-old"),
            "l-new" => ([(2, "eth3"), (1, "eth4")], "l-new"),
            _ => ([(2, "eth4"), (0, "eth4")], "l-prov"),
        };
        let window = window(minute, code != "l-prov", code == "l-prov");
        let both = |id, judge: &dyn Fn(usize, &'static str) -> (Outcome, String)| {
            let found = ends.map(|(device, port)| (format!("{} {port}", DEVICES[device].code), judge(device, port)));
            let worst = [Outcome::Failed, Outcome::NotObserved, Outcome::Passed];
            let outcome = worst.into_iter().find(|one| found.iter().any(|(_, (outcome, _))| outcome == one)).unwrap();
            (id, outcome, found.map(|(end, (_, words))| format!("{end}: {words}")).join("; "))
        };
        vec![
            both(Criterion::L1, &|device, port| self.interface(device, port, window)),
            both(Criterion::L2, &|device, _| self.probes(device, code, window)),
            both(Criterion::L3, &|device, port| self.adjacency(device, port, window)),
        ]
    }
}

fn nothing() -> (Outcome, String) {
    (Outcome::NotObserved, "no samples".to_owned())
}

fn window(minute: u64, in_service: bool, first_stage: bool) -> Window {
    let minutes = i64::try_from(MINUTE_MS).unwrap();
    let end = i64::try_from(minute).unwrap();
    let now = end * minutes + i64::try_from(ROUND_MS).unwrap();
    let length = if in_service { MAINTENANCE_MS } else { NEW_MS };
    // Whole minutes only: the first that lies in it entirely.
    let start = (now - length + minutes - 1).div_euclid(minutes);
    let hold_from = (now - HOLD_MS).div_euclid(minutes);
    let whole = Window { start, end, hold_from, fresh: false };
    if first_stage && OBSERVABLE >= start { Window { start: OBSERVABLE, fresh: true, ..whole } } else { whole }
}

/// The buckets that lie in a stretch without traffic longer than a gap may be.
fn idle(series: &Series, window: Window) -> Vec<i64> {
    let mut found = Vec::new();
    let mut stretch: Vec<i64> = Vec::new();
    for n in window.start..=window.end {
        let cell = series.cells.get(n).filter(|cell| n < window.end && cell.compared > 0);
        match cell {
            Some(cell) if cell.octets == 0 => stretch.push(n),
            None if n < window.end => {}
            Some(_) | None => {
                let length = stretch.last().zip(stretch.first()).map_or(0, |(last, first)| last - first + 1);
                if length > GAP {
                    found.append(&mut stretch);
                }
                stretch.clear();
            }
        }
    }
    found
}

/// Whether a series was good throughout a window, in words as well, and from where on it was judged.
///
/// A break is a bad bucket, or more missing ones in a row than a gap may have. One that ended before the hold has had its
/// effect: what is judged begins after it. One that ended since is held against the series.
fn throughout(series: &Series, window: Window, say: impl Fn(i64, &Cell) -> Say) -> (Outcome, String, i64) {
    let Window { mut start, end, hold_from, mut fresh } = window;
    if let Some(first) = series.first.filter(|first| *first >= start) {
        (start, fresh) = (first, true);
    }
    let said = |n: i64| series.cells.get(n).map(|cell| say(n, cell));
    if fresh {
        // Nothing good can rest on what was before the first good bucket.
        start = (start..end).find(|n| matches!(said(*n), Some(Say::Good))).unwrap_or(start);
    }
    let (mut from, mut missing) = (start, 0);
    let (mut bad, mut gap): (Option<(i64, String)>, Option<i64>) = (None, None);
    for n in start..=end {
        let here = if n < end { said(n) } else { None };
        if n < end && here.is_none() {
            missing += 1;
            continue;
        }
        if missing > GAP {
            // It ended with the bucket before this one.
            if n >= hold_from {
                gap = gap.max(Some(missing));
            } else {
                from = n;
            }
        }
        missing = 0;
        if let Some(Say::Bad(why)) = here {
            if n + 1 >= hold_from {
                bad = Some((n, why));
            } else {
                from = n + 1;
            }
        }
    }
    let total = (end - from).max(0);
    let covered = i64::try_from(series.cells.count(from, end, |_| true)).unwrap();
    let share = format!("{covered} of {total} buckets");
    let (outcome, words) = if let Some((n, why)) = bad {
        (Outcome::Failed, format!("{why}, {} s ago", (end - n) * 60))
    } else if covered == 0 {
        (Outcome::NotObserved, "no samples".to_owned())
    } else if let Some(gap) = gap {
        (Outcome::NotObserved, format!("{share}, a gap of {} s", gap * 60))
    } else if covered < 3 {
        (Outcome::NotObserved, format!("{share}, too few yet"))
    } else if total - covered > (total / 100).max(1) {
        (Outcome::NotObserved, share)
    } else {
        (Outcome::Passed, share)
    };
    (outcome, words, from)
}
