//! What waits for the oracles, on disk: written once, read by each of them at its own pace. Bounded, oldest lost first.
//!
//! Guarantees: what [`Journal::append`] has written survives the death of the process at any point, and is there at the
//! next start until every oracle has it. After a loss of power what was written in the last [`SYNC_EVERY`] may be gone;
//! an fsync for each moment would wear a device's flash out for ten seconds of counters. A file that is damaged costs the
//! records that are. What is lost is counted to the sample, whatever it was lost to: each record says how many samples
//! there were before it.
//!
//! A disk that is full or gone is told ([`BufferStatus::error`]) and no end of telemetry: moments are held in memory
//! meanwhile, as many as [`MEMORY_SAMPLES`].

use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    MAX_BATCH_SAMPLES, Samples,
    record::{self, Head},
    segments::{Segments, Spot},
};

/// How long what is written may be lost to a power cut.
pub const SYNC_EVERY: Duration = Duration::from_secs(60);
/// Samples that are held in memory for want of a disk: an hour of a device with fifty interfaces and links, 10 MB.
pub const MEMORY_SAMPLES: usize = 60_000;
/// Samples that are held in memory although they are on disk, so that what is sent at once is not read back.
const CACHE_SAMPLES: usize = MAX_BATCH_SAMPLES;

/// How long telemetry is kept, in ms: six hours, and an oracle takes nothing older.
pub const KEEP_MS: u64 = 6 * 3_600_000;

/// How far an oracle has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// Number of the record that is next.
    pub number: u64,
    /// Samples of all records before it.
    pub before: u64,
}

/// Moments on their way to an oracle.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// In order; at least one.
    pub moments: Vec<Arc<Samples>>,
    /// Samples that are missing before, between and among them.
    pub lost: u64,
    /// Where the next begin.
    pub end: Position,
}

/// How the buffer stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BufferStatus {
    /// Octets on disk.
    pub disk_bytes: u64,
    /// Samples held in memory alone.
    pub memory_samples: u64,
    /// Records that were damaged since the start.
    pub damaged_records: u64,
    /// Moments that could not be written since the start.
    pub unwritten: u64,
    /// Why the last moment is not on disk; none when it is.
    pub error: Option<String>,
}

struct Entry {
    head: Head,
    memory: Option<Arc<Samples>>,
    disk: Option<Spot>,
}

/// Entries in memory, oldest first: number and samples of each, and the samples of all.
#[derive(Default)]
struct Held {
    entries: VecDeque<(u64, usize)>,
    samples: usize,
}

impl Held {
    fn push(&mut self, number: u64, samples: usize) {
        self.entries.push_back((number, samples));
        self.samples += samples;
    }

    /// The oldest, if it is before `first` or there are more than `most` samples.
    fn beyond(&mut self, first: u64, most: usize) -> Option<u64> {
        let (number, samples) = *self.entries.front()?;
        if number >= first && self.samples <= most {
            return None;
        }
        self.entries.pop_front();
        self.samples -= samples;
        Some(number)
    }
}

struct Inner {
    /// By number; some may be missing.
    entries: VecDeque<Entry>,
    next: Position,
    segments: Segments,
    /// Where each reader is.
    readers: BTreeMap<String, u64>,
    /// Entries that are in memory and on disk, and those that are in memory alone.
    cached: Held,
    alone: Held,
    damaged: u64,
    unwritten: u64,
    error: Option<String>,
}

/// The buffer of a device for all its oracles.
pub struct Journal {
    bound: u64,
    inner: Mutex<Inner>,
}

