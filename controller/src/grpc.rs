//! The agent's way in. Every refusal carries a code of its own in the metadata `causeway-code`, beside the gRPC status.
//!
//! It serves what the store holds and never waits for anything but the store's next change.

use std::{net::IpAddr, sync::Arc, time::Duration};

use causeway_interface::Code;
use causeway_wire::controller::{
    ApplyReport, ApplyResult, ConfigNotice, GetConfigRequest, GetConfigResponse, Nonce, NonceRequest,
    OpenSessionRequest, ProbePlan, ReportReceipt, RunningConfig, Session, WatchConfigRequest, config_server::Config,
};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, metadata::MetadataValue};

use crate::{
    agent_port::peer,
    auth::{AuthError, NONCE_VALID_MS, SESSION_VALID_MS},
    offering::{self, Offering},
    orders::{MAX_CORRELATION, Said},
    running::Answer,
    shared::{Shared, now_ms},
    store::{Report, ReportResult, Word},
};

/// Metadata that names a refusal.
pub const CODE_METADATA: &str = "causeway-code";

/// Notices that wait for a slow agent: only the latest matters, and it is asked for again.
const NOTICES: usize = 4;
/// Least time between two notices to one agent: a busy ledger is told of in steps, and an agent applies one at a time.
const NOTICE_PAUSE: Duration = Duration::from_millis(100);
/// Texts from this size on are compressed for an agent that takes it, in bytes: what fits a packet gains nothing.
const COMPRESSED_FROM: usize = 1_024;

/// The service.
#[derive(Clone)]
pub struct ConfigService {
    shared: Arc<Shared>,
}

impl ConfigService {
    /// Over a controller's state.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn refuse(&self, error: AuthError) -> Status {
        self.shared.metrics.refused(error);
        let words = error.to_string();
        let status = match error {
            AuthError::UnknownDevice => Status::not_found(words),
            AuthError::NoAgentKey => Status::failed_precondition(words),
            AuthError::TooManySessions => Status::resource_exhausted(words),
            AuthError::OtherDevice => Status::permission_denied(words),
            AuthError::ForeignNonce
            | AuthError::ExpiredNonce
            | AuthError::UsedNonce
            | AuthError::WrongKey
            | AuthError::NoToken
            | AuthError::UnknownSession
            | AuthError::ExpiredSession => Status::unauthenticated(words),
        };
        coded(status, error.code())
    }

    fn rate_limited(&self) -> Status {
        self.shared.metrics.rate_limited();
        coded(Status::resource_exhausted("too many calls in a short time"), "rate-limited")
    }

    /// A device named by someone without a session.
    fn anonymous(&self, from: IpAddr, device: &str) -> Result<(Code, causeway_interface::Key), Status> {
        if self.shared.store().effective().is_none() {
            return Err(coded(Status::unavailable("the ledger has not been read yet"), "ledger-not-read"));
        }
        let device: Code = device.parse().map_err(|_| self.refuse(AuthError::UnknownDevice))?;
        let agent_key = self.shared.agent_key(&device).ok_or_else(|| self.refuse(AuthError::UnknownDevice))?;
        if !self.shared.within_anonymous_rate(from, &device) {
            return Err(self.rate_limited());
        }
        Ok((device, agent_key))
    }

    fn session<T>(&self, request: &Request<T>) -> Result<(Code, String), Status> {
        let header = request.metadata().get("authorization").and_then(|v| v.to_str().ok());
        let token = header.and_then(|h| h.strip_prefix("Bearer ")).ok_or_else(|| self.refuse(AuthError::NoToken))?;
        let device = self.shared.session(token).map_err(|e| self.refuse(e))?;
        if !self.shared.within_session_rate(&device) {
            return Err(self.rate_limited());
        }
        Ok((device, token.to_string()))
    }
}

fn coded(mut status: Status, code: &'static str) -> Status {
    status.metadata_mut().insert(CODE_METADATA, MetadataValue::from_static(code));
    status
}

