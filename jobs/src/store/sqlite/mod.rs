//! The embedded store: one SQLite file in WAL mode, for one controller.
//!
//! Everything goes through one connection on a thread of its own. It takes what waits, up to a bound, into one
//! transaction with a savepoint for each, so that one write to the disk keeps many jobs' events; nobody is answered before
//! it. In memory there is no thread and no disk: calls are made at once, which lets tests run in virtual time.

mod calls;

use std::{
    path::Path,
    sync::Mutex,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use causeway_interface::Code;
use rusqlite::{Connection, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use super::{Answer, Append, Claim, Filter, JobRow, JobStore, NewJob, Position, Row, StoreError, Waiting};
use crate::{clock::Clock, event::Seq, spec::JobId};

/// Version of the tables.
const SCHEMA: i64 = 1;
/// Calls that wait at most: every step of a thousand jobs that run at once.
const QUEUE: usize = 1_024;
/// Calls in one transaction: a write of 5 ms is shared by so many.
const TOGETHER: usize = 128;
/// How long another process, a backup, may keep the file.
const BUSY: Duration = Duration::from_secs(5);

/// What is done in a transaction; it answers its caller itself once that is kept.
type Call = Box<dyn FnOnce(&Connection, u64) -> After + Send>;
/// Called when the transaction is kept, or with why it is not.
type After = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

enum Way {
    Thread(mpsc::Sender<Call>),
    Inline(Mutex<Connection>, Clock),
}

/// The embedded store.
pub struct SqliteStore {
    way: Way,
}

impl SqliteStore {
    /// Opens or makes the file. Blocks.
    ///
    /// # Errors
    /// The file can't be opened, or is of another version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // An event that is lost to a power cut would be a commit that nobody knows of.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.busy_timeout(BUSY)?;
        prepare(&mut connection)?;
        let (sender, calls) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("jobs-sqlite".to_owned())
            .spawn(move || work(connection, calls))
            .map_err(|_| StoreError::Poisoned)?;
        Ok(Self { way: Way::Thread(sender) })
    }

    /// One that is gone with the process, by the clock that is given.
    ///
    /// # Errors
    /// SQLite's.
    pub fn in_memory(clock: Clock) -> Result<Self, StoreError> {
        let mut connection = Connection::open_in_memory()?;
        prepare(&mut connection)?;
        Ok(Self { way: Way::Inline(Mutex::new(connection), clock) })
    }

    fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Connection, u64) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<'_, T> {
        Box::pin(async move {
            match &self.way {
                Way::Inline(connection, clock) => {
                    let mut connection = connection.lock().map_err(|_| StoreError::Poisoned)?;
                    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                    let answer = call(&transaction, clock.now_ms())?;
                    transaction.commit()?;
                    Ok(answer)
                }
                Way::Thread(calls) => {
                    let (sender, answer) = oneshot::channel();
                    let call: Call = Box::new(move |connection, now_ms| {
                        let made = in_savepoint(connection, |connection| call(connection, now_ms));
                        // Who asked may be gone; then nobody needs the answer.
                        Box::new(move |kept| drop(sender.send(kept.and(made))))
                    });
                    calls.send(call).await.map_err(|_| StoreError::Poisoned)?;
                    answer.await.map_err(|_| StoreError::Poisoned)?
                }
            }
        })
    }
}

fn in_savepoint<T>(
    connection: &Connection,
    call: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    connection.prepare_cached("SAVEPOINT one")?.execute([])?;
    let made = call(connection);
    if made.is_err() {
        connection.prepare_cached("ROLLBACK TO one")?.execute([])?;
    }
    connection.prepare_cached("RELEASE one")?.execute([])?;
    made
}

fn work(mut connection: Connection, mut calls: mpsc::Receiver<Call>) {
    while let Some(first) = calls.blocking_recv() {
        let mut after: Vec<After> = Vec::new();
        let kept = together(&mut connection, first, &mut calls, &mut after);
        match kept {
            Ok(()) => after.into_iter().for_each(|tell| tell(Ok(()))),
            Err(error) => {
                tracing::error!(%error, "jobs' events could not be kept");
                let mut error = Some(error);
                for tell in after {
                    tell(Err(error.take().unwrap_or(StoreError::Poisoned)));
                }
            }
        }
    }
}

