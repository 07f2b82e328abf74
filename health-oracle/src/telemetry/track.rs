//! One series as bit masks: per bucket whether it holds a sample, whether that is bad, and whether there was anything in
//! it (traffic, an answer).
//!
//! A block is 64 buckets, one word of each mask. What is good needs no more than its bits; of what is bad the latest
//! buckets are kept whole, so that people read numbers, and of lossy ones the loss, so that any limit can be judged
//! exactly. A window of twenty hours of minutes is nineteen blocks, 456 bytes.
//!
//! Samples of a series only ever come in the order of their times, so a track only grows at its end.

use std::{cmp::Ordering, collections::VecDeque};

use super::{AdjacencyBucket, InterfaceBucket, ProbeBucket, ReportBucket};

/// Buckets in a block: the bits of a word.
pub const BLOCK: u64 = 64;
/// Blocks that are made room for with the first: more than a window of two days of minutes has.
const RESERVED: usize = 48;
/// Bad buckets that are kept whole: what people ask about is the latest, and a window may end a little before it.
const NOTES: usize = 8;

/// What a bucket says in bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Says {
    /// It holds a sample.
    pub present: bool,
    /// Something in it is bad.
    pub bad: bool,
    /// There was traffic, or an answer.
    pub busy: bool,
    /// Whether there was traffic can't be said, for want of a sample to compare with.
    pub uncompared: bool,
}

/// What can be summed into a bucket.
pub trait Bucket: Copy + Default + PartialEq + std::fmt::Debug {
    /// Whether every bucket that is as it should be has traffic, or an answer; else none has.
    const WHOLE_IS_BUSY: bool;

    /// Adds another of the same bucket; sums saturate.
    fn add(&mut self, more: &Self);

    /// What it says.
    fn says(&self) -> Says;

    /// Buckets of a block of which no criterion asks any further: they hold samples, and all of them are as they should be.
    fn whole(masks: Masks) -> u64 {
        masks.present & !masks.bad & if Self::WHOLE_IS_BUSY { masks.busy } else { !masks.busy }
    }

    /// The share that was lost, in millionths, rounded up; none where nothing can be lost.
    fn loss_ppm(&self) -> Option<u32> {
        None
    }
}

impl Bucket for InterfaceBucket {
    const WHOLE_IS_BUSY: bool = true;

    fn add(&mut self, more: &Self) {
        self.samples = self.samples.saturating_add(more.samples);
        self.down = self.down.saturating_add(more.down);
        self.compared = self.compared.saturating_add(more.compared);
        self.octets = self.octets.saturating_add(more.octets);
        self.errors = self.errors.saturating_add(more.errors);
        self.discards = self.discards.saturating_add(more.discards);
        self.flaps = self.flaps.saturating_add(more.flaps);
    }

    fn says(&self) -> Says {
        Says {
            present: self.samples > 0,
            bad: self.down > 0 || self.errors > 0 || self.flaps > 0,
            busy: self.octets > 0,
            uncompared: self.compared == 0,
        }
    }
}

impl Bucket for AdjacencyBucket {
    const WHOLE_IS_BUSY: bool = false;

    fn add(&mut self, more: &Self) {
        self.samples = self.samples.saturating_add(more.samples);
        self.down = self.down.saturating_add(more.down);
    }

    fn says(&self) -> Says {
        Says { present: self.samples > 0, bad: self.down > 0, ..Says::default() }
    }
}

impl Bucket for ProbeBucket {
    const WHOLE_IS_BUSY: bool = true;

    fn add(&mut self, more: &Self) {
        self.samples = self.samples.saturating_add(more.samples);
        self.sent = self.sent.saturating_add(more.sent);
        self.received = self.received.saturating_add(more.received);
        self.rtt_max_ns = self.rtt_max_ns.max(more.rtt_max_ns);
    }

    /// A bucket in which none was sent says nothing.
    fn says(&self) -> Says {
        Says { present: self.sent > 0, bad: self.received < self.sent, busy: self.received > 0, uncompared: false }
    }

