//! What a bucket of each kind of series says.

use super::{
    Outcome,
    coverage::{self, Bits, Judgement, Rules, Timeline, Window},
};
use crate::telemetry::{
    AdjacencyBucket, InterfaceBucket, ProbeBucket, ReportBucket, Track,
    track::{BLOCK, bits_between, blocks_of},
};

/// No series at all.
pub(super) fn absent() -> Judgement {
    Judgement { outcome: Outcome::NotObserved, observed: "no samples".to_owned(), judged_from: 0 }
}

/// An interface: up, without errors and flaps, with traffic. Traffic may pause for as long as samples may.
pub(super) fn interface(track: Option<&Track<InterfaceBucket>>, window: &Window, rules: &Rules) -> Judgement {
    let Some(track) = track else { return absent() };
    let judgement = coverage::judge(&Interface { track, idle: idle_stretches(track, window, rules) }, window, rules);
    if judgement.outcome != Outcome::Passed {
        return judgement;
    }
    let busy = track.count(judgement.judged_from, window.end, |masks| masks.busy);
    let observed = match busy {
        0 => format!("{}, no traffic yet", judgement.observed),
        busy => format!("{}, traffic in {busy}", judgement.observed),
    };
    let outcome = if busy == 0 { Outcome::NotObserved } else { Outcome::Passed };
    Judgement { outcome, observed, ..judgement }
}

struct Interface<'a> {
    track: &'a Track<InterfaceBucket>,
    idle: Vec<(u64, u64)>,
}

impl Timeline for Interface<'_> {
    fn first_ms(&self) -> Option<u64> {
        self.track.first_ms()
    }

    fn bits(&self, block: u64) -> Bits {
        let masks = self.track.masks(block);
        let idle = self.idle.iter().fold(0, |bits, (from, to)| bits | bits_between(block, *from, to + 1));
        Bits { present: masks.present, bad: masks.bad | idle }
    }

    fn why(&self, number: u64) -> String {
        let bit = 1 << (number % BLOCK);
        match self.track.noted(number) {
            Some(bucket) if bucket.down > 0 => format!("down in {} of {} samples", bucket.down, bucket.samples),
            Some(bucket) if bucket.errors > 0 => format!("{} errors", bucket.errors),
            Some(bucket) if bucket.flaps > 0 => format!("carrier changed {} times", bucket.flaps),
            None if self.track.masks(number / BLOCK).bad & bit != 0 => "down, errors or flaps".to_owned(),
            Some(_) | None => "no traffic".to_owned(),
        }
    }
}

/// First and last bucket of every stretch without traffic that is longer than the limit. Missing buckets do not end one.
fn idle_stretches(track: &Track<InterfaceBucket>, window: &Window, rules: &Rules) -> Vec<(u64, u64)> {
    let mut stretches: Vec<(u64, u64)> = Vec::new();
    let mut open: Option<(u64, u64)> = None;
    for block in blocks_of(window.start, window.end) {
        let inside = bits_between(block, window.start, window.end);
        let (idle, busy) = (track.idle(block) & inside, track.masks(block).busy & inside);
        if idle == 0 {
            if busy != 0 {
                stretches.extend(open.take());
            }
            continue;
        }
        let mut rest = idle | busy;
        while rest != 0 {
            let low = rest.trailing_zeros();
            rest &= rest - 1;
            let bucket = block * BLOCK + u64::from(low);
            open = match (idle >> low & 1 == 1, open) {
                (true, Some((from, _))) => Some((from, bucket)),
                (true, None) => Some((bucket, bucket)),
                (false, ended) => {
                    stretches.extend(ended);
                    None
                }
            };
        }
    }
    stretches.extend(open);
    stretches.retain(|(from, to)| (to - from + 1).saturating_mul(rules.bucket_ms) > rules.max_gap_ms);
    stretches
}

/// An adjacency: up.
pub(super) fn adjacency(track: Option<&Track<AdjacencyBucket>>, window: &Window, rules: &Rules) -> Judgement {
    track.map_or_else(absent, |track| coverage::judge(&Adjacency(track), window, rules))
}

struct Adjacency<'a>(&'a Track<AdjacencyBucket>);

impl Timeline for Adjacency<'_> {
    fn first_ms(&self) -> Option<u64> {
        self.0.first_ms()
    }

    fn bits(&self, block: u64) -> Bits {
        let masks = self.0.masks(block);
        Bits { present: masks.present, bad: masks.bad }
    }

    fn why(&self, number: u64) -> String {
        match self.0.noted(number) {
            Some(bucket) => format!("adjacency down in {} of {} samples", bucket.down, bucket.samples),
            None => "adjacency down".to_owned(),
        }
    }
}

/// Probes: loss in no bucket above the limit. A bucket in which none was sent holds no sample.
pub(super) fn probes(track: Option<&Track<ProbeBucket>>, window: &Window, rules: &Rules) -> Judgement {
    track.map_or_else(absent, |track| coverage::judge(&Probes { track, rules }, window, rules))
}

struct Probes<'a> {
    track: &'a Track<ProbeBucket>,
    rules: &'a Rules,
}

impl Timeline for Probes<'_> {
    fn first_ms(&self) -> Option<u64> {
        self.track.first_ms()
    }

    fn bits(&self, block: u64) -> Bits {
        let masks = self.track.masks(block);
        let bad = match self.rules.loss_limit_ppm {
            0 => masks.bad,
            _ if masks.bad == 0 => 0,
            limit => {
                let losses = self.track.losses(block * BLOCK, (block + 1) * BLOCK);
                losses.filter(|(_, ppm)| *ppm > limit).fold(0, |bits, (bucket, _)| bits | 1 << (bucket % BLOCK))
            }
        };
        Bits { present: masks.present, bad }
    }

    fn why(&self, number: u64) -> String {
        match self.track.noted(number) {
            Some(bucket) => {
                format!("{} of {} probes lost", bucket.sent.saturating_sub(bucket.received), bucket.sent)
            }
            None => {
                let loss = self.track.losses(number, number + 1).next().map_or(0, |(_, ppm)| *ppm);
                format!("{loss} in a million probes lost")
            }
        }
    }
}

/// That something was reported at all.
pub(super) fn reported(track: &Track<ReportBucket>, window: &Window, rules: &Rules) -> Judgement {
    coverage::judge(&Reports(track), window, rules)
}

struct Reports<'a>(&'a Track<ReportBucket>);

impl Timeline for Reports<'_> {
    fn first_ms(&self) -> Option<u64> {
        self.0.first_ms()
    }

    fn bits(&self, block: u64) -> Bits {
        Bits { present: self.0.masks(block).present, bad: 0 }
    }

    fn why(&self, _: u64) -> String {
        "not reported".to_owned()
    }
}
