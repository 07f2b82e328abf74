//! The search: cases are changed at random, from a seed, and kept where they do something that none did before.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    case::{Case, Change, MAX_ACCOUNTS, MAX_CHANGES, Meta, Plant},
    stage::{Outcome, Run, Stage, tag},
};

/// Compute units that count as the same: a little more than what the length of a search for a bump varies by.
const UNITS: u64 = 64;
/// Cases kept at most, so that the memory of an hour's run is bounded: some 100 MB.
const MAX_KEPT: usize = 100_000;
/// Most changes made to a case at once.
const MAX_STEPS: u64 = 6;
/// Longest data that is planted or sent; a transaction holds less, and an account of interest is not longer.
const MAX_LEN: u64 = 2_048;

/// What a case did, as far as telling new from old goes.
type Trace = (Option<u8>, Outcome, u64);
/// Instruction and outcome.
pub type End = (Option<u8>, Outcome);

/// Random numbers, the same for the same seed (SplitMix64, Steele et al. 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Begins with this seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`; 0 where there is none.
    pub fn below(&mut self, limit: u64) -> u64 {
        if limit == 0 { 0 } else { self.number() % limit }
    }

    fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// A byte at which programs tend to break, or any.
    fn byte(&mut self) -> u8 {
        const EDGES: [u8; 9] = [0, 1, 2, 31, 32, 127, 128, 254, 255];
        if self.below(2) == 0 { EDGES[self.index(EDGES.len())] } else { self.number() as u8 }
    }
}

/// A search under way.
pub struct Search {
    stage: Stage,
    random: Random,
    kept: Vec<Case>,
    met: BTreeSet<Trace>,
    smallest: BTreeMap<End, Case>,
    /// Cases run.
    pub executions: u64,
    /// Cases that broke a promise, and which.
    pub findings: Vec<(Case, String)>,
}

impl Search {
    /// Begins with these cases.
    pub fn new(stage: Stage, seed: u64, cases: impl IntoIterator<Item = Case>) -> Self {
        let mut search = Self {
            stage,
            random: Random::new(seed),
            kept: Vec::new(),
            met: BTreeSet::new(),
            smallest: BTreeMap::new(),
            executions: 0,
            findings: Vec::new(),
        };
        for case in cases {
            search.attempt(case);
        }
        search
    }

    /// Changes a kept case and runs it.
    pub fn step(&mut self) {
        let mut case = self.any();
        for _ in 0..=self.random.below(MAX_STEPS) {
            self.change(&mut case);
        }
        self.attempt(case);
    }

    /// Cases that did something new.
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Instruction and outcome of what was met, with the smallest case of each, as small as dropping parts makes it.
    pub fn smallest(&mut self) -> BTreeMap<End, Case> {
        let mut smallest = std::mem::take(&mut self.smallest);
        for (end, case) in &mut smallest {
            for part in 0..MAX_CHANGES + 2 {
                let mut smaller = case.clone();
                match part.checked_sub(2) {
                    None if part == 0 => smaller.plant = None,
                    None => smaller.changes.clear(),
                    Some(index) if index < smaller.changes.len() => drop(smaller.changes.remove(index)),
                    Some(_) => continue,
                }
                if self.stage.run(&smaller).is_ok_and(|run| (tag_byte(&smaller), run.outcome) == *end) {
                    *case = smaller;
                }
            }
        }
        self.smallest.clone_from(&smallest);
        smallest
    }

    fn attempt(&mut self, case: Case) {
        self.executions += 1;
        match self.stage.run(&case) {
            Ok(Run { outcome, units }) => {
                let tag = tag_byte(&case);
                let shortest = self.smallest.entry((tag, outcome)).or_insert_with(|| case.clone());
                if case.write().len() < shortest.write().len() {
                    shortest.clone_from(&case);
                }
                if self.met.insert((tag, outcome, units / UNITS)) && self.kept.len() < MAX_KEPT {
                    self.kept.push(case);
                }
            }
            Err(finding) => self.findings.push((case, finding)),
        }
    }

    fn any(&mut self) -> Case {
        if self.kept.is_empty() {
            return Case::default();
        }
        // What was found last is where something new is likely: half of the time from the last eighth.
        let recent = self.random.below(2) == 0;
        let from = if recent { self.kept.len() - self.kept.len().div_ceil(8) } else { 0 };
        let place = from + self.random.index(self.kept.len() - from);
        self.kept[place].clone()
    }