    /// Rounded up, so that comparing it with a whole limit is as exact as comparing the share itself.
    fn loss_ppm(&self) -> Option<u32> {
        let lost = u128::from(self.sent.saturating_sub(self.received));
        let ppm = (lost * 1_000_000).div_ceil(u128::from(self.sent.max(1)));
        Some(u32::try_from(ppm).unwrap_or(u32::MAX))
    }
}

impl Bucket for ReportBucket {
    const WHOLE_IS_BUSY: bool = false;

    fn add(&mut self, more: &Self) {
        self.samples = self.samples.saturating_add(more.samples);
    }

    fn says(&self) -> Says {
        Says { present: self.samples > 0, ..Says::default() }
    }
}

/// One block of a track: bit `i` stands for bucket `block * 64 + i`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Masks {
    /// Buckets that hold a sample.
    pub present: u64,
    /// Buckets with something bad.
    pub bad: u64,
    /// Buckets with traffic, or an answer.
    pub busy: u64,
}

impl Masks {
    /// Both together.
    #[must_use]
    pub fn or(self, more: Self) -> Self {
        Self { present: self.present | more.present, bad: self.bad | more.bad, busy: self.busy | more.busy }
    }
}

/// Buckets that follow each other, the second not included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Run {
    from: u64,
    to: u64,
}

/// One series. The first three fields are what a glance at it needs, and lie together.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Track<T> {
    /// The latest buckets that are [`Bucket::whole`] one after the other: a window within them is judged without a look at
    /// its blocks. It follows from the masks.
    whole: Run,
    /// When its first sample ever was taken.
    first_ms: Option<u64>,
    /// Number of the block at the front.
    first_block: u64,
    /// When its latest sample was taken.
    last_ms: u64,
    blocks: VecDeque<Masks>,
    /// The latest bucket, to which samples are still added.
    open: (u64, T),
    /// The bucket of which traffic can't be said.
    uncompared: Option<u64>,
    /// The latest bad buckets, ascending.
    notes: VecDeque<(u64, T)>,
    /// Lossy buckets with their loss, ascending, as far back as the blocks.
    losses: VecDeque<(u64, u32)>,
}

/// The same samples; what was kept of them to judge faster is no part of it.
impl<T: PartialEq> PartialEq for Track<T> {
    fn eq(&self, other: &Self) -> bool {
        let Self { whole: _, first_ms, last_ms, first_block, blocks, open, uncompared, notes, losses } = self;
        (first_ms, last_ms, first_block) == (&other.first_ms, &other.last_ms, &other.first_block)
            && (blocks, open, uncompared) == (&other.blocks, &other.open, &other.uncompared)
            && (notes, losses) == (&other.notes, &other.losses)
    }
}

impl<T: Default> Default for Track<T> {
    fn default() -> Self {
        Self {
            whole: Run::default(),
            first_ms: None,
            last_ms: 0,
            first_block: 0,
            blocks: VecDeque::new(),
            open: (0, T::default()),
            uncompared: None,
            notes: VecDeque::new(),
            losses: VecDeque::new(),
        }
    }
}

/// The bits of a block that lie in these buckets, the second not included.
#[must_use]
pub fn bits_between(block: u64, from: u64, to: u64) -> u64 {
    let start = block.saturating_mul(BLOCK);
    let (low, high) = (from.saturating_sub(start).min(BLOCK), to.saturating_sub(start).min(BLOCK));
    let below = |bits: u64| if bits >= BLOCK { u64::MAX } else { (1 << bits) - 1 };
    below(high) & !below(low)
}

/// The blocks in which these buckets lie, the second bucket not included.
#[must_use]
pub fn blocks_of(from: u64, to: u64) -> std::ops::Range<u64> {
    if from >= to { 0..0 } else { from / BLOCK..(to - 1) / BLOCK + 1 }
}

impl<T: Bucket> Track<T> {
    /// When its first sample ever was taken, in ms since 1970, as far as is remembered; also before what is held.
    #[must_use]
    pub fn first_ms(&self) -> Option<u64> {
        self.first_ms
    }

    /// When its latest sample was taken, in ms since 1970; 0 for never.
    #[must_use]
    pub fn last_ms(&self) -> u64 {
        self.last_ms
    }

