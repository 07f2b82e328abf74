//! Which jobs a controller takes where several share a store: those whose devices it reaches.
//!
//! Over `agent-pull` a job can be worked on where the device's agent comes in, and nowhere else. So a lease follows the agent:
//! a controller takes a job at once if it reaches every device of it, and lets go of it when it does not any more. What
//! nobody has taken for a while is anybody's: its device is unreachable, or its devices are at several controllers, and
//! somebody has to say so.

use std::time::Duration;

use causeway_interface::Code;

use super::Runner;
use crate::{
    clock,
    store::{Claim, MAX_PAGE, StoreError, Waiting},
};

/// After this a job that nobody took is anybody's: an agent whose controller died comes to the next one within 30 s, and what it
/// waited for its own controller to notice is added.
const ANYBODYS: Duration = Duration::from_secs(45);
/// A device may be out of reach for so long before its job is let go of: an agent that only lost a connection is back by then.
const AWAY: Duration = Duration::from_secs(20);
/// Pages of jobs that are looked through for one claim: every job that can be open.
const MAX_PAGES: usize = 100;

/// What a controller reaches.
pub trait Reach: Send + Sync + 'static {
    /// Whether a device can be worked on from here now.
    fn is_here(&self, device: &Code) -> bool;
}

/// Why a job was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Every device of it is reached from here; it is let go of when one is not any more.
    Near(Vec<Code>),
    /// Nobody else took it, or it is not about where devices are; it is worked on to its end.
    Anybodys,
}

/// Whether a job is this controller's to take. Pure.
#[must_use]
pub fn takes(waiting: &Waiting, is_here: impl Fn(&Code) -> bool) -> Option<Taken> {
    match waiting.devices.as_slice() {
        // A rollout, which works on jobs.
        [] => Some(Taken::Anybodys),
        devices if devices.iter().all(is_here) => Some(Taken::Near(devices.to_vec())),
        _ if waiting.idle_ms >= clock::ms(ANYBODYS) => Some(Taken::Anybodys),
        _ => None,
    }
}

impl Runner {
    /// Whether others work on the same jobs, and each takes those that it reaches.
    pub(super) fn shares(&self) -> bool {
        self.reach.is_some() && self.store.is_shared()
    }

    /// Leases up to `limit` jobs that are this one's to take.
    pub(super) async fn claim(&self, limit: usize) -> Result<Vec<(Claim, Taken)>, StoreError> {
        let (holder, lease_ms) = (self.config.holder.clone(), clock::ms(self.config.lease));
        let Some(reach) = self.reach.as_ref().filter(|_| self.shares()) else {
            let claims = self.store.claim(holder, lease_ms, limit).await?;
            return Ok(claims.into_iter().map(|claim| (claim, Taken::Anybodys)).collect());
        };
        let limit = limit.min(MAX_PAGE);
        let mut ours: Vec<(Waiting, Taken)> = Vec::new();
        let mut after = crate::spec::JobId(0);
        for _ in 0..MAX_PAGES {
            let page = self.store.waiting(after, MAX_PAGE).await?;
            let is_last = page.len() < MAX_PAGE;
            after = page.last().map_or(after, |last| last.job);
            let taken = page.into_iter().filter_map(|waiting| {
                let taken = takes(&waiting, |device| reach.is_here(device))?;
                Some((waiting, taken))
            });
            ours.extend(taken.take(limit.saturating_sub(ours.len())));
            if is_last || ours.len() >= limit {
                break;
            }
        }
        if ours.is_empty() {
            return Ok(Vec::new());
        }
        let jobs = ours.iter().map(|(waiting, _)| waiting.job).collect();
        let claims = self.store.claim_these(holder, lease_ms, jobs).await?;
        let mut taken =
            ours.into_iter().map(|(waiting, taken)| (waiting.job, taken)).collect::<std::collections::BTreeMap<_, _>>();
        Ok(claims.into_iter().map(|claim| (claim, taken.remove(&claim.job).unwrap_or(Taken::Anybodys))).collect())
    }

    /// Ends when a device of a job that was taken for its nearness has been out of reach for too long.
    pub(super) async fn has_gone(&self, taken: &Taken) {
        let (Taken::Near(devices), Some(reach)) = (taken, &self.reach) else { return std::future::pending().await };
        let clock = self.engine.clock.as_ref();
        let mut away_since_ms = None;
        loop {
            if devices.iter().all(|device| reach.is_here(device)) {
                away_since_ms = None;
            } else {
                let now_ms = clock.now_ms();
                let since_ms = *away_since_ms.get_or_insert(now_ms);
                if now_ms.saturating_sub(since_ms) >= clock::ms(AWAY) {
                    return;
                }
            }
            clock::sleep(clock, self.config.poll).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::JobId;

    #[test]
    fn a_job_is_taken_where_all_its_devices_are_and_by_anybody_when_nobody_took_it() {
        let code = |name: &&str| name.parse::<Code>().unwrap();
        let taken = |devices: &[&str], idle_ms| {
            let devices: Vec<Code> = devices.iter().map(code).collect();
            takes(&Waiting { job: JobId(1), devices, idle_ms }, |device| device.as_str().starts_with("here"))
        };
        assert_eq!(taken(&["here-1"], 0), Some(Taken::Near(vec![code(&"here-1")])));
        assert_eq!(
            taken(&["here-1", "here-2"], 99_999),
            Some(Taken::Near(["here-1", "here-2"].iter().map(code).collect()))
        );
        assert_eq!(taken(&[], 0), Some(Taken::Anybodys));
        for devices in [&["there"][..], &["here-1", "there"]] {
            assert_eq!(taken(devices, 0), None);
            assert_eq!(taken(devices, 44_999), None);
            assert_eq!(taken(devices, 45_000), Some(Taken::Anybodys));
        }
    }
}
