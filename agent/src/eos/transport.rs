//! Calls over HTTP, bounded in time and size: TLS with a pinned CA or certificate, the switch's local port, or its socket.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::{StatusCode, header::CONTENT_TYPE};
use serde_json::Value;
use tokio_rustls::rustls::{
    self, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

use super::{
    config::{Credentials, Endpoint, EosConfig, EosConfigError, Proof},
    rpc::{self, CallError, Format},
};

/// Idle connections that are kept: verbs and samples run side by side.
const IDLE_CONNECTIONS: usize = 2;
/// Longest error body that is repeated, in bytes.
const MAX_ERROR_BYTES: usize = 4 * 1024;
/// Where requests over the socket are addressed; the switch serves no other name there.
const SOCKET_URL: &str = "http://localhost/command-api";

/// A way to one switch.
pub struct Eapi {
    client: reqwest::Client,
    url: String,
    credentials: Option<Credentials>,
    max_answer_bytes: usize,
    last_id: AtomicU64,
}

impl Eapi {
    /// Makes ready; connects nothing yet.
    ///
    /// # Errors
    /// [`EosConfigError`]: what can't work.
    pub fn new(config: &EosConfig) -> Result<Self, EosConfigError> {
        let builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(config.timeouts.connect)
            .pool_max_idle_per_host(IDLE_CONNECTIONS);
        let (client, url) = match (&config.endpoint, &config.proof) {
            (Endpoint::Https(url), Some(proof)) => (builder.use_preconfigured_tls(tls(proof)?), url.to_string()),
            (Endpoint::Https(_), None) => return Err(EosConfigError::NoProof),
            (Endpoint::LocalHttp(_) | Endpoint::Socket(_), Some(_)) => return Err(EosConfigError::UselessProof),
            (Endpoint::LocalHttp(url), None) => (builder, url.to_string()),
            (Endpoint::Socket(path), None) => (builder.unix_socket(path.as_path()), SOCKET_URL.to_owned()),
        };
        if config.credentials.is_none() && !matches!(config.endpoint, Endpoint::Socket(_)) {
            return Err(EosConfigError::NoCredentials);
        }
        Ok(Self {
            client: client.build()?,
            url,
            credentials: config.credentials.clone(),
            max_answer_bytes: config.max_answer_bytes,
            last_id: AtomicU64::new(0),
        })
    }

    /// Runs commands in order, as a privileged user; one value per command.
    ///
    /// # Errors
    /// [`CallError`]. The place of a failed command counts from the first of `commands`.
    pub async fn run(&self, commands: &[String], format: Format, within: Duration) -> Result<Vec<Value>, CallError> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let all: Vec<String> = std::iter::once("enable".to_owned()).chain(commands.iter().cloned()).collect();
        let body = self.post(rpc::request(id, &all, format), within).await?;
        match rpc::answers(&body, id, all.len()) {
            Ok(answers) => Ok(answers.into_iter().skip(1).collect()),
            Err(CallError::Command(mut failure)) => {
                failure.index = failure.index.and_then(|index| index.checked_sub(1));
                Err(CallError::Command(failure))
            }
            Err(error) => Err(error),
        }
    }

    async fn post(&self, body: Vec<u8>, within: Duration) -> Result<Vec<u8>, CallError> {
        let mut request =
            self.client.post(&self.url).timeout(within).header(CONTENT_TYPE, "application/json").body(body);
        if let Some(credentials) = &self.credentials {
            request = request.basic_auth(&credentials.user, Some(&credentials.password));
        }
        let mut response = request.send().await.map_err(|error| lost(&error, within))?;
        let status = response.status();
        let limit = if status == StatusCode::OK { self.max_answer_bytes } else { MAX_ERROR_BYTES };
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error, within))? {
            if body.len() + chunk.len() > limit {
                if status == StatusCode::OK {
                    return Err(CallError::Answer(format!("an answer of more than {limit} bytes")));
                }
                break;
            }
            body.extend_from_slice(&chunk);
        }
        match status {
            StatusCode::OK => Ok(body),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(CallError::Transport("the switch refuses the user or the password".to_owned()))
            }
            _ => {
                let words = rpc::readable(&String::from_utf8_lossy(&body));
                Err(CallError::Transport(format!("HTTP {}: {words}", status.as_u16())))
            }
        }
    }
}

fn lost(error: &reqwest::Error, within: Duration) -> CallError {
    if error.is_timeout() && !error.is_connect() {
        return CallError::Transport(format!("no answer within {} s", within.as_secs_f32()));
    }
    let mut words = String::new();
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(cause) = next {
        if !words.is_empty() {
            words.push_str(": ");
        }
        words.push_str(&cause.to_string());
        next = cause.source();
    }
    CallError::Transport(rpc::readable(&words))
}

fn tls(proof: &Proof) -> Result<ClientConfig, EosConfigError> {
    let provider = Arc::new(ring::default_provider());
    let unfit = |error: rustls::Error| EosConfigError::Pem(error.to_string());
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().map_err(unfit)?;
    match proof {
        Proof::Ca(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(pem)? {
                roots.add(certificate).map_err(unfit)?;
            }
            Ok(builder.with_root_certificates(roots).with_no_client_auth())
        }
        Proof::Certificate(pem) => {
            let pinned =
                certificates(pem)?.into_iter().next().ok_or_else(|| EosConfigError::Pem("empty".to_owned()))?;
            let verifier = Arc::new(PinnedCertificate { pinned, provider });
            Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
        }
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, EosConfigError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| EosConfigError::Pem(format!("not PEM: {error}")))?;
    if all.is_empty() { Err(EosConfigError::Pem("there is no certificate in it".to_owned())) } else { Ok(all) }
}

/// Takes one certificate and no other. Its name, dates and issuer don't count, because a switch's own certificate has none
/// that say anything; that the other side holds its key is checked as ever.
#[derive(Debug)]
struct PinnedCertificate {
    pinned: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if end_entity.as_ref() == self.pinned.as_ref() {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
