//! Requests to a controller that are signed with a key of the ledger.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use causeway_interface::Key;
use causeway_sdk::keys;
use causeway_wire::signing::{SignedRequest, request_message};
use reqwest::{Method, RequestBuilder, header};
use serde::{Deserialize, Serialize};
use solana_sdk::{signature::Keypair, signer::Signer as _};

use super::{config::Controller, session::public};
use crate::{
    args::Globals,
    failure::{self, Exit, Failure},
};

/// Where the API begins: what is signed has the whole path.
const API: &str = "/api/v1";

/// Who signs, and for which network; nobody where no key was given.
pub struct Signing(Option<(Arc<Keypair>, Key)>);

/// The network, as a controller knows it.
#[derive(Debug, Deserialize)]
struct Network {
    program_id: String,
}

impl Signing {
    /// With the key that was given, if one was. The network is the one that was named, or else the controller's.
    pub async fn of(globals: &Globals, controller: &Controller) -> Result<Self, Failure> {
        let Some(path) = &globals.keypair else { return Ok(Self(None)) };
        let key = Arc::new(keys::read(path)?);
        if let Some(program_id) = globals.program_id {
            return Ok(Self(Some((key, program_id))));
        }
        let network: Network = controller.json(controller.api(Method::GET, "/network")).await?;
        let program_id = network.program_id.parse().map_err(|_| {
            let cause = "The controller's program id is none.";
            Failure::new(failure::CONTROLLER_REFUSED, Exit::Refused, cause)
        })?;
        Ok(Self(Some((key, program_id))))
    }

    /// The same where nothing can be done without a key.
    pub async fn needed(globals: &Globals, controller: &Controller) -> Result<Self, Failure> {
        if globals.keypair.is_none() {
            return Err(Failure::new(
                failure::SIGNER_MISSING,
                Exit::Usage,
                "No key file was given, and this is signed.",
            ));
        }
        Self::of(globals, controller).await
    }

    /// The key that signs, in base58.
    pub fn key(&self) -> Option<Key> {
        self.0.as_ref().map(|(key, _)| public(key))
    }

    /// A request with this body, signed where there is a key; `rest` is what follows the version of the API.
    pub fn post(&self, controller: &Controller, rest: &str, body: &impl Serialize) -> Result<RequestBuilder, Failure> {
        let unfit = |error: serde_json::Error| Failure::new(failure::OUTPUT_FAILED, Exit::File, error.to_string());
        let body = serde_json::to_vec(body).map_err(unfit)?;
        let request = controller.api(Method::POST, rest).header(header::CONTENT_TYPE, "application/json");
        let Some((key, program_id)) = &self.0 else { return Ok(request.body(body)) };
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at_unix_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let path = format!("{API}{rest}");
        let signed = SignedRequest { method: "POST", path: &path, at_unix_ms, body: &body };
        let signature = key.sign_message(&request_message(&program_id.0, signed));
        let hex: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let request = request
            .header("causeway-key", public(key).to_string())
            .header("causeway-signed-unix-ms", at_unix_ms)
            .header("causeway-signature", hex);
        Ok(request.body(body))
    }
}
