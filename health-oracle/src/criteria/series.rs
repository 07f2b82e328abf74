//! What a bucket of each kind of series says.

use std::cell::OnceCell;

use super::{
    Outcome,
    coverage::{self, And, Bits, Judgement, Rules, Seen, Timeline, Window},
};
use crate::telemetry::{
    AdjacencyBucket, InterfaceBucket, ProbeBucket, ReportBucket, Track,
    track::{BLOCK, bits_between, blocks_of},
};

/// No series at all.
pub(super) fn absent() -> Judgement {
    Judgement { outcome: Outcome::NotObserved, observed: Seen::Nothing, judged_from: 0 }
}

/// An interface: up, without errors and flaps, with traffic. Traffic may pause for as long as samples may.
pub(super) fn interface(track: Option<&Track<InterfaceBucket>>, window: &Window, rules: &Rules) -> Judgement {
    let Some(track) = track else { return absent() };
    let judgement = coverage::judge(&Interface { track, window, rules, idle: OnceCell::new() }, window, rules);
    let (Outcome::Passed, Seen::Covered { covered, total, .. }) = (judgement.outcome, &judgement.observed) else {
        return judgement;
    };
    let whole = track.is_whole(judgement.judged_from, window.end);
    let busy = if whole { *covered } else { track.count(judgement.judged_from, window.end, |masks| masks.busy) };
    let observed = Seen::Covered { covered: *covered, total: *total, and: And::Traffic(busy) };
    let outcome = if busy == 0 { Outcome::NotObserved } else { Outcome::Passed };
    Judgement { outcome, observed, ..judgement }
}

struct Interface<'a> {
    track: &'a Track<InterfaceBucket>,
    window: &'a Window,
    rules: &'a Rules,
    /// Stretches without traffic, once they were asked for.
    idle: OnceCell<Vec<(u64, u64)>>,
}

impl Timeline for Interface<'_> {
    fn first_ms(&self) -> Option<u64> {
        self.track.first_ms()
    }

    fn is_whole(&self, from: u64, to: u64) -> bool {
        self.track.is_whole(from, to)
    }

    fn bits(&self, block: u64) -> Bits {
        let masks = self.track.masks(block);
        let idle = self.idle.get_or_init(|| idle_stretches(self.track, self.window, self.rules));
        let idle = idle.iter().fold(0, |bits, (from, to)| bits | bits_between(block, *from, to + 1));
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

    fn is_whole(&self, from: u64, to: u64) -> bool {
        self.0.is_whole(from, to)
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

    fn is_whole(&self, from: u64, to: u64) -> bool {
        self.track.is_whole(from, to)
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

    fn is_whole(&self, from: u64, to: u64) -> bool {
        self.0.is_whole(from, to)
    }

    fn bits(&self, block: u64) -> Bits {
        Bits { present: self.0.masks(block).present, bad: 0 }
    }

    fn why(&self, _: u64) -> String {
        "not reported".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::telemetry::Bucket;

    /// A timeline of which nothing is known at a glance.
    struct Blind<T>(T);

    impl<T: Timeline> Timeline for Blind<&T> {
        fn first_ms(&self) -> Option<u64> {
            self.0.first_ms()
        }

        fn is_whole(&self, _: u64, _: u64) -> bool {
            false
        }

        fn bits(&self, block: u64) -> Bits {
            self.0.bits(block)
        }

        fn why(&self, bucket: u64) -> String {
            self.0.why(bucket)
        }
    }

    fn rules(max_gap_ms: u64, loss_limit_ppm: u32) -> Rules {
        Rules { bucket_ms: 1_000, max_gap_ms, loss_limit_ppm, hold_ms: 20_000, lag_ms: 0, ..Rules::default() }
    }

    fn track<T: Bucket>(start: u64, kinds: &[u8], bucket: impl Fn(u8) -> Option<T>) -> Track<T> {
        let mut track = Track::default();
        for (at, kind) in (start..).zip(kinds) {
            if let Some(sum) = bucket(*kind) {
                track.add(at * 1_000 + 7, &sum, 1_000, 64);
            }
        }
        track
    }

    proptest! {
        /// A glance says what the blocks say, word for word.
        #[test]
        fn a_glance_is_as_good_as_a_look(
            start in 100..200u64,
            // Nearly all buckets are as they should be, so that runs are as long as windows.
            kinds in proptest::collection::vec(prop_oneof![300 => Just(0u8), 1 => 1..5u8], 1..500),
            (burn_in, early, max_gap_ms) in (1..400u64, 0..200u64, 1_000..9_000u64),
            loss_limit_ppm in prop_oneof![Just(0u32), Just(60_000)],
        ) {
            let rules = rules(max_gap_ms, loss_limit_ppm);
            let now_ms = (start + kinds.len() as u64).saturating_sub(early) * 1_000 + 500;
            let window = Window::new(now_ms, burn_in * 1_000, None, &rules);
            let up = |kind| match kind {
                1 => None,
                2 => Some(InterfaceBucket { samples: 1, compared: 1, ..Default::default() }),
                3 => Some(InterfaceBucket { samples: 1, octets: 1, compared: 1, errors: 1, ..Default::default() }),
                _ => Some(InterfaceBucket { samples: 1, octets: 1, compared: 1, ..Default::default() }),
            };
            let interfaces = track(start, &kinds, up);
            let seen = Interface { track: &interfaces, window: &window, rules: &rules, idle: OnceCell::new() };
            prop_assert_eq!(coverage::judge(&seen, &window, &rules), coverage::judge(&Blind(&seen), &window, &rules));
            let judged = interface(Some(&interfaces), &window, &rules);
            if let Seen::Covered { and: And::Traffic(busy), .. } = judged.observed {
                prop_assert_eq!(busy, interfaces.count(judged.judged_from, window.end, |masks| masks.busy));
            }
            let probed = |kind| match kind {
                1 => None,
                2 => Some(ProbeBucket { samples: 1, ..Default::default() }),
                3 => Some(ProbeBucket { samples: 1, sent: 20, received: 19, rtt_max_ns: 1 }),
                4 => Some(ProbeBucket { samples: 1, sent: 20, received: 10, rtt_max_ns: 1 }),
                _ => Some(ProbeBucket { samples: 1, sent: 20, received: 20, rtt_max_ns: 1 }),
            };
            let probes = track(start, &kinds, probed);
            let seen = Probes { track: &probes, rules: &rules };
            prop_assert_eq!(coverage::judge(&seen, &window, &rules), coverage::judge(&Blind(&seen), &window, &rules));
            let adjacent = |kind| (kind != 1).then_some(AdjacencyBucket { samples: 1, down: u32::from(kind == 3) });
            let adjacencies = track(start, &kinds, adjacent);
            let seen = Adjacency(&adjacencies);
            prop_assert_eq!(coverage::judge(&seen, &window, &rules), coverage::judge(&Blind(&seen), &window, &rules));
        }
    }
}
