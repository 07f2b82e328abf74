//! The client: ClickHouse's HTTP interface on a thread of its own.
//!
//! Callers block. They may be on any thread, also one of an async runtime's, because nothing of the client's own runtime
//! is ever entered from theirs. Requests that are sent together run side by side, so that a server inserts into several
//! tables on several cores. A request is sent once; whoever calls decides whether to ask again.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use futures::future::join_all;

use super::error::ClickHouseError;

/// Longest wait for a connection: a server on the same site answers within milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an unused connection is kept: less than the 3 s after which a server closes it by default.
const POOL_IDLE: Duration = Duration::from_secs(2);
/// Groups of requests that wait for the thread; each caller waits for its own, so that more than the few threads of an
/// oracle that use a store never come.
const QUEUE: usize = 16;
/// Longest answer: a block of masks of ten million series. What a fleet asks for is some 15 MB.
const MAX_ANSWER: usize = 512 << 20;
/// How much of an answer the server holds in memory, in bytes: an hour of a fleet's masks are 6 MB.
const HELD_ANSWER: &str = "33554432";
/// How much of a refusal is kept.
const MAX_REFUSAL: usize = 600;

/// Where a server is and how it is asked.
#[derive(Clone)]
pub struct Settings {
    /// Base of its HTTP interface, such as `http://127.0.0.1:8123`.
    pub url: String,
    /// Database of this oracle alone; made if missing. Letters, digits and `_`.
    pub database: String,
    /// User name.
    pub user: String,
    /// The user's password.
    pub password: String,
    /// Longest wait for one answer. An insert takes milliseconds, but a server that is behind with merging holds it back
    /// for seconds; the longest query of a start reads an hour of samples.
    pub timeout: Duration,
    /// Shortest time between the begins of two commits. Each makes a part of a few files in every table, and merging
    /// them is what a server can do only so often.
    pub pace: Duration,
    /// Longest time that one commit may take, with everything that is tried again. Nothing is judged meanwhile, so that
    /// it has to be well below the time between rounds.
    pub patience: Duration,
}

impl Settings {
    /// Longest name of a database.
    const MAX_NAME: usize = 64;

    /// As a server comes: without a password, in the database `causeway`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            database: "causeway".to_owned(),
            user: "default".to_owned(),
            password: String::new(),
            timeout: Duration::from_secs(60),
            pace: Duration::from_millis(200),
            patience: Duration::from_secs(20),
        }
    }

    /// Refuses what can't be meant: a name that is none, an address without a scheme.
    ///
    /// # Errors
    /// A sentence that names it.
    pub fn check(&self) -> Result<(), ClickHouseError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let name = &self.database;
        if name.is_empty() || name.len() > Self::MAX_NAME || !name.chars().all(plain) {
            return Err(ClickHouseError::Settings(format!("`{name}` is no name of letters, digits and `_`")));
        }
        if !self.url.starts_with("http://") && !self.url.starts_with("https://") {
            return Err(ClickHouseError::Settings("the URL begins neither with http:// nor https://".to_owned()));
        }
        if self.timeout.is_zero() || self.patience.is_zero() {
            return Err(ClickHouseError::Settings("a time-out of 0 answers nothing".to_owned()));
        }
        if [&self.user, &self.password].into_iter().any(|text| text.chars().any(char::is_control)) {
            return Err(ClickHouseError::Settings("the user's name or password holds what can't be sent".to_owned()));
        }
        Ok(())
    }
}

impl std::fmt::Debug for Settings {
    /// Without the password; and not the URL, which may hold one.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("database", &self.database)
            .field("user", &self.user)
            .field("timeout", &self.timeout)
            .field("pace", &self.pace)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

/// One statement, with the rows that follow it if it is an insert.
#[derive(Clone, Debug)]
pub struct Request {
    /// The statement.
    pub sql: String,
    /// Rows in the statement's format.
    pub rows: Option<Vec<u8>>,
}

impl Request {
    /// A statement without rows.
    #[must_use]
    pub fn plain(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), rows: None }
    }
}

type Answer = Result<Vec<u8>, ClickHouseError>;

struct Job {
    requests: Vec<Request>,
    /// Whether the statements name tables of the database.
    in_database: bool,
    /// When the interest in answers ends.
    until: Option<Instant>,
    done: mpsc::SyncSender<Vec<Answer>>,
}

/// A client of one server. Dropping it, and what [`Client::until`] made of it, ends its thread.
#[derive(Clone, Debug)]
pub struct Client {
    jobs: mpsc::SyncSender<Job>,
    until: Option<Instant>,
}

