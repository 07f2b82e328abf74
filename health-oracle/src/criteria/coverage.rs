//! When has a series been good throughout? Windows, gaps, breaks and the share of buckets; see the module above for why.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::telemetry::track::{BLOCK, bits_between, blocks_of};

/// The numbers that criteria are judged by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Width of a bucket in ms: a minute, or a second or two on a localnet.
    pub bucket_ms: u64,
    /// Share of buckets that must hold a sample, in millionths.
    pub min_share_ppm: u32,
    /// Buckets that may be missing whatever the share says: below 100 buckets 99 % is all of them, and one restart of
    /// an agent would cost a device in service its health.
    pub spare_buckets: u64,
    /// Longest stretch without a sample, and without traffic, in ms.
    pub max_gap_ms: u64,
    /// Buckets that must hold a sample before anything is called good.
    pub min_buckets: u64,
    /// How long a break is held after it ended, in ms; see [`Self::safe_hold_ms`].
    pub hold_ms: u64,
    /// How long after its end a bucket is looked at, in ms: the time that samples take to arrive.
    pub lag_ms: u64,
    /// Time after a change of status in which configuration and protocols settle, in ms.
    pub settle_ms: u64,
    /// Loss that a bucket may have, in millionths of the probes sent.
    pub loss_limit_ppm: u32,
    /// Age in ms after which an agent's last poll, or its last word about its configuration, is too old.
    pub max_poll_age_ms: u64,
    /// Time after a change of status in which the configuration of before may still run, in ms.
    pub config_grace_ms: u64,
    /// Buckets with an answer that a new device's QA probes need over the window, over all its targets.
    pub qa_successes_min: u32,
}

impl Default for Rules {
    /// The design's numbers, in minutes, with the hold for an attestation age of 1 500 slots of 400 ms and rounds of a
    /// minute.
    fn default() -> Self {
        let rules = Self {
            bucket_ms: 60_000,
            min_share_ppm: 990_000,
            spare_buckets: 1,
            max_gap_ms: 300_000,
            min_buckets: 3,
            hold_ms: 0,
            lag_ms: 20_000,
            settle_ms: 120_000,
            loss_limit_ppm: 0,
            max_poll_age_ms: 300_000,
            config_grace_ms: 120_000,
            qa_successes_min: 4,
        };
        let hold_ms = rules.safe_hold_ms(600_000, 60_000);
        Self { hold_ms, ..rules }
    }
}

impl Rules {
    /// For a localnet, where everything takes seconds and agents report every second: buckets of two seconds, one in
    /// five may be missing, and a fault is forgotten soon after it ended.
    #[must_use]
    pub fn seconds() -> Self {
        Self {
            bucket_ms: 2_000,
            min_share_ppm: 800_000,
            spare_buckets: 1,
            max_gap_ms: 8_000,
            min_buckets: 2,
            hold_ms: 10_000,
            lag_ms: 1_500,
            settle_ms: 2_000,
            loss_limit_ppm: 0,
            max_poll_age_ms: 30_000,
            config_grace_ms: 20_000,
            qa_successes_min: 4,
        }
    }

    /// Time in ms after a device's first target came into reach in which U4 is not asked, because until then nobody was
    /// to be probed: the probe plan has to arrive, and one target has to answer often enough on its own.
    #[must_use]
    pub fn qa_grace_ms(&self) -> u64 {
        let buckets = u64::from(self.qa_successes_min).saturating_add(1);
        self.config_grace_ms.saturating_add(self.bucket_ms.saturating_mul(buckets)).saturating_add(self.lag_ms)
    }

    /// The shortest hold with which no streak onchain survives a break: data arrives at most a gap, a bucket and the
    /// lag late, and the bad word has the maximum age and two rounds to land.
    #[must_use]
    pub fn safe_hold_ms(&self, attestation_max_age_ms: u64, round_ms: u64) -> u64 {
        attestation_max_age_ms
            .saturating_add(self.max_gap_ms)
            .saturating_add(self.bucket_ms)
            .saturating_add(self.lag_ms)
            .saturating_add(round_ms.saturating_mul(2))
    }

