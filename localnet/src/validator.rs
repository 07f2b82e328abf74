//! Agave's test validator on a thread of its own.
//!
//! It brings its own runtimes, blocks while it starts and stops, and panics where a socket is taken; none of that may
//! reach a caller's async task. RPC listens on every address of the machine, which is the test validator's way.

use std::{
    path::{Path, PathBuf},
    sync::mpsc,
    thread::JoinHandle,
};

use solana_account::AccountSharedData;
use solana_net_utils::SocketAddrSpace;
use solana_rpc::rpc::JsonRpcConfig;
use solana_sdk::pubkey::Pubkey;
use solana_test_validator::{TestValidatorGenesis, UpgradeableProgramInfo};
use tokio::sync::oneshot;

use crate::{calm, error::LocalnetError, ports::Ports};

/// Shreds that are kept: some ten thousand slots of little traffic, below 100 MB.
const MAX_LEDGER_SHREDS: u64 = 50_000;
/// Threads that answer RPC: requests are short and the machine may be small.
const RPC_THREADS: usize = 4;

/// What a validator begins with.
#[derive(Clone, Debug)]
pub(crate) struct Genesis {
    pub program: Option<(PathBuf, Pubkey, Pubkey)>,
    pub mint: Pubkey,
    pub funded: Vec<(Pubkey, u64)>,
    pub ticks_per_slot: u64,
}

/// A validator that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    pub rpc_url: String,
    pub websocket_url: String,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _ports: Ports,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the validator stopped with a panic");
        }
    }
}

impl Running {
    /// Starts one and waits until it has made its first slot.
    pub async fn start(genesis: Genesis, ledger: &Path, ports: Ports) -> Result<Self, LocalnetError> {
        let (stop, stopped) = mpsc::channel::<()>();
        let (ready, started) = oneshot::channel();
        let ledger = ledger.to_owned();
        let settings = (ports.gossip, ports.range, ports.rpc);
        let failed = |reason: String| LocalnetError::Start { reason };
        let thread = std::thread::Builder::new()
            .name("localnet".into())
            .spawn(move || host(&genesis, &ledger, settings, ready, &stopped))
            .map_err(|e| failed(e.to_string()))?;
        match started.await {
            Ok(Ok((rpc_url, websocket_url))) => {
                Ok(Self { rpc_url, websocket_url, stop: Some(stop), thread: Some(thread), _ports: ports })
            }
            Ok(Err(reason)) => Err(failed(reason)),
            // The sender was dropped without a word: the thread panicked and has said why on stderr.
            Err(_) => Err(failed("it panicked".into())),
        }
    }
}

type Ready = oneshot::Sender<Result<(String, String), String>>;

fn host(
    genesis: &Genesis,
    ledger: &Path,
    (gossip, range, rpc): (u16, (u16, u16), u16),
    ready: Ready,
    stopped: &mpsc::Receiver<()>,
) {
    let mut config = TestValidatorGenesis::default();
    config
        .ledger_path(ledger)
        .gossip_port(gossip)
        .port_range(range)
        .rpc_port(rpc)
        .ticks_per_slot(genesis.ticks_per_slot)
        .rpc_config(JsonRpcConfig {
            enable_rpc_transaction_history: true,
            enable_extended_tx_metadata_storage: true,
            rpc_threads: RPC_THREADS,
            rpc_blocking_threads: RPC_THREADS,
            ..JsonRpcConfig::default_for_test()
        });
    config.max_ledger_shreds = Some(MAX_LEDGER_SHREDS);
    let system = Pubkey::default();
    let funded = |(key, lamports): &(Pubkey, u64)| (*key, AccountSharedData::new(*lamports, 0, &system));
    config.add_accounts(genesis.funded.iter().map(funded));
    if let Some((program_path, program_id, upgrade_authority)) = &genesis.program {
        config.add_upgradeable_programs_with_path(&[UpgradeableProgramInfo {
            program_id: *program_id,
            loader: causeway_sdk::address::UPGRADEABLE_LOADER,
            upgrade_authority: *upgrade_authority,
            program_path: program_path.clone(),
        }]);
    }
    match config.start_with_mint_address(genesis.mint, SocketAddrSpace::Unspecified) {
        Ok(validator) => {
            let urls = (validator.rpc_url(), validator.rpc_pubsub_url());
            calm::down();
            // Nobody waits any more if the caller was cancelled; then `stopped` ends at once, too.
            let _ = ready.send(Ok(urls));
            // Ends when the other end is dropped.
            let _ = stopped.recv();
            drop(validator);
        }
        Err(error) => {
            let _ = ready.send(Err(error.to_string()));
        }
    }
}
