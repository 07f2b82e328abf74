//! Parts of a request, with refusals in the form of all others.

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::JsonRejection},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;

use super::error::ApiError;
use crate::codes;

/// Longest body, in bytes: the one that is taken has less than a hundred.
pub const MAX_BODY: usize = 16 * 1024;

/// The code in a path.
pub struct Named(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(code)| Self(code)).map_err(|error| ApiError::bad_request(error.body_text()))
    }
}

/// Parameters of a question. One that is not known is refused: a slip that is passed over is a question that nobody asked.
pub struct Asked<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(asked)| Self(asked)).map_err(|error| ApiError::bad_request(error.body_text()))
    }
}

/// A body.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let body = Json::<T>::from_request(request, state).await;
        body.map(|Json(body)| Self(body)).map_err(|error: JsonRejection| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                let cause = format!("the body is longer than {MAX_BODY} bytes");
                ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, codes::BODY_TOO_LARGE, cause)
            }
            status => ApiError::new(status, codes::REQUEST_INVALID, error.body_text()),
        })
    }
}