    /// Its first sample was taken then; for what is restored.
    pub fn began(&mut self, first_ms: u64) {
        self.first_ms = Some(self.first_ms.map_or(first_ms, |known| known.min(first_ms)));
    }

    /// Adds a sample taken at `at_ms` to its bucket of `bucket_ms`, and keeps at most `keep` blocks. One that is not younger
    /// than the latest bucket's begin is for the caller to refuse; here it counts for nothing.
    pub fn add(&mut self, at_ms: u64, sample: &T, bucket_ms: u64, keep: usize) {
        let bucket = at_ms / bucket_ms.max(1);
        if self.blocks.is_empty() || bucket > self.open.0 {
            self.open = (bucket, T::default());
        } else if bucket < self.open.0 {
            return;
        }
        self.began(at_ms);
        self.last_ms = self.last_ms.max(at_ms);
        self.open.1.add(sample);
        self.write(bucket, self.open.1, keep);
    }

    /// Puts a whole bucket at the end; for what is made from sums.
    pub fn push(&mut self, bucket: u64, sum: T, keep: usize) {
        if !self.blocks.is_empty() && bucket <= self.open.0 {
            return;
        }
        self.open = (bucket, sum);
        self.write(bucket, sum, keep);
    }

    fn write(&mut self, bucket: u64, sum: T, keep: usize) {
        let says = sum.says();
        let bit = 1 << (bucket % BLOCK);
        if let Some(masks) = self.block_mut(bucket / BLOCK, keep) {
            // Sums only grow, so that bits are never taken back; after a restart the sum begins anew and its bits stay.
            let set = |mask: &mut u64, on: bool| *mask |= if on { bit } else { 0 };
            set(&mut masks.present, says.present);
            set(&mut masks.bad, says.bad);
            set(&mut masks.busy, says.busy);
            let whole = T::whole(*masks) & bit != 0;
            self.whole_or_not(bucket, whole);
        }
        match (says.uncompared && says.present, self.uncompared == Some(bucket)) {
            (true, _) => self.uncompared = Some(bucket),
            (false, true) => self.uncompared = None,
            (false, false) => {}
        }
        if says.bad {
            self.note(bucket, sum);
        }
    }

    /// The latest bucket is whole, or is not (any more).
    fn whole_or_not(&mut self, bucket: u64, whole: bool) {
        match (whole, bucket.cmp(&self.whole.to)) {
            (true, Ordering::Equal) => self.whole.to = bucket + 1,
            (true, Ordering::Greater) => self.whole = Run { from: bucket, to: bucket + 1 },
            (false, Ordering::Less) => {
                self.whole = Run { from: self.whole.from.min(bucket), to: bucket };
            }
            (true, Ordering::Less) | (false, Ordering::Equal | Ordering::Greater) => {}
        }
    }

    /// A block's bits were set from elsewhere.
    fn whole_in(&mut self, block: u64) {
        let bits = T::whole(self.masks(block));
        let start = block.saturating_mul(BLOCK);
        if bits == 0 || start.saturating_add(BLOCK) < self.whole.from {
            return;
        }
        let above = bits.leading_zeros();
        let length = (bits << above).leading_ones();
        let to = start + BLOCK - u64::from(above);
        if to < self.whole.to {
            self.whole_again();
            return;
        }
        let from = to - u64::from(length);
        let goes_on = from == start && (self.whole.from..=self.whole.to).contains(&start);
        self.whole = Run { from: if goes_on { self.whole.from } else { from }, to };
    }

    /// The same from all blocks; where one was changed that is not the last.
    fn whole_again(&mut self) {
        self.whole = Run::default();
        for block in self.held().rev() {
            let bits = T::whole(self.masks(block));
            let start = block.saturating_mul(BLOCK);
            if self.whole.to == 0 {
                if bits == 0 {
                    continue;
                }
                let above = bits.leading_zeros();
                let to = start + BLOCK - u64::from(above);
                self.whole = Run { from: to - u64::from((bits << above).leading_ones()), to };
            } else {
                self.whole.from -= u64::from(bits.leading_ones());
            }
            if self.whole.from > start {
                return;
            }
        }
    }

