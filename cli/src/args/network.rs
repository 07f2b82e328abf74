//! `causeway network`.

use causeway_interface::{
    Key, Prefix,
    accounts::Network as Record,
    instruction::{InitNetwork, UpdateNetwork},
};
use clap::{Args, Subcommand};

use super::{Expect, MaybeKey};

/// Verbs of the network.
#[derive(Debug, Subcommand)]
pub enum Network {
    /// Create the network of a program that was deployed with the signer's key.
    Init(NetworkInit),
    /// Show the network.
    Get,
    /// Change burn-ins, the attestations' age or the core ASN.
    Update(NetworkUpdate),
    /// Trip the breaker: no forward transition, drains still work.
    Pause {
        /// Reset it instead.
        #[arg(long)]
        off: bool,
        /// Sequence.
        #[command(flatten)]
        expect: Expect,
    },
    /// Replace the oracle set. Every attestation is void at once.
    SetOracles(SetOracles),
    /// Name the next authority, who then has to accept.
    ProposeAuthority {
        /// The next authority's public key; `none` takes a proposal back.
        #[arg(long, value_name = "KEY")]
        to: MaybeKey,
        /// Sequence.
        #[command(flatten)]
        expect: Expect,
    },
    /// Become the authority: the proposed key signs.
    AcceptAuthority {
        /// Sequence.
        #[command(flatten)]
        expect: Expect,
    },
    /// Make room for more dz prefixes.
    ExtendPrefixes {
        /// How many; as many as one transaction can add if left out.
        #[arg(long, value_name = "N", default_value_t = 0)]
        entries: u32,
    },
}

/// What a network begins with.
#[derive(Clone, Debug, Args)]
pub struct NetworkInit {
    /// The network's authority; the signer if left out.
    #[arg(long, value_name = "KEY")]
    pub authority: Option<Key>,
    /// Core ASN.
    #[arg(long, value_name = "ASN")]
    pub core_asn: u32,
    /// Burn-in before first service, in slots.
    #[arg(long, value_name = "SLOTS", default_value_t = 200_000)]
    pub burn_in_new: u64,
    /// Burn-in after maintenance, in slots.
    #[arg(long, value_name = "SLOTS", default_value_t = 5_000)]
    pub burn_in_maintenance: u64,
    /// Age after which an attestation no longer counts, in slots.
    #[arg(long, value_name = "SLOTS", default_value_t = 1_500)]
    pub max_age: u64,
    /// Block that the /31 nets of links come from.
    #[arg(long, value_name = "PREFIX")]
    pub link_block: Prefix,
    /// Block that loopback addresses come from.
    #[arg(long, value_name = "PREFIX")]
    pub loopback_block: Prefix,
    /// Block that user addresses come from.
    #[arg(long, value_name = "PREFIX")]
    pub user_block: Prefix,
}

impl NetworkInit {
    /// The instruction's data.
    #[must_use]
    pub fn data(&self, signer: Key) -> InitNetwork {
        InitNetwork {
            authority: self.authority.unwrap_or(signer),
            core_asn: self.core_asn,
            burn_in_new_slots: self.burn_in_new,
            burn_in_maintenance_slots: self.burn_in_maintenance,
            attestation_max_age_slots: self.max_age,
            link_block: self.link_block,
            loopback_block: self.loopback_block,
            user_block: self.user_block,
        }
    }
}

/// What changes of a network; the rest stays.
#[derive(Clone, Debug, Default, Args)]
#[group(id = "change", required = true, multiple = true)]
pub struct NetworkChange {
    /// Core ASN.
    #[arg(long, value_name = "ASN")]
    pub core_asn: Option<u32>,
    /// Burn-in before first service, in slots.
    #[arg(long, value_name = "SLOTS")]
    pub burn_in_new: Option<u64>,
    /// Burn-in after maintenance, in slots.
    #[arg(long, value_name = "SLOTS")]
    pub burn_in_maintenance: Option<u64>,
    /// Age after which an attestation no longer counts, in slots.
    #[arg(long, value_name = "SLOTS")]
    pub max_age: Option<u64>,
}

/// A change of the network.
#[derive(Clone, Debug, Default, Args)]
pub struct NetworkUpdate {
    /// What changes.
    #[command(flatten)]
    pub change: NetworkChange,
    /// Sequence.
    #[command(flatten)]
    pub expect: Expect,
}

impl NetworkUpdate {
    /// The instruction's data: what is not changed is as it was read.
    #[must_use]
    pub fn data(&self, network: &Record) -> UpdateNetwork {
        let change = &self.change;
        UpdateNetwork {
            expected_sequence: self.expect.or(network.header.sequence),
            core_asn: change.core_asn.unwrap_or(network.core_asn),
            burn_in_new_slots: change.burn_in_new.unwrap_or(network.burn_in_new_slots),
            burn_in_maintenance_slots: change.burn_in_maintenance.unwrap_or(network.burn_in_maintenance_slots),
            attestation_max_age_slots: change.max_age.unwrap_or(network.attestation_max_age_slots),
        }
    }
}

/// The next oracle set.
#[derive(Clone, Debug, Args)]
pub struct SetOracles {
    /// Public key of an oracle; once for each, in the set's order.
    #[arg(long = "oracle", value_name = "KEY", required = true)]
    pub oracles: Vec<Key>,
    /// Oracles that have to agree: a majority of two or three, more than two thirds of four or more.
    #[arg(long, value_name = "N")]
    pub quorum: u8,
    /// Sequence.
    #[command(flatten)]
    pub expect: Expect,
}
