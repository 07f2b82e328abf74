//! A pool as a list of what is taken, and the bytes that say so.

use causeway_interface::accounts::RawPool;

/// What a pool has handed out, by index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken(pub Vec<bool>);

impl Taken {
    /// What an account says.
    ///
    /// # Panics
    /// Bitmap, summary and counter disagree, or something past the capacity is free.
    pub fn read(account: &[u8]) -> Self {
        let (record, bitmap) = split(account);
        let capacity = record.capacity.get() as usize;
        let bit = |bytes: &[u8], n: usize| bytes[n / 8] >> (n % 8) & 1 == 1;
        let taken: Vec<bool> = (0..capacity).map(|n| bit(bitmap, n)).collect();
        assert!((capacity..bitmap.len() * 8).all(|n| bit(bitmap, n)), "something past the capacity is free");
        let summary = bytemuck::bytes_of(&record.full_words);
        for word in 0..summary.len() * 8 {
            let full = bitmap.get(word * 8..word * 8 + 8).is_none_or(|bytes| bytes == [0xff; 8]);
            assert_eq!(bit(summary, word), full, "the summary of word {word}");
        }
        assert_eq!(record.allocated.get() as usize, taken.iter().filter(|t| **t).count(), "the counter");
        Self(taken)
    }

    /// Makes an account say so.
    pub fn write(&self, account: &mut [u8]) {
        let mut record = split(account).0;
        let list = &mut account[RawPool::LEN + 4..];
        list.fill(0xff);
        for n in (0..self.0.len()).filter(|n| !self.0[*n]) {
            list[n / 8] &= !(1 << (n % 8));
        }
        let summary = bytemuck::bytes_of_mut(&mut record.full_words);
        summary.fill(0xff);
        for (word, bytes) in list.chunks(8).enumerate() {
            if bytes != [0xff; 8] {
                summary[word / 8] &= !(1 << (word % 8));
            }
        }
        record.allocated.set(self.0.iter().filter(|t| **t).count() as u32);
        account[..RawPool::LEN].copy_from_slice(bytemuck::bytes_of(&record));
    }

    /// Hands out the lowest free index.
    pub fn take(&mut self) -> Option<usize> {
        let lowest = self.0.iter().position(|taken| !taken)?;
        self.0[lowest] = true;
        Some(lowest)
    }
}

/// Makes an account say that everything is taken but these indexes.
pub fn fill_but(account: &mut [u8], free: &[usize]) {
    let mut record = split(account).0;
    let list = &mut account[RawPool::LEN + 4..];
    list.fill(0xff);
    let summary = bytemuck::bytes_of_mut(&mut record.full_words);
    summary.fill(0xff);
    for index in free {
        list[index / 8] &= !(1 << (index % 8));
        summary[index / 64 / 8] &= !(1 << (index / 64 % 8));
    }
    record.allocated.set(record.capacity.get() - free.len() as u32);
    account[..RawPool::LEN].copy_from_slice(bytemuck::bytes_of(&record));
}

fn split(account: &[u8]) -> (RawPool, &[u8]) {
    (bytemuck::pod_read_unaligned(&account[..RawPool::LEN]), &account[RawPool::LEN + 4..])
}