    /// Whether every bucket from `from` up to `to` is held and known to be [`Bucket::whole`]. Where not, the blocks say
    /// more.
    #[must_use]
    pub fn is_whole(&self, from: u64, to: u64) -> bool {
        let held = self.first_block.saturating_mul(BLOCK);
        self.whole.from.max(held) <= from && to <= self.whole.to
    }

    fn note(&mut self, bucket: u64, sum: T) {
        self.keep_note(bucket, sum);
        if let Some(ppm) = sum.loss_ppm().filter(|ppm| *ppm > 0) {
            if self.losses.back().is_some_and(|(last, _)| *last == bucket) {
                self.losses.pop_back();
            }
            self.losses.push_back((bucket, ppm));
        }
    }

    /// Keeps a bad bucket whole; of what is restored, after its block.
    pub fn keep_note(&mut self, bucket: u64, sum: T) {
        if self.notes.back().is_some_and(|(last, _)| *last == bucket) {
            self.notes.pop_back();
        }
        self.notes.push_back((bucket, sum));
        if self.notes.len() > NOTES {
            self.notes.pop_front();
        }
    }

    /// Adds to a bucket that may lie before the latest one; for what several series say together.
    pub fn add_late(&mut self, at_ms: u64, sample: &T, bucket_ms: u64, keep: usize) {
        let bucket = at_ms / bucket_ms.max(1);
        if self.blocks.is_empty() || bucket >= self.open.0 {
            self.add(at_ms, sample, bucket_ms, keep);
            return;
        }
        self.began(at_ms);
        let bit = 1 << (bucket % BLOCK);
        if let Some(masks) = self.block_mut(bucket / BLOCK, keep)
            && masks.present & bit == 0
        {
            masks.present |= bit;
            self.whole_again();
        }
    }

    /// Adds what a store has summed of a block; blocks come in order.
    pub fn restore(&mut self, block: u64, masks: Masks, uncompared: Option<u64>, losses: &[(u64, u32)], keep: usize) {
        if let Some(held) = self.block_mut(block, keep) {
            *held = held.or(masks);
        }
        self.whole_in(block);
        self.uncompared = uncompared.or(self.uncompared);
        self.losses.extend(losses);
        let last = block * BLOCK + (BLOCK - 1).saturating_sub(u64::from(masks.present.leading_zeros()));
        if masks.present != 0 && last > self.open.0 {
            self.open = (last, T::default());
        }
    }

    /// What another series says counts as a report here.
    pub fn report<O: Bucket>(&mut self, other: &Track<O>, keep: usize) {
        if let Some(first_ms) = other.first_ms {
            self.began(first_ms);
        }
        self.last_ms = self.last_ms.max(other.last_ms);
        for block in other.held() {
            let present = other.masks(block).present;
            if let Some(held) = self.block_mut(block, keep) {
                held.present |= present;
            }
            if present != 0 {
                let last = block * BLOCK + (BLOCK - 1).saturating_sub(u64::from(present.leading_zeros()));
                if last > self.open.0 {
                    self.open = (last, T::default());
                }
            }
        }
        self.whole_again();
    }

    /// The block with this number, made if it lies at the end; none if it was forgotten.
    fn block_mut(&mut self, block: u64, keep: usize) -> Option<&mut Masks> {
        let next = self.first_block.saturating_add(self.blocks.len() as u64);
        if self.blocks.is_empty() || block >= next.saturating_add(keep as u64) {
            self.blocks.clear();
            // Once, and not bit by bit as blocks come.
            self.blocks.reserve_exact(keep.min(RESERVED));
            self.first_block = block;
            self.blocks.push_back(Masks::default());
        } else if block >= next {
            self.blocks.resize(self.blocks.len() + usize::try_from(block - next).unwrap_or(0) + 1, Masks::default());
        }
        while block < self.first_block && self.blocks.len() < keep {
            self.blocks.push_front(Masks::default());
            self.first_block -= 1;
        }
        while self.blocks.len() > keep.max(1) {
            self.blocks.pop_front();
            self.first_block += 1;
        }
        let first = self.first_block.saturating_mul(BLOCK);
        while self.losses.front().is_some_and(|(bucket, _)| *bucket < first) {
            self.losses.pop_front();
        }
        let place = block.checked_sub(self.first_block)?;
        self.blocks.get_mut(usize::try_from(place).ok()?)
    }

