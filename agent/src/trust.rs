//! Which controllers are believed to be one: over `https://`, those whose certificate one of the given CAs signed.
//!
//! The system's own roots are not used: a controller's certificate comes from whoever runs the network, and one of a public
//! CA would be no more than that. Over `http://` nobody is proven, which is for the same machine or a protected way; what
//! runs is still only what a pinned controller key has signed.

use std::error::Error;

use tokio_rustls::rustls::{
    self, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

/// CAs that can't be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TrustError {
    /// None was given.
    #[error("{0} needs the CA of its certificate: the system's roots are not used")]
    NoCa(String),
    /// Not PEM.
    #[error("the controllers' CA is not PEM: {0}")]
    Pem(String),
    /// PEM of something else.
    #[error("the controllers' CA holds no certificate")]
    Empty,
    /// A certificate that no chain can end at.
    #[error("a certificate of the controllers' CA can not be used")]
    Unfit(#[source] rustls::Error),
}

/// Whether the address asks for TLS.
pub fn is_https(url: &str) -> bool {
    url.split_once("://").is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("https"))
}

/// Checks that each address that asks for TLS can have it, and that CAs, where given, are CAs.
///
/// # Errors
/// See [`TrustError`].
pub fn check(urls: &[String], ca_pem: Option<&[u8]>) -> Result<(), TrustError> {
    let Some(pem) = ca_pem else {
        return urls.iter().find(|url| is_https(url)).map_or(Ok(()), |url| Err(TrustError::NoCa(url.clone())));
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|e| TrustError::Pem(e.to_string()))?;
        roots.add(certificate).map_err(TrustError::Unfit)?;
    }
    if roots.is_empty() { Err(TrustError::Empty) } else { Ok(()) }
}

/// An endpoint with TLS by these CAs where its address asks for it. Without any, such an address can't be reached.
///
/// # Errors
/// The host is neither a name nor an address.
pub fn protect(endpoint: Endpoint, ca_pem: Option<&[u8]>) -> Result<Endpoint, tonic::transport::Error> {
    let uri = endpoint.uri();
    let (true, Some(pem), Some(host)) = (uri.scheme_str() == Some("https"), ca_pem, uri.host()) else {
        return Ok(endpoint);
    };
    // An IPv6 address stands in brackets in a URL only.
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let tls = ClientTlsConfig::new().domain_name(host).ca_certificate(Certificate::from_pem(pem));
    endpoint.tls_config(tls)
}

/// Why the other side's certificate was not taken, if that is what an error is about.
pub fn refusal(error: &(dyn Error + 'static)) -> Option<rustls::Error> {
    let mut next = Some(error);
    while let Some(cause) = next {
        let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = inner.and_then(|i| i.downcast_ref()).or_else(|| cause.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidCertificate(_)) = tls {
            return tls.cloned();
        }
        next = cause.source();
    }
    None
}
