//! What a verdict rests on, as a document that hashes to what was signed.
//!
//! A document is canonical JSON ([`canonical`]); its SHA-256 names it. The documents of one `Attest` are the leaves of a
//! Merkle tree ([`merkle`]) whose root is signed onchain; document and proof are kept and served ([`store`]), so that
//! anyone can check what an oracle said and why.

pub mod canonical;
pub mod exhibit;
pub mod merkle;
pub mod store;

use causeway_interface::{Code, Digest, Key};
use causeway_wire::signing::sha256;
use serde::{Deserialize, Serialize};

use crate::{
    criteria::{
        Verdict,
        coverage::{Rules, Window},
        device::evaluate_device,
        link::evaluate_link,
        standard::Standard,
    },
    telemetry::Chain,
};
use exhibit::{Exhibit, ExhibitError, Facts};

/// Version of the document's form.
pub const VERSION: u32 = 3;

/// What telemetry a verdict rests on: every batch of these devices up to these heads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TelemetryDigest {
    /// The device.
    pub device: Code,
    /// Sequence of its last accepted batch; 0 for none.
    pub sequence: u64,
    /// Head of the chain over its accepted batches.
    pub chain_sha256: Digest,
}

impl TelemetryDigest {
    /// Of a device.
    #[must_use]
    pub fn new(device: Code, chain: Chain) -> Self {
        Self { device, sequence: chain.sequence, chain_sha256: chain.head }
    }
}

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceWindow {
    /// First slot.
    pub start_slot: u64,
    /// Last slot.
    pub end_slot: u64,
    /// When it begins, in ms since 1970.
    pub start_ms: u64,
    /// When it ends, in ms since 1970.
    pub end_ms: u64,
}

/// One subject's document of one round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// [`VERSION`].
    pub version: u32,
    /// The program.
    pub program: Key,
    /// The oracle's key.
    pub oracle: Key,
    /// Address of the subject.
    pub subject: Key,
    /// Code of the subject.
    pub code: Code,
    /// The ledger as of this slot.
    pub ledger_slot: u64,
    /// When it was judged, in ms since 1970.
    pub at_ms: u64,
    /// What was looked at.
    pub window: EvidenceWindow,
    /// What was found.
    pub verdict: Verdict,
    /// What it was judged by.
    pub rules: Rules,
    /// What telemetry it rests on.
    pub telemetry: Vec<TelemetryDigest>,
    /// The window in buckets, and from where on breaks are held.
    pub buckets: Window,
    /// What the ledger said.
    pub facts: Facts,
    /// What was seen: of a device, or of a link's side A and side Z.
    pub exhibits: Vec<Exhibit>,
}

/// Why a verdict can't be computed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecomputeError {
    /// Of another version.
    #[error("the document is of version {0}, this build computes version {VERSION}")]
    Version(u32),
    /// It does not show one device, or both of a link.
    #[error("the document shows {0} devices")]
    Exhibits(usize),
    /// A series that is none.
    #[error(transparent)]
    Exhibit(#[from] ExhibitError),
}

impl Evidence {
    /// The verdict that follows from what the document itself says was seen, was so and was asked.
    ///
    /// # Errors
    /// See [`RecomputeError`].
    pub fn recompute(&self) -> Result<Verdict, RecomputeError> {
        if self.version != VERSION {
            return Err(RecomputeError::Version(self.version));
        }
        let standard = Standard::from(&self.rules);
        match (&self.facts, self.exhibits.as_slice()) {
            (Facts::Device(facts), [own]) => {
                Ok(evaluate_device(&self.buckets, facts, &own.telemetry()?, &standard, self.at_ms))
            }
            (Facts::Link(facts), [a, z]) => {
                let (a, z) = (a.telemetry()?, z.telemetry()?);
                Ok(evaluate_link(&self.buckets, facts, [&a, &z], &standard, self.at_ms))
            }
            (Facts::Device(_) | Facts::Link(_), exhibits) => Err(RecomputeError::Exhibits(exhibits.len())),
        }
    }

