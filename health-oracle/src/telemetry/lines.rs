//! The series of one kind of one device, by name, and what is known of each beside its track.
//!
//! An agent reports its series in the same order each time. So whoever takes samples says where it expects the next one,
//! and a name is only looked up, or even parsed, where that guess is wrong.

use std::hash::{BuildHasher, Hash, RandomState};

use causeway_interface::{Code, InterfaceName};

use hashbrown::HashTable;

use super::{Bucket, ProbeKind, Track, growth::Counters};

/// A series' name within its kind.
pub trait Name: Copy + Eq + Hash {
    /// How a sample says it.
    type Said<'a>: Copy;

    /// The name that is said; none where no series can have it.
    fn parse(said: Self::Said<'_>) -> Option<Self>;

    /// Whether this is what is said.
    fn is(&self, said: Self::Said<'_>) -> bool;
}

/// Text that brings no padding of its own: two texts are never one name.
fn unpadded(said: &str) -> Option<&str> {
    (!said.contains('\0')).then_some(said)
}

/// Whether zero-padded bytes hold this text, which does not end with padding of its own.
fn holds(padded: &[u8], text: &str) -> bool {
    let ends = text.as_bytes().last().is_some_and(|last| *last != 0);
    ends && padded.strip_prefix(text.as_bytes()).is_some_and(|rest| rest.first().is_none_or(|next| *next == 0))
}

impl Name for InterfaceName {
    type Said<'a> = &'a str;

    fn parse(said: &str) -> Option<Self> {
        unpadded(said)?.parse().ok()
    }

    fn is(&self, said: &str) -> bool {
        holds(&self.0, said)
    }
}

impl Name for (ProbeKind, Code) {
    type Said<'a> = (i32, &'a str);

    fn parse((kind, target): (i32, &str)) -> Option<Self> {
        Some((ProbeKind::from_number(kind)?, unpadded(target)?.parse().ok()?))
    }

    fn is(&self, (kind, target): (i32, &str)) -> bool {
        self.0 as i32 == kind && holds(&self.1.0, target)
    }
}

/// The latest sample of a series.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Last {
    /// When it was taken, in ms since 1970; 0 for never.
    pub at_ms: u64,
    /// Of interfaces only.
    pub counters: Option<Counters>,
}

/// What is known of a series beside its track.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Series {
    /// Its number in the store.
    pub id: u32,
    /// Its latest sample.
    pub last: Last,
    /// The same as of the last block with samples before the latest one.
    pub before: Last,
}

impl Series {
    /// The same after one more sample.
    #[must_use]
    pub fn next(self, at_ms: u64, counters: Option<Counters>, block_ms: u64) -> Self {
        let before = if at_ms / block_ms > self.last.at_ms / block_ms { self.last } else { self.before };
        Self { last: Last { at_ms, counters }, before, ..self }
    }

    /// The latest sample that is not after this block; of older ones than the one before nothing is known any more.
    #[must_use]
    pub fn up_to(&self, block: u64, block_ms: u64) -> Last {
        let held = [self.last, self.before].into_iter().find(|last| last.at_ms / block_ms <= block);
        held.unwrap_or_default()
    }
}

/// A series.
///
/// A round looks at some hundred thousand of these in no order that a processor could guess. So what a glance needs lies
/// together, where one lies in memory: its name and the first fields of its track, within two lines of the cache.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Line<K, T> {
    /// Its name.
    pub name: K,
    /// Its buckets.
    pub track: Track<T>,
    /// What is known beside the track.
    pub series: Series,
}

/// Series of one kind, in the order in which they first appeared.
#[derive(Clone, Debug)]
pub struct Lines<K, T> {
    lines: Vec<Line<K, T>>,
    /// Places in `lines` by the hash of the name, which is not held twice.
    places: HashTable<u32>,
    /// Names come from devices: none may choose its hash.
    hasher: RandomState,
}

impl<K, T> Default for Lines<K, T> {
    fn default() -> Self {
        Self { lines: Vec::new(), places: HashTable::new(), hasher: RandomState::new() }
    }
}

/// The same series with the same tracks, in whatever order.
impl<K: Name, T: Bucket> PartialEq for Lines<K, T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(name, track)| other.get(name) == Some(track))
    }
}

