//! The form of the evidence file, and files of an older form brought up to date.
//!
//! The form's version is a row of `meta`. A file of an unknown version, or one that holds something else, is refused and
//! left as it is.

use causeway_interface::{Digest, Key};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{
    EvidenceError,
    blob::{self, Document},
    digest, insert_batch, note_latest,
};

/// The version that this build writes.
pub(super) const VERSION: i64 = 2;

/// `batch.bytes` comes last, so that what is small is read without it. `document` leads from the first eight bytes of a
/// name to its batches, `latest` from a subject to the youngest batch that landed.
const SCHEMA: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE batch (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    root BLOB NOT NULL,
    made_ms INTEGER NOT NULL,
    landed INTEGER NOT NULL DEFAULT 0,
    signature TEXT,
    names BLOB NOT NULL,
    subjects BLOB NOT NULL,
    lengths BLOB NOT NULL,
    bytes BLOB NOT NULL
);
CREATE TABLE document (start INTEGER NOT NULL, batch INTEGER NOT NULL, PRIMARY KEY (start, batch)) WITHOUT ROWID;
CREATE TABLE latest (subject BLOB PRIMARY KEY, batch INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX batch_made ON batch (made_ms);
CREATE INDEX batch_root ON batch (root);
";

/// Makes the tables, or brings them up to date; all or nothing.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), EvidenceError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match version(&transaction)? {
        Some(VERSION) => return Ok(()),
        None => create(&transaction)?,
        Some(1) => from_first(&transaction)?,
        Some(found) => return Err(EvidenceError::Version { found }),
    }
    transaction.commit()?;
    Ok(())
}

fn has_table(connection: &Connection, name: &str) -> Result<bool, EvidenceError> {
    let sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1";
    Ok(connection.query_row(sql, [name], |_| Ok(())).optional()?.is_some())
}

/// The version of a file; none of an empty one. The first form had no `meta`.
fn version(connection: &Connection) -> Result<Option<i64>, EvidenceError> {
    if has_table(connection, "meta")? {
        let sql = "SELECT value FROM meta WHERE name = 'version'";
        return connection.query_row(sql, [], |row| row.get(0)).optional()?.map(Some).ok_or(EvidenceError::Corrupt);
    }
    if has_table(connection, "batch")? && has_table(connection, "document")? {
        return Ok(Some(1));
    }
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    if tables == 0 { Ok(None) } else { Err(EvidenceError::Corrupt) }
}

fn create(transaction: &Transaction<'_>) -> Result<(), EvidenceError> {
    transaction.execute_batch(SCHEMA)?;
    transaction.execute("INSERT INTO meta (name, value) VALUES ('version', ?1)", [VERSION])?;
    Ok(())
}

/// The first form kept a row for each document, uncompressed. Batch by batch, so that the memory does not grow with the
/// file; in their order, so that younger ones stay younger.
fn from_first(transaction: &Transaction<'_>) -> Result<(), EvidenceError> {
    transaction.execute_batch(
        "DROP INDEX IF EXISTS document_batch; DROP INDEX IF EXISTS document_subject; DROP INDEX IF EXISTS batch_made;
         ALTER TABLE batch RENAME TO first_batch; ALTER TABLE document RENAME TO first_document;
         CREATE INDEX first_document_batch ON first_document (batch, place);",
    )?;
    create(transaction)?;
    let mut batches = transaction.prepare("SELECT id, root, made_ms, signature FROM first_batch ORDER BY id")?;
    let mut documents =
        transaction.prepare("SELECT subject, sha256, bytes FROM first_document WHERE batch = ?1 ORDER BY place")?;
    let mut rows = batches.query([])?;
    while let Some(row) = rows.next()? {
        let (old, root, made_ms): (i64, Vec<u8>, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let signature: Option<String> = row.get(3)?;
        type Row = (Vec<u8>, Vec<u8>, Vec<u8>);
        let of_batch: Vec<Row> =
            documents.query_map([old], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect::<Result<_, _>>()?;
        let of_batch: Vec<Document> = of_batch
            .into_iter()
            .map(|(subject, name, bytes)| {
                Ok(Document { subject: Key(digest(&subject)?.0), name: digest(&name)?, bytes })
            })
            .collect::<Result<_, EvidenceError>>()?;
        let root: Digest = digest(&root)?;
        let id = insert_batch(transaction, &blob::pack(&of_batch)?, &root, made_ms)?;
        if let Some(signature) = signature {
            let note = "UPDATE batch SET landed = 1, signature = ?2 WHERE id = ?1";
            transaction.execute(note, params![id, signature])?;
            note_latest(transaction, id)?;
        }
    }
    drop(rows);
    drop((documents, batches));
    transaction.execute_batch("DROP TABLE first_document; DROP TABLE first_batch;")?;
    Ok(())
}
