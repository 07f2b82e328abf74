//! Every document of an evidence file in the order in which it was written, for reading only: the oracle may be running.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

/// Longest wait for a lock of the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Batches that are read at once: some thousand documents.
const BATCHES: i64 = 32;
/// Longest batch that is unpacked, in bytes; no longer one was ever written.
const MAX_BATCH_BYTES: usize = 64 << 20;
/// Bytes of a length.
const LENGTH_BYTES: usize = 4;

/// Why documents are not read.
#[derive(Debug, thiserror::Error)]
pub enum DocumentsError {
    /// The database refused.
    #[error("the evidence database refused")]
    Database(#[from] rusqlite::Error),
    /// A batch can't be unpacked.
    #[error("the evidence database holds a batch that can't be unpacked")]
    Corrupt,
}

/// How documents lie in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A row for each.
    Rows,
    /// Those of a batch together, compressed.
    Batches,
}

/// An evidence file.
#[derive(Debug)]
pub struct Documents {
    connection: Connection,
    form: Form,
    /// The last batch that was read.
    after: i64,
}

impl Documents {
    /// Opens the file.
    ///
    /// # Errors
    /// There is none, or it is no evidence file.
    pub fn open(path: &Path) -> Result<Self, DocumentsError> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        let packed =
            connection.prepare("SELECT 1 FROM pragma_table_info('batch') WHERE name = 'lengths'")?.exists([])?;
        let form = if packed { Form::Batches } else { Form::Rows };
        Ok(Self { connection, form, after: i64::MIN })
    }

    /// Begins again with the first.
    pub fn rewind(&mut self) {
        self.after = i64::MIN;
    }

    /// The next documents' bytes; empty after the last.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn page(&mut self) -> Result<Vec<Vec<u8>>, DocumentsError> {
        match self.form {
            Form::Rows => self.rows(),
            Form::Batches => self.batches(),
        }
    }

    fn rows(&mut self) -> Result<Vec<Vec<u8>>, DocumentsError> {
        let mut found = Vec::new();
        let mut statement = self.connection.prepare_cached(
            "SELECT d.batch, d.bytes FROM document d
             WHERE d.batch IN (SELECT id FROM batch WHERE id > ?1 ORDER BY id LIMIT ?2) ORDER BY d.batch, d.place",
        )?;
        let mut rows = statement.query([self.after, BATCHES])?;
        while let Some(row) = rows.next()? {
            self.after = row.get(0)?;
            found.push(row.get(1)?);
        }
        Ok(found)
    }

    fn batches(&mut self) -> Result<Vec<Vec<u8>>, DocumentsError> {
        let mut found = Vec::new();
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, lengths, bytes FROM batch WHERE id > ?1 ORDER BY id LIMIT ?2")?;
        let mut rows = statement.query([self.after, BATCHES])?;
        while let Some(row) = rows.next()? {
            self.after = row.get(0)?;
            let blob = |column| row.get_ref(column)?.as_blob().map_err(rusqlite::Error::from);
            found.extend(unpacked(blob(1)?, blob(2)?)?);
        }
        Ok(found)
    }
}

/// The documents of a compressed batch, one after the other by their lengths.
fn unpacked(lengths: &[u8], bytes: &[u8]) -> Result<Vec<Vec<u8>>, DocumentsError> {
    let (lengths, []) = lengths.as_chunks::<LENGTH_BYTES>() else { return Err(DocumentsError::Corrupt) };
    let lengths: Vec<usize> = lengths.iter().map(|length| u32::from_le_bytes(*length) as usize).collect();
    let total = lengths.iter().fold(0usize, |sum, length| sum.saturating_add(*length));
    if total > MAX_BATCH_BYTES {
        return Err(DocumentsError::Corrupt);
    }
    let all = zstd::bulk::decompress(bytes, total).map_err(|_| DocumentsError::Corrupt)?;
    let mut rest = all.as_slice();
    let mut documents = Vec::with_capacity(lengths.len());
    for length in lengths {
        let (document, tail) = rest.split_at_checked(length).ok_or(DocumentsError::Corrupt)?;
        documents.push(document.to_vec());
        rest = tail;
    }
    Ok(documents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_file_give_their_documents_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let rows = folder.path().join("rows.sqlite");
        let connection = Connection::open(&rows).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE batch (id INTEGER PRIMARY KEY, made_ms INTEGER);
                 CREATE TABLE document (batch INTEGER, place INTEGER, bytes BLOB);
                 INSERT INTO batch VALUES (1, 1), (2, 2);
                 INSERT INTO document VALUES (2, 0, x'63'), (1, 1, x'62'), (1, 0, x'61');",
            )
            .unwrap();
        let packed = folder.path().join("packed.sqlite");
        let connection = Connection::open(&packed).unwrap();
        connection.execute_batch("CREATE TABLE batch (id INTEGER PRIMARY KEY, lengths BLOB, bytes BLOB);").unwrap();
        for (lengths, bytes) in [(vec![1u32, 1], b"ab".as_slice()), (vec![1], b"c")] {
            let lengths: Vec<u8> = lengths.iter().flat_map(|n| n.to_le_bytes()).collect();
            let bytes = zstd::bulk::compress(bytes, 1).unwrap();
            connection
                .execute("INSERT INTO batch (lengths, bytes) VALUES (?1, ?2)", rusqlite::params![lengths, bytes])
                .unwrap();
        }
        for path in [rows, packed] {
            let mut documents = Documents::open(&path).unwrap();
            let expected = [b"a".to_vec(), b"b".to_vec(), b"c".to_vec()];
            assert_eq!(documents.page().unwrap(), expected, "{}", path.display());
            assert!(documents.page().unwrap().is_empty());
            documents.rewind();
            assert_eq!(documents.page().unwrap().len(), 3);
        }
        assert!(Documents::open(&folder.path().join("none.sqlite")).is_err());
        assert!(unpacked(&[1, 0, 0], &[]).is_err());
        assert!(unpacked(&u32::MAX.to_le_bytes(), &[]).is_err());
    }
}
