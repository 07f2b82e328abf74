//! What a caller reads when something is refused: a code, the cause, and what to do.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    codes::{self, Entry},
    store::Store,
};

/// The body of every refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ErrorBody {
    /// The code; its page is `docs/errors/` and it in small letters.
    pub code: String,
    /// What is wrong.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
    /// The job that is in the way, where one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<i64>,
}

impl ErrorBody {
    /// In words that are made already.
    #[must_use]
    pub fn of(code: impl Into<String>, cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code: code.into(), cause: cause.into(), remedy: remedy.into(), job: None }
    }

    /// Of what the controller calls by a short name.
    #[must_use]
    pub fn short(name: &str, cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code: codes::full(name), cause: cause.into(), remedy: remedy.into(), job: None }
    }

    /// Of a ledger that is not acted on.
    #[must_use]
    pub fn unreadable((name, cause): &(&'static str, String)) -> Self {
        let remedy = codes::of(name).map_or("Check the RPC address and the program id.", |entry| entry.remedy);
        Self::short(name, cause.clone(), remedy)
    }
}

/// A refusal.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    body: ErrorBody,
    again_in_s: Option<u32>,
}

impl ApiError {
    /// A refusal of this kind with its particulars.
    pub fn new(status: StatusCode, entry: Entry, cause: impl Into<String>) -> Self {
        let (code, remedy) = (entry.code.into(), entry.remedy.into());
        Self { status, body: ErrorBody { code, cause: cause.into(), remedy, job: None }, again_in_s: None }
    }

    /// A refusal in words that are made already.
    pub const fn with(status: StatusCode, body: ErrorBody) -> Self {
        Self { status, body, again_in_s: None }
    }

    /// The same, with when it may go well, in seconds.
    #[must_use]
    pub fn again_in(self, seconds: u32) -> Self {
        Self { again_in_s: Some(seconds), ..self }
    }

    /// The same, where what was understood as JSON and not as a request is a bad request like any other.
    #[must_use]
    pub fn as_bad_request(self) -> Self {
        match self.status {
            StatusCode::UNPROCESSABLE_ENTITY => Self { status: StatusCode::BAD_REQUEST, ..self },
            _ => self,
        }
    }

    /// As it is told, for the audit log.
    #[must_use]
    pub fn told(&self) -> serde_json::Value {
        serde_json::json!({ "status": self.status.as_u16(), "code": self.body.code, "cause": self.body.cause })
    }

    /// No such device.
    pub fn unknown_device(code: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, codes::DEVICE_UNKNOWN, format!("the ledger has no device {code:?}"))
    }

    /// No such link.
    pub fn unknown_link(code: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, codes::LINK_UNKNOWN, format!("the ledger has no link {code:?}"))
    }

    /// Nothing is served yet.
    pub fn not_ready() -> Self {
        let cause = "the controller has not read the ledger yet";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, codes::LEDGER_NOT_READ, cause)
    }

    /// Nothing is served, and why where that is known: of a ledger that was read and is not acted on.
    pub fn not_served(store: &Store) -> Self {
        let unreadable = store.unreadable().map(ErrorBody::unreadable);
        unreadable.map_or_else(Self::not_ready, |body| Self::with(StatusCode::SERVICE_UNAVAILABLE, body))
    }

    /// A request that can't be meant.
    pub fn bad_request(cause: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, codes::REQUEST_INVALID, cause)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if let Some(seconds) = self.again_in_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
