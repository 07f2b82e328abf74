//! `causeway link`.

use causeway_interface::{
    Code, DesiredStatus, InterfaceName, Key, LinkHealth, LinkStatus, LinkType, RejectReason,
    accounts::{Contributor, Device, Link as Record},
    instruction::{CreateLink, UpdateLink},
    values,
};
use causeway_sdk::Filter;
use clap::{Args, Subcommand};

use super::{Expect, Target, Wait, one_of, parse_bandwidth, parse_delay};

/// Verbs of links.
#[derive(Debug, Subcommand)]
pub enum Link {
    /// Register a link; the owner of side A's contributor signs.
    Create(LinkCreate),
    /// Agree to a link as side Z.
    Accept(LinkAccept),
    /// Refuse a link, as side Z or as the authority.
    Reject {
        /// Which.
        #[command(flatten)]
        target: Target,
        /// Why.
        #[arg(long, value_parser = one_of::<RejectReason>())]
        reason: RejectReason,
    },
    /// Assign tunnel id and net and begin provisioning; the owner of either side signs.
    Provision {
        /// Which.
        #[command(flatten)]
        target: Target,
        /// Waiting.
        #[command(flatten)]
        wait: Wait,
    },
    /// Show all.
    List(LinkList),
    /// Show one.
    Get {
        /// Its code.
        code: Code,
    },
    /// Change a link's figures.
    Update(LinkUpdate),
    /// Set what the signer's side wants a link to be; takes effect in the same transaction where it can.
    SetDesired {
        /// Which.
        #[command(flatten)]
        target: Target,
        /// What it is wanted to be.
        #[arg(long, value_parser = one_of::<DesiredStatus>())]
        status: DesiredStatus,
        /// Waiting.
        #[command(flatten)]
        wait: Wait,
    },
    /// Stop a link; the authority signs.
    Suspend(Target),
    /// Let a suspended link go on; the authority signs.
    Resume(Target),
    /// Delete a link that is not in service, free what it holds and return its rent to side A's owner.
    Delete(Target),
}

/// A new link.
#[derive(Clone, Debug, Args)]
pub struct LinkCreate {
    /// Its code.
    pub code: Code,
    /// Code of side A's device, whose contributor's owner signs.
    #[arg(long, value_name = "CODE")]
    pub device_a: Code,
    /// Interface of side A.
    #[arg(long, value_name = "NAME")]
    pub interface_a: InterfaceName,
    /// Code of side Z's device.
    #[arg(long, value_name = "CODE")]
    pub device_z: Code,
    /// Interface of side Z. Of a link between two contributors a proposal, which may be left out.
    #[arg(long, value_name = "NAME")]
    pub interface_z: Option<InterfaceName>,
    /// Type; wan within one contributor, dzx between two, if left out.
    #[arg(long = "type", value_parser = one_of::<LinkType>())]
    pub link_type: Option<LinkType>,
    /// Bandwidth, such as 100G.
    #[arg(long, value_name = "BPS", value_parser = parse_bandwidth)]
    pub bandwidth: u64,
    /// One-way delay, such as 5.2ms.
    #[arg(long, value_name = "TIME", value_parser = parse_delay)]
    pub delay: u64,
    /// Jitter.
    #[arg(long, value_name = "TIME", value_parser = parse_delay, default_value = "10us")]
    pub jitter: u64,
    /// MTU in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = values::FABRIC_MTU)]
    pub mtu: u16,
    /// What it is wanted to be.
    #[arg(long, value_parser = one_of::<DesiredStatus>(), default_value = "activated")]
    pub desired: DesiredStatus,
}

impl LinkCreate {
    /// The instruction's data for a link between these devices.
    #[must_use]
    pub fn data(&self, a: &Device, z: &Device) -> CreateLink {
        let natural = if a.contributor == z.contributor { LinkType::Wan } else { LinkType::Dzx };
        CreateLink {
            code: self.code,
            link_type: self.link_type.unwrap_or(natural),
            interface_a: self.interface_a,
            interface_z: self.interface_z.unwrap_or_default(),
            bandwidth_bps: self.bandwidth,
            mtu: self.mtu,
            delay_ns: self.delay,
            jitter_ns: self.jitter,
            desired: self.desired,
        }
    }
}

