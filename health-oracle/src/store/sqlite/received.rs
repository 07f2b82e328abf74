//! Every batch of a store in the order in which it was kept, for reading only: another process may be writing.

use std::{collections::BTreeMap, path::Path};

use causeway_interface::Code;
use rusqlite::{Connection, OpenFlags};

use super::{BUSY_TIMEOUT, SCHEMA, batches, meta};
use crate::store::{StoreError, commit::BatchRow};

/// Groups of batches that are read at once: each is what was received within some milliseconds.
const GROUPS: i64 = 64;

/// A store that exists.
#[derive(Debug)]
pub struct Received {
    connection: Connection,
    bucket_ms: u64,
    devices: BTreeMap<u32, Code>,
    /// The last group that was read.
    after: i64,
}

impl Received {
    /// Opens the store in this file.
    ///
    /// # Errors
    /// There is no such file, or it is no store of this schema.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        let (schema, bucket_ms) = meta(&connection)?;
        if schema != SCHEMA {
            return Err(StoreError::Schema { found: schema, known: SCHEMA });
        }
        let mut devices = BTreeMap::new();
        {
            let mut statement = connection.prepare("SELECT id, code FROM device")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let code = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
                let code = code.parse().map_err(|_| StoreError::Corrupt("a code that is none"))?;
                devices.insert(row.get(0)?, code);
            }
        }
        Ok(Self { connection, bucket_ms, devices, after: i64::MIN })
    }

    /// Width of a bucket in ms.
    #[must_use]
    pub fn bucket_ms(&self) -> u64 {
        self.bucket_ms
    }

    /// The code of a device by its number.
    #[must_use]
    pub fn code(&self, device: u32) -> Option<Code> {
        self.devices.get(&device).copied()
    }

    /// The next batches; empty after the last.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn page(&mut self) -> Result<Vec<BatchRow>, StoreError> {
        let mut found = Vec::new();
        let mut statement =
            self.connection.prepare_cached("SELECT id, bytes FROM batches WHERE id > ?1 ORDER BY id LIMIT ?2")?;
        let mut groups = statement.query([self.after, GROUPS])?;
        while let Some(group) = groups.next()? {
            self.after = group.get(0)?;
            let bytes = group.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            found.extend(batches::rows(bytes)?);
        }
        Ok(found)
    }
}
