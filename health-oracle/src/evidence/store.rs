//! Where documents, proofs and the transactions that signed them are kept: one SQLite file beside the telemetry.
//!
//! A batch is written before its transaction is sent, so that nothing is ever signed whose evidence could be lost; the
//! transaction's signature is added once it is known. Batches of transactions that never landed stay until they are
//! pruned; they prove nothing, because no root onchain names them.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use causeway_interface::{Digest, Key};
use rusqlite::{Connection, OptionalExtension, params};

use super::merkle::{self, Proof};

/// Longest wait for a lock of the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Rows that one call of prune removes.
const PRUNE_CHUNK: i64 = 5_000;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS batch (
    id INTEGER PRIMARY KEY,
    root BLOB NOT NULL,
    made_ms INTEGER NOT NULL,
    signature TEXT
);
CREATE TABLE IF NOT EXISTS document (
    sha256 BLOB NOT NULL,
    batch INTEGER NOT NULL,
    place INTEGER NOT NULL,
    subject BLOB NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (sha256, batch)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS document_batch ON document (batch, place);
CREATE INDEX IF NOT EXISTS document_subject ON document (subject, batch);
CREATE INDEX IF NOT EXISTS batch_made ON batch (made_ms);
";

/// Why evidence was not kept or found.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The database refused.
    #[error("the evidence database refused")]
    Database(#[from] rusqlite::Error),
    /// A stored value can't be what was written.
    #[error("the evidence database holds an impossible value")]
    Corrupt,
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
    /// Signature of the transaction.
    pub transaction: String,
}

/// Documents and proofs in one SQLite file.
#[derive(Debug)]
pub struct EvidenceStore {
    connection: Mutex<Connection>,
}

impl EvidenceStore {
    /// Opens the store in this file, or makes it.
    ///
    /// # Errors
    /// The file can't be opened or is no database.
    pub fn open(path: &Path) -> Result<Self, EvidenceError> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    fn connection(&self) -> Result<MutexGuard<'_, Connection>, EvidenceError> {
        self.connection.lock().map_err(|_| EvidenceError::Poisoned)
    }

    /// Keeps the documents of one batch (subject, name, bytes) in their order; returns the batch and its root.
    ///
    /// # Errors
    /// The database failed: nothing was kept.
    pub fn put(&self, documents: &[(Key, Digest, Vec<u8>)], made_ms: u64) -> Result<(BatchId, Digest), EvidenceError> {
        let names: Vec<Digest> = documents.iter().map(|(_, name, _)| *name).collect();
        let root = merkle::root(&names);
        let mut connection = self.connection()?;
        let transaction = connection.transaction()?;
        let made_ms = i64::try_from(made_ms).unwrap_or(i64::MAX);
        transaction.execute("INSERT INTO batch (root, made_ms) VALUES (?1, ?2)", params![root.0, made_ms])?;
        let id = transaction.last_insert_rowid();
        {
            let mut insert = transaction.prepare_cached("INSERT INTO document VALUES (?1, ?2, ?3, ?4, ?5)")?;
            for (place, (subject, name, bytes)) in documents.iter().enumerate() {
                insert.execute(params![name.0, id, place as i64, subject.0, bytes])?;
            }
        }
        transaction.commit()?;
        Ok((BatchId(id), root))
    }

    /// Notes the transaction that signed a batch.
    ///
    /// # Errors
    /// The database failed.
    pub fn signed(&self, batch: BatchId, transaction: &str) -> Result<(), EvidenceError> {
        self.connection()?.execute("UPDATE batch SET signature = ?2 WHERE id = ?1", params![batch.0, transaction])?;
        Ok(())
    }

    /// A document by its name.
    ///
    /// # Errors
    /// The database failed.
    pub fn document(&self, sha256: &Digest) -> Result<Option<Vec<u8>>, EvidenceError> {
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached("SELECT bytes FROM document WHERE sha256 = ?1 LIMIT 1")?;
        Ok(statement.query_row([sha256.0], |row| row.get(0)).optional()?)
    }

    /// What was last signed of a subject.
    ///
    /// # Errors
    /// The database failed or holds what was never written.
    pub fn latest(&self, subject: &Key) -> Result<Option<Signed>, EvidenceError> {
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached(
            "SELECT d.sha256, d.place, d.batch, b.root, b.signature FROM document d JOIN batch b ON b.id = d.batch
             WHERE d.subject = ?1 AND b.signature IS NOT NULL ORDER BY d.batch DESC LIMIT 1",
        )?;
        type Row = (Vec<u8>, i64, i64, Vec<u8>, String);
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?));
        let found: Option<Row> = statement.query_row([subject.0], read).optional()?;
        let Some((name, place, batch, root, transaction)) = found else { return Ok(None) };
        let mut statement = connection.prepare_cached("SELECT sha256 FROM document WHERE batch = ?1 ORDER BY place")?;
        let names: Vec<Digest> = statement
            .query_map([batch], |row| row.get::<_, Vec<u8>>(0))?
            .map(|name| digest(&name?))
            .collect::<Result<_, _>>()?;
        let place = usize::try_from(place).map_err(|_| EvidenceError::Corrupt)?;
        let proof = merkle::prove(&names, place).ok_or(EvidenceError::Corrupt)?;
        Ok(Some(Signed { sha256: digest(&name)?, proof, root: digest(&root)?, transaction }))
    }

    /// Forgets batches made before this moment; returns how many rows went, a bounded number in one call.
    ///
    /// # Errors
    /// The database failed.
    pub fn prune(&self, before_ms: u64) -> Result<u64, EvidenceError> {
        let before_ms = i64::try_from(before_ms).unwrap_or(i64::MAX);
        let mut connection = self.connection()?;
        let transaction = connection.transaction()?;
        let old = "SELECT id FROM batch WHERE made_ms < ?1 ORDER BY made_ms LIMIT ?2";
        let mut gone = transaction
            .execute(&format!("DELETE FROM document WHERE batch IN ({old})"), params![before_ms, PRUNE_CHUNK])?;
        gone +=
            transaction.execute(&format!("DELETE FROM batch WHERE id IN ({old})"), params![before_ms, PRUNE_CHUNK])?;
        transaction.commit()?;
        Ok(gone as u64)
    }
}