impl Journal {
    /// Opens the folder's files, made if missing, and reads what is in them. Holds at most `bound` samples and
    /// `disk_bytes` octets. A folder that can't be used leaves the memory. Blocks for the disk.
    #[must_use]
    pub fn open(folder: &Path, bound: usize, disk_bytes: u64) -> Self {
        let (segments, found, broken, error) = Segments::open(folder.to_owned(), disk_bytes);
        let mut inner = Inner {
            entries: VecDeque::new(),
            next: Position::default(),
            segments,
            readers: BTreeMap::new(),
            cached: Held::default(),
            alone: Held::default(),
            damaged: broken,
            unwritten: 0,
            error,
        };
        for (head, spot) in found {
            // Numbers grow from file to file; what does not is left of something else.
            if inner
                .entries
                .back()
                .is_none_or(|last| last.head.number < head.number && last.head.until() <= head.before)
            {
                inner.next = Position { number: head.number.saturating_add(1), before: head.until() };
                inner.entries.push_back(Entry { head, memory: None, disk: Some(spot) });
            } else {
                inner.damaged += 1;
            }
        }
        Self { bound: u64::try_from(bound).unwrap_or(u64::MAX), inner: Mutex::new(inner) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a reader where it was; a new one begins with the oldest that there is. All are added before anything is
    /// appended: what a reader has seen is not numbered again, even where the records are gone.
    pub fn reader(&self, name: &str, at: Option<Position>) -> Position {
        let mut inner = self.inner();
        let first = inner.first();
        let at = at.unwrap_or(first);
        if at.number > inner.next.number || at.before > inner.next.before {
            inner.next.number = inner.next.number.max(at.number);
            inner.next.before = inner.next.before.max(at.before);
        }
        inner.readers.insert(name.to_owned(), at.number);
        at
    }

    /// Adds the samples of a moment. Blocks for the disk.
    pub fn append(&self, samples: Samples) {
        let mut inner = self.inner();
        for part in samples.split(MAX_BATCH_SAMPLES) {
            inner.append(part);
        }
        inner.trim(self.bound);
    }

    /// What comes next for a reader: moments of at most `most` samples together, but at least one. None where there is
    /// nothing. Blocks for the disk.
    pub fn take(&self, from: Position, most: usize) -> Option<Taken> {
        let mut inner = self.inner();
        let (mut moments, mut end, mut samples) = (Vec::new(), from, 0);
        let mut at = inner.entries.partition_point(|entry| entry.head.number < from.number);
        while let Some(entry) = inner.entries.get(at) {
            let head = entry.head;
            let count = usize::try_from(head.samples).unwrap_or(usize::MAX);
            if !moments.is_empty() && samples + count > most {
                break;
            }
            let Some(moment) = inner.read(at) else {
                inner.entries.remove(at);
                inner.damaged += 1;
                continue;
            };
            samples += count;
            moments.push(moment);
            end = Position { number: head.number.saturating_add(1), before: head.until() };
            at += 1;
        }
        let taken = u64::try_from(samples).unwrap_or(u64::MAX);
        let lost = end.before.saturating_sub(from.before).saturating_sub(taken);
        (!moments.is_empty()).then_some(Taken { moments, lost, end })
    }

    /// A reader needs nothing before this any more. Blocks for the disk.
    pub fn release(&self, name: &str, to: Position) {
        let mut inner = self.inner();
        inner.readers.insert(name.to_owned(), to.number);
        inner.trim(self.bound);
    }

    /// Samples that wait for a reader, and those that are lost to it and not yet told.
    #[must_use]
    pub fn ahead(&self, of: Position) -> (u64, u64) {
        let inner = self.inner();
        let first = inner.first().before.max(of.before);
        (inner.next.before.saturating_sub(first), first.saturating_sub(of.before))
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> BufferStatus {
        let inner = self.inner();
        BufferStatus {
            disk_bytes: inner.segments.bytes(),
            memory_samples: u64::try_from(inner.alone.samples).unwrap_or(u64::MAX),
            damaged_records: inner.damaged,
            unwritten: inner.unwritten,
            error: inner.error.clone(),
        }
    }

    /// Writes what is written through to the disk. Blocks for it.
    pub fn sync(&self) {
        self.inner().segments.sync();
    }
}

impl Inner {
    fn first(&self) -> Position {
        let of = |entry: &Entry| Position { number: entry.head.number, before: entry.head.before };
        self.entries.front().map_or(self.next, of)
    }

    fn append(&mut self, samples: Samples) {
        let Ok(count) = u32::try_from(samples.len()) else { return };
        let head =
            Head { number: self.next.number, before: self.next.before, samples: count, at_unix_ms: samples.at_unix_ms };
        let written = match record::encode(&head, &samples) {
            Some(bytes) => self.segments.append(head.number, &bytes),
            None => Err("the moment is too large for a record".to_owned()),
        };
        let spot = match written {
            Ok(spot) => {
                if self.error.take().is_some() {
                    tracing::info!("telemetry is buffered on disk again");
                }
                Some(spot)
            }
            Err(why) => {
                if self.error.is_none() {
                    tracing::warn!(code = super::DISK_CODE, error = %why, "telemetry can not be buffered on disk: it is held in memory");
                }
                self.unwritten += 1;
                self.error = Some(why);
                None
            }
        };
        let held = if spot.is_some() { &mut self.cached } else { &mut self.alone };
        held.push(head.number, samples.len());
        self.entries.push_back(Entry { head, memory: Some(Arc::new(samples)), disk: spot });
        self.next = Position { number: head.number.saturating_add(1), before: head.until() };
    }

    fn read(&self, at: usize) -> Option<Arc<Samples>> {
        let entry = self.entries.get(at)?;
        match (&entry.memory, &entry.disk) {
            (Some(samples), _) => Some(samples.clone()),
            (None, Some(spot)) => record::decode(&self.segments.read(spot)?, &entry.head).map(Arc::new),
            (None, None) => None,
        }
    }

    /// Forgets what every reader has, and the oldest of what is beyond a bound.
    fn trim(&mut self, bound: u64) {
        self.drop_oldest(bound);
        let first = self.first().number;
        while let Some(number) = self.cached.beyond(first, CACHE_SAMPLES) {
            if let Some(entry) = self.entry(number) {
                entry.memory = None;
            }
        }
        while let Some(number) = self.alone.beyond(first, MEMORY_SAMPLES) {
            if let Ok(at) = self.entries.binary_search_by_key(&number, |entry| entry.head.number) {
                self.entries.remove(at);
            }
        }
        // Once more: what was removed from the disk may have been in memory until now.
        self.drop_oldest(bound);
        self.segments.keep_from(self.entries.iter().find_map(|entry| entry.disk.as_ref()));
    }

    fn drop_oldest(&mut self, bound: u64) {
        let needed = self.readers.values().min().copied().unwrap_or(u64::MAX);
        // By the samples' own clock: one that was set forward makes those before it too old for the oracles as well.
        let newest_ms = self.entries.back().map_or(0, |last| last.head.at_unix_ms);
        while let Some(first) = self.entries.front() {
            let gone = first.memory.is_none() && first.disk.as_ref().is_none_or(|spot| !self.segments.holds(spot));
            let over = self.next.before.saturating_sub(first.head.before) > bound;
            let old = newest_ms.saturating_sub(first.head.at_unix_ms) > KEEP_MS;
            if !(gone || over || old || first.head.number < needed) {
                break;
            }
            self.entries.pop_front();
        }
    }

    fn entry(&mut self, number: u64) -> Option<&mut Entry> {
        let at = self.entries.binary_search_by_key(&number, |entry| entry.head.number).ok()?;
        self.entries.get_mut(at)
    }
}

/// Folder of a device's buffer.
#[must_use]
pub fn folder(state_dir: &Path, device: &str) -> PathBuf {
    state_dir.join(format!("{device}.telemetry"))
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
