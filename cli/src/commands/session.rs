//! The ledger that a command is for, and the key that signs.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use causeway_interface::{Key, accounts::Record};
use causeway_sdk::{
    Instructions, Ledger, Receipt, Sender, Submission,
    address::{to_key, to_pubkey},
    explain, keys,
    snapshot::Undecodable,
};
use serde::{Deserialize, Serialize};
use solana_sdk::{instruction::Instruction, pubkey::Pubkey, signature::Keypair, signer::Signer};

use crate::{
    args::Globals,
    failure::{self, Exit, Failure},
    output::{Addressed, Report},
};

/// Where `causeway localnet start` describes its ledger if nothing else is said.
const LOCALNET_DIR: &str = ".causeway/localnet";
/// The description's name.
const LOCALNET_FILE: &str = "localnet.json";

/// What is needed of a local ledger's description.
#[derive(Clone, Debug, Deserialize)]
struct Localnet {
    rpc_url: String,
    program_id: Key,
    authority: PathBuf,
    payer: PathBuf,
}

/// An open session: nothing has been asked of the ledger yet.
#[derive(Debug)]
pub struct Session {
    /// Reads.
    pub ledger: Ledger,
    /// Sends.
    pub sender: Sender,
    /// Builds.
    pub build: Instructions,
    keypair: Option<PathBuf>,
    localnet: Option<Localnet>,
}

impl Session {
    /// Finds out which ledger is meant. What is named outright goes before what a local ledger's description says.
    pub fn open(globals: &Globals) -> Result<Self, Failure> {
        let complete = globals.url.is_some() && globals.program_id.is_some();
        let localnet = match &globals.localnet {
            Some(dir) => Some(describe(dir)?),
            None if complete => None,
            None => Path::new(LOCALNET_DIR)
                .join(LOCALNET_FILE)
                .exists()
                .then(|| describe(LOCALNET_DIR.as_ref()))
                .transpose()?,
        };
        let url = globals.url.clone().or_else(|| localnet.as_ref().map(|l| l.rpc_url.clone()));
        let program_id = globals.program_id.or_else(|| localnet.as_ref().map(|l| l.program_id));
        let (Some(url), Some(program_id)) = (url, program_id) else {
            let cause = match (&globals.url, globals.program_id) {
                (None, None) => "Neither a ledger nor a program is named.",
                (None, Some(_)) => "No ledger is named.",
                (Some(_), _) => "No program is named.",
            };
            return Err(Failure::new(failure::TARGET_MISSING, Exit::Usage, cause));
        };
        if !(url.starts_with("http://") || url.starts_with("https://")) {
            let cause = format!("--url {url:?} does not begin with http:// or https://.");
            return Err(Failure::new(failure::NO_SUCH_VALUE, Exit::Usage, cause));
        }
        let keypair = globals.keypair.clone();
        let ledger = Ledger::new(&url, to_pubkey(&program_id));
        let sender = Sender::new(ledger.clone());
        Ok(Self { ledger, sender, build: Instructions::new(to_pubkey(&program_id)), keypair, localnet })
    }

    /// The key that signs and pays: the one given, or else a local ledger's authority.
    pub fn signer(&self) -> Result<Arc<Keypair>, Failure> {
        self.key_or(|localnet| &localnet.authority)
    }

    /// The key that gives to others: the one given, or else a local ledger's payer.
    pub fn payer(&self) -> Result<Arc<Keypair>, Failure> {
        self.key_or(|localnet| &localnet.payer)
    }

    /// The authority's key file of the local ledger that this session is for; none where the ledger or the program is
    /// another one's.
    pub fn local_authority(&self) -> Option<&Path> {
        let addresses = self.ledger.addresses();
        let localnet = self.localnet.as_ref()?;
        let same = localnet.rpc_url == self.ledger.url() && to_pubkey(&localnet.program_id) == addresses.program_id;
        same.then_some(localnet.authority.as_path())
    }

    fn key_or(&self, local: impl Fn(&Localnet) -> &PathBuf) -> Result<Arc<Keypair>, Failure> {
        let Some(path) = self.keypair.as_ref().or_else(|| self.localnet.as_ref().map(local)) else {
            return Err(Failure::new(failure::SIGNER_MISSING, Exit::Usage, "No key file was given."));
        };
        Ok(Arc::new(keys::read(path)?))
    }

    /// Executes instructions together, signed and paid for by one key.
    pub async fn send(&self, signer: &Arc<Keypair>, instructions: Vec<Instruction>) -> Result<Receipt, Failure> {
        Ok(self.sender.send(Submission::new(instructions, signer)).await?)
    }

    /// An account by its address, for what stands around another one.
    pub async fn at<T: Record>(&self, key: &Key, what: &str) -> Result<T, Failure> {
        Ok(self.ledger.fetch(&to_pubkey(key), &format!("{what} {key}")).await?)
    }
}

/// A key as the ledger's records write it.
pub fn public(key: &Keypair) -> Key {
    to_key(&key.pubkey())
}

fn describe(dir: &Path) -> Result<Localnet, Failure> {
    let path = dir.join(LOCALNET_FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let cause = format!("No local ledger runs in {}.", dir.display());
            return Err(Failure::new(explain::LOCALNET_NOT_RUNNING, Exit::Unreachable, cause));
        }
        Err(error) => return Err(Failure::read(&path, &error)),
    };
    serde_json::from_str(&text).map_err(|error| {
        let cause = format!("{} does not describe a local ledger: {error}.", path.display());
        Failure::new(explain::LOCALNET_FILE, Exit::File, cause)
    })
}

/// Says on stderr which accounts could not be read.
pub fn warn_undecodable(accounts: &[Undecodable]) {
    for account in accounts {
        eprintln!("warning: account {} can't be read and is left out: {}", account.address, account.error);
    }
}

/// What a change did, for scripts.
#[derive(Debug, Serialize)]
struct Change<'a, T> {
    done: &'a str,
    signature: String,
    slot: u64,
    #[serde(flatten)]
    record: Option<Addressed<'a, T>>,
}

/// The report of a change, with the record as it is afterwards; none where it is gone.
pub fn changed<T: Serialize>(
    what: &str,
    done: &str,
    receipt: &Receipt,
    record: Option<(&Pubkey, &T)>,
    state: &str,
) -> Result<Report, Failure> {
    let text = if state.is_empty() { format!("{what} {done}") } else { format!("{what} {done}: {state}") };
    let record = record.map(|(address, record)| Addressed { address: to_key(address), record });
    Report::new(text, &Change { done, signature: receipt.signature.to_string(), slot: receipt.slot, record })
}
