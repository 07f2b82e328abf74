//! What an agent is told when it starts.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use ed25519_dalek::SigningKey;

use crate::{
    apply::ApplyLimits,
    trust::{self, TrustError},
};

/// Intervals of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// Between samples.
    pub sample: Duration,
    /// Between polls of the controller; a notice comes sooner.
    pub poll: Duration,
    /// First wait after a failure, of the controller or an oracle.
    pub retry_base: Duration,
    /// Longest wait between tries to reach a controller or an oracle.
    pub retry_max: Duration,
    /// First wait before a configuration that was refused or reverted is tried again, and the base of the next ones.
    pub reapply_base: Duration,
    /// Longest such wait.
    pub reapply_max: Duration,
}

impl Default for Intervals {
    fn default() -> Self {
        Self {
            sample: Duration::from_secs(10),
            poll: Duration::from_secs(10),
            retry_base: Duration::from_secs(1),
            retry_max: Duration::from_secs(30),
            reapply_base: Duration::from_secs(30),
            reapply_max: Duration::from_secs(600),
        }
    }
}

/// Everything that an agent is told. Holds secret keys, so it prints nothing.
#[derive(Clone)]
pub struct AgentConfig {
    /// Device code.
    pub device: String,
    /// Program whose ledger counts.
    pub program_id: [u8; 32],
    /// gRPC URLs of controllers. One at a time is used, the next one when it fails.
    pub controllers: Vec<String>,
    /// PEM certificates of the CAs that controllers at `https://` are proven by; such controllers need it.
    pub controller_ca: Option<Vec<u8>>,
    /// ed25519 keys of controllers whose bundles are taken.
    pub controller_keys: BTreeSet<[u8; 32]>,
    /// Base URLs of oracles; each gets everything.
    pub oracles: Vec<String>,
    /// Proves the device to the controller.
    pub agent_key: SigningKey,
    /// Signs telemetry.
    pub telemetry_key: SigningKey,
    /// Where the state file is.
    pub state_dir: PathBuf,
    /// Intervals.
    pub intervals: Intervals,
    /// Time limits of an apply.
    pub limits: ApplyLimits,
    /// Probes to each target in each sample.
    pub probes_per_sample: u32,
    /// Samples that are held per oracle while it can't be reached. More are dropped, oldest first, and counted.
    pub buffered_samples: usize,
}

/// Probes to each target in each sample: one lost of ten is seen at once, and 20 000 targets stay within 20 000 packets a
/// second at the usual interval.
pub const PROBES_PER_SAMPLE: u32 = 10;
/// Samples held per oracle, on disk: an hour of a device that probes as many targets as one may. Others are bounded by time.
pub const BUFFERED_SAMPLES: usize = 8_000_000;
/// Octets of telemetry on disk at most: the same hour, at 14 octets a sample.
pub const BUFFER_BYTES: u64 = 128 << 20;

/// A configuration that can't work.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A device code is 1 to 32 bytes of `[a-z0-9_-]`.
    #[error("{0:?} is not a device code: 1 to 32 characters of a-z, 0-9, _ and -")]
    Device(String),
    /// Nobody to ask.
    #[error("no controller is given")]
    NoController,
    /// Nobody to believe.
    #[error("no controller key is pinned: no configuration could ever be taken")]
    NoControllerKey,
    /// Controllers could not be proven.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The device's timer would go off within an apply that goes well.
    #[error("revert-after has to be longer than a verb and the verification together")]
    RevertTooSoon,
    /// A zero interval.
    #[error("{0} must not be zero")]
    Zero(&'static str),
}

impl AgentConfig {
    /// Checks what can be checked without IO.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let sound = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        if !(1..=32).contains(&self.device.len()) || !self.device.bytes().all(sound) {
            return Err(ConfigError::Device(self.device.clone()));
        }
        if self.controllers.is_empty() {
            return Err(ConfigError::NoController);
        }
        if self.controller_keys.is_empty() {
            return Err(ConfigError::NoControllerKey);
        }
        trust::check(&self.controllers, self.controller_ca.as_deref())?;
        if self.limits.revert_after <= self.limits.verb + self.limits.verify {
            return Err(ConfigError::RevertTooSoon);
        }
        for (name, interval) in [
            ("the sample interval", self.intervals.sample),
            ("the poll interval", self.intervals.poll),
            ("the first retry wait", self.intervals.retry_base),
            ("the first reapply wait", self.intervals.reapply_base),
        ] {
            if interval.is_zero() {
                return Err(ConfigError::Zero(name));
            }
        }
        if self.probes_per_sample == 0 {
            return Err(ConfigError::Zero("the number of probes"));
        }
        Ok(())
    }
}
