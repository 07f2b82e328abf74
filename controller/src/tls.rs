//! TLS for both ports, by rustls with ring: one certificate chain and key from PEM files.

use std::{fs, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::serve::Listener;
use causeway_connections::Guests;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, watch},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
    server::TlsStream,
};

/// Handshakes at a time: beyond it, new connections wait in the system's queue.
const HANDSHAKES: usize = 256;
/// Of one address, which is closed beyond it and comes back: silent ones keep nobody else in the queue.
const HANDSHAKES_PER_ADDRESS: usize = HANDSHAKES / 4;
/// Longest handshake: several round trips of a bad line.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Pause after a failed accept, which is the machine being out of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Where certificate chain and key are.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// PEM certificate chain, the server's first.
    pub certificate: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
}

/// Why a certificate or key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("{path} can't be read")]
    Read {
        /// Which.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("certificate or key is not PEM: {0}")]
    Pem(String),
    /// They don't fit.
    #[error("certificate and key can't be used together")]
    Unfit(#[source] rustls::Error),
}

/// Certificate chain and key.
#[derive(Clone)]
pub struct TlsMaterial {
    /// PEM.
    pub certificate_pem: Vec<u8>,
    /// PEM.
    pub key_pem: Vec<u8>,
}

impl TlsFiles {
    /// Reads both and checks that they fit.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn load(&self) -> Result<TlsMaterial, TlsError> {
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|source| TlsError::Read { path: path.display().to_string(), source })
        };
        let material = TlsMaterial { certificate_pem: read(&self.certificate)?, key_pem: read(&self.key)? };
        material.server_config(b"http/1.1")?;
        Ok(material)
    }
}

impl TlsMaterial {
    /// For a server that speaks this protocol.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn server_config(&self, protocol: &[u8]) -> Result<Arc<ServerConfig>, TlsError> {
        let pem = |e: rustls::pki_types::pem::Error| TlsError::Pem(e.to_string());
        let chain =
            CertificateDer::pem_slice_iter(&self.certificate_pem).collect::<Result<Vec<_>, _>>().map_err(pem)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key_pem).map_err(pem)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unfit)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(TlsError::Unfit)?;
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(Arc::new(config))
    }
}

/// Connections whose handshake is done. A slow one keeps nobody else waiting.
pub struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl TlsListener {
    /// Accepts until `stopping`. `refused` is called for a connection of an address that has as many handshakes under way as
    /// it may have.
    #[must_use]
    pub fn start(
        listener: TcpListener,
        address: SocketAddr,
        config: Arc<ServerConfig>,
        refused: impl Fn() + Send + 'static,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let (sender, ready) = mpsc::channel(HANDSHAKES);
        tokio::spawn(accept(listener, TlsAcceptor::from(config), sender, refused, stopping));
        Self { ready, address }
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    sender: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
    refused: impl Fn() + Send,
    mut stopping: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(HANDSHAKES));
    let guests = Guests::new(HANDSHAKES, HANDSHAKES_PER_ADDRESS);
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let accepted = tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, from)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Some(place) = guests.place(from.ip()) else {
            tracing::debug!(%from, "too many TLS handshakes");
            refused();
            continue;
        };
        // What is sent is small and meant to be there at once; that it can't be said to the system matters to nobody else.
        let _ = stream.set_nodelay(true);
        let (acceptor, sender) = (acceptor.clone(), sender.clone());
        tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(stream)).await {
                // Nobody to take it: the server is ending.
                Ok(Ok(stream)) => drop(sender.send((stream, from)).await),
                Ok(Err(error)) => tracing::debug!(%from, %error, "TLS handshake failed"),
                Err(_) => tracing::debug!(%from, "TLS handshake took too long"),
            }
            drop((permit, place));
        });
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // Stopping: the server ends by its own signal.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}