    /// How far back the whole of every break is seen that is held, in ms: it may have ended in the bucket before the hold,
    /// and a gap has to be seen longer than the limit to be one.
    #[must_use]
    pub fn held_ms(&self) -> u64 {
        let rounding = self.bucket_ms.saturating_mul(HELD_BUCKETS);
        self.hold_ms.saturating_add(self.max_gap_ms).saturating_add(rounding)
    }

    /// What can't be judged by, in words.
    ///
    /// # Errors
    /// The name of the number that is out of range, and what it has to be.
    pub fn check(&self) -> Result<(), &'static str> {
        if !(100..=3_600_000).contains(&self.bucket_ms) {
            return Err("the bucket has to be 100 ms to an hour");
        }
        if self.min_share_ppm == 0 || self.min_share_ppm > 1_000_000 {
            return Err("the share has to be more than 0 and at most 100 %");
        }
        if self.min_buckets == 0 {
            return Err("at least one bucket has to be asked for, or no data would be health");
        }
        if self.qa_successes_min == 0 {
            return Err("at least one QA probe has to be answered");
        }
        if self.loss_limit_ppm >= 1_000_000 {
            return Err("the loss limit has to be below 100 %");
        }
        if self.max_gap_ms < self.bucket_ms {
            return Err("the longest gap has to be at least a bucket");
        }
        Ok(())
    }

    fn missing_allowed(&self, buckets: u64) -> u64 {
        let tolerated = u64::from(1_000_000_u32.saturating_sub(self.min_share_ppm));
        (buckets.saturating_mul(tolerated) / 1_000_000).max(self.spare_buckets)
    }
}

/// Buckets before the hold that the window reaches at least: the one that a break ended in, and one that the gap exceeds
/// its limit by, each cut by rounding.
const HELD_BUCKETS: u64 = 3;

/// What is looked at: whole buckets from `start` up to, not including, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// First bucket.
    pub start: u64,
    /// The bucket after the last.
    pub end: u64,
    /// Breaks that ended in this bucket or later are held.
    pub hold_from: u64,
    /// Nothing good can rest on what was before the first good bucket.
    pub fresh: bool,
    /// Width of a bucket in ms.
    pub bucket_ms: u64,
}

impl Window {
    /// The window of a subject at `now_ms`: its burn-in or the hold, whichever is longer, but not before it could be
    /// observed in its stage (`observable_since_ms`), where that is known.
    #[must_use]
    pub fn new(now_ms: u64, burn_in_ms: u64, observable_since_ms: Option<u64>, rules: &Rules) -> Self {
        let bucket_ms = rules.bucket_ms.max(1);
        let end = now_ms.saturating_sub(rules.lag_ms) / bucket_ms;
        let length = burn_in_ms.max(rules.held_ms());
        let start = now_ms.saturating_sub(length).div_ceil(bucket_ms);
        // The last bucket is always held: what is bad now is bad.
        let hold_from = (now_ms.saturating_sub(rules.hold_ms) / bucket_ms).min(end);
        Self { start, end, hold_from, fresh: false, bucket_ms }.since(observable_since_ms)
    }

    /// The part of the window from `since_ms` on. What lies before has nothing to say.
    #[must_use]
    pub fn since(self, since_ms: Option<u64>) -> Self {
        match since_ms.map(|ms| ms.div_ceil(self.bucket_ms)) {
            Some(since) if since >= self.start => Self { start: since, fresh: true, ..self },
            Some(_) | None => self,
        }
    }

    /// Buckets in it.
    #[must_use]
    pub fn buckets(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// When it begins, in ms since 1970.
    #[must_use]
    pub fn start_ms(&self) -> u64 {
        self.start.min(self.end).saturating_mul(self.bucket_ms)
    }

    /// When it ends, in ms since 1970.
    #[must_use]
    pub fn end_ms(&self) -> u64 {
        self.end.saturating_mul(self.bucket_ms)
    }
}

/// Which buckets of a block hold a sample, and which of these are bad: bit `i` stands for bucket `block * 64 + i`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bits {
    /// Hold a sample.
    pub present: u64,
    /// Are bad; only those that are present count.
    pub bad: u64,
}

