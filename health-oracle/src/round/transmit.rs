//! Instructions packed, sent and counted.

use causeway_interface::{ErrorCode, Key};
use causeway_sdk::pack::{self, Costed, Limits};
use futures::{StreamExt, stream};
use solana_sdk::{instruction::Instruction, message::AddressLookupTableAccount};
use tracing::{debug, error, warn};

use super::Judge;
use crate::chain::{Chain, SendError};

/// Transactions under way at once: enough to hide the confirmation of one behind the next, few enough for a public node.
pub(super) const TRANSACTIONS_AT_ONCE: usize = 8;
/// Compute units expected of one `Advance`, of one `ExtendAttestations`; the program's targets with room to spare.
const ADVANCE_UNITS: u32 = 10_000;

impl<C: Chain> Judge<C> {
    /// Sends instructions in as few transactions as fit; where the program refuses one with several, each alone. Returns
    /// how many instructions landed.
    pub(super) async fn send_packed(&self, what: &'static str, items: Vec<(Key, Instruction)>) -> usize {
        let costed: Vec<Costed> = items
            .iter()
            .map(|(_, instruction)| Costed { instruction: instruction.clone(), compute_units: ADVANCE_UNITS })
            .collect();
        let packed = match pack::pack(&self.settings.oracle, &costed, &Limits::default()) {
            Ok(packed) => packed,
            Err(error) => {
                error!(what, %error, "nothing sent");
                return 0;
            }
        };
        let send = |instructions: Vec<Instruction>| async move {
            let count = instructions.len();
            match self.send(what, instructions.clone(), &[]).await {
                Ok(_) => count,
                Err(SendError::Program { code }) if count > 1 => {
                    debug!(what, %code, count, "refused; each alone");
                    let mut landed = 0;
                    for instruction in instructions {
                        match self.send(what, vec![instruction], &[]).await {
                            Ok(_) => landed += 1,
                            Err(error) => debug!(what, %error, "refused"),
                        }
                    }
                    landed
                }
                Err(error) => {
                    debug!(what, %error, "not sent; the next round tries again");
                    0
                }
            }
        };
        stream::iter(packed.into_iter().map(|p| send(p.instructions)))
            .buffer_unordered(TRANSACTIONS_AT_ONCE)
            .fold(0, |sum, landed| async move { sum + landed })
            .await
    }

    pub(super) async fn send(
        &self,
        what: &'static str,
        instructions: Vec<Instruction>,
        tables: &[AddressLookupTableAccount],
    ) -> Result<String, SendError> {
        let outcome = self.chain.send(instructions, tables).await;
        match &outcome {
            Ok(signature) => {
                debug!(what, signature, "landed");
                self.metrics.transactions_landed(what, 1);
            }
            Err(error) if is_lost_race(what, error) => debug!(what, %error, "another was first"),
            Err(error) => {
                warn!(what, %error, "transaction failed");
                self.metrics.transaction_failed(what);
            }
        }
        outcome
    }
}

/// Anyone may advance and extend: that somebody else has done it is no failure.
fn is_lost_race(what: &str, error: &SendError) -> bool {
    let race = |code: &ErrorCode| matches!(code, ErrorCode::StaleSequence | ErrorCode::NoChange);
    what != "attest" && matches!(error, SendError::Program { code } if race(code))
}
