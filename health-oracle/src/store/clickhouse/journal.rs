//! Which commits count: what makes several inserts one.
//!
//! ClickHouse has no transaction over tables. Every row carries the number of its commit, numbers only grow, and a
//! commit counts once `commits` has a row of it and none that says void. That row is written last. One that failed is
//! declared void before anything else is written or read, and void wins over everything, so that an insert which arrives
//! late, over a connection believed dead, changes nothing. Each number is tried once; what is tried again gets a new one,
//! so that among the rows that count none is there twice.
//!
//! What is read is what counts up to the last number that is known: of a commit that is under way nothing is seen. A
//! process that died leaves at most one number open, the one after that. Whoever writes first after a start declares it
//! void and goes on after it, provided that nothing was added since it read the database. A process that still writes
//! finds its number void, or a later one, and has to read anew: of two that share a database by mistake, each refuses
//! what it can't know, and nothing is there twice.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tracing::warn;

use super::{
    error::ClickHouseError,
    http::{Client, Request},
    native::Rows,
};

/// How often a commit is tried before the caller is told. With the waits between them some six seconds: a server that
/// restarts is back by then.
const ATTEMPTS: u32 = 5;
/// Wait after the first attempt; doubled after each.
const FIRST_WAIT: Duration = Duration::from_millis(400);
/// Void commits that are compared with one by one, which costs a server less than looking them up in a set.
const FEW: usize = 8;

/// What a row of `commits` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// It counts, unless another row says void.
    Counts = 0,
    /// It never counts; rows of it may be there.
    Void = 1,
    /// It never counts, and no row of it is there any more or ever was.
    Empty = 2,
}

/// The numbers of commits, held by whoever writes.
#[derive(Debug)]
pub struct Journal {
    next: u32,
    /// A number that may or may not count, to be declared void before anything else.
    open: Option<u32>,
    began: Option<Instant>,
    pace: Duration,
}

impl Journal {
    /// Goes on after what the database holds, where that is what was read; what a dead process left open is declared void.
    ///
    /// # Errors
    /// The server can't be asked, somebody has written since, or no number is left.
    pub fn open(client: &Client, pace: Duration, read: Option<u32>) -> Result<Self, ClickHouseError> {
        let last = newest(client)?;
        if let Some(commit) = read.filter(|read| *read != last) {
            return Err(ClickHouseError::TakenOver { commit });
        }
        let open = last.checked_add(1).ok_or(ClickHouseError::Exhausted)?;
        let next = open.checked_add(1).ok_or(ClickHouseError::Exhausted)?;
        let mut journal = Self { next, open: Some(open), began: None, pace };
        journal.settle(client)?;
        Ok(journal)
    }

    /// Declares void what may or may not count. Until that worked nothing may be written or read.
    ///
    /// # Errors
    /// The server can't be asked.
    pub fn settle(&mut self, client: &Client) -> Result<(), ClickHouseError> {
        if let Some(open) = self.open {
            client.one(say(open, State::Void))?;
            self.open = None;
        }
        Ok(())
    }

    /// Writes all of this, or nothing that counts. `requests` makes the inserts of a commit of this number. It ends when
    /// the client's time does: what is open then is declared void by whoever comes next.
    ///
    /// # Errors
    /// The last attempt's, when none worked.
    pub fn commit(&mut self, client: &Client, requests: &dyn Fn(u32) -> Vec<Request>) -> Result<(), ClickHouseError> {
        let mut wait = FIRST_WAIT;
        let mut attempt = 1;
        loop {
            match self.attempt(client, requests) {
                Err(error) if error.is_transient() && attempt < ATTEMPTS && client.has_time_after(wait) => {
                    let cause = std::error::Error::source(&error);
                    warn!(attempt, %error, ?cause, "a telemetry commit is tried again");
                    std::thread::sleep(wait);
                    wait = wait.saturating_mul(2);
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    fn attempt(&mut self, client: &Client, requests: &dyn Fn(u32) -> Vec<Request>) -> Result<(), ClickHouseError> {
        let commit = self.next;
        self.settle(client)?;
        if let Some(early) = self.began.and_then(|began| self.pace.checked_sub(began.elapsed())) {
            std::thread::sleep(early);
        }
        self.began = Some(Instant::now());
        self.next = commit.checked_add(1).ok_or(ClickHouseError::Exhausted)?;
        self.open = Some(commit);
        for answer in client.all(requests(commit))? {
            answer?;
        }
        client.one(say(commit, State::Counts))?;
        if is_contested(client, commit)? {
            return Err(ClickHouseError::TakenOver { commit });
        }
        self.open = None;
        Ok(())
    }
}

/// What to add to a condition so that only what counts is read, and the number of the last commit.
///
/// # Errors
/// The server can't be asked.
pub fn counting(client: &Client) -> Result<(String, u32), ClickHouseError> {
    let last = newest(client)?;
    let void = voids(client, u64::MAX)?;
    let mut condition = format!(" AND commit <= {last}");
    if void.len() > FEW {
        condition += &format!(" AND commit NOT IN ({VOIDS})");
    } else {
        condition.extend(void.iter().map(|commit| format!(" AND commit != {commit}")));
    }
    Ok((condition, last))
}

const VOIDS: &str = "SELECT commit FROM commits WHERE state = 1
    AND commit NOT IN (SELECT commit FROM commits WHERE state = 2)";

/// Void commits of which rows may be there, declared so before a time in ms since 1970.
///
/// # Errors
/// The server can't be asked.
pub fn voids(client: &Client, before_ms: u64) -> Result<Vec<u32>, ClickHouseError> {
    let sql = format!("SELECT DISTINCT commit FROM ({VOIDS} AND at_ms < {before_ms}) ORDER BY commit FORMAT RowBinary");
    let answer = client.one(Request::plain(sql))?;
    let mut rows = Rows::new(&answer);
    let mut void = Vec::new();
    while !rows.is_empty() {
        void.push(rows.u32()?);
    }
    Ok(void)
}

/// The last commit that is known, of whatever state; 0 for none.
fn newest(client: &Client) -> Result<u32, ClickHouseError> {
    let answer = client.one(Request::plain("SELECT toUInt32(max(commit)) FROM commits FORMAT RowBinary"))?;
    // An older server answers nothing where a newer one answers 0.
    if answer.is_empty() { Ok(0) } else { Rows::new(&answer).u32() }
}

/// Whether another process that opened the database meanwhile has declared this commit void, or one after it.
fn is_contested(client: &Client, commit: u32) -> Result<bool, ClickHouseError> {
    let sql = format!(
        "SELECT count() FROM commits WHERE commit > {commit} OR (commit = {commit} AND state > 0) FORMAT RowBinary"
    );
    let answer = client.one(Request::plain(sql))?;
    Ok(!answer.is_empty() && Rows::new(&answer).u64()? > 0)
}

/// The statement that says so of a commit.
pub fn say(commit: u32, state: State) -> Request {
    Request::plain(format!(
        "INSERT INTO commits (commit, state, at_ms) VALUES ({commit}, {}, {})",
        state as u8,
        now_ms()
    ))
}

/// The time of this machine, in ms since 1970.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
}
