//! What was seen, in a form that a document can hold and a person can read: a series over a window as runs of like
//! buckets. From it, the facts and the rules anyone computes the verdict again.

use std::{collections::BTreeMap, fmt::Write as _};

use causeway_interface::{Code, InterfaceName};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    criteria::{device::DeviceFacts, link::LinkFacts},
    telemetry::{
        AdjacencyBucket, Bucket, ConfigState, DeviceTelemetry, InterfaceBucket, ProbeBucket, ProbeKind, ReportBucket,
        Track,
        track::{BLOCK, Masks},
    },
};

/// Most buckets of one exhibit: a month of minutes. A document that claims more is not believed.
const MAX_BUCKETS: u64 = 50_000;

/// What the ledger said of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Facts {
    /// Of a device.
    Device(DeviceFacts),
    /// Of a link.
    Link(LinkFacts),
}

/// One series over a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesExhibit<T> {
    /// When its first sample ever was taken, in ms since 1970.
    pub first_ms: Option<u64>,
    /// First bucket of the runs.
    pub from: u64,
    /// Runs of like buckets, each a number and a letter: `g` good with traffic or an answer, `q` good and quiet, `b` bad,
    /// `x` bad and quiet, `-` without a sample. `1190g1-9g` is a day of minutes with one missing.
    pub runs: String,
    /// The bucket of which traffic can't be said.
    pub uncompared: Option<u64>,
    /// The latest bad buckets in full.
    pub notes: Vec<(u64, T)>,
    /// Lossy buckets with their loss in millionths.
    pub losses: Vec<(u64, u32)>,
}

/// Several series by name, in the order of their names; in JSON an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown<K, T>(Vec<(K, SeriesExhibit<T>)>);

impl<K: Ord + Copy, T: Bucket> Shown<K, T> {
    /// Those of these names that there are.
    fn of<'a>(names: &[K], track: impl Fn(&K) -> Option<&'a Track<T>>, from: u64, to: u64) -> Self
    where
        T: 'a,
    {
        let mut shown = Vec::with_capacity(names.len());
        shown.extend(names.iter().filter_map(|name| Some((*name, SeriesExhibit::of(track(name)?, from, to)))));
        shown.sort_unstable_by_key(|(name, _)| *name);
        shown.dedup_by_key(|(name, _)| *name);
        Self(shown)
    }

    /// Names with what is shown of them.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &SeriesExhibit<T>)> {
        self.0.iter().map(|(name, series)| (name, series))
    }
}

impl<K: Serialize, T: Serialize> Serialize for Shown<K, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, series)| (name, series)))
    }
}

impl<'de, K: Deserialize<'de> + Ord, T: Deserialize<'de>> Deserialize<'de> for Shown<K, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let shown = BTreeMap::<K, SeriesExhibit<T>>::deserialize(deserializer)?;
        Ok(Self(shown.into_iter().collect()))
    }
}

/// What was seen of one device, as far as the verdict asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exhibit {
    /// The device.
    pub device: Code,
    /// Its latest word about its configuration.
    pub config: Option<ConfigState>,
    /// Interface samples of any interface; asked for of a device only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface_reports: Option<SeriesExhibit<ReportBucket>>,
    /// Probe samples of any kind; asked for of a device only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_reports: Option<SeriesExhibit<ReportBucket>>,
    /// Interfaces by name.
    pub interfaces: Shown<InterfaceName, InterfaceBucket>,
    /// Adjacencies by interface.
    pub adjacencies: Shown<InterfaceName, AdjacencyBucket>,
    /// Probes by target: over links, then to other devices.
    pub link_probes: Shown<Code, ProbeBucket>,
    /// Probes to other devices.
    pub qa_probes: Shown<Code, ProbeBucket>,
}

/// What a verdict asked of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Whether anything was reported at all.
    pub reports: bool,
    /// Interfaces.
    pub interfaces: &'a [InterfaceName],
    /// Adjacencies.
    pub adjacencies: &'a [InterfaceName],
    /// Links that it probes.
    pub links: &'a [Code],
    /// Devices that it probes.
    pub devices: &'a [Code],
}

