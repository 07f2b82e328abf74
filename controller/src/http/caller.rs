//! Who calls: an operator by a token, and beyond that, where a request is signed, a key of the ledger.

use std::net::SocketAddr;

use axum::{
    body::{Bytes, to_bytes},
    extract::Request,
    http::{HeaderMap, StatusCode, header},
};
use causeway_interface::Key;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{error::ApiError, extract::MAX_BODY, operator};
use crate::{
    codes,
    operators::{self, Actor},
    shared::{Shared, now_ms},
    signed::{self, Proof, SignedError},
};

/// Longest body of a call that names devices by a list, in bytes: a rollout's 4 000 with codes of the longest.
const MAX_LONG_BODY: usize = 256 * 1024;

/// A call of an operator's, with its body.
pub struct Call<T> {
    /// Whose token it is.
    pub actor: Actor,
    /// By which key it was signed, where it was.
    pub proof: Option<Proof>,
    /// What it says.
    pub body: T,
}

fn refused(error: &SignedError) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, codes::SIGNATURE_REFUSED, error.to_string())
}

/// A body of JSON that says it is. What a page of another origin may send without being asked first says something else.
fn parsed<T: DeserializeOwned>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, ApiError> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let cause = "the body has to say that it is JSON: content-type: application/json";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, codes::REQUEST_INVALID, cause));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let status = if error.is_data() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::BAD_REQUEST };
        ApiError::new(status, codes::REQUEST_INVALID, error.to_string())
    })
}

/// Every value of a header; one that is no text is in no form.
fn all<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default()).collect()
}

impl<T: DeserializeOwned> Call<T> {
    /// Reads one; the body of somebody else's call is not even read. A signature that is there has to be good.
    ///
    /// # Errors
    /// Not an operator's, not signed as it says, or not of the form.
    pub async fn read(shared: &Shared, from: SocketAddr, request: Request) -> Result<Self, ApiError> {
        Self::read_up_to(shared, from, request, MAX_BODY).await
    }

    /// The same of one that may name thousands of devices.
    ///
    /// # Errors
    /// As of [`Call::read`].
    pub async fn read_long(shared: &Shared, from: SocketAddr, request: Request) -> Result<Self, ApiError> {
        Self::read_up_to(shared, from, request, MAX_LONG_BODY).await
    }

    async fn read_up_to(shared: &Shared, from: SocketAddr, request: Request, most: usize) -> Result<Self, ApiError> {
        let actor = operator::authorize(shared.operator_token.as_deref(), from, request.headers())?;
        let (parts, body) = request.into_parts();
        let headers = &parts.headers;
        let proof =
            Proof::read(&all(headers, signed::KEY), &all(headers, signed::AT), &all(headers, signed::SIGNATURE));
        let proof = proof.map_err(|error| refused(&error))?;
        let bytes: Bytes = to_bytes(body, most).await.map_err(|_| {
            let cause = format!("the body is longer than {most} bytes, or was not sent to its end");
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, codes::BODY_TOO_LARGE, cause)
        })?;
        if let Some(proof) = &proof {
            let (method, path) = (parts.method.as_str(), parts.uri.path());
            let now_ms = now_ms();
            let checked = proof.check(&shared.signer.program_id, method, path, &bytes, now_ms);
            checked.and_then(|()| shared.signed.take(proof, now_ms)).map_err(|error| refused(&error))?;
        }
        Ok(Self { actor, proof, body: parsed(headers, &bytes)? })
    }

    /// The key, of a call that makes no sense without one.
    ///
    /// # Errors
    /// It is not signed.
    pub fn key(&self) -> Result<Key, ApiError> {
        let cause = || format!("this is done by a key of the ledger: {} is missing", signed::KEY);
        let missing = || ApiError::new(StatusCode::UNAUTHORIZED, codes::SIGNATURE_REFUSED, cause());
        self.proof.map(|proof| proof.key).ok_or_else(missing)
    }

    /// Who asks, as jobs keep it.
    pub fn speaker(&self, said: Option<&str>) -> String {
        speaker(&self.actor, said)
    }

    /// The proof as the audit log keeps it, so that it can be verified later.
    pub fn shown(&self) -> Value {
        self.proof.map_or(Value::Null, |proof| {
            json!({
                "key": proof.key.to_string(),
                "signed_unix_ms": proof.at_unix_ms,
                "signature": hex::encode(proof.signature),
            })
        })
    }
}

/// Who asks, as a job keeps it: an operator by the name that goes with the token, whatever the request says; where the
/// token has no name, whoever the request names.
pub fn speaker(caller: &Actor, said: Option<&str>) -> String {
    match said {
        Some(said) if [operators::ALONE, operators::LOCAL].contains(&caller.name.as_str()) => said.to_owned(),
        Some(_) | None => caller.name.clone(),
    }
}
