//! Errors that a person sees: a stable code, what was wrong, what to do.
//!
//! Codes of the program are `CW-` and its number (`CW-2013`); codes of everything off-chain are `CW-` and words
//! (`CW-RPC-UNREACHABLE`). Each has a page in `docs/errors`, which is generated from [`catalogue`]; a code is never
//! given another meaning.

use causeway_interface::ErrorCode;

/// An error that says what to do about it.
pub trait Explain {
    /// Its stable code.
    fn code(&self) -> String;
    /// What was wrong, in one sentence with the particulars.
    fn cause(&self) -> String;
    /// What to do, in one sentence.
    fn remedy(&self) -> String;
}

/// One code with its general explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The code.
    pub code: &'static str,
    /// What is wrong when it shows, in general.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

macro_rules! entries {
    ($($name:ident = $code:literal, $cause:literal, $remedy:literal;)+) => {
        $(
            #[doc = $cause]
            pub const $name: Entry = Entry { code: $code, cause: $cause, remedy: $remedy };
        )+
        /// Every code of the SDK and the localnet.
        pub const SDK_CODES: &[Entry] = &[$($name),+];
    };
}

entries! {
    RPC_UNREACHABLE = "CW-RPC-UNREACHABLE", "The ledger's RPC endpoint does not answer.", "Check the address with `--url` and that the node runs; `causeway localnet status` shows a local one.";
    RPC_TIMEOUT = "CW-RPC-TIMEOUT", "The ledger's RPC endpoint did not answer in time.", "Try again; if it stays, use a less loaded node.";
    RPC_REFUSED = "CW-RPC-REFUSED", "The ledger's RPC endpoint refused the request.", "Read what it said; the node may not serve this method or may limit your rate.";
    RPC_BEHIND = "CW-RPC-BEHIND", "The RPC node is behind what has already been read.", "Wait until it has caught up, or use another node.";
    RPC_MALFORMED = "CW-RPC-MALFORMED", "The RPC endpoint's answer can't be read.", "Check that the address is a Solana RPC endpoint.";
    NOT_FOUND = "CW-NOT-FOUND", "The ledger holds no such object.", "Check the code's spelling; the `list` verb shows what exists.";
    ACCOUNT_UNDECODABLE = "CW-ACCOUNT-UNDECODABLE", "An account of the program can't be decoded by this build.", "Update Causeway; if it is up to date, report the account's address.";
    NETWORK_MISSING = "CW-NETWORK-MISSING", "The program holds no network yet.", "Check the program id; `causeway network init` creates the network.";
    SEND_UNFUNDED = "CW-SEND-UNFUNDED", "The paying key has no account on the ledger or too little in it.", "Fund it with `causeway key fund`, which on a localnet takes from the payer.";
    SEND_TOO_LARGE = "CW-SEND-TOO-LARGE", "The instructions don't fit one transaction.", "Split them.";
    SEND_EXPIRED = "CW-SEND-EXPIRED", "The transaction expired before it was included, after every allowed renewal.", "Try again with a higher priority fee, or when the ledger is less loaded.";
    SEND_UNCONFIRMED = "CW-SEND-UNCONFIRMED", "The transaction was sent, and the RPC endpoint stopped answering before it was confirmed.", "Read the object before sending again: the transaction may have landed.";
    SEND_SIGNER_MISSING = "CW-SEND-SIGNER-MISSING", "The transaction needs a signature of a key that was not given.", "Give that key's file.";
    SEND_FAILED = "CW-SEND-FAILED", "The ledger refused the transaction.", "Read the reason and the logs.";
    TRANSACTION_INVALID = "CW-TRANSACTION-INVALID", "What was given to be signed is no transaction of this program, or not one that can be signed whole.", "Give the answer of the controller's `provision`, or one of its transactions, as it came; ask the controller anew if it was signed or changed.";
    TRANSACTION_FOREIGN = "CW-TRANSACTION-FOREIGN", "What was given to be signed calls another program, or hands accounts to this one that it does not take.", "Don't sign it anywhere. Ask who gave it to you; check `--program-id` if it should be of another deployment.";
    TRANSACTION_SIGNER = "CW-TRANSACTION-SIGNER", "What was given to be signed asks for another key's signature than the one that is here.", "Sign with the key that it names: `--keypair` of the contributor's owner.";
    KEY_MISSING = "CW-KEY-MISSING", "A key file does not exist or can't be read.", "Check the path, or create a key with `causeway key new FILE`.";
    KEY_MALFORMED = "CW-KEY-MALFORMED", "A key file holds neither a Solana key (a JSON array of 64 numbers) nor an ed25519 key in PKCS#8 (PEM or DER).", "Use a file that solana-keygen, `causeway key new` or `openssl genpkey -algorithm ed25519` wrote.";
    KEY_PERMISSIONS = "CW-KEY-PERMISSIONS", "Others on this machine can use a file that holds a key or another secret.", "Run `chmod 600` on it.";
    KEY_EXISTS = "CW-KEY-EXISTS", "A key file exists and is not overwritten.", "Choose another path, or move the old one away first.";
    KEY_WRITE = "CW-KEY-WRITE", "A key file can't be written.", "Check the folder and its permissions.";
    SNAPSHOT_MALFORMED = "CW-SNAPSHOT-MALFORMED", "A file is not a ledger snapshot of this version.", "Write it with `causeway topology export`.";
    LOCALNET_PORT_IN_USE = "CW-LOCALNET-PORT-IN-USE", "Another process listens on the port that was asked for.", "Choose another with `--rpc-port`, or leave it out for a free one.";
    LOCALNET_PROGRAM_MISSING = "CW-LOCALNET-PROGRAM-MISSING", "The program's binary is not where it is looked for.", "Run `cargo xtask build-program`, or name the file with `--program` or CAUSEWAY_PROGRAM_SO.";
    LOCALNET_PORTS = "CW-LOCALNET-PORTS", "No range of free ports was found for a local ledger.", "Stop other local ledgers.";
    LOCALNET_START = "CW-LOCALNET-START", "The local ledger did not start.", "Read the reason; `--log` shows the validator's own messages.";
    LOCALNET_NOT_RUNNING = "CW-LOCALNET-NOT-RUNNING", "No local ledger runs there.", "Start one with `causeway localnet start`.";
    LOCALNET_RUNNING = "CW-LOCALNET-RUNNING", "A local ledger runs in this folder already.", "Use it, stop it with `causeway localnet stop`, or name another folder with `--dir`.";
    LOCALNET_FILE = "CW-LOCALNET-FILE", "A file of the local ledger can't be read or written.", "Check the folder and its permissions.";
}

