//! One session with one controller: nonce, signature, token, then calls that carry it. Every call is bounded in time.

use std::time::{Duration, Instant};

use causeway_wire::{
    MAX_MESSAGE_BYTES,
    controller::{
        ApplyReport, ConfigNotice, GetConfigRequest, GetConfigResponse, NonceRequest, OpenSessionRequest,
        RunningConfig, WatchConfigRequest, config_client::ConfigClient,
    },
    signing::{session_message, sign},
};
use ed25519_dalek::SigningKey;
use tokio_rustls::rustls;
use tonic::{
    Request, Status, Streaming,
    codec::CompressionEncoding,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use crate::trust;

/// One call to the controller, or connecting to it. A blackholed one must not block longer than a poll.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that carry nothing are probed, so that a watch over a dead path ends.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Shortest time after which a session is renewed, whatever the controller says of its validity.
const MIN_SESSION: Duration = Duration::from_secs(5);
/// Longest nonce that is signed, in bytes; a controller's are 32.
const MAX_NONCE_BYTES: usize = 256;

/// No session, or a call that failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not a URL.
    #[error("{0:?} is not the address of a controller")]
    Address(String),
    /// No connection.
    #[error("the controller at {url} can not be reached")]
    Connect {
        /// Where.
        url: String,
        /// Why not.
        #[source]
        source: tonic::transport::Error,
    },
    /// Somebody answers there, and nothing was said to them.
    #[error("what answers at {url} shows a certificate that the controllers' CA does not vouch for")]
    Certificate {
        /// Where.
        url: String,
        /// What is wrong with the certificate.
        #[source]
        source: rustls::Error,
    },
    /// It answered with an error.
    #[error("the controller refused {call}: {} ({})", .status.message(), .status.code())]
    Refused {
        /// Which call.
        call: &'static str,
        /// The answer.
        status: Box<Status>,
    },
    /// It did not answer.
    #[error("the controller did not answer {0} in time")]
    Timeout(&'static str),
    /// It reads another ledger.
    #[error("the controller serves the program {0}, which is not this agent's")]
    WrongNetwork(String),
    /// An answer that makes no sense.
    #[error("the controller's answer makes no sense: {0}")]
    Protocol(&'static str),
}

/// Who opens a session.
pub struct Identity<'a> {
    /// Device code.
    pub device: &'a str,
    /// Program whose ledger counts.
    pub program_id: &'a [u8; 32],
    /// The device's agent key.
    pub key: &'a SigningKey,
}

/// An open session.
pub struct Session {
    client: ConfigClient<Channel>,
    /// The same, for answers that may be compressed.
    texts: ConfigClient<Channel>,
    token: MetadataValue<Ascii>,
    renew_at: Instant,
}

impl Session {
    /// Connects and proves the agent key. Over `https://` the controller proves itself first, by the CAs in `ca_pem`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn open(url: &str, ca_pem: Option<&[u8]>, identity: &Identity<'_>) -> Result<Self, ClientError> {
        let endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(|_| ClientError::Address(url.to_owned()))?
            .connect_timeout(CALL_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(CALL_TIMEOUT);
        let unreachable = |source: tonic::transport::Error| match trust::refusal(&source) {
            Some(source) => ClientError::Certificate { url: url.to_owned(), source },
            None => ClientError::Connect { url: url.to_owned(), source },
        };
        let endpoint = trust::protect(endpoint, ca_pem).map_err(unreachable)?;
        let channel = bounded_in_time("connect", endpoint.connect()).await?.map_err(unreachable)?;
        let mut client = ConfigClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let device = identity.device.to_owned();
        let nonce = call("GetNonce", client.get_nonce(NonceRequest { device: device.clone() })).await?;
        if nonce.program_id != identity.program_id {
            return Err(ClientError::WrongNetwork(hex::encode(nonce.program_id.get(..32).unwrap_or_default())));
        }
        if nonce.nonce.is_empty() || nonce.nonce.len() > MAX_NONCE_BYTES {
            return Err(ClientError::Protocol("a nonce of the wrong length"));
        }
        let message = session_message(identity.program_id, identity.device, &nonce.nonce);
        let signature = sign(identity.key, &message).to_vec();
        let request = OpenSessionRequest { device, nonce: nonce.nonce, signature };
        let session = call("OpenSession", client.open_session(request)).await?;
        let token = format!("Bearer {}", session.token)
            .parse()
            .map_err(|_| ClientError::Protocol("a token that is not printable"))?;
        // Renewed at four fifths, so that no call meets an expired one.
        let valid = Duration::from_millis(session.valid_ms / 5 * 4).clamp(MIN_SESSION, Duration::from_secs(86_400));
        // Texts are large, and anything else is not worth it. The limit of a message holds for what comes out.
        let texts = client.clone().accept_compressed(CompressionEncoding::Gzip);
        Ok(Self { client, texts, token, renew_at: Instant::now() + valid })
    }

    /// When a new session is due.
    pub fn renew_at(&self) -> Instant {
        self.renew_at
    }

    fn signed<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.token.clone());
        request
    }

    /// The present configuration, with a body unless the request says that it is known.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get_config(&mut self, request: GetConfigRequest) -> Result<GetConfigResponse, ClientError> {
        let request = self.signed(request);
        call("GetConfig", self.texts.get_config(request)).await
    }

    /// Notices of changes.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn watch(&mut self) -> Result<Streaming<ConfigNotice>, ClientError> {
        let request = self.signed(WatchConfigRequest {});
        call("WatchConfig", self.client.watch_config(request)).await
    }

    /// Says what became of a configuration.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn report(&mut self, report: ApplyReport) -> Result<(), ClientError> {
        let request = self.signed(report);
        call("Report", self.client.report(request)).await.map(|_| ())
    }

    /// Says what runs, to a person who asked.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn report_running(&mut self, running: RunningConfig) -> Result<(), ClientError> {
        let request = self.signed(running);
        call("ReportRunning", self.client.report_running(request)).await.map(|_| ())
    }
}

async fn bounded_in_time<T>(name: &'static str, work: impl Future<Output = T>) -> Result<T, ClientError> {
    tokio::time::timeout(CALL_TIMEOUT, work).await.map_err(|_| ClientError::Timeout(name))
}

async fn call<T>(
    name: &'static str,
    work: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, ClientError> {
    match bounded_in_time(name, work).await? {
        Ok(response) => Ok(response.into_inner()),
        Err(status) => Err(ClientError::Refused { call: name, status: Box::new(status) }),
    }
}
