//! A ledger of one's own: Agave's test validator in this process, with the program loaded.
//!
//! It starts in seconds, takes free ports so that any number run side by side, keeps its data in a temporary folder
//! and leaves nothing behind. It is for demos and tests: one validator, no stake worth attacking, RPC without
//! authentication on every address of the machine. What runs on it runs the same code and the same program as on any
//! other ledger; only network parameters differ.

mod calm;
mod describe;
mod error;
mod folder;
mod network;
mod ports;
pub mod stdout;
mod validator;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use causeway_sdk::{Ledger, SendError, Sender, Submission};
use solana_sdk::{pubkey::Pubkey, signature::Keypair, signer::Signer};

pub use self::{
    describe::{Description, FILE_NAME},
    error::LocalnetError,
    network::{NetworkParams, init as init_network, smallest_quorum},
};
use self::{
    folder::Folder,
    ports::Ports,
    validator::{Genesis, Running},
};

/// Names the program's binary.
pub const PROGRAM_VARIABLE: &str = "CAUSEWAY_PROGRAM_SO";
/// The binary within the target folder.
const PROGRAM_FILE: &str = "deploy/causeway_serviceability.so";
/// Slots are this many ticks of 6.25 ms.
pub const DEFAULT_TICKS_PER_SLOT: u64 = 16;
/// Attempts to start: another process can take a port between the look and the use.
const STARTS: u16 = 3;
/// Longest wait for the first answer after the validator says that it runs.
const READY: Duration = Duration::from_secs(30);
/// Time between two looks whether it answers.
const READY_EVERY: Duration = Duration::from_millis(50);
/// Lamports that a key is given where nothing else is said: 1 000 SOL.
pub const LAMPORTS: u64 = 1_000_000_000_000;
/// Transfers of one funding transaction: what fits a packet with room to spare.
const TRANSFERS: usize = 18;

/// How to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program's binary; none for the environment's or the workspace's own.
    pub program: Option<PathBuf>,
    /// The program's address; none for a random one.
    pub program_id: Option<Pubkey>,
    /// Upgrade authority, which may initialise the network; none for a random one.
    pub authority: Option<Arc<Keypair>>,
    /// Holds the money; none for a random one.
    pub payer: Option<Arc<Keypair>>,
    /// RPC port, with pubsub on the next one; none for free ones.
    pub rpc_port: Option<u16>,
    /// Keys that have lamports from the beginning.
    pub funded: Vec<(Pubkey, u64)>,
    /// Ticks of 6.25 ms in a slot.
    pub ticks_per_slot: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            program: None,
            program_id: None,
            authority: None,
            payer: None,
            rpc_port: None,
            funded: Vec::new(),
            ticks_per_slot: DEFAULT_TICKS_PER_SLOT,
        }
    }
}

/// A running ledger. Dropping it stops the validator, which takes about a second, and removes its folder.
#[derive(Debug)]
pub struct Localnet {
    // Before the folder: the validator writes into it until it has stopped.
    running: Running,
    folder: Folder,
    program_id: Pubkey,
    authority: Arc<Keypair>,
    payer: Arc<Keypair>,
}

/// Where the program's binary is looked for: what was asked for, else the environment's, else beside the running
/// executable (which is in `target/<profile>/` or below), else in the workspace's target folder.
///
/// # Errors
/// It is not there.
pub fn find_program(asked: Option<&Path>) -> Result<PathBuf, LocalnetError> {
    let named = asked.map(Path::to_owned).or_else(|| std::env::var_os(PROGRAM_VARIABLE).map(PathBuf::from));
    if let Some(path) = named {
        return if path.is_file() { Ok(path) } else { Err(LocalnetError::ProgramMissing { path }) };
    }
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("target").join(PROGRAM_FILE);
    let executable = std::env::current_exe().unwrap_or_default();
    let beside = executable.ancestors().skip(1).map(|dir| dir.join(PROGRAM_FILE));
    beside.chain([default.clone()]).find(|p| p.is_file()).ok_or(LocalnetError::ProgramMissing { path: default })
}

