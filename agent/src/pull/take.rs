//! A configuration that was offered, from its check to what is known of the device afterwards.

use std::time::{Duration, Instant};

use causeway_wire::controller::ConfigBundle;

use super::{Held, Puller, Verified};
use crate::{
    apply::Applying,
    backoff::Backoff,
    bundle::{self, Bundle, Expected, Generation, TextHash},
    core::{Failure, Outcome},
    driver::Driver,
    order::Order,
    running::Intended,
    state::Applied,
};

impl<D: Driver> Puller<D> {
    pub(super) async fn take(&mut self, offered: &ConfigBundle) {
        let config = self.config.clone();
        let expected = Expected {
            program_id: &config.program_id,
            device: &config.device,
            family: self.applier.driver().family(),
            pinned: &config.controller_keys,
            floor: self.store.memory().floor(),
        };
        let hash = offered.sha256.as_slice().try_into().map_or_else(|_| TextHash::of(&offered.text), TextHash);
        let tried = Applied { generation: Generation(offered.generation), sha256: hash };
        let checked = bundle::check(offered, &expected).and_then(|bundle| Ok((bundle, Order::of(offered)?)));
        if let Ok((bundle, order)) = &checked
            && !self.make_way(bundle.hash, order.as_ref()).await
        {
            return;
        }
        self.orders.take(offered, hash);
        let ended = match checked {
            Ok((bundle, order)) => match self.interrupted(&bundle).await {
                Some(outcome) => at_once(outcome),
                None => {
                    let applied = Applied { generation: bundle.generation, sha256: bundle.hash };
                    self.intended = Some(Intended { applied, text: bundle.text.clone() });
                    match self.apply(&bundle, order.as_ref()).await {
                        Some(ended) => ended,
                        None => return self.say_waiting().await,
                    }
                }
            },
            Err(error) => at_once(Outcome::Refused(Failure::new(error.code(), error.to_string()))),
        };
        self.after(tried, &ended).await;
    }

    /// What an apply that is over leaves behind.
    pub(super) async fn after(&mut self, tried: Applied, ended: &Applying) {
        self.verified = match &ended.outcome {
            Outcome::Unchanged | Outcome::Applied => {
                self.seen = self.applier.running_hash().await.ok();
                self.seen.map(|running| Verified { text: tried.sha256, running })
            }
            Outcome::Refused(_) | Outcome::Reverted(_) => self.verified,
            Outcome::Lost(_) => None,
        };
        self.conclude(tried, ended);
        // Where it was looked at just now it isn't looked at again.
        let running = match &ended.outcome {
            Outcome::Unchanged | Outcome::Applied => self.seen,
            Outcome::Refused(_) | Outcome::Reverted(_) | Outcome::Lost(_) => self.applier.running_hash().await.ok(),
        };
        self.report(tried, ended, running);
    }

    /// What became of an apply that an earlier process did not end, once something is offered: if it is the same again and
    /// doesn't run, it has failed, for what ended that process may have been the configuration itself.
    async fn interrupted(&mut self, offered: &Bundle) -> Option<Outcome> {
        let unfinished = self.unfinished?;
        let failure =
            || Failure::new("APPLY_INTERRUPTED", "the agent ended while it applied this; the device went back");
        if unfinished.sha256 == offered.hash {
            match self.applier.runs(offered).await {
                // It was confirmed, and only that was not written down.
                Ok(true) => self.unfinished = None,
                Ok(false) => {
                    self.unfinished = None;
                    let intervals = self.config.intervals;
                    let before = self.store.memory().begun.saturating_sub(1);
                    let backoff = Backoff::new(intervals.reapply_base, intervals.reapply_max).after(before);
                    self.held = Some(Held { tried: unfinished, until: Instant::now(), backoff });
                    return Some(Outcome::Reverted(failure()));
                }
                Err(failure) => return Some(Outcome::Refused(failure)),
            }
        } else {
            self.unfinished = None;
            // Where it was not taken back just now, it may have been confirmed as well, and nobody asks for it any more.
            if !self.taken_back {
                return None;
            }
            let running = self.applier.running_hash().await.ok();
            self.report(unfinished, &at_once(Outcome::Reverted(failure())), running);
        }
        None
    }

    fn conclude(&mut self, tried: Applied, ended: &Applying) {
        let (device, generation) = (self.config.device.as_str(), tried.generation.0);
        let correlation = self.orders.correlation(tried.sha256);
        match &ended.outcome {
            Outcome::Unchanged | Outcome::Applied => {
                tracing::info!(%device, generation, %correlation, outcome = ?ended.outcome, took = ?ended.took, warnings = ?ended.warnings, "configuration runs");
                self.held = None;
                let mut status = self.shared.status();
                status.applied = Some(tried);
                status.last_error = None;
                status.applies += 1;
            }
            Outcome::Refused(failure) | Outcome::Reverted(failure) | Outcome::Lost(failure) => {
                tracing::warn!(%device, generation, %correlation, code = failure.code, error = %failure.message, "configuration does not run");
                let intervals = self.config.intervals;
                let mut backoff = match self.held.take() {
                    Some(held) if held.tried.sha256 == tried.sha256 => held.backoff,
                    Some(_) | None => Backoff::new(intervals.reapply_base, intervals.reapply_max),
                };
                let until = Instant::now() + backoff.next(rand::random());
                self.held = Some(Held { tried, until, backoff });
                let mut status = self.shared.status();
                status.failed_applies += 1;
                status.last_error = Some(format!("{}: {}", failure.code, failure.message));
                if matches!(ended.outcome, Outcome::Lost(_)) {
                    status.applied = None;
                }
            }
        }
    }
}

/// An outcome that nothing was done for.
pub(super) const fn at_once(outcome: Outcome) -> Applying {
    Applying { outcome, diff: String::new(), warnings: Vec::new(), took: Duration::ZERO }
}
