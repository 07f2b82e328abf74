//! The table: SQLite, to which rows are added and in which none is changed.

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use super::{AuditError, Entry, Filter, KEPT_IN_MEMORY, MAX_PAGE, Outcome};

/// Version of the table.
const SCHEMA: i64 = 1;
/// How long another process, a backup, may keep the file.
const BUSY: Duration = Duration::from_secs(5);
/// Permissions of a new file: names of people are in it.
const MODE: u32 = 0o600;

const TABLE: &str = "
    CREATE TABLE meta (schema INTEGER NOT NULL);
    CREATE TABLE entry (
        seq INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        subject TEXT NOT NULL,
        outcome TEXT NOT NULL,
        of_seq INTEGER,
        before TEXT NOT NULL,
        after TEXT NOT NULL,
        hash TEXT NOT NULL
    );
    CREATE INDEX entry_subject ON entry (subject, seq);
    CREATE INDEX entry_actor ON entry (actor, seq);
";
/// Whoever has the file can drop these; then the chain shows what was done.
const APPEND_ONLY: &str = "
    CREATE TRIGGER entry_stays BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
    CREATE TRIGGER entry_is_kept BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
";

/// The log's rows.
pub struct Table {
    connection: Connection,
    /// Only so many are kept, where there is no file.
    most: Option<usize>,
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

impl Table {
    pub fn in_memory() -> Result<Self, AuditError> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(TABLE)?;
        Ok(Self { connection, most: Some(KEPT_IN_MEMORY) })
    }

    pub fn open(path: &Path) -> Result<Self, AuditError> {
        OpenOptions::new().create(true).append(true).mode(MODE).open(path).map_err(AuditError::File)?;
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // An action that a power cut takes out of the log was done all the same.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.busy_timeout(BUSY)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let made =
            transaction.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'meta'")?.exists([])?;
        if made {
            let found: i64 = transaction.query_row("SELECT schema FROM meta", [], |row| row.get(0))?;
            if found != SCHEMA {
                return Err(AuditError::Schema { found, known: SCHEMA });
            }
        } else {
            transaction.execute_batch(TABLE)?;
            transaction.execute_batch(APPEND_ONLY)?;
            transaction.execute("INSERT INTO meta VALUES (?1)", params![SCHEMA])?;
        }
        transaction.commit()?;
        Ok(Self { connection, most: None })
    }

    /// Adds one; its number.
    pub fn append(&mut self, mut entry: Entry) -> Result<u64, AuditError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let last: Option<(i64, String)> = transaction
            .prepare_cached("SELECT seq, hash FROM entry ORDER BY seq DESC LIMIT 1")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (seq, hash) = last.map_or((0, String::new()), |(seq, hash)| (unsigned(seq), hash));
        entry.seq = seq.saturating_add(1);
        entry.hash = entry.digest(&hash);
        transaction
            .prepare_cached(
                "INSERT INTO entry (seq, at_ms, actor, action, subject, outcome, of_seq, before, after, hash)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                signed(entry.seq),
                signed(entry.at_unix_ms),
                entry.actor,
                entry.action,
                entry.subject,
                entry.outcome.name(),
                entry.of.map(signed),
                entry.before.to_string(),
                entry.after.to_string(),
                entry.hash
            ])?;
        if let Some(most) = self.most {
            let most = u64::try_from(most).unwrap_or(u64::MAX);
            transaction
                .prepare_cached("DELETE FROM entry WHERE seq <= ?1")?
                .execute([signed(entry.seq.saturating_sub(most))])?;
        }
        transaction.commit()?;
        Ok(entry.seq)
    }

    pub fn read(&self, filter: &Filter) -> Result<Vec<Entry>, AuditError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT seq, at_ms, actor, action, subject, outcome, of_seq, before, after, hash FROM entry
             WHERE seq > ?1 AND (?2 IS NULL OR actor = ?2) AND (?3 IS NULL OR action = ?3)
             AND (?4 IS NULL OR subject = ?4) AND (?5 IS NULL OR at_ms >= ?5) AND (?6 IS NULL OR at_ms < ?6)
             ORDER BY seq LIMIT ?7",
        )?;
        let rows = statement.query_map(
            params![
                signed(filter.after),
                filter.actor,
                filter.action,
                filter.subject,
                filter.since_ms.map(signed),
                filter.until_ms.map(signed),
                signed(filter.limit.min(MAX_PAGE) as u64)
            ],
            raw,
        )?;
        rows.map(|row| entry(row?)).collect()
    }
}

/// An entry with texts that are not read yet.
type Raw = (Entry, String, String, String);

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    let entry = Entry {
        seq: unsigned(row.get(0)?),
        at_unix_ms: unsigned(row.get(1)?),
        actor: row.get(2)?,
        action: row.get(3)?,
        subject: row.get(4)?,
        outcome: Outcome::Asked,
        of: row.get::<_, Option<i64>>(6)?.map(unsigned),
        before: serde_json::Value::Null,
        after: serde_json::Value::Null,
        hash: row.get(9)?,
    };
    Ok((entry, row.get(5)?, row.get(7)?, row.get(8)?))
}

fn entry((entry, outcome, before, after): Raw) -> Result<Entry, AuditError> {
    let wrong = || AuditError::Undecodable(entry.seq);
    let outcome = Outcome::from_name(&outcome).ok_or_else(wrong)?;
    let before = serde_json::from_str(&before).map_err(|_| wrong())?;
    let after = serde_json::from_str(&after).map_err(|_| wrong())?;
    Ok(Entry { outcome, before, after, ..entry })
}
