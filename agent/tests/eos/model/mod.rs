//! ModelEapi: a server that models what an Arista switch shows over eAPI, for tests. It is written from public
//! documentation and reports, and it is not EOS: where it and a switch differ, the switch is right.
//!
//! It models sessions with candidates of their own and a limit of them, differences, one commit timer that reverts
//! whatever becomes of its client, a configuration lock, a CLI for the lines that the renderer's texts use and its
//! errors, startup and reboot; and on demand a slow, dead, babbling or forgetful management.

pub mod cli;
mod http;
pub mod routing;
pub mod switch;
mod tree;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use causeway_agent::eos::{
    EosConfig,
    config::{Credentials, Endpoint, Proof},
};
pub use http::Fault;
pub use routing::Speaker;
pub use switch::{Dialect, Switch, Wire};
use tokio::task::JoinHandle;

pub const USER: &str = "causeway";
pub const PASSWORD: &str = "test-only:password";

/// A running model. Dropped, it closes its port.
pub struct ModelEapi {
    shared: Arc<Mutex<Shared>>,
    endpoint: String,
    task: JoinHandle<()>,
}

/// The switch and what is wrong with its management.
pub struct Shared {
    pub switch: Switch,
    /// What goes wrong, by the command that it happens at; each once.
    pub faults: Vec<(String, Fault)>,
    /// Commands of every call, without the first, which is `enable`.
    pub calls: Vec<Vec<String>>,
    pub dead: bool,
}

pub fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/tests/fixtures").join(name)).unwrap()
}

impl ModelEapi {
    /// On a free port of this machine, without TLS, as the switch's own local port.
    pub async fn start(switch: Switch) -> Self {
        Self::listen(switch, false).await
    }

    /// With the certificate of the fixtures.
    pub async fn start_tls(switch: Switch) -> Self {
        Self::listen(switch, true).await
    }

    async fn listen(switch: Switch, tls: bool) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let shared = Self::shared(switch);
        let task = tokio::spawn(http::serve_tcp(listener, shared.clone(), tls.then(http::acceptor)));
        let endpoint = if tls { format!("https://{address}") } else { format!("http://{address}") };
        Self { shared, endpoint, task }
    }

    /// On a unix socket, where nobody has to say who they are.
    pub fn start_socket(switch: Switch, path: &Path) -> Self {
        let listener = tokio::net::UnixListener::bind(path).unwrap();
        let shared = Self::shared(switch);
        let task = tokio::spawn(http::serve_socket(listener, shared.clone()));
        Self { shared, endpoint: format!("unix:{}", path.display()), task }
    }

    fn shared(switch: Switch) -> Arc<Mutex<Shared>> {
        Arc::new(Mutex::new(Shared { switch, faults: Vec::new(), calls: Vec::new(), dead: false }))
    }

    pub fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }

    /// The next command that begins so, or ends with what follows a `*`, meets a fault.
    pub fn inject(&self, command: &str, fault: Fault) {
        self.lock().faults.push((command.to_owned(), fault));
    }

    pub fn running(&self) -> String {
        self.lock().switch.running().text()
    }

    pub fn startup(&self) -> String {
        self.lock().switch.startup().text()
    }

    /// Names of the sessions that are open or timed.
    pub fn live_sessions(&self) -> Vec<String> {
        self.lock().switch.live()
    }

    /// How often a command that begins so was sent.
    pub fn sent(&self, command: &str) -> usize {
        self.lock().calls.iter().flatten().filter(|sent| sent.starts_with(command)).count()
    }

    /// What a driver needs to know of it.
    pub fn config(&self, managed_file: PathBuf) -> EosConfig {
        let mut config = EosConfig::new(Endpoint::parse(&self.endpoint).unwrap(), managed_file);
        if self.endpoint.starts_with("https") {
            config.proof = Some(Proof::Ca(fixture("test-only-ca.pem")));
        }
        if !self.endpoint.starts_with("unix") {
            config.credentials = Some(Credentials { user: USER.into(), password: PASSWORD.into() });
        }
        config
    }
}

impl Drop for ModelEapi {
    fn drop(&mut self) {
        self.task.abort();
    }
}
