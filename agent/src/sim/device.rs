//! One simulated device: what it runs, its candidate, and a commit that awaits confirmation. Time comes in.

use std::{net::Ipv4Addr, time::Duration};

use similar::TextDiff;

use super::config::{Family, Refusal, RunningConfig};
use crate::driver::{Comparison, DriverError};

/// A configuration, as text and as the model that it gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    pub text: String,
    pub model: RunningConfig,
}

impl Configuration {
    pub fn parse(family: Family, text: &str) -> Result<Self, Refusal> {
        Ok(Self { text: text.to_owned(), model: family.parse(text)? })
    }
}

/// A commit that reverts unless confirmed.
#[derive(Clone, Debug)]
struct Armed {
    previous: Configuration,
    revert_at_ms: u64,
}

/// A device.
#[derive(Debug)]
pub struct Device {
    pub family: Family,
    pub public_ip: Option<Ipv4Addr>,
    /// The management no longer answers; the device goes on.
    pub management_dead: bool,
    running: Configuration,
    startup: Configuration,
    candidate: Option<Configuration>,
    armed: Option<Armed>,
}

impl Device {
    pub fn new(family: Family, public_ip: Option<Ipv4Addr>) -> Self {
        Self {
            family,
            public_ip,
            management_dead: false,
            running: Configuration::default(),
            startup: Configuration::default(),
            candidate: None,
            armed: None,
        }
    }

    pub fn running(&self) -> &Configuration {
        &self.running
    }

    pub fn startup(&self) -> &Configuration {
        &self.startup
    }

    pub fn is_pending(&self) -> bool {
        self.armed.is_some()
    }

    pub fn load(&mut self, text: &str) -> Result<(), DriverError> {
        self.candidate = None;
        let candidate = Configuration::parse(self.family, text).map_err(|e| DriverError::Refused(e.to_string()))?;
        self.candidate = Some(candidate);
        Ok(())
    }

    pub fn discard(&mut self) {
        self.candidate = None;
    }

    /// The simulated device keeps its text as it was given, so that comments count as well as the model.
    pub fn compare(&self, text: &str) -> Result<Comparison, DriverError> {
        let model = self.family.parse(text).map_err(|e| DriverError::Refused(e.to_string()))?;
        let equal = model == self.running.model && text == self.running.text;
        let diff = if equal {
            String::new()
        } else {
            TextDiff::from_lines(self.running.text.as_str(), text)
                .unified_diff()
                .context_radius(3)
                .header("running", "intended")
                .to_string()
        };
        Ok(Comparison { equal, diff })
    }

    /// Armed first; then the candidate runs, whole.
    pub fn commit(&mut self, now_ms: u64, revert_after: Duration) -> Result<(), DriverError> {
        if self.armed.is_some() {
            return Err(DriverError::State("an earlier commit awaits its confirmation".to_owned()));
        }
        let candidate = self.candidate.take().ok_or_else(|| DriverError::State("there is no candidate".to_owned()))?;
        let after_ms = u64::try_from(revert_after.as_millis()).unwrap_or(u64::MAX);
        self.armed = Some(Armed { previous: self.running.clone(), revert_at_ms: now_ms.saturating_add(after_ms) });
        self.running = candidate;
        Ok(())
    }

    pub fn confirm(&mut self) -> Result<(), DriverError> {
        match self.armed.take() {
            Some(_) => Ok(()),
            None => Err(DriverError::State("no commit awaits confirmation".to_owned())),
        }
    }

    /// The time of the commit that awaits its confirmation counts anew.
    pub fn extend(&mut self, now_ms: u64, revert_after: Duration) -> Result<(), DriverError> {
        let none = || DriverError::State("no commit awaits confirmation".to_owned());
        let armed = self.armed.as_mut().ok_or_else(none)?;
        let after_ms = u64::try_from(revert_after.as_millis()).unwrap_or(u64::MAX);
        armed.revert_at_ms = armed.revert_at_ms.max(now_ms.saturating_add(after_ms));
        Ok(())
    }

    /// True when something changed.
    pub fn revert(&mut self) -> bool {
        match self.armed.take() {
            Some(armed) => {
                self.running = armed.previous;
                true
            }
            None => false,
        }
    }

    /// Lets the revert timer fire. True when it did.
    pub fn tick(&mut self, now_ms: u64) -> bool {
        self.armed.as_ref().is_some_and(|armed| now_ms >= armed.revert_at_ms) && self.revert()
    }

    pub fn save_startup(&mut self) {
        self.startup = self.running.clone();
    }

    /// Power off and on: runs what it starts with.
    pub fn reboot(&mut self) {
        self.running = self.startup.clone();
        self.candidate = None;
        self.armed = None;
        self.management_dead = false;
    }
}
