//! Takes samples of the device at an interval and hands them to every sender. Goes on whatever the controller does; what
//! the device does not answer in time is missing from the sample, never invented.

use std::{future::Future, sync::Arc, time::Duration};

use causeway_wire::telemetry::{self as wire, AdjacencySample, ConfigSample, InterfaceSample, ProbeSample};
use tokio::sync::watch;

use super::{Journal, Samples, Sender, vitals::Vitals};
use crate::{
    driver::{Driver, DriverError, ProbeKind},
    pull::until_stopped,
    shared::{Shared, unix_ms},
};

/// Least time for one answer of the device, also where samples are taken more often.
const MIN_ANSWER: Duration = Duration::from_secs(5);

/// The sampling task.
pub struct Sampler<D> {
    driver: Arc<D>,
    shared: Arc<Shared>,
    journal: Arc<Journal>,
    senders: Vec<Arc<Sender>>,
    interval: Duration,
    probes: u32,
    device: String,
}

impl<D: Driver> Sampler<D> {
    /// Of a device, every `interval`, `probes` to each target.
    pub fn new(
        driver: Arc<D>,
        shared: Arc<Shared>,
        journal: Arc<Journal>,
        senders: Vec<Arc<Sender>>,
        interval: Duration,
        probes: u32,
        device: String,
    ) -> Self {
        Self { driver, shared, journal, senders, interval, probes, device }
    }

    /// Runs until stopped; then what was sampled is on the disk, where there is one.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        self.take_samples(&mut stop).await;
        let journal = self.journal;
        // It ends with the process only.
        let _ = tokio::task::spawn_blocking(move || journal.sync()).await;
    }

    async fn take_samples(&self, stop: &mut watch::Receiver<bool>) {
        // Agents of one process, and of a fleet that is switched on together, do not sample in step.
        let offset = self.interval.mul_f64(rand::random::<f64>());
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + offset, self.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut vitals = Vitals::default();
        while until_stopped(stop, ticks.tick()).await.is_some() {
            let Some(samples) = until_stopped(stop, self.sample(&mut vitals)).await else { return };
            // A moment in which the device answered nothing is kept, and is no sample.
            if samples.interfaces.len() + samples.adjacencies.len() > 0 {
                self.shared.status().sampled_unix_ms = samples.at_unix_ms;
            }
            if self.senders.is_empty() {
                continue;
            }
            let journal = self.journal.clone();
            // A disk that hangs holds up the next sample, and nothing else.
            let kept = tokio::task::spawn_blocking(move || {
                journal.append(samples);
                journal.status()
            });
            let Some(kept) = until_stopped(stop, kept).await else { return };
            if let Ok(status) = kept {
                self.shared.status().buffer = status;
            }
            self.senders.iter().for_each(|sender| sender.arrived());
        }
    }

    async fn sample(&self, vitals: &mut Vitals) -> Samples {
        let plan = self.shared.plan();
        let counters = self.answer("counters", self.driver.counters()).await.unwrap_or_default();
        let adjacencies = self.answer("adjacencies", self.driver.adjacencies()).await.unwrap_or_default();
        let sessions = if vitals.looks_at_sessions(unix_ms()) {
            self.answer("sessions", self.driver.sessions()).await
        } else {
            None
        };
        let cpu = self.answer("cpu", self.driver.cpu()).await.flatten();
        let probed = self.answer("probe", self.driver.probe(&plan.targets, self.probes)).await.unwrap_or_default();
        let at_unix_ms = unix_ms();
        Samples {
            at_unix_ms,
            interfaces: counters
                .into_iter()
                .map(|c| InterfaceSample {
                    at_unix_ms,
                    interface: c.interface,
                    oper_up: c.oper_up,
                    in_octets: c.in_octets,
                    out_octets: c.out_octets,
                    in_errors: c.in_errors,
                    out_errors: c.out_errors,
                    in_discards: c.in_discards,
                    out_discards: c.out_discards,
                    carrier_transitions: c.carrier_transitions,
                })
                .collect(),
            adjacencies: adjacencies
                .into_iter()
                .map(|a| AdjacencySample { at_unix_ms, interface: a.interface, up: a.up, neighbor: a.neighbor })
                .collect(),
            probes: plan
                .targets
                .iter()
                .zip(probed)
                .map(|(target, outcome)| ProbeSample {
                    at_unix_ms,
                    kind: kind(target.kind).into(),
                    target: target.code.clone(),
                    sent: outcome.sent,
                    received: outcome.received,
                    rtt_min_ns: outcome.rtt_min_ns,
                    rtt_avg_ns: outcome.rtt_avg_ns,
                    rtt_max_ns: outcome.rtt_max_ns,
                })
                .collect(),
            configs: vec![self.config(at_unix_ms)],
            sessions: sessions.map(|listed| vitals.sessions(at_unix_ms, listed)).unwrap_or_default(),
            systems: cpu.and_then(|cpu| vitals.system(at_unix_ms, cpu)).into_iter().collect(),
        }
    }

    fn config(&self, at_unix_ms: u64) -> ConfigSample {
        let status = self.shared.status();
        let hash = |of: Option<crate::state::Applied>| of.map(|a| a.sha256.0.to_vec()).unwrap_or_default();
        ConfigSample {
            polled_unix_ms: status.polled_unix_ms,
            at_unix_ms,
            offered_generation: status.offered.map_or(0, |a| a.generation.0),
            offered_sha256: hash(status.offered),
            applied_generation: status.applied.map_or(0, |a| a.generation.0),
            applied_sha256: hash(status.applied),
            offered_evaluated_slot: status.evaluated_slot,
        }
    }

    async fn answer<T>(&self, what: &'static str, work: impl Future<Output = Result<T, DriverError>>) -> Option<T> {
        let error = match tokio::time::timeout(self.interval.max(MIN_ANSWER), work).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::warn!(device = %self.device, what, %error, "the device was not sampled");
        None
    }
}

const fn kind(kind: ProbeKind) -> wire::ProbeKind {
    match kind {
        ProbeKind::Link => wire::ProbeKind::Link,
        ProbeKind::Qa => wire::ProbeKind::Qa,
        ProbeKind::Reachability => wire::ProbeKind::Reachability,
    }
}
