//! Verbs of health, and what recorded health would have been.

use std::path::PathBuf;

use causeway_health_oracle::Kind;
use causeway_interface::Code;
use clap::{Args, Subcommand, ValueEnum};

use super::values::{RuleChange, parse_moment};

/// Verbs of health.
#[derive(Debug, Subcommand)]
pub enum Health {
    /// Show status, health and what is missing: of one device or link with every oracle's word, or of all.
    Get {
        /// Code of a device or link; all if left out.
        code: Option<Code>,
    },
    /// Say why a device or link is at its level: every criterion of every oracle, whose word counts, and how much of the
    /// burn-in is left.
    Explain(Ask),
    /// Check what oracles signed of a device or link: evidence, Merkle path, transaction, the ledger's own entry, and the
    /// verdict, which is computed again from the evidence.
    Verify(Ask),
}

/// Of which subject which oracles are asked.
#[derive(Clone, Debug, Args)]
pub struct Ask {
    /// Code of a device or link.
    pub code: Code,
    /// What it is; both if left out, where a device and a link have this code.
    #[arg(long, value_enum)]
    pub kind: Option<Subject>,
    /// HTTP addresses of oracles; several by repeating it or separated by commas.
    #[arg(long = "oracle", env = "CAUSEWAY_ORACLE_URLS", value_name = "URL", value_delimiter = ',')]
    pub oracles: Vec<String>,
}

impl Ask {
    /// Whether this kind of subject is meant.
    #[must_use]
    pub fn means(&self, kind: Kind) -> bool {
        self.kind.is_none_or(|wanted| Kind::from(wanted) == kind)
    }
}

/// What is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// A device.
    Device,
    /// A link.
    Link,
}

impl From<Subject> for Kind {
    fn from(subject: Subject) -> Self {
        match subject {
            Subject::Device => Self::Device,
            Subject::Link => Self::Link,
        }
    }
}

/// Verbs of health oracles.
#[derive(Debug, Subcommand)]
pub enum OracleVerb {
    /// Run recorded telemetry through the criteria with other thresholds, and show what would have changed and when.
    /// Needs no ledger.
    Backtest(Backtest),
}

/// Which recording, and by which rules.
#[derive(Clone, Debug, Args)]
pub struct Backtest {
    /// Data directory of an oracle, or a copy of one.
    #[arg(long, value_name = "DIR")]
    pub from: PathBuf,
    /// A threshold and its other value, such as loss-limit-ppm=1000; may be repeated. The rest stays as recorded.
    #[arg(long = "rule", value_name = "NAME=VALUE")]
    pub rules: Vec<RuleChange>,
    /// An oracle's configuration file, of which the thresholds under [rules] are taken; those of --rule go before.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// First moment that counts: UTC as 2026-01-31T12:00:00Z, or seconds since 1970. The recording's first if left out.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub since: Option<u64>,
    /// Last moment that counts. The recording's last if left out.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub until: Option<u64>,
    /// Only the device or link of this code; may be repeated.
    #[arg(long, value_name = "CODE")]
    pub subject: Vec<Code>,
}