/// An exhibit that can't have been made by an oracle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the exhibit of a series is not one: {0}")]
pub struct ExhibitError(&'static str);

fn letter(masks: Masks, bit: u64) -> char {
    let (present, bad, busy) = (masks.present & bit != 0, masks.bad & bit != 0, masks.busy & bit != 0);
    match (present, bad, busy) {
        (false, ..) => '-',
        (true, false, true) => 'g',
        (true, false, false) => 'q',
        (true, true, true) => 'b',
        (true, true, false) => 'x',
    }
}

impl<T: Bucket> SeriesExhibit<T> {
    /// Of a track, from bucket `from` up to `to`.
    #[must_use]
    pub fn of(track: &Track<T>, from: u64, to: u64) -> Self {
        let mut runs = String::new();
        // In the usual case all buckets are alike, and are not looked at one by one.
        let whole = from < to && track.is_whole(from, to);
        let mut open: Option<(char, u64)> = None;
        let mut close = |open: Option<(char, u64)>| {
            if let Some((letter, length)) = open {
                // Writing to a string never fails.
                let _ = write!(runs, "{length}{letter}");
            }
        };
        let mut bucket = from;
        if whole {
            open = Some((if T::WHOLE_IS_BUSY { 'g' } else { 'q' }, to - from));
            bucket = to;
        }
        while bucket < to {
            let (masks, low) = (track.masks(bucket / BLOCK), bucket % BLOCK);
            let like = letter(masks, 1 << low);
            let rest = (BLOCK - low).min(to - bucket);
            let same = |step: &u64| letter(masks, 1 << (low + step)) == like;
            // A whole block of the best or of nothing is the rule.
            let length = if low == 0 && rest == BLOCK && uniform(masks) {
                BLOCK
            } else {
                (0..rest).take_while(same).count() as u64
            };
            open = match open {
                Some((letter, so_far)) if letter == like => Some((letter, so_far + length)),
                other => {
                    close(other);
                    Some((like, length))
                }
            };
            bucket += length;
        }
        close(open);
        let inside = |bucket: u64| (from..to).contains(&bucket);
        Self {
            first_ms: track.first_ms(),
            from,
            runs,
            uncompared: track.uncompared().filter(|bucket| inside(*bucket)),
            notes: track.notes().filter(|(bucket, _)| inside(*bucket)).copied().collect(),
            losses: track.losses(from, to).copied().collect(),
        }
    }

    /// The track of it.
    ///
    /// # Errors
    /// Runs that are no runs, or too many buckets.
    pub fn track(&self) -> Result<Track<T>, ExhibitError> {
        let mut blocks: BTreeMap<u64, Masks> = BTreeMap::new();
        let mut bucket = self.from;
        let end = self.from.checked_add(MAX_BUCKETS).ok_or(ExhibitError("a bucket out of range"))?;
        let mut length: u64 = 0;
        for sign in self.runs.chars() {
            if let Some(digit) = sign.to_digit(10) {
                length = length.saturating_mul(10).saturating_add(u64::from(digit));
                continue;
            }
            let (present, bad, busy) = match sign {
                'g' => (true, false, true),
                'q' => (true, false, false),
                'b' => (true, true, true),
                'x' => (true, true, false),
                '-' => (false, false, false),
                _ => return Err(ExhibitError("a run of an unknown kind")),
            };
            let to = bucket.checked_add(length).filter(|to| *to <= end).ok_or(ExhibitError("too many buckets"))?;
            for bucket in bucket..to {
                let masks = blocks.entry(bucket / BLOCK).or_default();
                let set = |on: bool| if on { 1 << (bucket % BLOCK) } else { 0 };
                *masks = masks.or(Masks { present: set(present), bad: set(bad), busy: set(busy) });
            }
            (bucket, length) = (to, 0);
        }
        if length != 0 {
            return Err(ExhibitError("a run without a kind"));
        }
        let keep = usize::try_from(MAX_BUCKETS / BLOCK + 2).unwrap_or(usize::MAX);
        let mut track = Track::default();
        if let Some(first_ms) = self.first_ms {
            track.began(first_ms);
        }
        for (block, masks) in blocks {
            track.restore(block, masks, None, &[], keep);
        }
        track.restore(bucket.saturating_sub(1) / BLOCK, Masks::default(), self.uncompared, &self.losses, keep);
        for (bucket, sum) in &self.notes {
            track.keep_note(*bucket, *sum);
        }
        Ok(track)
    }
}

fn uniform(masks: Masks) -> bool {
    let whole = |mask: u64| mask == 0 || mask == u64::MAX;
    whole(masks.present) && whole(masks.bad) && whole(masks.busy)
}

impl Exhibit {
    /// What is known of a device, from bucket `from` up to `to`, as far as it was asked for.
    #[must_use]
    pub fn of(device: Code, telemetry: &DeviceTelemetry, asked: &Asked<'_>, from: u64, to: u64) -> Self {
        let probes =
            |kind, targets: &[Code]| Shown::of(targets, |target| telemetry.probes.get(&(kind, *target)), from, to);
        let reports = |track| asked.reports.then(|| SeriesExhibit::of(track, from, to));
        Self {
            device,
            config: telemetry.config,
            interface_reports: reports(&telemetry.interface_reports),
            probe_reports: reports(&telemetry.probe_reports),
            interfaces: Shown::of(asked.interfaces, |name| telemetry.interfaces.get(name), from, to),
            adjacencies: Shown::of(asked.adjacencies, |name| telemetry.adjacencies.get(name), from, to),
            link_probes: probes(ProbeKind::Link, asked.links),
            qa_probes: probes(ProbeKind::Qa, asked.devices),
        }
    }

    /// The telemetry that it shows.
    ///
    /// # Errors
    /// See [`ExhibitError`].
    pub fn telemetry(&self) -> Result<DeviceTelemetry, ExhibitError> {
        let reports = |shown: &Option<SeriesExhibit<_>>| match shown {
            Some(series) => series.track(),
            None => Ok(Track::default()),
        };
        let mut telemetry = DeviceTelemetry {
            interface_reports: reports(&self.interface_reports)?,
            probe_reports: reports(&self.probe_reports)?,
            config: self.config,
            ..DeviceTelemetry::default()
        };
        for (name, series) in self.interfaces.iter() {
            telemetry.interfaces.insert(*name, series.track()?);
        }
        for (name, series) in self.adjacencies.iter() {
            telemetry.adjacencies.insert(*name, series.track()?);
        }
        for (target, series) in self.link_probes.iter() {
            telemetry.probes.insert((ProbeKind::Link, *target), series.track()?);
        }
        for (target, series) in self.qa_probes.iter() {
            telemetry.probes.insert((ProbeKind::Qa, *target), series.track()?);
        }
        Ok(telemetry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEEP: usize = 64;

    proptest! {
        /// What is shown is what was judged: bits, numbers, losses; and it survives JSON.
        #[test]
        fn a_series_is_shown_as_it_is(
            steps in proptest::collection::vec((1..90u64, 0..3u64, 0..3u64), 1..60),
            start in 0..2_000u64,
            length in 1..3_000u64,
        ) {
            let mut track = Track::<ProbeBucket>::default();
            let mut bucket = 1_000;
            for (step, sent, lost) in steps {
                bucket += step;
                let sent = sent * 10;
                track.push(bucket, ProbeBucket { samples: 1, sent, received: sent.saturating_sub(lost), rtt_max_ns: 1 }, KEEP);
            }
            let (from, to) = (900 + start, 900 + start + length);
            let shown = SeriesExhibit::of(&track, from, to);
            let text = serde_json::to_string(&shown).unwrap();
            let again: SeriesExhibit<ProbeBucket> = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&again, &shown);
            let back = again.track().unwrap();
            for bucket in from..to {
                let bits = |track: &Track<ProbeBucket>| {
                    let masks = track.masks(bucket / BLOCK);
                    let bit = 1 << (bucket % BLOCK);
                    (masks.present & bit, masks.present & masks.bad & bit, masks.present & masks.busy & bit)
                };
                prop_assert_eq!(bits(&back), bits(&track), "{}", bucket);
            }
            prop_assert_eq!(SeriesExhibit::of(&back, from, to), shown);
        }

        #[test]
        fn any_text_is_an_answer(runs in "[0-9gqbx-]{0,40}", from: u64) {
            let shown = SeriesExhibit::<ReportBucket> { first_ms: None, from, runs, uncompared: None, notes: vec![], losses: vec![] };
            let _ = shown.track();
        }
    }

    #[test]
    fn runs_read_like_a_story() {
        let mut track = Track::<AdjacencyBucket>::default();
        for bucket in (100..400).filter(|bucket| *bucket != 390) {
            track.push(bucket, AdjacencyBucket { samples: 1, down: u32::from(bucket == 395) }, KEEP);
        }
        assert_eq!(SeriesExhibit::of(&track, 90, 402).runs, "10-290q1-4q1x4q2-");
    }
}
