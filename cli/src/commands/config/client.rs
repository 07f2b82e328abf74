//! Asking a controller over HTTP.

use std::{error::Error, time::Duration};

use causeway_interface::Code;
use reqwest::{Certificate, Method, RequestBuilder, Response, StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    args::AskController,
    failure::{self, Exit, Failure},
    output::plain,
};

/// Longest wait for an answer that a controller has: it serves from memory.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer that is read, in bytes: a configuration of 200 KB is large, and one that runs has a mebibyte at most.
const MAX_ANSWER: usize = 16 << 20;
/// Longest code of a refusal that is taken for one.
const MAX_CODE: usize = 80;

/// A controller's refusal.
#[derive(Debug, Deserialize)]
struct Refusal {
    code: String,
    cause: String,
    remedy: String,
}

/// One controller.
pub struct Controller {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Controller {
    /// The one that is named.
    pub fn new(ask: &AskController) -> Result<Self, Failure> {
        let base = ask.controller.trim_end_matches('/').to_owned();
        if !(base.starts_with("http://") || base.starts_with("https://")) {
            let cause = format!("{base:?} is no address of a controller.");
            let failure = Failure::new(failure::NO_SUCH_VALUE, Exit::Usage, cause);
            return Err(failure.with_remedy("Give its HTTP address, such as http://127.0.0.1:7080."));
        }
        let mut http = reqwest::Client::builder();
        if let Some(path) = &ask.controller_ca {
            let pem = std::fs::read(path).map_err(|error| Failure::read(path, &error))?;
            let unfit = |why: String| Failure::read(path, &std::io::Error::other(why));
            let bundle = Certificate::from_pem_bundle(&pem).map_err(|error| unfit(error.to_string()))?;
            if bundle.is_empty() {
                return Err(unfit("there is no certificate in it".to_owned()));
            }
            http = bundle.into_iter().fold(http, reqwest::ClientBuilder::add_root_certificate);
        }
        let http = http.build().map_err(|error| unreachable(&base, &error))?;
        let token = match &ask.token_file {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| Failure::read(path, &error))?;
                Some(text.trim().to_owned())
            }
            None => None,
        };
        Ok(Self { http, base, token })
    }

    /// A question about a device; `rest` is what follows its code.
    pub fn device(&self, method: Method, code: &Code, rest: &str) -> RequestBuilder {
        self.api(method, &format!("/devices/{code}{rest}"))
    }

    /// A question; `rest` is what follows the version of the API.
    pub fn api(&self, method: Method, rest: &str) -> RequestBuilder {
        self.asked(method, rest).timeout(TIMEOUT)
    }

    /// A question whose answer goes on for as long as there is something to say.
    pub fn stream(&self, rest: &str) -> RequestBuilder {
        self.asked(Method::GET, rest)
    }

    fn asked(&self, method: Method, rest: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}/api/v1{rest}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// The answer, which is text.
    pub async fn text(&self, request: RequestBuilder) -> Result<String, Failure> {
        let bytes = self.answer(request.header(header::ACCEPT, "text/plain")).await?;
        String::from_utf8(bytes).map_err(|_| self.senseless("it is not text"))
    }

    /// The answer, which is JSON.
    pub async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let bytes = self.answer(request).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.senseless(&error.to_string()))
    }

    fn senseless(&self, why: &str) -> Failure {
        let cause = format!("The answer of {} is none of a controller: {why}.", self.base);
        Failure::new(failure::CONTROLLER_REFUSED, Exit::Refused, cause)
    }

    /// The answer as it comes, if it is no refusal.
    pub async fn open(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let sent = tokio::time::timeout(TIMEOUT, request.send()).await;
        let sent = sent.map_err(|_| {
            let cause = format!("No answer from the controller at {} within {} s.", self.base, TIMEOUT.as_secs());
            Failure::new(failure::CONTROLLER_UNREACHABLE, Exit::Unreachable, cause)
        })?;
        let response = sent.map_err(|error| unreachable(&self.base, &error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        Err(self.refusal(status, &self.whole(response).await?))
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Vec<u8>, Failure> {
        let response = request.send().await.map_err(|error| unreachable(&self.base, &error))?;
        let status = response.status();
        let bytes = self.whole(response).await?;
        if status.is_success() { Ok(bytes) } else { Err(self.refusal(status, &bytes)) }
    }

    async fn whole(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&self.base, &error))? {
            if bytes.len() + chunk.len() > MAX_ANSWER {
                return Err(self.senseless(&format!("it is longer than {MAX_ANSWER} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> Failure {
        let exit = match status {
            StatusCode::NOT_FOUND => Exit::NotFound,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => Exit::Unreachable,
            _ => Exit::Refused,
        };
        match serde_json::from_slice::<Refusal>(body) {
            Ok(Refusal { code, cause, remedy }) if is_code(&code) => {
                let cause = format!("The controller refused: {}.", plain(cause.trim_end_matches('.')));
                Failure { code, ..Failure::new(failure::CONTROLLER_REFUSED, exit, cause) }.with_remedy(plain(&remedy))
            }
            Ok(_) | Err(_) => {
                let cause = format!("{} answered {status}, which a controller does not.", self.base);
                Failure::new(failure::CONTROLLER_REFUSED, exit, cause)
            }
        }
    }
}

/// Codes of a controller name a page; anything else is somebody else's.
fn is_code(code: &str) -> bool {
    let sound = |rest: &str| rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-');
    let named = ["CW-CONTROLLER-", "CW-JOB-"].into_iter().find_map(|kind| code.strip_prefix(kind));
    code.len() <= MAX_CODE && named.is_some_and(|rest| !rest.is_empty() && sound(rest))
}

fn unreachable(base: &str, error: &reqwest::Error) -> Failure {
    // The transport's own words are at the end of the chain.
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        words = inner.to_string();
        source = inner.source();
    }
    let cause = format!("No answer from the controller at {base}: {words}.");
    Failure::new(failure::CONTROLLER_UNREACHABLE, Exit::Unreachable, cause)
}