/// A code with everything that its page says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The code, which is also the page's name.
    pub code: String,
    /// The program's name for it, where it is the program's.
    pub name: Option<&'static str>,
    /// What is wrong.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// Every code of the program and of the SDK, in the order of its page.
#[must_use]
pub fn catalogue() -> Vec<Page> {
    let program = ErrorCode::ALL.iter().map(|error| Page {
        code: Explain::code(error),
        name: Some(error.name()),
        cause: ErrorCode::cause(*error),
        remedy: ErrorCode::remedy(*error),
    });
    let sdk = SDK_CODES.iter().map(|e| Page { code: e.code.into(), name: None, cause: e.cause, remedy: e.remedy });
    program.chain(sdk).collect()
}

impl Explain for ErrorCode {
    fn code(&self) -> String {
        format!("CW-{:04}", ErrorCode::code(*self))
    }

    fn cause(&self) -> String {
        ErrorCode::cause(*self).into()
    }

    fn remedy(&self) -> String {
        ErrorCode::remedy(*self).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_there_once_and_well_formed() {
        let pages = catalogue();
        let codes: std::collections::BTreeSet<_> = pages.iter().map(|p| p.code.clone()).collect();
        assert_eq!(codes.len(), pages.len());
        for page in pages {
            let rest = page.code.strip_prefix("CW-").unwrap();
            assert!(rest.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-'), "{}", page.code);
            assert!(page.cause.ends_with('.') && page.remedy.ends_with('.'), "{}", page.code);
        }
    }
}