/// Side Z's agreement.
#[derive(Clone, Debug, Args)]
pub struct LinkAccept {
    /// Which.
    #[command(flatten)]
    pub target: Target,
    /// Interface of side Z; the proposed one if left out.
    #[arg(long, value_name = "NAME")]
    pub interface: Option<InterfaceName>,
}

impl LinkAccept {
    /// The interface that is agreed to; none where nobody named one.
    #[must_use]
    pub fn interface(&self, link: &Record) -> Option<InterfaceName> {
        self.interface.or((!link.interface_z.is_zero()).then_some(link.interface_z))
    }
}

/// What changes of a link.
#[derive(Clone, Debug, Default, Args)]
#[group(id = "change", required = true, multiple = true)]
pub struct LinkChange {
    /// Bandwidth, such as 100G.
    #[arg(long, value_name = "BPS", value_parser = parse_bandwidth)]
    pub bandwidth: Option<u64>,
    /// One-way delay, such as 5.2ms.
    #[arg(long, value_name = "TIME", value_parser = parse_delay)]
    pub delay: Option<u64>,
    /// Jitter.
    #[arg(long, value_name = "TIME", value_parser = parse_delay)]
    pub jitter: Option<u64>,
    /// Delay to use for the metric instead; 0 for none.
    #[arg(long, value_name = "TIME", value_parser = parse_delay)]
    pub delay_override: Option<u64>,
    /// MTU in bytes.
    #[arg(long, value_name = "BYTES")]
    pub mtu: Option<u16>,
}

/// A change of a link.
#[derive(Clone, Debug, Args)]
pub struct LinkUpdate {
    /// Its code.
    pub code: Code,
    /// What changes.
    #[command(flatten)]
    pub change: LinkChange,
    /// Sequence.
    #[command(flatten)]
    pub expect: Expect,
}

impl LinkUpdate {
    /// The instruction's data: what is not changed is as it was read.
    #[must_use]
    pub fn data(&self, now: &Record) -> UpdateLink {
        let change = &self.change;
        UpdateLink {
            expected_sequence: self.expect.or(now.header.sequence),
            bandwidth_bps: change.bandwidth.unwrap_or(now.bandwidth_bps),
            mtu: change.mtu.unwrap_or(now.mtu),
            delay_ns: change.delay.unwrap_or(now.delay_ns),
            jitter_ns: change.jitter.unwrap_or(now.jitter_ns),
            delay_override_ns: change.delay_override.unwrap_or(now.delay_override_ns),
        }
    }
}

/// Which links to list.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct LinkList {
    /// Only those of this status.
    #[arg(long, value_parser = one_of::<LinkStatus>())]
    pub status: Option<LinkStatus>,
    /// Only those of this health.
    #[arg(long, value_parser = one_of::<LinkHealth>())]
    pub health: Option<LinkHealth>,
    /// Only those that are wanted to be this.
    #[arg(long, value_parser = one_of::<DesiredStatus>())]
    pub desired: Option<DesiredStatus>,
    /// Only those of this type.
    #[arg(long = "type", value_parser = one_of::<LinkType>())]
    pub link_type: Option<LinkType>,
}

impl LinkList {
    /// As the ledger is asked.
    #[must_use]
    pub fn filter(&self) -> Filter {
        Filter {
            status: self.status.map(LinkStatus::byte),
            health: self.health.map(LinkHealth::byte),
            desired: self.desired,
            kind: self.link_type.map(LinkType::byte),
        }
    }
}

/// The contributor that a signer acts for: side Z's where the key is Z's and not A's, else side A's. A key that is
/// neither's is refused by the program.
#[must_use]
pub fn acts_for(signer: Key, link: &Record, a: &Contributor, z: &Contributor) -> Key {
    let holds = |c: &Contributor| c.owner == signer || c.operations_key == signer;
    if !holds(a) && holds(z) { link.contributor_z } else { link.contributor_a }
}