/// What is judged: buckets that are good, bad or missing.
pub trait Timeline {
    /// When its first sample ever was taken, in ms since 1970.
    fn first_ms(&self) -> Option<u64>;
    /// Whether all buckets from `from` up to `to` are known to hold samples of which none is bad. Where that can't be said
    /// at a glance, the blocks say it.
    fn is_whole(&self, from: u64, to: u64) -> bool;
    /// A block of it; empty where nothing is known.
    fn bits(&self, block: u64) -> Bits;
    /// Why a bucket is bad, in words.
    fn why(&self, bucket: u64) -> String;
}

/// What was seen of a series over a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// No sample.
    Nothing,
    /// Something bad.
    Bad {
        /// What, in words.
        why: String,
        /// How long before the window's end, in s.
        ago_s: u64,
    },
    /// Buckets that hold a sample.
    Covered {
        /// How many.
        covered: u64,
        /// Of how many.
        total: u64,
        /// What else is to be said of them.
        and: And,
    },
}

/// What else is to be said of buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum And {
    /// Nothing.
    Nothing,
    /// A stretch without samples of so many seconds.
    Gap(u64),
    /// They are too few to be judged.
    TooFewYet,
    /// So many of them with traffic.
    Traffic(u64),
}

impl Seen {
    /// Says it at the end of what was said. Some hundred thousand of these are said in a round, so numbers are written
    /// without the machinery of formats.
    pub fn say(&self, words: &mut String) {
        let (covered, total, and) = match self {
            Self::Nothing => return words.push_str("no samples"),
            Self::Bad { why, ago_s } => {
                words.push_str(why);
                words.push_str(", ");
                say_number(*ago_s, words);
                return words.push_str(" s ago");
            }
            Self::Covered { covered, total, and } => (*covered, *total, *and),
        };
        say_number(covered, words);
        words.push_str(" of ");
        say_number(total, words);
        words.push_str(" buckets");
        let (before, number, after) = match and {
            And::Nothing => return,
            And::TooFewYet => return words.push_str(", too few yet"),
            And::Traffic(0) => return words.push_str(", no traffic yet"),
            And::Gap(seconds) => (", a gap of ", seconds, " s"),
            And::Traffic(buckets) => (", traffic in ", buckets, ""),
        };
        words.push_str(before);
        say_number(number, words);
        words.push_str(after);
    }
}

/// Its digits.
fn say_number(number: u64, words: &mut String) {
    let mut power = 1;
    while number / power >= 10 {
        power *= 10;
    }
    while power > 0 {
        // A digit is below ten.
        words.push(char::from(b'0' + u8::try_from(number / power % 10).unwrap_or(0)));
        power /= 10;
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = String::new();
        self.say(&mut words);
        f.write_str(&words)
    }
}

/// What a series says over a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Whether it was good throughout.
    pub outcome: Outcome,
    /// What was seen.
    pub observed: Seen,
    /// First bucket that was judged: the window's, or the one after the last break that is no longer held.
    pub judged_from: u64,
}

/// Buckets with samples that follow each other without a gap and are all good, or all bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    bad: bool,
    from: u64,
    to: u64,
}

/// The stretches from `from` up to `to`, in order; one that crosses a block's border comes in parts.
fn stretches(timeline: &impl Timeline, from: u64, to: u64) -> impl Iterator<Item = Stretch> {
    blocks_of(from, to).flat_map(move |block| {
        let inside = bits_between(block, from, to);
        let bits = timeline.bits(block);
        let (mut present, bad) = (bits.present & inside, bits.bad & bits.present);
        let first = block * BLOCK;
        std::iter::from_fn(move || {
            if present == 0 {
                return None;
            }
            let low = present.trailing_zeros();
            let is_bad = bad >> low & 1 == 1;
            let alike = if is_bad { bad } else { !bad } & present;
            let length = (alike >> low).trailing_ones();
            let high = low + length;
            present &= if high >= u64::BITS { 0 } else { u64::MAX << high };
            Some(Stretch { bad: is_bad, from: first + u64::from(low), to: first + u64::from(high) })
        })
    })
}