    /// The masks of a block; empty where nothing is held.
    #[must_use]
    pub fn masks(&self, block: u64) -> Masks {
        let place = block.checked_sub(self.first_block).and_then(|place| usize::try_from(place).ok());
        place.and_then(|place| self.blocks.get(place)).copied().unwrap_or_default()
    }

    /// The blocks that are held.
    #[must_use]
    pub fn held(&self) -> std::ops::Range<u64> {
        self.first_block..self.first_block + self.blocks.len() as u64
    }

    /// Buckets of a block in which there was no traffic for certain.
    #[must_use]
    pub fn idle(&self, block: u64) -> u64 {
        let masks = self.masks(block);
        let unknown = match self.uncompared {
            Some(bucket) if bucket / BLOCK == block => 1 << (bucket % BLOCK),
            Some(_) | None => 0,
        };
        masks.present & !masks.busy & !unknown
    }

    /// How many buckets from `from` up to `to` have a bit in what `select` picks.
    #[must_use]
    pub fn count(&self, from: u64, to: u64, select: impl Fn(&Masks) -> u64) -> u64 {
        let ones = |block| u64::from((select(&self.masks(block)) & bits_between(block, from, to)).count_ones());
        blocks_of(from, to).map(ones).sum()
    }

    /// The whole of a bad bucket, if it is one of the latest.
    #[must_use]
    pub fn noted(&self, bucket: u64) -> Option<&T> {
        self.notes.iter().rev().find(|(number, _)| *number == bucket).map(|(_, sum)| sum)
    }

    /// Bad buckets that are kept whole, ascending.
    pub fn notes(&self) -> impl Iterator<Item = &(u64, T)> {
        self.notes.iter()
    }

    /// Lossy buckets from `from` up to `to` with their loss in millionths, ascending.
    pub fn losses(&self, from: u64, to: u64) -> impl DoubleEndedIterator<Item = &(u64, u32)> {
        let low = self.losses.partition_point(|(bucket, _)| *bucket < from);
        let high = self.losses.partition_point(|(bucket, _)| *bucket < to).max(low);
        self.losses.range(low..high)
    }

    /// The bucket of which traffic can't be said.
    #[must_use]
    pub fn uncompared(&self) -> Option<u64> {
        self.uncompared
    }