fn digest(bytes: &[u8]) -> Result<Digest, EvidenceError> {
    bytes.try_into().map(Digest).map_err(|_| EvidenceError::Corrupt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::tests::evidence;

    #[test]
    fn what_is_served_proves_what_was_signed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("evidence.sqlite");
        let documents: Vec<(Key, Digest, Vec<u8>)> = (0..5u8)
            .map(|n| {
                let (name, bytes) = evidence(&format!("l-{n}")).document().unwrap();
                (Key([n; 32]), name, bytes)
            })
            .collect();
        let (batch, root) = EvidenceStore::open(&path).unwrap().put(&documents, 1_000).unwrap();
        let store = EvidenceStore::open(&path).unwrap();
        assert_eq!(store.latest(&Key([3; 32])).unwrap(), None, "not signed yet");
        store.signed(batch, "sig").unwrap();
        for (subject, name, bytes) in &documents {
            let signed = store.latest(subject).unwrap().unwrap();
            assert_eq!((signed.sha256, signed.root, signed.transaction.as_str()), (*name, root, "sig"));
            assert_eq!(signed.proof.root(name), Some(root));
            assert_eq!(store.document(name).unwrap().as_ref(), Some(bytes));
        }
        assert_eq!(store.document(&Digest::ZERO).unwrap(), None);
        store.put(&documents, 5_000).unwrap();
        assert!(store.prune(2_000).unwrap() > 0);
        assert_eq!(store.latest(&Key([3; 32])).unwrap(), None);
        assert!(store.document(&documents[0].1).unwrap().is_some(), "a younger batch holds it too");
    }
}
