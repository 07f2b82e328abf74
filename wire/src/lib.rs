//! What the daemons say to each other: agent and controller (gRPC), agent and oracle (signed protobuf over HTTP).
//!
//! Messages, the bytes that are signed, and the files of the keys that sign them; no connection and no clock.

pub mod codes;
pub mod keyfile;
pub mod proof;
pub mod signing;

/// Agent and controller.
#[allow(missing_docs, clippy::all)]
pub mod controller {
    tonic::include_proto!("causeway.controller.v1");
}

/// Agent and oracle.
#[allow(missing_docs, clippy::all)]
pub mod telemetry {
    tonic::include_proto!("causeway.telemetry.v1");
}

/// Largest message of either protocol: a configuration of 200 KB is large, a telemetry batch of an hour's outage is
/// sent in pieces.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// Media type of a signed telemetry batch.
pub const TELEMETRY_CONTENT_TYPE: &str = "application/x-protobuf";

#[cfg(test)]
mod telemetry_tests;
