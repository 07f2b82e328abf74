//! Where documents, proofs and the transactions that signed them are kept: one SQLite file beside the telemetry.
//!
//! A batch is written before its transaction is sent, so that nothing is ever signed whose evidence could be lost. All
//! batches that are about to be sent are written together: one wait for the disk, whatever their number. Each is one
//! compressed row ([`blob`]).
//!
//! A batch has *landed* when its sender says so ([`EvidenceStore::signed`]), or when the ledger holds its root
//! ([`EvidenceStore::recognise`]): what was signed by a process that died before it could note it is found that way, without
//! the name of its transaction. Batches that never landed stay until they are pruned; they prove nothing, because no root
//! onchain names them.

mod blob;
mod schema;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use causeway_interface::{Digest, Key};
use rusqlite::{Connection, OptionalExtension, params};

pub use self::blob::Document;
use super::merkle::{self, Proof};

/// Longest wait for a lock of the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Batches that one call of [`EvidenceStore::prune`] removes: a fleet of 60 000 makes some 300 between two calls.
const PRUNE_BATCHES: i64 = 1_000;

/// Why evidence was not kept or found.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The database refused.
    #[error("the evidence database refused")]
    Database(#[from] rusqlite::Error),
    /// A stored value can't be what was written.
    #[error("the evidence database holds an impossible value")]
    Corrupt,
    /// The file is of a form that this build does not know.
    #[error("the evidence database has form {found}, this build knows 1 to {}", schema::VERSION)]
    Version {
        /// Its form.
        found: i64,
    },
    /// Documents could not be compressed.
    #[error("evidence could not be compressed")]
    Compress(#[source] std::io::Error),
    /// A batch is longer than what could be read again.
    #[error("a batch of evidence is too large")]
    TooLarge,
    /// A thread died while it used the store.
    #[error("the evidence store is unusable after a failure")]
    Poisoned,
}

/// Documents to be signed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchId(i64);

/// What was signed of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Name of the document.
    pub sha256: Digest,
    /// Its way to the root.
    pub proof: Proof,
    /// The root that was signed.
    pub root: Digest,
    /// Signature of the transaction; none where the process died before it could note it. The root is on the ledger all
    /// the same.
    pub transaction: Option<String>,
}

/// A batch as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Which.
    pub id: BatchId,
    /// Root of its documents.
    pub root: Digest,
    /// Whether it is known to have landed.
    pub landed: bool,
    /// The transaction that carried it, where that is known.
    pub transaction: Option<String>,
    /// Its documents, in the order of the tree's leaves.
    pub documents: Vec<Document>,
}

/// Documents and proofs in one SQLite file.
#[derive(Debug)]
pub struct EvidenceStore {
    connection: Mutex<Connection>,
}