impl Client {
    /// Starts the thread; asks nothing yet.
    ///
    /// # Errors
    /// The settings can't be used, or the system has no thread to give.
    pub fn start(settings: Settings) -> Result<Self, ClickHouseError> {
        settings.check()?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE)
            .timeout(settings.timeout)
            .build()
            .map_err(ClickHouseError::Unreachable)?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|_| ClickHouseError::Stopped)?;
        let (jobs, waiting) = mpsc::sync_channel::<Job>(QUEUE);
        let serve = move || {
            while let Ok(job) = waiting.recv() {
                let (in_database, until) = (job.in_database, job.until);
                let asked = job.requests.into_iter().map(|request| ask(&http, &settings, request, in_database, until));
                // Who asked is waiting for it; if it is gone, so is the interest.
                let _ = job.done.send(runtime.block_on(join_all(asked)));
            }
        };
        std::thread::Builder::new()
            .name("clickhouse-client".to_owned())
            .spawn(serve)
            .map_err(|_| ClickHouseError::Stopped)?;
        Ok(Self { jobs, until: None })
    }

    /// The same client, of which nobody waits for an answer beyond this time.
    #[must_use]
    pub fn until(&self, until: Instant) -> Self {
        Self { until: Some(until), ..self.clone() }
    }

    /// Whether there is time left after waiting for so long.
    #[must_use]
    pub fn has_time_after(&self, wait: Duration) -> bool {
        self.until.is_none_or(|until| until.saturating_duration_since(Instant::now()) > wait)
    }

    /// Sends statements side by side; one answer each, in their order.
    ///
    /// # Errors
    /// The thread has ended.
    pub fn all(&self, requests: Vec<Request>) -> Result<Vec<Answer>, ClickHouseError> {
        self.send(requests, true)
    }

    /// Sends one statement.
    ///
    /// # Errors
    /// See [`ClickHouseError`].
    pub fn one(&self, request: Request) -> Answer {
        self.send(vec![request], true)?.pop().unwrap_or(Err(ClickHouseError::Stopped))
    }

    /// Sends one statement that does not need the database to exist.
    ///
    /// # Errors
    /// See [`ClickHouseError`].
    pub fn outside(&self, sql: impl Into<String>) -> Answer {
        self.send(vec![Request::plain(sql)], false)?.pop().unwrap_or(Err(ClickHouseError::Stopped))
    }

    fn send(&self, requests: Vec<Request>, in_database: bool) -> Result<Vec<Answer>, ClickHouseError> {
        let (done, answers) = mpsc::sync_channel(1);
        let job = Job { requests, in_database, until: self.until, done };
        self.jobs.send(job).map_err(|_| ClickHouseError::Stopped)?;
        let Some(until) = self.until else { return answers.recv().map_err(|_| ClickHouseError::Stopped) };
        // The thread may still be busy with what somebody else asked.
        answers.recv_timeout(until.saturating_duration_since(Instant::now())).map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => ClickHouseError::Late,
            mpsc::RecvTimeoutError::Disconnected => ClickHouseError::Stopped,
        })
    }
}

async fn ask(
    http: &reqwest::Client,
    settings: &Settings,
    request: Request,
    in_database: bool,
    until: Option<Instant>,
) -> Answer {
    let left = until.map_or(settings.timeout, |until| until.saturating_duration_since(Instant::now()));
    if left.is_zero() {
        return Err(ClickHouseError::Late);
    }
    // An answer is complete before its status is sent: otherwise a failure would come in the middle of a good one. Until
    // then the server holds it, in memory as far as that is allowed and beyond in a file.
    let mut query = vec![("wait_end_of_query", "1"), ("buffer_size", HELD_ANSWER)];
    if in_database {
        query.push(("database", &settings.database));
    }
    let body = match request.rows {
        Some(rows) => {
            query.push(("query", &request.sql));
            rows
        }
        None => request.sql.clone().into_bytes(),
    };
    let sent = http
        .post(&settings.url)
        .query(&query)
        .header("X-ClickHouse-User", &settings.user)
        .header("X-ClickHouse-Key", &settings.password)
        .timeout(left.min(settings.timeout))
        .body(body)
        .send()
        .await;
    // The address is left out of errors: it may hold a password.
    let answer = sent.map_err(unreachable)?;
    let status = answer.status();
    let limit = if status.is_success() { MAX_ANSWER } else { MAX_REFUSAL };
    let body = read(answer, limit).await;
    if status.is_success() {
        return body;
    }
    let text = match body {
        Ok(bytes) => String::from_utf8_lossy(&bytes).trim().to_owned(),
        Err(_) => String::new(),
    };
    let text = if settings.password.is_empty() { text } else { text.replace(&settings.password, "(hidden)") };
    Err(ClickHouseError::Refused { status: status.as_u16(), text })
}

fn unreachable(error: reqwest::Error) -> ClickHouseError {
    ClickHouseError::Unreachable(error.without_url())
}

/// The whole of an answer; of a refusal only the beginning.
async fn read(mut answer: reqwest::Response, limit: usize) -> Answer {
    let refusal = limit == MAX_REFUSAL;
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        if bytes.len().saturating_add(chunk.len()) > limit {
            if refusal {
                bytes.extend(chunk.iter().take(limit.saturating_sub(bytes.len())));
                break;
            }
            return Err(ClickHouseError::TooLong { limit });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
