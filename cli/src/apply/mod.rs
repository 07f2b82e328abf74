//! Carrying out a plan: stage after stage, the steps of a stage at once, each step one transaction.
//!
//! Nothing is sent while the plan has conflicts or a key is missing. After a failed step its stage is finished and no
//! later one begins; what landed stays, and planning again finds what is left.

use std::{collections::BTreeSet, sync::Arc};

use causeway_interface::instruction::ANY_SEQUENCE;
use causeway_sdk::{Explain, Instructions, SendError, Sender, Submission, explain};
use solana_sdk::{instruction::Instruction, pubkey::Pubkey, signature::Keypair, signer::Signer as _};

use crate::{
    keyring::KeyRing,
    plan::{Kind, Operation, Plan, Stage, Step},
};

/// Why a plan was not carried out, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Something stands in the way; nothing was sent.
    #[error("{}", conflicts(.0))]
    Conflicts(Vec<crate::plan::Conflict>),
    /// Keys are missing; nothing was sent.
    #[error("missing: {}", .0.join(", "))]
    KeysMissing(Vec<String>),
    /// A step failed; earlier ones and those beside it may have landed.
    #[error("{} {} {} failed", .kind.name(), .code, .verb)]
    Step {
        /// About what.
        kind: Kind,
        /// Its code.
        code: causeway_interface::Code,
        /// What was to be done.
        verb: &'static str,
        /// Why not.
        #[source]
        source: Box<SendError>,
        /// Steps that failed in all.
        failed: usize,
    },
}

fn conflicts(all: &[crate::plan::Conflict]) -> String {
    let words = |c: &crate::plan::Conflict| format!("{} {} {}", c.kind.name(), c.code, c.message);
    all.iter().map(words).collect::<Vec<_>>().join("; ")
}

const CONFLICT: explain::Entry = explain::Entry {
    code: "CW-APPLY-CONFLICT",
    cause: "What the site file asks for can't be reached from what the ledger holds.",
    remedy: "Change the site file, or delete what is in the way; nothing was sent.",
};
const KEY_MISSING: explain::Entry = explain::Entry {
    code: "CW-APPLY-KEY-MISSING",
    cause: "A key that has to sign a part of the plan is not there.",
    remedy: "Put it there, or leave its objects to their owner by taking them out of the site file; nothing was sent.",
};

impl Explain for ApplyError {
    fn code(&self) -> String {
        match self {
            Self::Conflicts(_) => CONFLICT.code.into(),
            Self::KeysMissing(_) => KEY_MISSING.code.into(),
            Self::Step { source, .. } => source.code(),
        }
    }

    fn cause(&self) -> String {
        match self {
            Self::Conflicts(_) => format!("{} {self}.", CONFLICT.cause),
            Self::KeysMissing(_) => format!("{} Looked for and {self}.", KEY_MISSING.cause),
            Self::Step { source, failed, .. } if *failed > 1 => {
                format!("{self}, and {} more steps: {}", failed - 1, source.cause())
            }
            Self::Step { source, .. } => format!("{self}: {}", source.cause()),
        }
    }

    fn remedy(&self) -> String {
        match self {
            Self::Conflicts(_) => CONFLICT.remedy.into(),
            Self::KeysMissing(_) => KEY_MISSING.remedy.into(),
            Self::Step { source, .. } => format!("{} Then apply again: it goes on where it stopped.", source.remedy()),
        }
    }
}

/// How far a plan has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Steps that have ended.
    pub done: usize,
    /// Steps in all.
    pub total: usize,
    /// The one that has just ended.
    pub step: &'a Step,
    /// Whether it landed.
    pub landed: bool,
}

