//! What became of configurations, said to the controller as soon as it can be reached.

use std::time::Duration;

use causeway_wire::controller::{ApplyReport, ApplyResult};

use super::{Puller, take::at_once};
use crate::{
    apply::Applying,
    bundle::TextHash,
    client::{ClientError, Session},
    core::Outcome,
    driver::Driver,
    running,
    shared::unix_ms,
    state::Applied,
};

/// Reports that wait for a controller; the oldest go first. An agent applies a few an hour.
const MAX_WAITING_REPORTS: usize = 64;
/// Longest diff in a report, in bytes: a message holds 4 MiB, people read less.
pub const MAX_DIFF_BYTES: usize = 256 * 1024;

impl<D: Driver> Puller<D> {
    /// Puts down how an attempt ended, with the hash of what ran then, for the controller to be told.
    pub(super) fn report(&mut self, tried: Applied, ended: &Applying, running: Option<TextHash>) {
        let (result, failure) = match &ended.outcome {
            Outcome::Unchanged => (ApplyResult::Unchanged, None),
            Outcome::Applied => (ApplyResult::Applied, None),
            Outcome::Refused(failure) => (ApplyResult::Refused, Some(failure)),
            Outcome::Reverted(failure) | Outcome::Lost(failure) => (ApplyResult::Reverted, Some(failure)),
        };
        let code = failure.map(|f| f.code.to_owned()).unwrap_or_default();
        let words = failure.map_or_else(|| ended.warnings.join("; "), |f| f.message.clone());
        self.report_as(tried, result, (code, words), &ended.diff, ended.took, running);
    }

    /// The same of one that is not over, too; `words` are the error's code, if there is one, and what a person reads.
    pub(super) fn report_as(
        &mut self,
        tried: Applied,
        result: ApplyResult,
        (error_code, message): (String, String),
        diff: &str,
        took: Duration,
        running: Option<TextHash>,
    ) {
        self.queue(ApplyReport {
            device: self.config.device.clone(),
            generation: tried.generation.0,
            sha256: tried.sha256.0.to_vec(),
            result: result.into(),
            diff: prefix(&running::hidden(diff).0, MAX_DIFF_BYTES).to_owned(),
            diff_cut: diff.len() > MAX_DIFF_BYTES,
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            error_code,
            message,
            running_sha256: running.map(|hash| hash.0.to_vec()).unwrap_or_default(),
            startup_saved: self.store.memory().startup == Some(tried.sha256),
            at_unix_ms: unix_ms(),
            order: self.orders.correlation(tried.sha256),
            extended: if result == ApplyResult::Waiting { self.orders.extended() } else { 0 },
        });
    }

    fn queue(&mut self, report: ApplyReport) {
        if self.reports.len() == MAX_WAITING_REPORTS {
            tracing::warn!(device = %self.config.device, "too many reports wait; the oldest is dropped");
            self.reports.pop_front();
        }
        self.reports.push_back(report);
    }

    /// Saves startup when what runs is final, and says so.
    pub(super) async fn finalized(&mut self, slot: u64) {
        self.finalized_slot = self.finalized_slot.max(slot);
        let Some(applied) = self.shared.status().applied else { return };
        match self.applier.save_startup(self.finalized_slot).await {
            Ok(false) => {}
            Ok(true) => {
                self.shared.status().startup = Some(applied.sha256);
                let running = self.applier.running_hash().await.ok();
                self.report(applied, &at_once(Outcome::Unchanged), running);
            }
            Err(failure) => self.note_failure(&failure),
        }
    }

    /// Says everything that is to be said.
    pub(super) async fn flush(&mut self, session: &mut Session) -> Result<(), ClientError> {
        while let Some(report) = self.reports.front() {
            session.report(report.clone()).await?;
            self.reports.pop_front();
        }
        Ok(())
    }
}

/// At most `max` bytes of a text, cut between characters.
pub fn prefix(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
