//! Why reading the ledger failed.

use std::time::Duration;

use causeway_interface::accounts::DecodeError;
use solana_client::client_error::{ClientError, ClientErrorKind};
use solana_client::rpc_request::RpcError;
use solana_sdk::pubkey::Pubkey;

use crate::explain::{self, Entry, Explain};

/// The RPC node has not reached the slot that was asked for.
const MIN_CONTEXT_SLOT_NOT_REACHED: i64 = -32_016;
/// The RPC node says that it is behind the cluster.
const NODE_UNHEALTHY: i64 = -32_005;

/// Why the ledger could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// No connection.
    #[error("no answer from {url}")]
    Unreachable {
        /// The endpoint.
        url: String,
        /// What the transport said.
        #[source]
        source: Box<ClientError>,
    },
    /// No answer within the limit.
    #[error("no answer from {url} within {seconds} s")]
    Timeout {
        /// The endpoint.
        url: String,
        /// The limit.
        seconds: u64,
    },
    /// The endpoint answered with an error of its own.
    #[error("{url} refused the request: {message}")]
    Refused {
        /// The endpoint.
        url: String,
        /// What it said.
        message: String,
    },
    /// The endpoint is behind what has been read before.
    #[error("{url} has not reached slot {slot} yet")]
    Behind {
        /// The endpoint.
        url: String,
        /// The slot that was asked for.
        slot: u64,
    },
    /// The answer is not what the protocol says.
    #[error("the answer of {url} can't be read: {message}")]
    Malformed {
        /// The endpoint.
        url: String,
        /// What is wrong with it.
        message: String,
    },
    /// The account does not exist.
    #[error("no {what}")]
    NotFound {
        /// What was looked for, as in `device "ams-1"`.
        what: String,
    },
    /// The program has no network account.
    #[error("program {program_id} holds no network")]
    NetworkMissing {
        /// The program.
        program_id: Pubkey,
    },
    /// The account exists and can't be read.
    #[error("account {address} can't be decoded")]
    Undecodable {
        /// The account.
        address: Pubkey,
        /// Why not.
        #[source]
        source: DecodeError,
    },
}

impl LedgerError {
    /// Whether trying the same again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Behind { .. } | Self::Refused { .. } => true,
            Self::Malformed { .. } | Self::NotFound { .. } | Self::NetworkMissing { .. } | Self::Undecodable { .. } => {
                false
            }
        }
    }

    /// Sorts a client error by what can be done about it.
    pub(crate) fn from_client(url: &str, slot: u64, limit: Duration, error: ClientError) -> Self {
        let url = url.to_owned();
        match error.kind() {
            ClientErrorKind::Io(_) => Self::Unreachable { url, source: Box::new(error) },
            ClientErrorKind::Reqwest(e) if e.is_decode() && is_no_json(e) => {
                Self::Malformed { url, message: e.to_string() }
            }
            // The client beneath has the same limit, and may be first.
            ClientErrorKind::Reqwest(e) if e.is_timeout() => Self::Timeout { url, seconds: limit.as_secs() },
            ClientErrorKind::Reqwest(e) if e.is_status() => Self::Refused { url, message: e.to_string() },
            ClientErrorKind::Reqwest(_) | ClientErrorKind::Middleware(_) => {
                Self::Unreachable { url, source: Box::new(error) }
            }
            ClientErrorKind::RpcError(RpcError::RpcResponseError { code, message, .. }) => match *code {
                MIN_CONTEXT_SLOT_NOT_REACHED | NODE_UNHEALTHY => Self::Behind { url, slot },
                _ => Self::Refused { url, message: message.clone() },
            },
            ClientErrorKind::RpcError(RpcError::ParseError(message)) => {
                Self::Malformed { url, message: message.clone() }
            }
            ClientErrorKind::RpcError(e) => Self::Refused { url, message: e.to_string() },
            ClientErrorKind::SerdeJson(e) => Self::Malformed { url, message: e.to_string() },
            ClientErrorKind::SigningError(_) | ClientErrorKind::TransactionError(_) | ClientErrorKind::Custom(_) => {
                Self::Refused { url, message: error.to_string() }
            }
        }
    }

    fn entry(&self) -> Entry {
        match self {
            Self::Unreachable { .. } => explain::RPC_UNREACHABLE,
            Self::Timeout { .. } => explain::RPC_TIMEOUT,
            Self::Refused { .. } => explain::RPC_REFUSED,
            Self::Behind { .. } => explain::RPC_BEHIND,
            Self::Malformed { .. } => explain::RPC_MALFORMED,
            Self::NotFound { .. } => explain::NOT_FOUND,
            Self::NetworkMissing { .. } => explain::NETWORK_MISSING,
            Self::Undecodable { .. } => explain::ACCOUNT_UNDECODABLE,
        }
    }
}

/// Whether an answer came whole and is not what was asked for. One that was cut off on its way is "decoded" badly as well.
fn is_no_json(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(<dyn std::error::Error>::is::<serde_json::Error>)
}

/// What an error comes from in the end: what was above it says "error sending request" only.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let last = std::iter::successors(Some(error), |error| error.source()).last();
    last.map_or_else(String::new, ToString::to_string)
}

impl Explain for LedgerError {
    fn code(&self) -> String {
        self.entry().code.into()
    }

    fn cause(&self) -> String {
        match self {
            Self::Undecodable { source, .. } => format!("{self}: {source}."),
            Self::Unreachable { source, .. } => format!("{self}: {}.", innermost(source)),
            Self::Timeout { .. }
            | Self::Refused { .. }
            | Self::Behind { .. }
            | Self::Malformed { .. }
            | Self::NotFound { .. }
            | Self::NetworkMissing { .. } => format!("{self}."),
        }
    }

    fn remedy(&self) -> String {
        self.entry().remedy.into()
    }
}