/// Carries out a plan and returns how many steps landed.
///
/// # Errors
/// See [`ApplyError`].
pub async fn run(
    sender: &Sender,
    plan: &Plan,
    keys: &KeyRing,
    mut on_progress: impl FnMut(Progress<'_>),
) -> Result<usize, ApplyError> {
    if !plan.conflicts.is_empty() {
        return Err(ApplyError::Conflicts(plan.conflicts.clone()));
    }
    let missing: Vec<_> = plan.signers().iter().filter(|s| keys.get(s).is_none()).map(|s| keys.place(s)).collect();
    if !missing.is_empty() {
        return Err(ApplyError::KeysMissing(missing));
    }
    let build = Instructions::new(sender.ledger().addresses().program_id);
    let total = plan.steps.len();
    let mut done = 0;
    let stages: BTreeSet<Stage> = plan.steps.iter().map(|s| s.stage).collect();
    for stage in stages {
        let steps: Vec<&Step> = plan.steps.iter().filter(|s| s.stage == stage).collect();
        let submissions = steps.iter().filter_map(|s| submission(&build, s, keys)).collect();
        let results = sender
            .send_all_with(submissions, |index, result| {
                done += 1;
                if let Some(step) = steps.get(index) {
                    on_progress(Progress { done, total, step, landed: result.is_ok() });
                }
            })
            .await;
        let mut failures: Vec<_> =
            steps.iter().zip(results).filter_map(|(step, result)| result.err().map(|e| (step, e))).collect();
        let failed = failures.len();
        if failed > 0 {
            let (step, source) = failures.swap_remove(0);
            let verb = step.operation.verb();
            let source = Box::new(source);
            return Err(ApplyError::Step { kind: step.kind, code: step.code, verb, source, failed });
        }
    }
    Ok(done)
}

/// A step's transaction; none where its key is missing, which has been looked for before.
fn submission(build: &Instructions, step: &Step, keys: &KeyRing) -> Option<Submission> {
    let key: &Arc<Keypair> = keys.get(&step.signer)?;
    Some(Submission::new(instructions(build, step, &key.pubkey()), key))
}

/// What a step tells the program, signed and paid for by `signer`.
#[must_use]
pub fn instructions(build: &Instructions, step: &Step, signer: &Pubkey) -> Vec<Instruction> {
    let code = &step.code;
    let link = || build.addresses().link(code);
    let side = |contributor: &causeway_interface::Code| build.addresses().contributor(contributor);
    match &step.operation {
        Operation::CreateContributor(data) => vec![build.create_contributor(signer, signer, data.clone())],
        Operation::UpdateContributor(data) => vec![build.update_contributor(signer, code, data.clone())],
        Operation::CreateLocation(data) => vec![build.create_location(signer, signer, data.clone())],
        Operation::UpdateLocation(data) => vec![build.update_location(signer, code, data.clone())],
        Operation::CreateExchange(data) => vec![build.create_exchange(signer, signer, data.clone())],
        Operation::UpdateExchange(data) => vec![build.update_exchange(signer, code, data.clone())],
        Operation::CreateDevice { parents: [contributor, location, exchange], data } => {
            vec![build.create_device(signer, contributor, location, exchange, (**data).clone())]
        }
        Operation::UpdateDevice(refs, data) => vec![build.update_device(signer, refs, (**data).clone())],
        Operation::AddInterfaces(refs, all) => {
            all.iter().map(|data| build.add_interface(signer, refs, data.clone())).collect()
        }
        Operation::UpdateInterfaces(refs, all) => {
            all.iter().map(|data| build.update_interface(signer, refs, data.clone())).collect()
        }
        Operation::ProvisionDevice(refs) => vec![build.provision_device(signer, refs, ANY_SEQUENCE)],
        Operation::CreateLink { sides: [a, z], data } => vec![build.create_link(signer, a, z, (**data).clone())],
        Operation::AcceptLink(refs, interface) => vec![build.accept_link(signer, refs, *interface, ANY_SEQUENCE)],
        Operation::UpdateLink(contributor, data) => {
            vec![build.update_link(signer, &side(contributor), &link(), data.clone())]
        }
        Operation::ProvisionLink(refs) => vec![build.provision_link(signer, refs, ANY_SEQUENCE)],
        Operation::SetDeviceDesired(refs, sequence, desired) => vec![
            build.set_device_desired(signer, refs, *desired, *sequence),
            build.advance_device(signer, refs, ANY_SEQUENCE),
        ],
        Operation::SetLinkDesired(contributor, refs, sequence, desired) => vec![
            build.set_link_desired(signer, &side(contributor), &refs.link, *desired, *sequence),
            build.advance_link(signer, refs, ANY_SEQUENCE),
        ],
    }
}
