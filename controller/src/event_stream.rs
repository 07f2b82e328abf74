//! What happens, over gRPC: the same log, ids and bound as the server-sent events.

use std::sync::Arc;

use causeway_wire::controller::{
    ApplyEvent, ApprovalEvent, ConfigChange, ConfigEvent, Event as Message, EventsLost, HealthEvent, JobDoneEvent,
    JobEvent, JobStepEvent, LedgerEvent, RolloutEvent, StatusEvent, WatchEventsRequest, event::What,
    events_server::Events,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, metadata::MetadataValue};

use crate::{
    agent_port::peer,
    events::{Change, Event},
    feed::{self, Told},
    grpc::CODE_METADATA,
    shared::Shared,
};

/// The short names of `CW-CONTROLLER-STREAMS-FULL` and `CW-CONTROLLER-ASKED-TOO-OFTEN`, as agents are told codes.
const STREAMS_FULL: &str = "streams-full";
const ASKED_TOO_OFTEN: &str = "asked-too-often";

fn exhausted(words: &'static str, code: &'static str) -> Status {
    let mut status = Status::resource_exhausted(words);
    status.metadata_mut().insert(CODE_METADATA, MetadataValue::from_static(code));
    status
}

/// The service.
#[derive(Clone)]
pub struct EventService {
    shared: Arc<Shared>,
}

impl EventService {
    /// Over a controller's state.
    #[must_use]
    pub const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

#[tonic::async_trait]
impl Events for EventService {
    type WatchEventsStream = ReceiverStream<Result<Message, Status>>;

    async fn watch_events(
        &self,
        request: Request<WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let from = peer(&request);
        if !self.shared.within_caller_rate(from) {
            return Err(exhausted("this address asks more often than it may", ASKED_TOO_OFTEN));
        }
        let room = self.shared.event_stream(from);
        let room = room.ok_or_else(|| exhausted("as many streams of events are open as are served", STREAMS_FULL))?;
        let after = request.into_inner().after;
        let last = (after != 0).then_some(after);
        Ok(Response::new(feed::open(Arc::clone(&self.shared), room, last, |told| match told {
            Told::Lost => Ok(Message { id: 0, slot: 0, what: Some(What::Lost(EventsLost {})) }),
            Told::Happened(event) => Ok(message(event)),
        })))
    }
}

fn status<S: ToString>(code: &impl ToString, from: Option<&S>, to: Option<&S>) -> StatusEvent {
    StatusEvent { code: code.to_string(), from: from.map(S::to_string), to: to.map(S::to_string) }
}

fn config(device: &impl ToString, change: ConfigChange) -> ConfigEvent {
    ConfigEvent { device: device.to_string(), change: change.into(), ..ConfigEvent::default() }
}

/// An event as it is sent.
#[must_use]
pub fn message(event: &Event) -> Message {
    let what = match &event.change {
        Change::ConfigChanged { device, generation, sha256 } => What::Config(ConfigEvent {
            generation: *generation,
            sha256: sha256.clone(),
            ..config(device, ConfigChange::Changed)
        }),
        Change::ConfigHeld { device, sha256 } => {
            What::Config(ConfigEvent { sha256: sha256.clone(), ..config(device, ConfigChange::Held) })
        }
        Change::ConfigProblem { device, code, cause } => What::Config(ConfigEvent {
            error_code: code.clone(),
            cause: cause.clone(),
            ..config(device, ConfigChange::Problem)
        }),
        Change::ConfigRecovered { device } => What::Config(config(device, ConfigChange::Recovered)),
        Change::DeviceStatus { device, from, to } => What::DeviceStatus(status(device, from.as_ref(), to.as_ref())),
        Change::LinkStatus { link, from, to } => What::LinkStatus(status(link, from.as_ref(), to.as_ref())),
        Change::DeviceHealth { device, from, to } => {
            What::DeviceHealth(HealthEvent { code: device.to_string(), from: from.to_string(), to: to.to_string() })
        }
        Change::LinkHealth { link, from, to } => {
            What::LinkHealth(HealthEvent { code: link.to_string(), from: from.to_string(), to: to.to_string() })
        }
        Change::ApplyReport { device, generation, result, error_code } => What::ApplyReport(ApplyEvent {
            device: device.to_string(),
            generation: *generation,
            result: result.clone(),
            error_code: error_code.clone(),
        }),
        Change::Job { job, job_kind, status, state, percent, device, devices } => What::Job(JobEvent {
            job: *job,
            kind: job_kind.clone(),
            status: status.clone(),
            state: state.clone(),
            percent: u32::from(*percent),
            device: device.map(|device| device.to_string()),
            devices: *devices,
        }),
        Change::JobStep { job, device, step, correlation } => What::JobStep(JobStepEvent {
            job: *job,
            device: device.to_string(),
            step: u32::from(step.step),
            verb: step.verb.clone(),
            undo: step.undo,
            attempt: u32::from(step.attempt),
            status: step.status.clone(),
            error_code: step.error_code.clone(),
            message: step.message.clone(),
            correlation: correlation.clone(),
        }),
        Change::Rollout { rollout, rollout_kind, status, state, percent, wave, waves, devices, what } => {
            What::Rollout(RolloutEvent {
                rollout: *rollout,
                kind: rollout_kind.clone(),
                status: status.clone(),
                state: state.clone(),
                percent: u32::from(*percent),
                wave: u32::from(*wave),
                waves: u32::from(*waves),
                devices: *devices,
                what: what.clone(),
            })
        }
        Change::Approval { job, is_rollout, act, key, role, missing } => What::Approval(ApprovalEvent {
            job: *job,
            is_rollout: *is_rollout,
            act: act.clone(),
            key: key.clone(),
            role: role.clone(),
            missing: u32::from(*missing),
        }),
        Change::JobDone { device, job, job_kind, correlation } => What::JobDone(JobDoneEvent {
            device: device.to_string(),
            job: *job,
            kind: job_kind.clone(),
            correlation: correlation.clone(),
        }),
        Change::LedgerUnreadable { code, cause } => {
            What::Ledger(LedgerEvent { readable: false, error_code: code.clone(), cause: cause.clone() })
        }
        Change::LedgerReadable {} => What::Ledger(LedgerEvent { readable: true, ..LedgerEvent::default() }),
    };
    Message { id: event.id, slot: event.slot, what: Some(what) }
}