/// What an agent is told of now; nothing for a device without configuration.
fn notice(shared: &Shared, device: &Code) -> Option<Told> {
    let finalized_slot = shared.finalized_slot();
    let store = shared.store();
    let entry = store.entry(device)?;
    let (generation, sha256, evaluated_slot) = match shared.offering(&store, device, entry) {
        Offering::Given(given) => (given.generation(), given.sha256().to_vec(), given.evaluated_slot(&store, entry)),
        Offering::Nothing => (0, Vec::new(), 0),
        Offering::Missing => return None,
    };
    let (order, word) = shared.orders.notice(device);
    let notice = ConfigNotice {
        generation,
        sha256,
        finalized_slot,
        probe_plan_sha256: entry.probes.sha256.to_vec(),
        evaluated_slot,
        running_wanted: shared.desk.wanted(device, now_ms()),
        order,
        word: word.into(),
    };
    Some(Told { notice, touched_slot: entry.touched_slot })
}

/// A notice, and the latest change that it takes into account.
struct Told {
    notice: ConfigNotice,
    touched_slot: u64,
}

impl Told {
    /// Whether an agent would do or say something else on the one than on the other. Slots pass all the time; whether the
    /// generation is finalized changes once, and what has been evaluated matters where there was something to evaluate.
    fn says_the_same(&self, other: &Self) -> bool {
        let finalized = |n: &ConfigNotice| n.generation <= n.finalized_slot;
        let (a, b) = (&self.notice, &other.notice);
        a.generation == b.generation
            && a.sha256 == b.sha256
            && a.probe_plan_sha256 == b.probe_plan_sha256
            && (&a.order, a.word) == (&b.order, b.word)
            && finalized(a) == finalized(b)
            && self.touched_slot == other.touched_slot
            // A question that is answered or over is nothing to be told.
            && (b.running_wanted == 0 || a.running_wanted == b.running_wanted)
    }
}

#[tonic::async_trait]
impl Config for ConfigService {
    async fn get_nonce(&self, request: Request<NonceRequest>) -> Result<Response<Nonce>, Status> {
        let (device, agent_key) = self.anonymous(peer(&request), &request.get_ref().device)?;
        if agent_key.is_zero() {
            return Err(self.refuse(AuthError::NoAgentKey));
        }
        let nonce = self.shared.gate().nonce(&device, rand::random(), now_ms());
        let program_id = self.shared.signer.program_id.0.to_vec();
        Ok(Response::new(Nonce { nonce, valid_ms: NONCE_VALID_MS, program_id }))
    }

    async fn open_session(&self, request: Request<OpenSessionRequest>) -> Result<Response<Session>, Status> {
        let from = peer(&request);
        let request = request.into_inner();
        let (device, agent_key) = self.anonymous(from, &request.device)?;
        // The gate is held for look-ups alone: every poll passes it.
        let challenge = self.shared.gate().challenge(&device, agent_key, &request.nonce, now_ms());
        let proven = challenge.and_then(|challenge| challenge.prove(&request.signature));
        let opened = proven.and_then(|proven| self.shared.gate().admit(proven, rand::random(), now_ms()));
        let token = opened.map_err(|e| self.refuse(e))?;
        tracing::info!(%device, "agent session opened");
        Ok(Response::new(Session { token, valid_ms: SESSION_VALID_MS }))
    }

