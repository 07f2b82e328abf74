//! A real controller on free ports over a synthetic ledger.

#[allow(dead_code)]
pub mod elsewhere;

use std::{sync::Arc, time::Duration};

use causeway_controller::{
    daemon::{Config, Controller, ControllerHandle},
    testing::{PROGRAM_ID, SyntheticLedger, code},
};
use causeway_interface::{Key, Platform};
use causeway_sdk::snapshot::Snapshot;
use causeway_wire::{
    controller::{NonceRequest, OpenSessionRequest, config_client::ConfigClient},
    signing,
};
use ed25519_dalek::SigningKey;
use tokio::sync::watch;
use tonic::{Request, Status, transport::Channel};

/// Longest wait for anything in these tests: a machine under full load.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Running {
    pub handle: ControllerHandle,
    pub ledger: SyntheticLedger,
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
}

pub fn agent_key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub fn config() -> Config {
    Config::local(String::new(), String::new(), PROGRAM_ID, SigningKey::from_bytes(&[5; 32]))
}

impl Running {
    /// With the ring in service; `ams` has agent key 1, `fra` 2, the others none.
    #[allow(dead_code)]
    pub async fn start(config: Config) -> Self {
        Self::start_of(config, Platform::Frr).await
    }

    /// The same of devices of a platform.
    #[allow(dead_code)]
    pub async fn start_of(config: Config, platform: Platform) -> Self {
        let mut ledger = SyntheticLedger::ring(platform);
        for (name, seed) in [("ams", 1), ("fra", 2)] {
            ledger.device_mut(name).agent_key = Key(agent_key(seed).verifying_key().to_bytes());
        }
        let (snapshots, receiver) = watch::channel(None);
        let handle = Controller::start_from(config, receiver).await.unwrap();
        let mut running = Self { handle, ledger, snapshots };
        running.publish().await;
        running
    }

    /// Publishes the ledger as it is now, in a later slot, and waits until it is served.
    pub async fn publish(&mut self) {
        self.ledger.snapshot.slot += 1_000;
        let slot = self.ledger.snapshot.slot;
        self.snapshots.send_replace(Some(Arc::new(self.ledger.snapshot.clone())));
        let shared = Arc::clone(self.handle.shared());
        let mut changed = shared.subscribe();
        let served = async {
            while shared.store().slot() < slot {
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, served).await.expect("the snapshot is served in time");
    }

    #[allow(dead_code)]
    pub fn generation(&self, device: &str) -> u64 {
        self.handle.bundle(&code(device)).unwrap().generation
    }

    #[allow(dead_code)]
    pub async fn client(&self) -> ConfigClient<Channel> {
        ConfigClient::connect(format!("http://{}", self.handle.grpc_addr)).await.unwrap()
    }
}

/// Opens a session as an agent does.
#[allow(dead_code)]
pub async fn open(client: &mut ConfigClient<Channel>, device: &str, key: &SigningKey) -> Result<String, Status> {
    let nonce = client.get_nonce(NonceRequest { device: device.into() }).await?.into_inner();
    let program_id: [u8; 32] = nonce.program_id.try_into().unwrap();
    let signature = signing::sign(key, &signing::session_message(&program_id, device, &nonce.nonce));
    let request = OpenSessionRequest { device: device.into(), nonce: nonce.nonce, signature: signature.to_vec() };
    Ok(client.open_session(request).await?.into_inner().token)
}

#[allow(dead_code)]
pub fn with_token<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}
