//! Whether what an oracle signed of a subject holds: from the evidence document to the ledger's entry. Pure.
//!
//! Each link of the chain is a [`Check`] of its own, and a broken one does not hide the next:
//!
//! ```text
//! inputs -> verdict -> document -> SHA-256 -> Merkle path -> root -> Attest, signed -> transaction -> entry, in force
//! ```
//!
//! What is taken on trust: the node's word that a transaction was executed (its signatures are checked), and the
//! oracle's word that the inputs of a document are what its agents signed.

use causeway_health_oracle::{
    Kind, Verdict,
    backtest::Case,
    criteria::Level,
    evidence::{Evidence, RecomputeError, exhibit::Facts},
};
use causeway_interface::{
    Digest, Key,
    accounts::{Attestation, Network},
    instruction::{Attest, Instruction, MAX_ATTEST_BATCH},
};
use causeway_sdk::{
    Executed,
    address::{Addresses, to_pubkey},
};
use causeway_wire::signing::sha256;
use serde::Serialize;

use super::{Subject, client::Attested};

/// What became of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "result", content = "why", rename_all = "kebab-case")]
pub enum Finding {
    /// It holds.
    Ok,
    /// It does not hold.
    Differs(String),
    /// It could not be looked at.
    Unchecked(String),
}

/// One link of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What is checked.
    pub what: &'static str,
    /// What became of it.
    #[serde(flatten)]
    pub finding: Finding,
}

/// What the ledger says.
#[derive(Clone, Copy, Debug)]
pub struct OnLedger<'a> {
    /// The program.
    pub program: Key,
    /// The network.
    pub network: &'a Network,
    /// The subject.
    pub subject: Subject,
    /// Where the subject's attestations are.
    pub attestations: Key,
    /// The oracle's entry; none where the oracle is not of the set or never spoke.
    pub entry: Option<&'a Attestation>,
    /// The slot that all this was read at.
    pub slot: u64,
}

/// What was fetched; an error is in words for people.
#[derive(Clone, Copy, Debug)]
pub struct Fetched<'a> {
    /// The key that the oracle says is its own.
    pub oracle: Key,
    /// What it says it signed.
    pub attested: &'a Attested,
    /// The document of that name.
    pub document: Result<&'a [u8], &'a str>,
    /// The transaction.
    pub transaction: Result<&'a Executed, &'a str>,
}

fn holds(holds: bool, why: impl FnOnce() -> String) -> Finding {
    if holds { Finding::Ok } else { Finding::Differs(why()) }
}

/// Every check, in the order of the chain.
#[must_use]
pub fn checks(ledger: &OnLedger<'_>, fetched: &Fetched<'_>) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut note = |what, finding| checks.push(Check { what, finding });
    let unchecked = |why: &str| Finding::Unchecked(why.to_owned());
    let evidence = read(fetched.document);
    note("document", document(fetched));
    match &evidence {
        Ok(evidence) => {
            note("written about", about(ledger, fetched, evidence));
            note("recomputed", recomputed_as_said(evidence));
        }
        Err(finding) => {
            note("written about", finding.clone());
            note("recomputed", unchecked("there is no document to compute it from"));
        }
    }
    note("merkle path", path(fetched.attested));
    match fetched.transaction {
        Err(why) => {
            note("transaction", unchecked(why));
            note("signed", unchecked(why));
        }
        Ok(executed) => {
            note("transaction", succeeded(executed));
            note("signed", signed(ledger, fetched, executed, evidence.as_ref().ok()));
        }
    }
    note("ledger", entry(ledger, fetched, evidence.as_ref().ok()));
    note("in force", in_force(ledger));
    checks
}

fn document(fetched: &Fetched<'_>) -> Finding {
    let bytes = match fetched.document {
        Ok(bytes) => bytes,
        Err(why) => return Finding::Unchecked(why.to_owned()),
    };
    let name = Digest(sha256(bytes));
    holds(name == fetched.attested.evidence_sha256, || format!("the document's SHA-256 is {name}"))
}

/// The document, which has to be the one text of its content: nothing may hide in it that is not looked at.
fn read(document: Result<&[u8], &str>) -> Result<Evidence, Finding> {
    let bytes = document.map_err(|why| Finding::Unchecked(why.to_owned()))?;
    let evidence: Evidence =
        serde_json::from_slice(bytes).map_err(|e| Finding::Differs(format!("the document can't be read: {e}")))?;
    match evidence.document() {
        Ok((_, again)) if again == bytes => Ok(evidence),
        Ok(_) | Err(_) => Err(Finding::Differs("the document is not in canonical form".to_owned())),
    }
}