    /// The document and its name.
    ///
    /// # Errors
    /// A value that canonical JSON can't hold.
    pub fn document(&self) -> Result<(Digest, Vec<u8>), canonical::CanonicalError> {
        let bytes = canonical::to_bytes(self)?;
        Ok((Digest(sha256(&bytes)), bytes))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::criteria::{Criterion, CriterionResult, Level, Outcome};
    use causeway_interface::LinkHealth;

    pub(crate) fn evidence(code: &str) -> Evidence {
        Evidence {
            version: VERSION,
            program: Key([1; 32]),
            oracle: Key([2; 32]),
            subject: Key([3; 32]),
            code: code.parse().unwrap(),
            ledger_slot: 100,
            at_ms: 40_000,
            window: EvidenceWindow { start_slot: 10, end_slot: 99, start_ms: 4_000, end_ms: 39_600 },
            verdict: Verdict {
                level: Level::Link(LinkHealth::Impaired),
                criteria: vec![CriterionResult {
                    id: Criterion::L2,
                    passed: Outcome::Failed,
                    observed: "1 of 20 probes lost, 3 s ago".into(),
                    required: "no loss".into(),
                    detail: "\"quoted\"\n".into(),
                }],
            },
            rules: Rules::default(),
            telemetry: vec![TelemetryDigest::new(code.parse().unwrap(), Chain { sequence: 5, head: Digest([9; 32]) })],
            buckets: Window { start: 1, end: 9, hold_from: 3, fresh: false, bucket_ms: 4_000 },
            facts: Facts::Link(crate::criteria::link::LinkFacts {
                code: code.parse().unwrap(),
                status: causeway_interface::LinkStatus::Activated,
                status_since_ms: 1,
                ends: [
                    ("a".parse().unwrap(), "eth1".parse().unwrap()),
                    ("z".parse().unwrap(), "eth1".parse().unwrap()),
                ],
            }),
            exhibits: vec![],
        }
    }

    /// A document as long as a device's of a fleet, that differs from the next one in what it saw.
    pub(crate) fn long_evidence(n: usize) -> (Key, Evidence) {
        let word = |salt: usize| Digest(sha256(&[n.to_le_bytes(), salt.to_le_bytes()].concat()));
        let code = format!("edge-{n:05}");
        let ids = [
            Criterion::D1,
            Criterion::D2,
            Criterion::D3,
            Criterion::D4,
            Criterion::D5,
            Criterion::D6,
            Criterion::D7,
            Criterion::U1,
            Criterion::U2,
            Criterion::U3,
        ];
        let result = |id: Criterion| CriterionResult {
            id,
            passed: Outcome::Passed,
            observed: format!(
                "eth{}: up in 1200 of 1200 buckets, {} packets, last sample {} s ago; eth{}: up in {} of 1200 buckets",
                n % 32,
                u32::from_le_bytes(word(7).0[..4].try_into().unwrap()),
                n % 60,
                n % 31,
                1_190 + n % 11
            ),
            required: "a DIA interface up throughout, no errors, non-zero traffic".into(),
            detail: "at least 99 % of buckets of 60 s, no gap over 300 s, breaks held for 1100 s".into(),
        };
        let subject = Key(word(1).0);
        let evidence = Evidence {
            subject,
            code: code.parse().unwrap(),
            verdict: Verdict {
                level: Level::Device(causeway_interface::DeviceHealth::ReadyForUsers),
                criteria: ids.into_iter().map(result).collect(),
            },
            telemetry: vec![TelemetryDigest::new(
                code.parse().unwrap(),
                Chain { sequence: 1_000_000 + n as u64, head: word(2) },
            )],
            ..evidence("l-1")
        };
        (subject, evidence)
    }

    #[test]
    fn a_document_is_stable_and_reads_back() {
        let (name, bytes) = evidence("l-1").document().unwrap();
        assert_eq!((name, bytes.clone()), evidence("l-1").document().unwrap());
        assert_eq!(serde_json::from_slice::<Evidence>(&bytes).unwrap(), evidence("l-1"));
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with(r#"{"at_ms":40000,"buckets":{"bucket_ms":4000,"end":9,"#), "{text}");
        assert!(
            text.contains(r#""verdict":{"criteria":[{"detail":"\"quoted\"\n","id":"L2","observed":"1 of 20"#),
            "{text}"
        );
        assert_ne!(evidence("l-2").document().unwrap().0, name);
    }
}
