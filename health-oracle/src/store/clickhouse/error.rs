//! What can go wrong between the oracle and a ClickHouse server.

/// Why the server did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClickHouseError {
    /// What was configured can't be used.
    #[error("the ClickHouse settings can't be used: {0}")]
    Settings(String),
    /// It could not be asked, or did not answer in time. Whether it did what was asked is not known.
    #[error("the ClickHouse server can't be reached")]
    Unreachable(#[source] reqwest::Error),
    /// There was no time left to wait for its answer. Whether it did what was asked is not known.
    #[error("the ClickHouse server did not answer in time")]
    Late,
    /// It answered that it won't or can't.
    #[error("the ClickHouse server refused with status {status}: {text}")]
    Refused {
        /// Of the HTTP answer.
        status: u16,
        /// The beginning of what it says.
        text: String,
    },
    /// Its answer is longer than what can be taken in.
    #[error("the ClickHouse server's answer is longer than {limit} bytes")]
    TooLong {
        /// The most that is taken in.
        limit: usize,
    },
    /// Its answer is not what was asked for.
    #[error("the ClickHouse server's answer is malformed: {0}")]
    Malformed(&'static str),
    /// Another process writes to the same database: what was read is no longer what is there.
    #[error("another process has written to this ClickHouse database since commit {commit}; give each oracle its own")]
    TakenOver {
        /// The last commit of this process, or that it knew of.
        commit: u32,
    },
    /// Every commit number was used.
    #[error("the ClickHouse database has no commit numbers left; use another one")]
    Exhausted,
    /// The thread that talks to the server has ended, or could not be started.
    #[error("the ClickHouse client has stopped")]
    Stopped,
}

/// The first status by which a server says that the fault is its own.
const SERVER_FAULT: u16 = 500;

impl ClickHouseError {
    /// Whether asking again may help: the server was away, or had too much to do.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Late => true,
            Self::Refused { status, .. } => *status >= SERVER_FAULT,
            Self::Settings(_)
            | Self::TooLong { .. }
            | Self::Malformed(_)
            | Self::TakenOver { .. }
            | Self::Exhausted
            | Self::Stopped => false,
        }
    }
}