fn about(ledger: &OnLedger<'_>, fetched: &Fetched<'_>, evidence: &Evidence) -> Finding {
    let Subject { kind, code, key } = ledger.subject;
    let is_kind =
        matches!((evidence.verdict.level, kind), (Level::Device(_), Kind::Device) | (Level::Link(_), Kind::Link));
    if evidence.subject != key || evidence.code != code || !is_kind {
        return Finding::Differs(format!("the document is about {} {}", evidence.code, evidence.subject));
    }
    let shown: Vec<_> = evidence.exhibits.iter().map(|exhibit| exhibit.device).collect();
    let of_it = match &evidence.facts {
        Facts::Device(_) => kind == Kind::Device && shown == [code],
        Facts::Link(facts) => kind == Kind::Link && facts.code == code && shown == facts.ends.map(|(device, _)| device),
    };
    if !of_it {
        return Finding::Differs("its facts or what it shows are of something else".to_owned());
    }
    if evidence.oracle != fetched.oracle {
        return Finding::Differs(format!("the document is of the oracle {}", evidence.oracle));
    }
    holds(evidence.program == ledger.program, || format!("the document is for the program {}", evidence.program))
}

/// Buckets of the longest window that is judged here: five weeks of minutes.
const MAX_BUCKETS: u64 = 50_000;

/// What is wrong with the rules and the window of a document. They are the oracle's words: nothing is computed with them
/// before this has looked, and a window that its rules don't give would show only what is good.
fn window(evidence: &Evidence) -> Result<(), String> {
    let Evidence { rules, buckets, window, at_ms, .. } = evidence;
    rules.check().map_err(|why| format!("its rules can't be: {why}"))?;
    let bounded = buckets.bucket_ms == rules.bucket_ms
        && buckets.start <= buckets.end
        && buckets.buckets() <= MAX_BUCKETS
        && buckets.end_ms() <= *at_ms;
    if !bounded {
        return Err("its window can't be one".to_owned());
    }
    if (buckets.start_ms(), buckets.end_ms()) != (window.start_ms, window.end_ms) {
        return Err("its window in buckets is another than in ms".to_owned());
    }
    if Case::of(evidence).window(*at_ms, rules) != *buckets {
        return Err("its window is not the one that its rules give at that moment".to_owned());
    }
    Ok(())
}

fn recomputed_as_said(evidence: &Evidence) -> Finding {
    if let Err(why) = window(evidence) {
        return Finding::Differs(why);
    }
    let again: Verdict = match evidence.recompute() {
        Ok(verdict) => verdict,
        Err(error @ RecomputeError::Version(_)) => return Finding::Unchecked(error.to_string()),
        Err(error) => return Finding::Differs(error.to_string()),
    };
    let said = &evidence.verdict;
    if again.level != said.level {
        let (computed, said) = (again.level.name(), said.level.name());
        return Finding::Differs(format!("the inputs make it {computed}, the document says {said}"));
    }
    let mut pairs = again.criteria.iter().zip(&said.criteria);
    if let Some((computed, said)) = pairs.find(|(computed, said)| computed != said) {
        let id = computed.id.name();
        return Finding::Differs(format!(
            "{id} by the inputs: {}; by the document: {}",
            computed.observed, said.observed
        ));
    }
    holds(again == *said, || "the document's criteria are not those of its inputs".to_owned())
}

fn path(attested: &Attested) -> Finding {
    // The length is the oracle's word: no more is climbed than one transaction can carry.
    if attested.proof.leaves > MAX_ATTEST_BATCH {
        return Finding::Differs(format!("a batch of {} documents does not exist", attested.proof.leaves));
    }
    match attested.proof.root(&attested.evidence_sha256) {
        Some(root) => holds(root == attested.evidence_root, || format!("the path leads to {root}")),
        None => Finding::Differs("the path has not the length that its place asks for".to_owned()),
    }
}

fn succeeded(executed: &Executed) -> Finding {
    match &executed.failed {
        Some(error) => Finding::Differs(format!("it failed: {error}")),
        None => Finding::Ok,
    }
}

