//! Why a local ledger did not start, or is not there.

use std::path::PathBuf;

use causeway_sdk::{
    Explain, LedgerError, SendError,
    explain::{self, Entry},
    keys::KeyError,
};

/// What went wrong with a local ledger.
#[derive(Debug, thiserror::Error)]
pub enum LocalnetError {
    /// The port that was asked for is taken.
    #[error("port {port} is in use")]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// No block of ports is free.
    #[error("no free block of ports between {first} and {last}")]
    NoPorts {
        /// First port that was looked at.
        first: u16,
        /// Last port that was looked at.
        last: u16,
    },
    /// The program's binary is not there.
    #[error("the program's binary is not at {}", path.display())]
    ProgramMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The validator did not come up.
    #[error("the validator did not start: {reason}")]
    Start {
        /// What it said.
        reason: String,
    },
    /// A folder or file can't be used.
    #[error("{} can't be used", path.display())]
    File {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The description of a running ledger can't be read.
    #[error("{} does not describe a local ledger", path.display())]
    Description {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Nothing runs there.
    #[error("no local ledger runs in {}", dir.display())]
    NotRunning {
        /// The folder.
        dir: PathBuf,
    },
    /// One runs there already.
    #[error("process {pid} runs a local ledger in {}", dir.display())]
    Running {
        /// The folder.
        dir: PathBuf,
        /// Its process.
        pid: u32,
    },
    /// A key file.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The ledger could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A transaction failed.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl LocalnetError {
    /// Own entry, or the error underneath that explains itself.
    fn entry(&self) -> Result<Entry, &dyn Explain> {
        match self {
            Self::PortInUse { .. } => Ok(explain::LOCALNET_PORT_IN_USE),
            Self::NoPorts { .. } => Ok(explain::LOCALNET_PORTS),
            Self::ProgramMissing { .. } => Ok(explain::LOCALNET_PROGRAM_MISSING),
            Self::Start { .. } => Ok(explain::LOCALNET_START),
            Self::File { .. } | Self::Description { .. } => Ok(explain::LOCALNET_FILE),
            Self::NotRunning { .. } => Ok(explain::LOCALNET_NOT_RUNNING),
            Self::Running { .. } => Ok(explain::LOCALNET_RUNNING),
            Self::Key(error) => Err(error),
            Self::Ledger(error) => Err(error),
            Self::Send(error) => Err(error),
        }
    }
}

impl Explain for LocalnetError {
    fn code(&self) -> String {
        match self.entry() {
            Ok(entry) => entry.code.into(),
            Err(inner) => inner.code(),
        }
    }

    fn cause(&self) -> String {
        match self.entry() {
            Ok(_) => match std::error::Error::source(self) {
                Some(source) => format!("{self}: {source}."),
                None => format!("{self}."),
            },
            Err(inner) => inner.cause(),
        }
    }

    fn remedy(&self) -> String {
        match self.entry() {
            Ok(entry) => entry.remedy.into(),
            Err(inner) => inner.remedy(),
        }
    }
}