    async fn get_config(&self, request: Request<GetConfigRequest>) -> Result<Response<GetConfigResponse>, Status> {
        let (device, _) = self.session(&request)?;
        let request = request.into_inner();
        let (word, said) = (word(&request)?, said(&request)?);
        let finalized_slot = self.shared.finalized_slot();
        let running_wanted = self.shared.desk.wanted(&device, now_ms());
        let response = {
            let store = self.shared.store();
            let entry = store.entry(&device).ok_or_else(|| self.refuse(AuthError::UnknownDevice))?;
            let key = &self.shared.signer.key;
            let given = match self.shared.offering(&store, &device, entry) {
                Offering::Given(given) => Some(given),
                Offering::Nothing if request.takes_orders => None,
                Offering::Nothing => {
                    let why = "the device is provisioned by jobs, and none has brought a configuration";
                    return Err(coded(Status::failed_precondition(why), "no-config"));
                }
                Offering::Missing => {
                    let why = entry.problem.as_ref().map_or("no configuration has been made yet", |p| p.cause.as_str());
                    return Err(coded(Status::failed_precondition(why), "no-config"));
                }
            };
            let had = |given: &&offering::Given| !given.is_had(&request.have_sha256, &request.have_order);
            let body = given.as_ref().filter(had).map(|given| given.body(&device, key));
            let word = self.shared.orders.word(&device, &request.have_order);
            let probe_plan = (request.have_probe_plan_sha256 != entry.probes.sha256)
                .then(|| ProbePlan { sha256: entry.probes.sha256.to_vec(), targets: entry.probes.targets.clone() });
            GetConfigResponse {
                generation: given.as_ref().map_or(0, offering::Given::generation),
                sha256: given.as_ref().map(|given| given.sha256().to_vec()).unwrap_or_default(),
                finalized_slot,
                bundle: body,
                probe_plan,
                evaluated_slot: given.as_ref().map_or(0, |given| given.evaluated_slot(&store, entry)),
                running_wanted,
                word: word.map(|word| offering::word(&word, key)),
                nothing: given.is_none(),
            }
        };
        self.shared.polled(&device, word, said, response.bundle.is_some());
        let small = response.bundle.as_ref().is_none_or(|bundle| bundle.text.len() < COMPRESSED_FROM);
        let mut response = Response::new(response);
        if small {
            response.disable_compression();
        }
        Ok(response)
    }

    type WatchConfigStream = ReceiverStream<Result<ConfigNotice, Status>>;

