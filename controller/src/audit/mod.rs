//! The audit log: who did what at this controller, with what was before and what was after.
//!
//! An action is written twice: when it is asked for, before anything is done, and when it ended. What can't be written is not
//! done. Each entry's hash is over the one before it, so that one that was changed, taken out or put in shows, here and in an
//! export; nothing is ever changed or removed by this program. Without a file the log is in memory, and then the oldest go.
//!
//! What it doesn't hold: calls that were refused because they were nobody's, and what is read without a token.

mod entry;
mod store;
#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

pub use self::entry::{Broken, Chain, Entry, Outcome};
use self::store::Table;
use crate::{operators::Actor, shared::now_ms};

/// Longest JSON of what was before or after, in bytes. What is longer is told by its length.
pub const MAX_DETAIL: usize = 16 * 1024;
/// Longest name of an action or a subject, in bytes.
pub const MAX_NAME: usize = 128;
/// Entries that are given at once, at most.
pub const MAX_PAGE: usize = 1_000;
/// Entries that are kept where there is no file: a day of a busy team.
pub const KEPT_IN_MEMORY: usize = 10_000;

/// Why the log can't be used.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// SQLite's.
    #[error("the audit log can not be read or written")]
    Store(#[from] rusqlite::Error),
    /// The file can't be made.
    #[error("the audit log's file can not be made")]
    File(#[source] std::io::Error),
    /// Of another version.
    #[error("the audit log has form {found}, and this build knows {known}")]
    Schema {
        /// Its form.
        found: i64,
        /// The form that is known.
        known: i64,
    },
    /// An entry that none of ours made.
    #[error("entry {0} of the audit log can not be read")]
    Undecodable(u64),
    /// The task that wrote it is gone.
    #[error("the audit log's task ended")]
    Gone,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Who asks.
    pub actor: Actor,
    /// What, as in `config.approve`.
    pub action: &'static str,
    /// Of what: a device's code, a job's number.
    pub subject: String,
    /// What is so before, and what is asked.
    pub before: serde_json::Value,
}

/// An action that was written down and has not ended.
#[derive(Debug)]
#[must_use = "an action that is begun has to be ended, however it ends"]
pub struct Begun {
    seq: u64,
    actor: String,
    action: String,
    subject: String,
}

/// Which entries are asked for; all of what is given has to fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// By whom.
    pub actor: Option<String>,
    /// What.
    pub action: Option<String>,
    /// Of what.
    pub subject: Option<String>,
    /// From then on, unix milliseconds.
    pub since_ms: Option<u64>,
    /// Before then, unix milliseconds.
    pub until_ms: Option<u64>,
    /// Later ones than this entry.
    pub after: u64,
    /// At most so many, and never more than [`MAX_PAGE`].
    pub limit: usize,
}

/// The log. Clones share it.
#[derive(Clone)]
pub struct Audit {
    table: Arc<Mutex<Table>>,
}

impl Audit {
    /// In memory, gone with the process.
    ///
    /// # Errors
    /// SQLite's.
    pub fn in_memory() -> Result<Self, AuditError> {
        Ok(Self { table: Arc::new(Mutex::new(Table::in_memory()?)) })
    }

    /// In a file, which is made if it is not there. Blocks.
    ///
    /// # Errors
    /// The file can't be made or read, or is of another version.
    pub fn open(path: &Path) -> Result<Self, AuditError> {
        Ok(Self { table: Arc::new(Mutex::new(Table::open(path)?)) })
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Table) -> Result<T, AuditError> + Send + 'static,
    ) -> Result<T, AuditError> {
        let table = Arc::clone(&self.table);
        let work = move || work(&mut table.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(work).await.map_err(|_| AuditError::Gone)?
    }

    /// Writes down that something is about to be done.
    ///
    /// # Errors
    /// It can't be written: then it must not be done.
    pub async fn begin(&self, action: Action) -> Result<Begun, AuditError> {
        let Action { actor, action, subject, before } = action;
        let mut entry = Entry::new(now_ms(), &actor.name, action, &subject, Outcome::Asked);
        entry.set_before(before);
        let (actor, action, subject) = (entry.actor.clone(), entry.action.clone(), entry.subject.clone());
        let seq = self.with(move |table| table.append(entry)).await?;
        Ok(Begun { seq, actor, action, subject })
    }

    /// Writes down how it ended. What is done can't be undone for want of a line: a failure is logged, and an action without
    /// its end shows in the log as such.
    pub async fn end(&self, begun: Begun, outcome: Outcome, after: serde_json::Value) {
        let Begun { seq, actor, action, subject } = begun;
        let mut entry = Entry::new(now_ms(), &actor, &action, &subject, outcome);
        entry.of = Some(seq);
        entry.set_after(after);
        if let Err(error) = self.with(move |table| table.append(entry)).await {
            tracing::error!(%error, %actor, %action, %subject, of = seq, "the end of an action is not in the audit log");
        }
    }

    /// Entries, oldest first.
    ///
    /// # Errors
    /// They can't be read.
    pub async fn read(&self, filter: Filter) -> Result<Vec<Entry>, AuditError> {
        self.with(move |table| table.read(&filter)).await
    }
}
