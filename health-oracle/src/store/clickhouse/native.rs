//! Rows on the wire: ClickHouse's `Native` format for what is written, `RowBinary` for what is read.
//!
//! Native is columns one after the other, each with its name and type; a server takes it in twice as fast as rows, as
//! nothing is to be parsed. RowBinary is values in the order of the query, integers little-endian, strings with their
//! length in front.

use super::error::ClickHouseError;

/// A block of columns of one length, to be inserted.
#[derive(Clone, Debug, Default)]
pub struct Block {
    columns: usize,
    rows: usize,
    /// `name Type` per column, for the statement.
    names: Vec<&'static str>,
    bytes: Vec<u8>,
}

/// A value of a column of fixed width.
pub trait Value {
    /// ClickHouse's name of the type.
    const TYPE: &'static str;
    /// Appends the value as it is in memory of a little-endian machine.
    fn write(&self, bytes: &mut Vec<u8>);
}

macro_rules! number {
    ($type:ty, $name:literal) => {
        impl Value for $type {
            const TYPE: &'static str = $name;
            fn write(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
        }
    };
}
number!(u8, "UInt8");
number!(u32, "UInt32");
number!(u64, "UInt64");

impl Value for [u8; 32] {
    const TYPE: &'static str = "FixedString(32)";
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self);
    }
}

impl Value for [u8; 64] {
    const TYPE: &'static str = "FixedString(64)";
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self);
    }
}

/// Bytes of any length.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a>(pub &'a [u8]);

impl Value for Text<'_> {
    const TYPE: &'static str = "String";
    fn write(&self, bytes: &mut Vec<u8>) {
        length(bytes, self.0.len());
        bytes.extend_from_slice(self.0);
    }
}

impl Block {
    /// A block of this many rows.
    #[must_use]
    pub fn new(rows: usize) -> Self {
        Self { rows, ..Self::default() }
    }

    /// Adds a column; it has to give a value for every row.
    #[must_use]
    pub fn column<V: Value>(mut self, name: &'static str, values: impl Iterator<Item = V>) -> Self {
        text(&mut self.bytes, name.as_bytes());
        text(&mut self.bytes, V::TYPE.as_bytes());
        for value in values.take(self.rows) {
            value.write(&mut self.bytes);
        }
        self.names.push(name);
        self.columns += 1;
        self
    }

    /// Whether there is nothing to insert.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The statement that inserts it, and the rows.
    #[must_use]
    pub fn insert_into(self, table: &str) -> super::http::Request {
        let mut rows = Vec::with_capacity(self.bytes.len() + 2 * MAX_LENGTH_BYTES);
        length(&mut rows, self.columns);
        length(&mut rows, self.rows);
        rows.extend_from_slice(&self.bytes);
        let sql = format!("INSERT INTO {table} ({}) FORMAT Native", self.names.join(", "));
        super::http::Request { sql, rows: Some(rows) }
    }
}

/// Bits of a length that one byte carries; its top bit says that more follow.
const LENGTH_BITS: u32 = 7;
/// Bytes of the longest length: 64 bits in sevens.
const MAX_LENGTH_BYTES: usize = 10;

fn length(bytes: &mut Vec<u8>, mut value: usize) {
    while value > 0x7f {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= LENGTH_BITS;
    }
    bytes.push(value as u8);
}

fn text(bytes: &mut Vec<u8>, value: &[u8]) {
    length(bytes, value.len());
    bytes.extend_from_slice(value);
}

/// Reads an answer in RowBinary, value by value.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    rest: &'a [u8],
}

impl<'a> Rows<'a> {
    /// From the beginning of an answer.
    #[must_use]
    pub fn new(answer: &'a [u8]) -> Self {
        Self { rest: answer }
    }

    /// Whether every value was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ClickHouseError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(ClickHouseError::Malformed("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    /// So many bytes.
    ///
    /// # Errors
    /// The answer ends before.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], ClickHouseError> {
        self.take(N)?.try_into().map_err(|_| ClickHouseError::Malformed("it ends too early"))
    }

    /// A `UInt8`.
    ///
    /// # Errors
    /// The answer ends before.
    pub fn u8(&mut self) -> Result<u8, ClickHouseError> {
        self.array().map(u8::from_le_bytes)
    }

    /// A `UInt32`.
    ///
    /// # Errors
    /// The answer ends before.
    pub fn u32(&mut self) -> Result<u32, ClickHouseError> {
        self.array().map(u32::from_le_bytes)
    }

    /// A `UInt64`.
    ///
    /// # Errors
    /// The answer ends before.
    pub fn u64(&mut self) -> Result<u64, ClickHouseError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A `String`.
    ///
    /// # Errors
    /// The answer ends before, or its length is none.
    pub fn bytes(&mut self) -> Result<&'a [u8], ClickHouseError> {
        let mut count = 0u64;
        for place in 0..MAX_LENGTH_BYTES as u32 {
            let byte = self.u8()?;
            count |= u64::from(byte & 0x7f).checked_shl(place * LENGTH_BITS).unwrap_or(0);
            if byte & 0x80 == 0 {
                let count = usize::try_from(count).map_err(|_| ClickHouseError::Malformed("a text without end"))?;
                return self.take(count);
            }
        }
        Err(ClickHouseError::Malformed("a length without end"))
    }

    /// A `String` that is text.
    ///
    /// # Errors
    /// As [`Rows::bytes`], or it is not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, ClickHouseError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| ClickHouseError::Malformed("a text that is none"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_texts_come_back() {
        for size in [0usize, 1, 127, 128, 300, 20_000] {
            let value = vec![b'x'; size];
            let mut bytes = Vec::new();
            Text(&value).write(&mut bytes);
            let mut rows = Rows::new(&bytes);
            assert_eq!(rows.bytes().unwrap(), value);
            assert!(rows.is_empty());
        }
    }

    #[test]
    fn answers_that_are_cut_or_hostile_are_errors() {
        assert!(Rows::new(&[1, 2, 3]).u32().is_err());
        assert!(Rows::new(&[5, b'a']).bytes().is_err());
        assert!(Rows::new(&[0xff; 20]).bytes().is_err());
        assert!(Rows::new(&[2, 0xff, 0xff]).text().is_err());
        assert!(Rows::new(&[]).u8().is_err());
    }

    #[test]
    fn a_block_is_columns_with_names_and_types() {
        let block = Block::new(2).column("a", [1u32, 2].into_iter()).column("b", [Text(b"x"), Text(b"")].into_iter());
        let request = block.insert_into("t");
        assert_eq!(request.sql, "INSERT INTO t (a, b) FORMAT Native");
        let mut expected = vec![2, 2, 1, b'a', 6];
        expected.extend(b"UInt32\x01\0\0\0\x02\0\0\0");
        expected.extend(b"\x01b\x06String\x01x\0");
        assert_eq!(request.rows.unwrap(), expected);
    }
}
