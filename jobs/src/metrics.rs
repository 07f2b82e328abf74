//! What jobs do, as metrics: an [`Observer`] that counts.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family as Labelled,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry as Prometheus,
};

use crate::{
    event::{Event, Recorded, StepResult},
    job::Job,
    rollout::{self, Rollout},
    runner::{Observer, RunError},
    spec::{JobId, StepIndex},
};

/// Buckets from 10 ms, doubling, to over five minutes: a look at a device to an agent's apply.
const SECONDS: (f64, f64, u16) = (0.01, 2.0, 16);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfStep {
    step: &'static str,
    family: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTime {
    step: &'static str,
    family: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfJob {
    kind: &'static str,
    status: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfWave {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCode {
    code: &'static str,
}

/// Counts.
#[derive(Clone)]
pub struct JobMetrics {
    steps: Labelled<OfStep, Counter>,
    seconds: Labelled<OfTime, Histogram, fn() -> Histogram>,
    jobs: Labelled<OfJob, Counter>,
    left: Labelled<OfCode, Counter>,
    rollbacks_failed: Counter<u64, AtomicU64>,
    glass_broken: Counter<u64, AtomicU64>,
    approvals: Counter<u64, AtomicU64>,
    waves: Labelled<OfWave, Counter>,
}

fn histogram() -> Histogram {
    let (from, factor, count) = SECONDS;
    Histogram::new(exponential_buckets(from, factor, count))
}

impl JobMetrics {
    /// Registers them.
    #[must_use]
    pub fn register(registry: &mut Prometheus) -> Self {
        let metrics = Self {
            steps: Labelled::default(),
            seconds: Labelled::new_with_constructor(histogram as fn() -> Histogram),
            jobs: Labelled::default(),
            left: Labelled::default(),
            rollbacks_failed: Counter::default(),
            glass_broken: Counter::default(),
            approvals: Counter::default(),
            waves: Labelled::default(),
        };
        registry.register("causeway_job_steps", "Tries of steps that ended", metrics.steps.clone());
        registry.register("causeway_job_step_seconds", "Duration of a try", metrics.seconds.clone());
        registry.register("causeway_jobs_ended", "Jobs that ended", metrics.jobs.clone());
        registry.register("causeway_jobs_left", "Jobs that were let go of before their end", metrics.left.clone());
        registry.register(
            "causeway_job_rollbacks_failed",
            "Jobs after which it is not known what a device runs",
            metrics.rollbacks_failed.clone(),
        );
        registry.register(
            "causeway_job_glass_broken",
            "Changes that somebody began without the approvals that they need",
            metrics.glass_broken.clone(),
        );
        registry.register("causeway_job_approvals", "Approvals that counted", metrics.approvals.clone());
        registry.register("causeway_rollout_waves", "Waves of rollouts that are over", metrics.waves.clone());
        metrics
    }

    /// Somebody did without approvals.
    pub fn glass_broken(&self) {
        self.glass_broken.inc();
    }

    /// Somebody agreed to a change.
    pub fn approved(&self) {
        self.approvals.inc();
    }

    fn wave(&self, result: &'static str) {
        self.waves.get_or_create(&OfWave { result }).inc();
    }

    fn tried(&self, job: &Job, step: StepIndex, undo: bool, result: &StepResult) {
        let Some((spec, progress)) = job.spec.steps.get(usize::from(step)).zip(job.steps.get(usize::from(step))) else {
            return;
        };
        let (verb, progress) = match (&spec.undo, &progress.undo, undo) {
            (Some(undo), Some(progress), true) => (undo.verb, progress),
            (_, _, _) => (spec.verb, &progress.forward),
        };
        let family = job.spec.target(&spec.device).map_or("", |target| target.family.name());
        let result = match result {
            StepResult::Done { already: false, .. } => "done",
            StepResult::Done { already: true, .. } => "already",
            StepResult::Failed(_) => "failed",
            StepResult::Stopped => "stopped",
        };
        let step = verb.name();
        self.steps.get_or_create(&OfStep { step, family, result }).inc();
        if let Some(took_ms) = progress.took_ms() {
            // Milliseconds of a step are few enough for a double.
            #[allow(clippy::cast_precision_loss)]
            self.seconds.get_or_create(&OfTime { step, family }).observe(took_ms as f64 / 1_000.0);
        }
    }
}

impl Observer for JobMetrics {
    fn recorded(&self, job: &Job, recorded: &Recorded) {
        match &recorded.event {
            Event::StepEnded { step, result, .. } => self.tried(job, *step, false, result),
            Event::UndoEnded { step, result, .. } => self.tried(job, *step, true, result),
            Event::Ended(_) => {
                let (kind, state) = (job.spec.kind.name(), job.state());
                self.jobs.get_or_create(&OfJob { kind, status: job.status().name(), state: state.name() }).inc();
                if state.alerts() {
                    self.rollbacks_failed.inc();
                    let devices = job.stuck_devices();
                    tracing::error!(job = %job.id, ?devices, state = state.name(), "what devices run is not known");
                }
            }
            Event::Started(_)
            | Event::Claimed { .. }
            | Event::StepBegan { .. }
            | Event::BackBegan(_)
            | Event::UndoBegan { .. }
            | Event::CancelRequested { .. }
            | Event::Held { .. }
            | Event::Released { .. }
            | Event::Approved { .. }
            | Event::GlassBroken { .. }
            | Event::Skipped { .. }
            | Event::RetryRequested { .. } => {}
        }
    }

    fn rollout_recorded(&self, rollout: &Rollout, recorded: &rollout::Recorded) {
        use rollout::{Cause, End};
        match &recorded.event {
            rollout::Event::WaveEnded => return self.wave("passed"),
            rollout::Event::BackBegan(Cause::Failed(_)) => return self.wave("failed"),
            rollout::Event::BackBegan(Cause::Unhealthy(_)) => return self.wave("unhealthy"),
            rollout::Event::BackBegan(Cause::Cancelled { .. }) => return self.wave("cancelled"),
            // The last wave has no other end.
            rollout::Event::Ended(End::Done) => self.wave("passed"),
            rollout::Event::Ended(End::Back(_) | End::Stuck { .. }) => {}
            rollout::Event::Started(_)
            | rollout::Event::Claimed { .. }
            | rollout::Event::Began { .. }
            | rollout::Event::Made { .. }
            | rollout::Event::Deferred { .. }
            | rollout::Event::Settled { .. }
            | rollout::Event::SoakBegan
            | rollout::Event::Looked { .. }
            | rollout::Event::Paused { .. }
            | rollout::Event::Resumed { .. }
            | rollout::Event::CancelRequested { .. }
            | rollout::Event::Approved { .. }
            | rollout::Event::GlassBroken { .. } => return,
        }
        let (status, state) = (rollout.status().name(), rollout.state().name());
        self.jobs.get_or_create(&OfJob { kind: rollout::KIND, status, state }).inc();
        let (id, devices) = (rollout.id, rollout.stuck_devices());
        if let Some(trouble) = rollout.trouble() {
            tracing::error!(rollout = %id, code = trouble.code, state, ?devices, "a rollout went back");
        }
        if !devices.is_empty() {
            self.rollbacks_failed.inc();
        }
    }

    fn left(&self, _: JobId, why: &RunError) {
        self.left.get_or_create(&OfCode { code: why.code() }).inc();
    }
}