impl Localnet {
    /// Starts a ledger and waits until it answers.
    ///
    /// # Errors
    /// The program's binary is missing, the port is taken, or the validator does not come up.
    pub async fn start(options: Options) -> Result<Self, LocalnetError> {
        let began = Instant::now();
        let program = find_program(options.program.as_deref())?;
        let authority = options.authority.clone().unwrap_or_else(|| Arc::new(Keypair::new()));
        let payer = options.payer.clone().unwrap_or_else(|| Arc::new(Keypair::new()));
        let program_id = options.program_id.unwrap_or_else(|| Keypair::new().pubkey());
        let mut funded = options.funded.clone();
        funded.push((authority.pubkey(), LAMPORTS));
        let genesis = Genesis {
            program: Some((program, program_id, authority.pubkey())),
            mint: payer.pubkey(),
            funded,
            ticks_per_slot: options.ticks_per_slot.max(1),
        };
        let mut attempt = 0;
        let (running, folder) = loop {
            attempt += 1;
            let folder = Folder::new()?;
            // Processes begin to look at different places, so that they rarely meet.
            let start = (std::process::id() as u16).wrapping_mul(13).wrapping_add(attempt);
            let ports = Ports::hold(options.rpc_port, start)?;
            match Running::start(genesis.clone(), folder.path(), ports).await {
                Ok(running) => break (running, folder),
                Err(error) if attempt < STARTS => tracing::warn!(%error, attempt, "starts again on other ports"),
                Err(error) => return Err(error),
            }
        };
        let localnet = Self { running, folder, program_id, authority, payer };
        localnet.wait_until_ready().await?;
        tracing::info!(url = localnet.rpc_url(), took_ms = began.elapsed().as_millis() as u64, "local ledger runs");
        Ok(localnet)
    }

    /// Waits until the program can be called: what is in genesis is usable from the second slot on.
    async fn wait_until_ready(&self) -> Result<(), LocalnetError> {
        let ledger = self.ledger();
        let deadline = Instant::now() + READY;
        loop {
            match ledger.slot().await {
                Ok(slot) if slot >= 2 => return Ok(()),
                Ok(_) => {}
                Err(error) if Instant::now() >= deadline => return Err(error.into()),
                Err(error) => tracing::debug!(%error, "not ready yet"),
            }
            if Instant::now() >= deadline {
                return Err(LocalnetError::Start { reason: "it makes no slots".into() });
            }
            tokio::time::sleep(READY_EVERY).await;
        }
    }

    /// Where RPC is served.
    #[must_use]
    pub fn rpc_url(&self) -> &str {
        &self.running.rpc_url
    }

    /// Where pubsub is served.
    #[must_use]
    pub fn websocket_url(&self) -> &str {
        &self.running.websocket_url
    }

    /// The program.
    #[must_use]
    pub fn program_id(&self) -> Pubkey {
        self.program_id
    }

    /// The program's upgrade authority; funded.
    #[must_use]
    pub fn authority(&self) -> &Arc<Keypair> {
        &self.authority
    }

    /// Holds the money.
    #[must_use]
    pub fn payer(&self) -> &Arc<Keypair> {
        &self.payer
    }

    /// Where its data is; gone when it is dropped.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A client of it.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        Ledger::new(self.rpc_url(), self.program_id)
    }

    /// A sender to it.
    #[must_use]
    pub fn sender(&self) -> Sender {
        Sender::new(self.ledger())
    }

    /// Creates the network with these parameters.
    ///
    /// # Errors
    /// The program refused.
    pub async fn init_network(&self, params: &NetworkParams) -> Result<(), LocalnetError> {
        Ok(network::init(&self.sender(), &self.payer, &self.authority, params).await?)
    }

    /// Gives lamports to keys, many at once.
    ///
    /// # Errors
    /// A transfer failed.
    pub async fn fund(&self, keys: &[Pubkey], lamports: u64) -> Result<(), LocalnetError> {
        let payer = &self.payer;
        let transfer = |key: &Pubkey| solana_system_interface::instruction::transfer(&payer.pubkey(), key, lamports);
        let submissions =
            keys.chunks(TRANSFERS).map(|chunk| Submission::new(chunk.iter().map(transfer).collect(), payer)).collect();
        let results: Result<Vec<_>, SendError> = self.sender().send_all(submissions).await.into_iter().collect();
        Ok(results.map(drop)?)
    }

    /// Stops it without blocking the caller's runtime.
    pub async fn stop(self) {
        let dropped = tokio::task::spawn_blocking(move || drop(self)).await;
        if let Err(error) = dropped {
            tracing::warn!(%error, "the local ledger did not stop cleanly");
        }
    }
}