/// Judges a timeline over a window. In the usual case, where nothing is missing and nothing was bad, its length does not
/// matter.
pub fn judge(timeline: &impl Timeline, window: &Window, rules: &Rules) -> Judgement {
    let window = window.since(timeline.first_ms());
    let total = window.buckets();
    if total > 0 && total >= rules.min_buckets && timeline.is_whole(window.start, window.end) {
        let observed = Seen::Covered { covered: total, total, and: And::Nothing };
        return Judgement { outcome: Outcome::Passed, observed, judged_from: window.start };
    }
    judge_blocks(timeline, window, rules)
}

fn judge_blocks(timeline: &impl Timeline, window: Window, rules: &Rules) -> Judgement {
    let mut run = Run::new(&window, rules);
    if window.fresh
        && let Some(good) = stretches(timeline, window.start, window.end).find(|stretch| !stretch.bad)
    {
        run.from = good.from;
        run.next = good.from;
    }
    for stretch in stretches(timeline, run.next, window.end) {
        run.gap(stretch.from);
        if stretch.bad {
            run.bad(stretch.from, stretch.to);
        } else {
            run.covered += stretch.to - stretch.from;
        }
        run.next = stretch.to;
    }
    run.gap(window.end);
    run.end(timeline)
}

struct Run<'a> {
    window: &'a Window,
    rules: &'a Rules,
    /// First bucket that counts.
    from: u64,
    /// First bucket not looked at yet.
    next: u64,
    covered: u64,
    held_bad: Option<u64>,
    held_gap: Option<u64>,
}

impl<'a> Run<'a> {
    fn new(window: &'a Window, rules: &'a Rules) -> Self {
        Self { window, rules, from: window.start, next: window.start, covered: 0, held_bad: None, held_gap: None }
    }

    fn is_held(&self, end: u64) -> bool {
        end >= self.window.hold_from
    }

    fn forget_until(&mut self, end: u64) {
        self.from = end;
        self.covered = 0;
    }

    fn gap(&mut self, until: u64) {
        let length = until.saturating_sub(self.next);
        if length.saturating_mul(self.window.bucket_ms) <= self.rules.max_gap_ms {
            return;
        }
        if self.is_held(until) {
            self.held_gap = self.held_gap.max(Some(length));
        } else {
            self.forget_until(until);
        }
    }

    /// Bad buckets from `from` up to `to`: those that ended before the hold are forgotten with what was before them.
    fn bad(&mut self, from: u64, to: u64) {
        let held_from = self.window.hold_from.saturating_sub(1).clamp(from, to);
        if held_from > from {
            self.forget_until(held_from);
        }
        if to > held_from {
            self.held_bad = Some(to - 1);
            self.covered += to - held_from;
        }
    }

    fn end(self, timeline: &impl Timeline) -> Judgement {
        let total = self.window.end.saturating_sub(self.from);
        let missing = total.saturating_sub(self.covered);
        let seconds = |buckets: u64| buckets.saturating_mul(self.window.bucket_ms) / 1_000;
        let covered = self.covered;
        let seen = |and| Seen::Covered { covered, total, and };
        let (outcome, observed) = if let Some(bucket) = self.held_bad {
            let ago_s = seconds(self.window.end.saturating_sub(bucket));
            (Outcome::Failed, Seen::Bad { why: timeline.why(bucket), ago_s })
        } else if covered == 0 {
            (Outcome::NotObserved, Seen::Nothing)
        } else if let Some(length) = self.held_gap {
            (Outcome::NotObserved, seen(And::Gap(seconds(length))))
        } else if covered < self.rules.min_buckets {
            (Outcome::NotObserved, seen(And::TooFewYet))
        } else if missing > self.rules.missing_allowed(total) {
            (Outcome::NotObserved, seen(And::Nothing))
        } else {
            (Outcome::Passed, seen(And::Nothing))
        };
        Judgement { outcome, observed, judged_from: self.from }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_as_they_are() {
        for number in [0, 1, 9, 10, 99, 100, 1_200, 86_399, u64::MAX] {
            let mut words = String::from("x");
            say_number(number, &mut words);
            assert_eq!(words, format!("x{number}"));
        }
    }
}