    fn change(&mut self, case: &mut Case) {
        match self.random.below(14) {
            0..4 => change_bytes(&mut self.random, &mut case.data, MAX_LEN),
            4 => {
                let other = self.any();
                case.data = other.data;
            }
            5 => {
                let other = self.any();
                case.accounts = other.accounts;
            }
            6..8 => self.change_accounts(&mut case.accounts),
            8..11 => self.change_bytes_beforehand(case),
            11 => {
                let place = self.random.index(case.changes.len());
                if place < case.changes.len() {
                    case.changes.remove(place);
                } else {
                    case.plant = None;
                }
            }
            12 => self.plant(case),
            _ => {
                let mut bytes = case.write();
                change_bytes(&mut self.random, &mut bytes, MAX_LEN);
                *case = Case::read(&bytes);
            }
        }
    }

    fn change_accounts(&mut self, accounts: &mut Vec<Meta>) {
        let (place, other) = (self.random.index(accounts.len()), self.random.index(accounts.len()));
        let any =
            Meta { who: self.random.below(self.stage.accounts().into()) as u8, flags: self.random.below(4) as u8 };
        match self.random.below(6) {
            0 if accounts.len() < MAX_ACCOUNTS => accounts.insert(place, any),
            1 if place < accounts.len() => drop(accounts.remove(place)),
            2 if place < accounts.len() => accounts.swap(place, other),
            3 if place < accounts.len() => accounts[place] = accounts[other],
            4 if place < accounts.len() => accounts[place].flags = any.flags,
            _ if place < accounts.len() => accounts[place].who = any.who,
            _ => accounts.push(any),
        }
    }

    /// Mostly in accounts that the instruction names, and mostly in their headers.
    fn change_bytes_beforehand(&mut self, case: &mut Case) {
        if case.changes.len() >= MAX_CHANGES {
            case.changes.remove(0);
        }
        let who = self.named(case);
        let len = self.stage.data(who).len() as u64;
        let len = if self.random.below(3) == 0 { len.min(24) } else { len };
        case.changes.push(Change { who, at: self.random.below(len) as u16, byte: self.random.byte() });
    }

    /// Another account's bytes, or bytes of no meaning.
    fn plant(&mut self, case: &mut Case) {
        let who = self.named(case);
        let source = if self.random.below(2) == 0 { who } else { self.random.number() as u8 };
        let mut data = self.stage.data(source);
        data.truncate(MAX_LEN as usize);
        if self.random.below(4) == 0 {
            data = (0..self.random.below(MAX_LEN)).map(|_| self.random.byte()).collect();
        }
        for _ in 0..self.random.below(MAX_STEPS) {
            change_bytes(&mut self.random, &mut data, MAX_LEN);
        }
        case.plant = Some(Plant { who, data });
    }

    fn named(&mut self, case: &Case) -> u8 {
        let place = self.random.index(case.accounts.len());
        case.accounts.get(place).map_or(0, |meta| meta.who)
    }
}

fn tag_byte(case: &Case) -> Option<u8> {
    tag(case).map(|tag| tag.byte())
}

fn change_bytes(random: &mut Random, bytes: &mut Vec<u8>, max_len: u64) {
    let place = random.index(bytes.len());
    let value = random.byte();
    match random.below(8) {
        0 if place < bytes.len() => bytes[place] ^= 1 << random.below(8),
        1 | 2 if place < bytes.len() => bytes[place] = value,
        3 if (bytes.len() as u64) < max_len => bytes.insert(place, value),
        4 if place < bytes.len() => drop(bytes.remove(place)),
        5 => {
            // A whole number at once: zero, one, the largest, or near one of these.
            let number = [0, 1, u64::MAX, u64::MAX / 2, u64::from(u32::MAX)][random.index(5)];
            let number = number.wrapping_add(random.below(3)).wrapping_sub(1).to_le_bytes();
            let len = 1 << random.below(4);
            for (to, from) in bytes.iter_mut().skip(place).take(len).zip(number) {
                *to = from;
            }
        }
        6 => bytes.truncate(place),
        _ if place < bytes.len() => bytes[place] = bytes[place].wrapping_add(random.below(5) as u8).wrapping_sub(2),
        _ => bytes.push(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_changes_the_same() {
        let changed = |seed| {
            let (mut random, mut bytes) = (Random::new(seed), vec![1, 2, 3, 4, 5, 6, 7, 8]);
            for _ in 0..20 {
                change_bytes(&mut random, &mut bytes, 64);
            }
            bytes
        };
        assert_eq!(changed(1), changed(1));
        assert_ne!(changed(1), changed(2));
    }
}
