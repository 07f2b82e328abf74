//! One input: which accounts the instruction names, what is written into accounts beforehand, and its data.
//!
//! Any bytes are a case, so that mutation never has to know the form: what is missing is zero, and what is left over
//! at the end is the instruction's data.

/// Most accounts of a case: more than the program takes, fewer than a transaction may lock.
pub const MAX_ACCOUNTS: usize = 61;
/// Most single bytes that are changed beforehand.
pub const MAX_CHANGES: usize = 15;

/// An account of the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Which of the stage's accounts, modulo their number.
    pub who: u8,
    /// Bit 0: it signs; bit 1: it may be written.
    pub flags: u8,
}

/// One byte of an account, changed beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which of the stage's accounts, modulo their number.
    pub who: u8,
    /// Where, modulo the account's length.
    pub at: u16,
    /// The new byte.
    pub byte: u8,
}

/// An account's data, replaced beforehand; the account is the program's own then, whatever it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plant {
    /// Which of the stage's accounts, modulo their number.
    pub who: u8,
    /// The data.
    pub data: Vec<u8>,
}

/// One input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Case {
    /// The instruction's accounts.
    pub accounts: Vec<Meta>,
    /// Bytes changed beforehand.
    pub changes: Vec<Change>,
    /// An account replaced beforehand.
    pub plant: Option<Plant>,
    /// The instruction's data.
    pub data: Vec<u8>,
}

impl Case {
    /// The case that these bytes are.
    pub fn read(bytes: &[u8]) -> Self {
        let mut rest = bytes.iter().copied();
        let mut byte = || rest.next().unwrap_or_default();
        let accounts = (0..usize::from(byte()) % (MAX_ACCOUNTS + 1)).map(|_| Meta { who: byte(), flags: byte() & 3 });
        let accounts = accounts.collect();
        let changes = (0..usize::from(byte()) % (MAX_CHANGES + 1))
            .map(|_| Change { who: byte(), at: u16::from_le_bytes([byte(), byte()]), byte: byte() })
            .collect();
        let plant = (byte() & 1 == 1).then(|| (byte(), u16::from_le_bytes([byte(), byte()])));
        let plant = plant.map(|(who, len)| Plant { who, data: rest.by_ref().take(len.into()).collect() });
        Self { accounts, changes, plant, data: rest.collect() }
    }

    /// Bytes that are this case.
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = vec![self.accounts.len() as u8];
        bytes.extend(self.accounts.iter().flat_map(|meta| [meta.who, meta.flags]));
        bytes.push(self.changes.len() as u8);
        for change in &self.changes {
            bytes.push(change.who);
            bytes.extend(change.at.to_le_bytes());
            bytes.push(change.byte);
        }
        match &self.plant {
            None => bytes.push(0),
            Some(plant) => {
                bytes.extend([1, plant.who]);
                bytes.extend((plant.data.len() as u16).to_le_bytes());
                bytes.extend(&plant.data);
            }
        }
        bytes.extend(&self.data);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_reads_what_it_wrote() {
        let case = Case {
            accounts: vec![Meta { who: 3, flags: 1 }, Meta { who: 9, flags: 2 }],
            changes: vec![Change { who: 1, at: 700, byte: 8 }],
            plant: Some(Plant { who: 4, data: vec![1, 2, 3] }),
            data: vec![5, 0, 0],
        };
        assert_eq!(Case::read(&case.write()), case);
        let plain = Case { plant: None, ..case };
        assert_eq!(Case::read(&plain.write()), plain);
    }

    #[test]
    fn no_bytes_are_a_case() {
        assert_eq!(Case::read(&[]), Case::default());
    }
}
