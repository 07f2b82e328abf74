//! What a caller reads when something is refused: a code, the cause, and what to do.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

/// The body of every refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ErrorBody {
    /// Short name.
    pub code: String,
    /// What is wrong.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

/// A refusal.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    body: ErrorBody,
}

impl ApiError {
    /// A refusal in words.
    pub fn new(status: StatusCode, code: &str, cause: impl Into<String>, remedy: &str) -> Self {
        Self { status, body: ErrorBody { code: code.into(), cause: cause.into(), remedy: remedy.into() } }
    }

    /// No such device.
    pub fn unknown_device(code: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "device-unknown",
            format!("the ledger has no device {code:?}"),
            "GET /api/v1/devices lists the devices that there are.",
        )
    }

    /// No such link.
    pub fn unknown_link(code: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "link-unknown",
            format!("the ledger has no link {code:?}"),
            "GET /api/v1/links lists the links that there are.",
        )
    }

    /// Nothing is served yet.
    pub fn not_ready() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ledger-not-read",
            "the controller has not read the ledger yet",
            "Check the RPC address and the program id; GET /ready says when it is there.",
        )
    }

    /// A request that can't be meant.
    pub fn bad_request(cause: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "request-invalid", cause, "See /api/v1/openapi.json for what can be asked.")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}