impl<K: Name, T: Bucket> Lines<K, T> {
    /// Series in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The track of this name.
    #[must_use]
    pub fn get(&self, name: &K) -> Option<&Track<T>> {
        self.lines.get(self.place_of(name)?).map(|line| &line.track)
    }

    /// The track of this name with its place, expected at `guess`. A wrong guess costs a look at one name.
    #[must_use]
    pub fn find(&self, name: &K, guess: usize) -> Option<(usize, &Track<T>)> {
        if let Some(line) = self.lines.get(guess).filter(|line| line.name == *name) {
            return Some((guess, &line.track));
        }
        let place = self.place_of(name)?;
        self.lines.get(place).map(|line| (place, &line.track))
    }

    fn place_of(&self, name: &K) -> Option<usize> {
        let is_it = |place: &u32| self.lines.get(*place as usize).is_some_and(|line| line.name == *name);
        self.places.find(self.hasher.hash_one(name), is_it).map(|place| *place as usize)
    }

    /// Puts a track under a name, in the place of another.
    pub fn insert(&mut self, name: K, track: Track<T>) {
        self.put(Line { name, series: Series::default(), track });
    }

    /// Puts a series in, in the place of another of its name. A device has fewer than 2^32: all of a store have fewer than
    /// 2^24.
    pub fn put(&mut self, line: Line<K, T>) {
        if let Some(known) = self.place_of(&line.name).and_then(|place| self.lines.get_mut(place)) {
            *known = line;
            return;
        }
        let Ok(place) = u32::try_from(self.lines.len()) else { return };
        let hash = self.hasher.hash_one(line.name);
        self.lines.push(line);
        let Self { lines, places, hasher } = self;
        let again = |place: &u32| lines.get(*place as usize).map_or(0, |line| hasher.hash_one(line.name));
        places.insert_unique(hash, place, again);
    }

    /// Where the series is that is said here, expected at `guess`; none for one that is not known yet.
    #[must_use]
    pub fn place(&self, guess: usize, said: K::Said<'_>) -> Option<usize> {
        if self.lines.get(guess).is_some_and(|line| line.name.is(said)) {
            return Some(guess);
        }
        self.place_of(&K::parse(said)?)
    }

    /// The series at a place.
    pub fn at(&mut self, place: usize) -> Option<&mut Line<K, T>> {
        self.lines.get_mut(place)
    }

    /// Every series.
    pub fn lines(&self) -> impl Iterator<Item = &Line<K, T>> {
        self.lines.iter()
    }

    /// Names with their tracks.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Track<T>)> {
        self.lines.iter().map(|line| (&line.name, &line.track))
    }

    /// Tracks.
    pub fn values(&self) -> impl Iterator<Item = &Track<T>> {
        self.lines.iter().map(|line| &line.track)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::AdjacencyBucket;

    #[test]
    fn a_wrong_guess_is_looked_up_and_a_part_of_a_name_is_not_it() {
        let mut lines = Lines::<InterfaceName, AdjacencyBucket>::default();
        for name in ["eth1", "eth10", "eth2"] {
            lines.insert(name.parse().unwrap(), Track::default());
        }
        for guess in 0..4 {
            assert_eq!(lines.place(guess, "eth1"), Some(0));
            assert_eq!(lines.place(guess, "eth10"), Some(1));
            for stranger in ["", "eth", "eth100", "eth1\0", "no such name"] {
                assert_eq!(lines.place(guess, stranger), None, "{stranger:?}");
            }
        }
        for guess in 0..4 {
            for (place, name) in ["eth1", "eth10", "eth2"].into_iter().enumerate() {
                let found = lines.find(&name.parse().unwrap(), guess);
                assert_eq!(found.map(|(place, track)| (place, std::ptr::from_ref(track))), {
                    Some((place, std::ptr::from_ref(lines.get(&name.parse().unwrap()).unwrap())))
                });
            }
            assert!(lines.find(&"eth3".parse().unwrap(), guess).is_none());
        }
        let full: InterfaceName = "e".repeat(24).parse().unwrap();
        assert!(full.is(&"e".repeat(24)) && !full.is(&"e".repeat(25)));
    }
}