fn together(
    connection: &mut Connection,
    first: Call,
    calls: &mut mpsc::Receiver<Call>,
    after: &mut Vec<After>,
) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    after.push(first(&transaction, now_ms()));
    while after.len() < TOGETHER {
        let Ok(call) = calls.try_recv() else { break };
        after.push(call(&transaction, now_ms()));
    }
    Ok(transaction.commit()?)
}

/// This machine's time. One process works on the file, so that it is everybody's.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let made = transaction.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'meta'")?.exists([])?;
    if made {
        let found: i64 = transaction.query_row("SELECT schema FROM meta", [], |row| row.get(0))?;
        if found != SCHEMA {
            return Err(StoreError::Schema { found, known: SCHEMA });
        }
    } else {
        transaction.execute_batch(include_str!("schema.sql"))?;
        transaction.execute("INSERT INTO meta VALUES (?1)", params![SCHEMA])?;
    }
    Ok(transaction.commit()?)
}

impl JobStore for SqliteStore {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    /// One process works on the file.
    fn is_shared(&self) -> bool {
        false
    }

    fn start(&self, new: NewJob) -> Answer<'_, JobId> {
        self.call(move |c, now| calls::start(c, now, &new))
    }

    fn append(&self, append: Append) -> Answer<'_, ()> {
        self.call(move |c, now| calls::append(c, now, &append))
    }

    fn events(&self, job: JobId, from: Seq, limit: usize) -> Answer<'_, Vec<Row>> {
        self.call(move |c, _| calls::events(c, job, from, limit))
    }

    fn feed(&self, after: Position, limit: usize) -> Answer<'_, Vec<Row>> {
        self.call(move |c, _| calls::feed(c, after, limit))
    }

    fn tail(&self) -> Answer<'_, Position> {
        self.call(|c, _| calls::tail(c))
    }

    fn artifact(&self, job: JobId, name: String) -> Answer<'_, Option<Vec<u8>>> {
        self.call(move |c, _| calls::artifact(c, job, &name))
    }

    fn claim(&self, holder: String, lease_ms: u64, limit: usize) -> Answer<'_, Vec<Claim>> {
        self.call(move |c, now| calls::claim(c, now, &holder, lease_ms, limit))
    }

    fn waiting(&self, after: JobId, limit: usize) -> Answer<'_, Vec<Waiting>> {
        self.call(move |c, now| calls::waiting(c, now, after, limit))
    }

    fn claim_these(&self, holder: String, lease_ms: u64, jobs: Vec<JobId>) -> Answer<'_, Vec<Claim>> {
        self.call(move |c, now| calls::claim_these(c, now, &holder, lease_ms, &jobs))
    }

    fn renew(&self, claim: Claim, lease_ms: u64) -> Answer<'_, Seq> {
        self.call(move |c, now| calls::renew(c, now, claim, lease_ms))
    }

    fn release(&self, claim: Claim) -> Answer<'_, ()> {
        self.call(move |c, now| calls::release(c, now, claim))
    }

    fn set_broken(&self, claim: Claim, why: String) -> Answer<'_, ()> {
        self.call(move |c, now| calls::set_broken(c, now, claim, &why))
    }

    fn abandon(&self, job: JobId) -> Answer<'_, ()> {
        self.call(move |c, _| calls::abandon(c, job))
    }

    fn job(&self, job: JobId) -> Answer<'_, Option<JobRow>> {
        self.call(move |c, _| calls::job(c, job))
    }

    fn list(&self, filter: Filter, limit: usize) -> Answer<'_, Vec<JobRow>> {
        self.call(move |c, _| calls::list(c, &filter, limit))
    }

    fn holder_of(&self, device: Code) -> Answer<'_, Option<JobId>> {
        self.call(move |c, _| calls::holder_of(c, &device))
    }

    fn prune(&self, before_ms: u64, limit: usize) -> Answer<'_, usize> {
        self.call(move |c, _| calls::prune(c, before_ms, limit))
    }
}