    async fn watch_config(
        &self,
        request: Request<WatchConfigRequest>,
    ) -> Result<Response<Self::WatchConfigStream>, Status> {
        let (device, token) = self.session(&request)?;
        let (sender, receiver) = mpsc::channel(NOTICES);
        let ended = self.shared.gate().watch(&token);
        let counted = (self.shared.metrics.watcher(), self.shared.presence.comes(device));
        let service = self.clone();
        tokio::spawn(async move {
            watch(service, device, token, sender, ended).await;
            drop(counted);
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn report(&self, request: Request<ApplyReport>) -> Result<Response<ReportReceipt>, Status> {
        let (device, _) = self.session(&request)?;
        let report = request.into_inner();
        if report.device != device.as_str() {
            return Err(self.refuse(AuthError::OtherDevice));
        }
        let result = match ApplyResult::try_from(report.result) {
            Ok(ApplyResult::Unchanged) => ReportResult::Unchanged,
            Ok(ApplyResult::Applied) => ReportResult::Applied,
            Ok(ApplyResult::Refused) => ReportResult::Refused,
            Ok(ApplyResult::Reverted) => ReportResult::Reverted,
            Ok(ApplyResult::Waiting) => ReportResult::Waiting,
            Ok(ApplyResult::Unspecified) | Err(_) => {
                return Err(coded(Status::invalid_argument("the report names no result"), "report-invalid"));
            }
        };
        if report.sha256.len() != 32 || !is_hash(&report.running_sha256) {
            return Err(coded(Status::invalid_argument("a hash of the report is not 32 bytes"), "report-invalid"));
        }
        self.shared.report(
            &device,
            Report {
                received_unix_ms: now_ms(),
                generation: report.generation,
                sha256: report.sha256,
                result,
                diff: report.diff,
                diff_cut: report.diff_cut,
                duration_ms: report.duration_ms,
                error_code: report.error_code,
                message: report.message,
                running_sha256: report.running_sha256,
                startup_saved: report.startup_saved,
                at_unix_ms: report.at_unix_ms,
                order: report.order,
                extended: report.extended,
            },
        );
        Ok(Response::new(ReportReceipt {}))
    }

    async fn report_running(&self, request: Request<RunningConfig>) -> Result<Response<ReportReceipt>, Status> {
        let (device, _) = self.session(&request)?;
        let running = request.into_inner();
        if running.device != device.as_str() {
            return Err(self.refuse(AuthError::OtherDevice));
        }
        let compared = running.comparison.as_ref().map_or(32, |comparison| comparison.sha256.len());
        if !is_hash(&running.running_sha256) || compared != 32 {
            return Err(coded(Status::invalid_argument("a hash of the answer is not 32 bytes"), "report-invalid"));
        }
        if !self.shared.desk.answered(device, Answer::of(running, now_ms())) {
            return Err(coded(
                Status::failed_precondition("nobody asked what runs, or not any more"),
                "running-unasked",
            ));
        }
        Ok(Response::new(ReportReceipt {}))
    }
}

/// 32 bytes, or none.
fn is_hash(bytes: &[u8]) -> bool {
    bytes.is_empty() || bytes.len() == 32
}

/// What a poll says of what runs, if anything.
fn word(request: &GetConfigRequest) -> Result<Option<Word>, Status> {
    let hashes = [&request.running_sha256, &request.verified_sha256, &request.verified_running_sha256];
    if !hashes.into_iter().all(|hash| is_hash(hash)) {
        return Err(coded(Status::invalid_argument("a hash of the poll is not 32 bytes"), "poll-invalid"));
    }
    let [running_sha256, text_sha256, verified_sha256] = hashes.map(Clone::clone);
    let said = !hashes.into_iter().any(Vec::is_empty);
    Ok(said.then(|| Word { text_sha256, verified_sha256, running_sha256, at_unix_ms: now_ms() }))
}

/// What a poll says of orders.
fn said(request: &GetConfigRequest) -> Result<Said, Status> {
    let invalid = |words: &'static str| coded(Status::invalid_argument(words), "poll-invalid");
    let hash = |bytes: &[u8]| match bytes.len() {
        0 => Ok(None),
        _ => bytes.try_into().map(Some).map_err(|_| invalid("a hash of the poll is not 32 bytes")),
    };
    if request.have_order.len() > MAX_CORRELATION {
        return Err(invalid("the correlation id of the poll is too long"));
    }
    Ok(Said {
        at_unix_ms: now_ms(),
        takes_orders: request.takes_orders,
        have_order: request.have_order.clone(),
        waiting: hash(&request.waiting_sha256)?,
        startup: hash(&request.startup_sha256)?,
        takes_extensions: request.takes_extensions,
        extended: request.extended,
    })
}

/// Sends notices until the agent goes, its session ends or watches anew, or the controller stops.
async fn watch(
    service: ConfigService,
    device: Code,
    token: String,
    sender: mpsc::Sender<Result<ConfigNotice, Status>>,
    ended: oneshot::Receiver<()>,
) {
    let shared = &service.shared;
    let over = tokio::select! {
        over = notices(shared, device, &token, &sender) => over,
        // Nothing is ever sent: the other end is dropped.
        _ = ended => shared.session(&token).err().map_or(Over::Replaced, Over::Session),
    };
    let status = match over {
        Over::Gone => return,
        Over::Session(error) => service.refuse(error),
        Over::Replaced => coded(Status::aborted("the session watches anew"), "watch-replaced"),
    };
    // A reader that is gone, or reads nothing, is not waited for.
    let _ = sender.try_send(Err(status));
}

/// Why a watch is over.
enum Over {
    /// The agent or the controller goes.
    Gone,
    /// The session's token is not good any more.
    Session(AuthError),
    /// The session has a newer watch.
    Replaced,
}

async fn notices(
    shared: &Shared,
    device: Code,
    token: &str,
    sender: &mpsc::Sender<Result<ConfigNotice, Status>>,
) -> Over {
    let mut changed = shared.subscribe();
    let mut stopping = shared.stopping.clone();
    let mut last: Option<Told> = None;
    loop {
        changed.borrow_and_update();
        if let Err(error) = shared.session(token) {
            return Over::Session(error);
        }
        let now = notice(shared, &device);
        if let Some(now) = now.filter(|now| last.as_ref().is_none_or(|last| !last.says_the_same(now))) {
            if sender.send(Ok(now.notice.clone())).await.is_err() {
                return Over::Gone;
            }
            last = Some(now);
        }
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return Over::Gone,
            () = sender.closed() => return Over::Gone,
            () = tokio::time::sleep(NOTICE_PAUSE) => {}
        }
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return Over::Gone,
            () = sender.closed() => return Over::Gone,
            more = changed.changed() => if more.is_err() { return Over::Gone },
        }
    }
}
