//! From a call for one device to a job: what [`crate::services::Provision`] is where there is a desk of jobs.

use std::sync::{Arc, Weak};

use causeway_interface::{Code, Platform};
use causeway_jobs::{
    Desk, error,
    kinds::Request,
    spec::{Family, Kind, Mode as JobMode, Target, Transport, Trigger},
};

use crate::{
    codes,
    jobs::port,
    onboard::Mode,
    services::{Doing, NotStarted, NotStartedKind, Provision, Start},
    shared::Shared,
};

/// Ways in which a device is reached, by name.
const TRANSPORTS: [Transport; 3] = [Transport::AgentPull, Transport::EapiPush, Transport::InMemory];

/// Starts jobs at a desk, for the devices of a controller.
pub struct AtDesk {
    desk: Desk,
    shared: Weak<Shared>,
}

impl AtDesk {
    /// At this desk. It does not keep the controller alive.
    #[must_use]
    pub fn new(desk: Desk, shared: &Arc<Shared>) -> Self {
        Self { desk, shared: Arc::downgrade(shared) }
    }

    fn request(&self, start: &Start) -> Result<Request, NotStarted> {
        let entry = codes::NEED_AWAY;
        let stops = || refused(entry.code, "the controller stops".to_owned(), entry.remedy);
        let shared = self.shared.upgrade().ok_or_else(stops)?;
        let family = family(&shared, &start.device).ok_or_else(|| {
            let entry = codes::DEVICE_UNKNOWN;
            refused(entry.code, format!("the ledger has no device {}", start.device), entry.remedy)
        })?;
        let transport = match start.transport.as_deref() {
            Some(name) => transport(name)?,
            None => port::usual(&shared, &start.device),
        };
        Ok(Request {
            kind: if start.dry_run { Kind::DryRun } else { Kind::Provision },
            targets: vec![Target { device: start.device, family, transport }],
            generation: None,
            mode: match start.mode {
                Mode::Replace => JobMode::Replace,
                Mode::Merge => JobMode::Merge,
            },
            trigger: Trigger::Http,
            actor: start.actor.clone(),
            parent: None,
        })
    }
}

/// The family of what a device is served, or else of its platform.
fn family(shared: &Shared, device: &Code) -> Option<Family> {
    let store = shared.store();
    let served = store.entry(device).and_then(|entry| entry.current.as_ref()).map(|bundle| bundle.family);
    let platform = served.or_else(|| store.device(device).map(|record| record.platform))?;
    Some(match platform {
        Platform::Eos => Family::Eos,
        Platform::Frr => Family::Frr,
    })
}

fn refused(code: &str, cause: String, remedy: &str) -> NotStarted {
    NotStarted { kind: NotStartedKind::Refused, code: code.to_owned(), cause, remedy: remedy.to_owned() }
}

fn transport(name: &str) -> Result<Transport, NotStarted> {
    let found = TRANSPORTS.into_iter().find(|transport| transport.name() == name);
    found.ok_or_else(|| {
        let names = TRANSPORTS.map(Transport::name).join(", ");
        refused(error::INVALID.code, format!("transport {name:?} is none of {names}"), error::INVALID.remedy)
    })
}

impl Provision for AtDesk {
    fn start(&self, start: Start) -> Doing<'_, Result<i64, NotStarted>> {
        Box::pin(async move {
            let request = self.request(&start)?;
            let started = self.desk.start(&request, None).await;
            started.map(|job| job.0).map_err(|error| {
                let known = error.kind();
                let kind = match known.code {
                    code if code == error::BUSY.code => NotStartedKind::Busy,
                    code if code == error::STORE.code => NotStartedKind::Away,
                    _ => NotStartedKind::Refused,
                };
                let (code, remedy) = (known.code.to_owned(), known.remedy.to_owned());
                NotStarted { kind, code, cause: error.to_string(), remedy }
            })
        })
    }
}