/// Whether the transaction holds this oracle's `Attest` with the root, window and word that the document leads to.
fn signed(ledger: &OnLedger<'_>, fetched: &Fetched<'_>, executed: &Executed, evidence: Option<&Evidence>) -> Finding {
    let oracle = fetched.oracle;
    if !executed.signers.contains(&oracle) {
        return Finding::Differs(format!("the oracle's key {oracle} did not sign the transaction"));
    }
    let words: Vec<_> = attests(ledger, oracle, executed).collect();
    let root = fetched.attested.evidence_root;
    let Some((attest, subjects)) = words.iter().find(|(attest, _)| attest.evidence_root == root) else {
        return match words.first() {
            Some((other, _)) => Finding::Differs(format!("the oracle signed the root {}", other.evidence_root)),
            None => Finding::Differs("the transaction holds no word of this oracle to this program".to_owned()),
        };
    };
    let place = subjects.iter().position(|account| *account == ledger.attestations);
    let Some(said) = place.and_then(|n| attest.verdicts.get(n)) else {
        return Finding::Differs(format!("it does not name {}", ledger.subject.code));
    };
    let Some(evidence) = evidence else {
        return Finding::Unchecked("there is no document to compare it with".to_owned());
    };
    let found = word(evidence);
    if (said.verdict, said.failed) != found {
        return Finding::Differs(format!(
            "signed is {}, the document says {}",
            words_of((said.verdict, said.failed)),
            words_of(found)
        ));
    }
    // One window is signed for a batch: the shortest of its subjects', and all end together.
    let (start, end) = (evidence.window.start_slot, evidence.window.end_slot);
    let signed = (attest.window_start_slot, attest.window_end_slot);
    holds(start <= signed.0 && signed.0 <= signed.1 && signed.1 == end, || {
        format!("signed are the slots {} to {}, the document's are {start} to {end}", signed.0, signed.1)
    })
}

/// The words of an oracle to the program, each with the attestations accounts that its verdicts are of.
fn attests<'a>(
    ledger: &OnLedger<'_>,
    oracle: Key,
    executed: &'a Executed,
) -> impl Iterator<Item = (Attest, &'a [Key])> {
    let (program, network) = (ledger.program, Addresses::new(to_pubkey(&ledger.program)).network());
    executed.instructions.iter().filter(move |i| i.program == program).filter_map(move |instruction| {
        let Ok(Instruction::Attest(attest)) = Instruction::decode(&instruction.data) else { return None };
        let [signer, of, subjects @ ..] = instruction.accounts.as_slice() else { return None };
        (*signer == oracle && to_pubkey(of) == network).then_some((attest, subjects))
    })
}

/// Verdict byte and failed criteria that a document leads to.
fn word(evidence: &Evidence) -> (u8, u32) {
    (evidence.verdict.level.byte(), evidence.verdict.failed_bits())
}

fn words_of((verdict, failed): (u8, u32)) -> String {
    format!("verdict {verdict} with failed criteria {failed:#06x}")
}

/// Whether the ledger's own entry is this word.
fn entry(ledger: &OnLedger<'_>, fetched: &Fetched<'_>, evidence: Option<&Evidence>) -> Finding {
    let Some(entry) = ledger.entry else {
        return Finding::Differs("the ledger holds no word of this oracle".to_owned());
    };
    let root = fetched.attested.evidence_root;
    if entry.evidence_root != root {
        return Finding::Differs(format!("its root is {} of slot {}", entry.evidence_root, entry.slot));
    }
    if let Ok(executed) = fetched.transaction {
        if executed.slot != entry.slot {
            return Finding::Differs(format!("its slot is {}, the transaction's is {}", entry.slot, executed.slot));
        }
        let attest = attests(ledger, fetched.oracle, executed).find(|(attest, _)| attest.evidence_root == root);
        if let Some((attest, _)) = attest {
            let (signed, held) = (
                (attest.epoch, attest.window_start_slot, attest.window_end_slot),
                (entry.epoch, entry.window_start_slot, entry.window_end_slot),
            );
            if signed != held {
                return Finding::Differs(format!(
                    "its epoch and slots are {} and {} to {}, signed were {} and {} to {}",
                    held.0, held.1, held.2, signed.0, signed.1, signed.2
                ));
            }
        }
    }
    let Some(evidence) = evidence else {
        return Finding::Unchecked("there is no document to compare it with".to_owned());
    };
    let (held, found) = ((entry.verdict, entry.failed), word(evidence));
    holds(held == found, || format!("it is {}, the document says {}", words_of(held), words_of(found)))
}

/// Whether the word counts now: of the set's epoch, and not too old.
fn in_force(ledger: &OnLedger<'_>) -> Finding {
    let Some(entry) = ledger.entry else { return Finding::Differs("there is no word that could count".to_owned()) };
    let epoch = ledger.network.oracle_epoch;
    if entry.epoch != epoch {
        return Finding::Differs(format!(
            "it is of epoch {}, the oracle set's is {epoch}: it counts for nothing",
            entry.epoch
        ));
    }
    let (age, most) = (ledger.slot.saturating_sub(entry.slot), ledger.network.attestation_max_age_slots);
    holds(age <= most, || format!("it is {age} slots old and counts for {most}: it has expired"))
}
