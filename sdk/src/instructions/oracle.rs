//! Instructions of health: what oracles say, and what follows from it.

use causeway_interface::{
    Key,
    instruction::{ADVANCE_DEVICE, ADVANCE_LINK, Advance, Attest, Extend, Instruction as Data, Verdict},
};
use solana_sdk::{
    instruction::{AccountMeta, Instruction},
    pubkey::Pubkey,
};

use super::{DeviceRefs, Instructions, LinkRefs, metas};
use crate::address::{SYSTEM_PROGRAM, to_key};

/// What a batch of verdicts was judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The network's oracle epoch: a word that reaches the ledger in another one is refused.
    pub epoch: u32,
    /// First slot looked at.
    pub start_slot: u64,
    /// Last slot looked at.
    pub end_slot: u64,
    /// Root over the evidence documents of the batch.
    pub evidence_root: causeway_interface::Digest,
}

impl Instructions {
    /// An oracle's word on many subjects (devices' and links' own addresses), at most
    /// [`causeway_interface::instruction::MAX_ATTEST_BATCH`]; how many fit a transaction is [`crate::pack`]'s to say.
    #[must_use]
    pub fn attest(&self, oracle: &Pubkey, window: Window, verdicts: &[(Key, Verdict)]) -> Instruction {
        let addressed: Vec<_> =
            verdicts.iter().map(|(subject, verdict)| (self.addresses.attestations(subject), verdict.clone())).collect();
        self.attest_at(oracle, window, &addressed)
    }

    /// The same, given the addresses of the attestations accounts: for those who keep them, because deriving one takes
    /// longer than everything else about a word.
    #[must_use]
    pub fn attest_at(&self, oracle: &Pubkey, window: Window, verdicts: &[(Pubkey, Verdict)]) -> Instruction {
        let subjects = verdicts.iter().map(|(address, _)| AccountMeta::new(*address, false)).collect();
        let data = Attest {
            epoch: window.epoch,
            window_start_slot: window.start_slot,
            window_end_slot: window.end_slot,
            evidence_root: window.evidence_root,
            verdicts: verdicts.iter().map(|(_, verdict)| verdict.clone()).collect(),
        };
        self.build_with(Data::Attest(data), [*oracle, self.network], subjects)
    }

    fn advance(
        &self,
        sender: &Pubkey,
        subject: &Pubkey,
        expected_sequence: u64,
        rest: Vec<AccountMeta>,
    ) -> Instruction {
        let attestations = self.addresses.attestations(&to_key(subject));
        let keys = [*sender, self.network, *subject, attestations];
        self.build_with(Data::Advance(Advance { expected_sequence }), keys, rest)
    }

    /// Recomputes a device's health and applies the one transition that is allowed.
    #[must_use]
    pub fn advance_device(&self, sender: &Pubkey, refs: &DeviceRefs, expected_sequence: u64) -> Instruction {
        let rest = metas(ADVANCE_DEVICE, &[refs.contributor, refs.location, refs.exchange]);
        self.advance(sender, &refs.device, expected_sequence, rest)
    }

    /// Recomputes a link's health and applies the one transition that is allowed.
    #[must_use]
    pub fn advance_link(&self, sender: &Pubkey, refs: &LinkRefs, expected_sequence: u64) -> Instruction {
        let LinkRefs { link, a, z } = refs;
        let context =
            [a.contributor, z.contributor, a.device, z.device, a.location, a.exchange, z.location, z.exchange];
        self.advance(sender, link, expected_sequence, metas(ADVANCE_LINK, &context))
    }

    /// Makes an entry for every oracle of the current set (0), or `entries` more.
    #[must_use]
    pub fn extend_attestations(&self, payer: &Pubkey, subject: &Key, entries: u32) -> Instruction {
        let keys = [*payer, self.network, self.addresses.attestations(subject), SYSTEM_PROGRAM];
        self.build(Data::ExtendAttestations(Extend { entries }), keys)
    }
}