impl EvidenceStore {
    /// Opens the store in this file, or makes it. A file of an older form is brought up to date.
    ///
    /// # Errors
    /// The file can't be opened, is no database of evidence, or is of a younger form; it is left as it was.
    pub fn open(path: &Path) -> Result<Self, EvidenceError> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        schema::prepare(&mut connection)?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    fn connection(&self) -> Result<MutexGuard<'_, Connection>, EvidenceError> {
        self.connection.lock().map_err(|_| EvidenceError::Poisoned)
    }

    /// Keeps the documents of several batches, each in its order, with one wait for the disk; returns each batch and its
    /// root.
    ///
    /// # Errors
    /// The database failed: nothing was kept.
    pub fn put(&self, batches: &[Vec<Document>], made_ms: u64) -> Result<Vec<(BatchId, Digest)>, EvidenceError> {
        // Hashed and compressed before others are kept waiting.
        let packed: Vec<_> = batches
            .iter()
            .map(|documents| {
                let names: Vec<Digest> = documents.iter().map(|d| d.name).collect();
                Ok((blob::pack(documents)?, merkle::root(&names)))
            })
            .collect::<Result<_, EvidenceError>>()?;
        let made_ms = i64::try_from(made_ms).unwrap_or(i64::MAX);
        let mut connection = self.connection()?;
        let transaction = connection.transaction()?;
        let mut kept = Vec::with_capacity(packed.len());
        for (packed, root) in &packed {
            kept.push((BatchId(insert_batch(&transaction, packed, root, made_ms)?), *root));
        }
        transaction.commit()?;
        Ok(kept)
    }

    /// Notes that these batches landed, and by which transactions.
    ///
    /// # Errors
    /// The database failed: nothing was noted.
    pub fn signed(&self, landed: &[(BatchId, String)]) -> Result<(), EvidenceError> {
        let mut connection = self.connection()?;
        let transaction = connection.transaction()?;
        {
            let mut note = transaction.prepare_cached("UPDATE batch SET landed = 1, signature = ?2 WHERE id = ?1")?;
            for (batch, signature) in landed {
                if note.execute(params![batch.0, signature])? == 1 {
                    note_latest(&transaction, batch.0)?;
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Which of these roots, that the ledger holds under this oracle's key, are of batches of this store. They landed, and
    /// that is noted where it wasn't.
    ///
    /// # Errors
    /// The database failed.
    pub fn recognise(&self, roots: &[Digest]) -> Result<BTreeSet<Digest>, EvidenceError> {
        let mut own = BTreeSet::new();
        let mut connection = self.connection()?;
        let transaction = connection.transaction()?;
        {
            let mut find = transaction
                .prepare_cached("SELECT id, landed FROM batch WHERE root = ?1 ORDER BY landed DESC, id DESC LIMIT 1")?;
            let mut note = transaction.prepare_cached("UPDATE batch SET landed = 1 WHERE id = ?1")?;
            for root in roots {
                let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
                let found: Option<(i64, bool)> = find.query_row([root.0], read).optional()?;
                let Some((id, landed)) = found else { continue };
                own.insert(*root);
                if !landed {
                    note.execute([id])?;
                    note_latest(&transaction, id)?;
                }
            }
        }
        transaction.commit()?;
        Ok(own)
    }

    /// A document by its name.
    ///
    /// # Errors
    /// The database failed or holds what was never written.
    pub fn document(&self, sha256: &Digest) -> Result<Option<Vec<u8>>, EvidenceError> {
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached(
            "SELECT b.names, b.lengths, b.bytes FROM document d JOIN batch b ON b.id = d.batch WHERE d.start = ?1",
        )?;
        let mut rows = statement.query([start_of(&sha256.0)])?;
        // Names of other documents may begin alike.
        while let Some(row) = rows.next()? {
            let (names, lengths, bytes): (Vec<u8>, Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if let Some(place) = blob::keys(&names)?.iter().position(|name| *name == sha256.0) {
                return blob::unpack(&lengths, &bytes, place).map(Some);
            }
        }
        Ok(None)
    }

    /// What was last signed of a subject.
    ///
    /// # Errors
    /// The database failed or holds what was never written.
    pub fn latest(&self, subject: &Key) -> Result<Option<Signed>, EvidenceError> {
        let sql = "SELECT b.root, b.signature, b.names, b.subjects FROM latest l JOIN batch b ON b.id = l.batch
                   WHERE l.subject = ?1";
        self.find(sql, &subject.0, subject)
    }

    /// What was signed of a subject with this root: as a reader of the ledger asks.
    ///
    /// # Errors
    /// The database failed or holds what was never written.
    pub fn with_root(&self, root: &Digest, subject: &Key) -> Result<Option<Signed>, EvidenceError> {
        let sql = "SELECT root, signature, names, subjects FROM batch WHERE root = ?1 ORDER BY landed DESC, id DESC
                   LIMIT 1";
        self.find(sql, &root.0, subject)
    }

    fn find(&self, sql: &str, by: &[u8; 32], subject: &Key) -> Result<Option<Signed>, EvidenceError> {
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached(sql)?;
        type Row = (Vec<u8>, Option<String>, Vec<u8>, Vec<u8>);
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        let found: Option<Row> = statement.query_row([by], read).optional()?;
        let Some((root, transaction, names, subjects)) = found else { return Ok(None) };
        let Some(place) = blob::keys(&subjects)?.iter().position(|key| *key == subject.0) else { return Ok(None) };
        let names: Vec<Digest> = blob::keys(&names)?.iter().map(|name| Digest(*name)).collect();
        let sha256 = *names.get(place).ok_or(EvidenceError::Corrupt)?;
        let proof = merkle::prove(&names, place).ok_or(EvidenceError::Corrupt)?;
        Ok(Some(Signed { sha256, proof, root: digest(&root)?, transaction }))
    }

    /// The batches that were kept after this one, or from the oldest on, in the order in which they were kept; at most
    /// `limit`. For whoever looks through all of it, such as an audit.
    ///
    /// # Errors
    /// The database failed or holds what was never written.
    pub fn after(&self, batch: Option<BatchId>, limit: usize) -> Result<Vec<Kept>, EvidenceError> {
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached(
            "SELECT id, root, landed, signature, names, subjects, lengths, bytes FROM batch WHERE id > ?1
             ORDER BY id LIMIT ?2",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![batch.map_or(0, |batch| batch.0), limit])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let column = |n: usize| row.get::<_, Vec<u8>>(n);
            found.push(Kept {
                id: BatchId(row.get(0)?),
                root: digest(&column(1)?)?,
                landed: row.get(2)?,
                transaction: row.get(3)?,
                documents: blob::documents(&column(4)?, &column(5)?, &column(6)?, &column(7)?)?,
            });
        }
        Ok(found)
    }

    /// Forgets batches made before this moment; returns how many went, a bounded number in one call.
    ///
    /// # Errors
    /// The database failed.
    pub fn prune(&self, before_ms: u64) -> Result<u64, EvidenceError> {
        let before_ms = i64::try_from(before_ms).unwrap_or(i64::MAX);
        let mut connection = self.connection()?;
        let transaction = connection.transaction()?;
        let mut gone = 0;
        {
            let mut old = transaction
                .prepare_cached("SELECT id, names, subjects FROM batch WHERE made_ms < ?1 ORDER BY made_ms LIMIT ?2")?;
            let mut forget_name = transaction.prepare_cached("DELETE FROM document WHERE start = ?1 AND batch = ?2")?;
            let mut forget_latest =
                transaction.prepare_cached("DELETE FROM latest WHERE subject = ?1 AND batch = ?2")?;
            let mut forget = transaction.prepare_cached("DELETE FROM batch WHERE id = ?1")?;
            type Row = (i64, Vec<u8>, Vec<u8>);
            let batches: Vec<Row> = old
                .query_map([before_ms, PRUNE_BATCHES], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect::<Result<_, _>>()?;
            for (id, names, subjects) in batches {
                for name in blob::keys(&names)? {
                    forget_name.execute(params![start_of(name), id])?;
                }
                for subject in blob::keys(&subjects)? {
                    forget_latest.execute(params![subject, id])?;
                }
                gone += forget.execute([id])?;
            }
        }
        transaction.commit()?;
        Ok(gone as u64)
    }
}

/// The first eight bytes of a name as a number: an index over them is half as large as one over names.
fn start_of(name: &[u8; 32]) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = *name;
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

fn insert_batch(
    connection: &Connection,
    packed: &blob::Packed,
    root: &Digest,
    made_ms: i64,
) -> Result<i64, EvidenceError> {
    let mut batch = connection.prepare_cached(
        "INSERT INTO batch (root, made_ms, names, subjects, lengths, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    batch.execute(params![root.0, made_ms, packed.names, packed.subjects, packed.lengths, packed.bytes])?;
    let id = connection.last_insert_rowid();
    // Two documents of one batch may begin alike: one row leads to both.
    let mut document = connection.prepare_cached("INSERT OR IGNORE INTO document (start, batch) VALUES (?1, ?2)")?;
    for name in blob::keys(&packed.names)? {
        document.execute(params![start_of(name), id])?;
    }
    Ok(id)
}

/// Makes a batch that landed the latest of its subjects, where no younger one is.
fn note_latest(connection: &Connection, id: i64) -> Result<(), EvidenceError> {
    let mut subjects = connection.prepare_cached("SELECT subjects FROM batch WHERE id = ?1")?;
    let subjects: Vec<u8> = subjects.query_row([id], |row| row.get(0))?;
    let mut note = connection.prepare_cached(
        "INSERT INTO latest (subject, batch) VALUES (?1, ?2)
         ON CONFLICT (subject) DO UPDATE SET batch = excluded.batch WHERE excluded.batch > batch",
    )?;
    for subject in blob::keys(&subjects)? {
        note.execute(params![subject, id])?;
    }
    Ok(())
}

fn digest(bytes: &[u8]) -> Result<Digest, EvidenceError> {
    bytes.try_into().map(Digest).map_err(|_| EvidenceError::Corrupt)
}