    /// The latest bucket, to which samples are still added.
    #[must_use]
    pub fn open(&self) -> &(u64, T) {
        &self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bits_of_a_range() {
        assert_eq!(bits_between(0, 0, 64), u64::MAX);
        assert_eq!(bits_between(0, 1, 3), 0b110);
        assert_eq!(bits_between(1, 0, 64), 0);
        assert_eq!(bits_between(1, 63, 66), 0b11);
        assert_eq!(bits_between(1, 100, 90), 0);
        assert_eq!(blocks_of(63, 65), 0..2);
        assert!(blocks_of(5, 5).is_empty());
    }

    /// What `is_whole` says is so, and it knows of the run that lasts, however the bits came.
    fn whole_is_what_masks_say<T: Bucket>(track: &Track<T>) -> Result<(), TestCaseError> {
        let bits: Vec<bool> = track
            .held()
            .flat_map(|block| (0..BLOCK).map(move |low| (block, low)))
            .map(|(block, low)| T::whole(track.masks(block)) >> low & 1 == 1)
            .collect();
        let first = track.held().start * BLOCK;
        for from in (0..bits.len()).step_by(3) {
            for to in [from + 1, from + 40, bits.len().saturating_sub(3), bits.len()] {
                let whole = bits.get(from..to).is_some_and(|bits| !bits.is_empty() && bits.iter().all(|bit| *bit));
                let known = from < to && track.is_whole(first + from as u64, first + to as u64);
                prop_assert!(whole || !known, "{}..{} is not whole", from, to);
            }
        }
        // The run that lasts is known whole: of the latest bucket, as far back as it goes.
        let present = |at: usize| track.masks((first + at as u64) / BLOCK).present >> (at as u64 % BLOCK) & 1 == 1;
        if let Some(last) = (0..bits.len()).rev().find(|at| present(*at))
            && bits[last]
        {
            let run = bits[..=last].iter().rev().take_while(|bit| **bit).count();
            prop_assert!(
                track.is_whole(first + (last + 1 - run) as u64, first + last as u64 + 1),
                "{} of {}",
                run,
                last
            );
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn whole_runs_follow_from_masks(
            samples in proptest::collection::vec((0..2_500u64, 0..30u32, 0..20u64), 1..250),
            keep in 1..6usize,
            restored in proptest::collection::vec((0..5u64, any::<u64>(), any::<bool>()), 0..6),
            late in proptest::collection::vec(0..400u64, 0..20),
        ) {
            let mut track = Track::<InterfaceBucket>::default();
            let mut reports = Track::<ReportBucket>::default();
            for (block, bits, all) in restored {
                let present = if all { u64::MAX } else { bits };
                let masks = Masks { present, bad: present & bits & bits >> 7 & bits << 9, busy: present };
                track.restore(block, masks, None, &[], keep);
                whole_is_what_masks_say(&track)?;
            }
            let mut at = 200_000;
            for (step, down, octets) in samples {
                // Mostly every second, as agents report.
                at += if step > 2_200 { step } else { 1_000 };
                let one = InterfaceBucket { samples: 1, down: u32::from(down == 29), compared: 1, octets, ..Default::default() };
                track.add(at, &one, 1_000, keep);
                reports.add_late(at, &ReportBucket { samples: 1 }, 1_000, keep);
            }
            whole_is_what_masks_say(&track)?;
            for bucket in late {
                reports.add_late((200 + bucket) * 1_000, &ReportBucket { samples: 1 }, 1_000, keep);
                whole_is_what_masks_say(&reports)?;
            }
            reports.report(&track, keep);
            whole_is_what_masks_say(&reports)?;
        }
    }

    #[test]
    fn loss_is_as_exact_as_the_share() {
        for (sent, received, limit, over) in [(20, 19, 50_000, false), (20, 19, 49_999, true), (3, 2, 333_333, true)] {
            let bucket = ProbeBucket { samples: 1, sent, received, rtt_max_ns: 0 };
            assert_eq!(bucket.loss_ppm().unwrap() > limit, over, "{sent} {received} {limit}");
        }
    }

    proptest! {
        /// Bits say what the buckets say, however samples fall into them and however much is forgotten.
        #[test]
        fn masks_say_what_buckets_say(
            samples in proptest::collection::vec((1..5_000u64, 0..3u32, 0..3u64, 0..2u64), 1..200),
            keep in 1..8usize,
        ) {
            let mut track = Track::<InterfaceBucket>::default();
            let mut model: std::collections::BTreeMap<u64, InterfaceBucket> = Default::default();
            let mut at = 0;
            for (step, down, octets, errors) in samples {
                at += step;
                let compared = u32::from(!model.is_empty());
                let one = InterfaceBucket { samples: 1, down: u32::from(down == 2), compared, octets, errors: errors / 2, ..Default::default() };
                track.add(at, &one, 1_000, keep);
                model.entry(at / 1_000).or_default().add(&one);
            }
            let newest = at / 1_000 / BLOCK;
            prop_assert!(track.held().count() <= keep && track.held().contains(&newest));
            for bucket in track.held().start * BLOCK..(newest + 1) * BLOCK {
                let says = model.get(&bucket).map(Bucket::says).unwrap_or_default();
                let (masks, bit) = (track.masks(bucket / BLOCK), 1 << (bucket % BLOCK));
                prop_assert_eq!(
                    (masks.present & bit != 0, masks.bad & bit != 0, masks.busy & bit != 0),
                    (says.present, says.bad, says.busy)
                );
                let idle = says.present && !says.busy && !says.uncompared;
                prop_assert_eq!(track.idle(bucket / BLOCK) & bit != 0, idle);
            }
            let last_bad = model.iter().rev().find(|(_, b)| b.says().bad);
            prop_assert_eq!(track.notes().last().map(|(n, b)| (n, b)), last_bad);
        }
    }
}
