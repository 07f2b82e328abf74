//! The network's parameters, as ordinary instructions set them. Short burn-ins are parameters like any other.

use std::sync::Arc;

use causeway_interface::{
    Key, Prefix,
    instruction::{ANY_SEQUENCE, InitNetwork},
};
use causeway_sdk::{Instructions, SendError, Sender, Submission, address::to_key};
use solana_sdk::{signature::Keypair, signer::Signer};

/// What a network begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkParams {
    /// Core ASN.
    pub core_asn: u32,
    /// Burn-in before first service, in slots.
    pub burn_in_new_slots: u64,
    /// Burn-in after maintenance, in slots.
    pub burn_in_maintenance_slots: u64,
    /// Age after which an attestation no longer counts, in slots.
    pub attestation_max_age_slots: u64,
    /// Block that link nets come from.
    pub link_block: Prefix,
    /// Block that loopbacks come from.
    pub loopback_block: Prefix,
    /// Block that user addresses come from.
    pub user_block: Prefix,
    /// The oracles.
    pub oracles: Vec<Key>,
    /// Oracles that have to agree.
    pub quorum: u8,
}

impl Default for NetworkParams {
    /// No oracles; burn-ins of some seconds at a localnet's slots; private blocks.
    fn default() -> Self {
        Self {
            core_asn: 65_000,
            burn_in_new_slots: 100,
            burn_in_maintenance_slots: 100,
            attestation_max_age_slots: 100,
            link_block: Prefix::new(0xac10_0000, 16),
            loopback_block: Prefix::new(0xac1f_0000, 16),
            user_block: Prefix::new(0x0a00_0000, 8),
            oracles: Vec::new(),
            quorum: 0,
        }
    }
}

/// The smallest quorum that is allowed for a set of this size: a majority of two or three, more than two thirds of
/// four or more.
#[must_use]
pub const fn smallest_quorum(oracles: u8) -> u8 {
    match oracles {
        0 => 0,
        1..=3 => oracles / 2 + 1,
        _ => (oracles as u16 * 2 / 3) as u8 + 1,
    }
}

/// Creates the network and puts its oracle set in force. `authority` is the program's upgrade authority and becomes
/// the network's.
///
/// # Errors
/// The program refused, as it does when the network exists, or the ledger could not be reached.
pub async fn init(
    sender: &Sender,
    payer: &Arc<Keypair>,
    authority: &Arc<Keypair>,
    params: &NetworkParams,
) -> Result<(), SendError> {
    let build = Instructions::new(sender.ledger().addresses().program_id);
    let data = InitNetwork {
        authority: to_key(&authority.pubkey()),
        core_asn: params.core_asn,
        burn_in_new_slots: params.burn_in_new_slots,
        burn_in_maintenance_slots: params.burn_in_maintenance_slots,
        attestation_max_age_slots: params.attestation_max_age_slots,
        link_block: params.link_block,
        loopback_block: params.loopback_block,
        user_block: params.user_block,
    };
    let mut instructions = vec![build.init_network(&payer.pubkey(), &authority.pubkey(), data)];
    if !params.oracles.is_empty() {
        instructions.push(build.set_oracle_set(
            &authority.pubkey(),
            params.oracles.clone(),
            params.quorum,
            ANY_SEQUENCE,
        ));
    }
    let one = |instruction| Submission::new(vec![instruction], payer).signed_by(authority);
    // One after the other: 31 oracles and the network don't fit one packet.
    for instruction in instructions {
        sender.send(one(instruction)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_interface::quorum::is_allowed_quorum;

    #[test]
    fn the_smallest_quorum_is_allowed_and_one_less_is_not() {
        for oracles in 1..=31 {
            let quorum = usize::from(smallest_quorum(oracles));
            assert!(is_allowed_quorum(usize::from(oracles), quorum), "{oracles}");
            assert!(!is_allowed_quorum(usize::from(oracles), quorum - 1), "{oracles}");
        }
    }
}
