//! What can be made to go wrong, and made well again.

use super::{config::Family, fabric::Port};

/// Handle of an injected fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FaultId(pub(super) u64);

/// A verb of a device's management.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Checking and holding a candidate.
    Load,
    /// Comparing.
    Compare,
    /// Committing.
    Commit,
    /// Confirming.
    Confirm,
    /// Reverting.
    Revert,
    /// Saving the startup configuration.
    Save,
}

/// Before or after a verb had its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before.
    Before,
    /// After; only the answer is missing.
    After,
}

/// A fault. Rates are per thousand packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Packets that a port sends are lost.
    SendLoss {
        /// The sending port.
        port: Port,
        /// Lost packets of a thousand.
        per_mille: u16,
    },
    /// Packets that a port sends or receives are lost.
    PortLoss {
        /// The port.
        port: Port,
        /// Lost packets of a thousand, in each direction.
        per_mille: u16,
    },
    /// Packets are lost on all of a device's ports.
    DeviceLoss {
        /// Device code.
        device: String,
        /// Lost packets of a thousand, in each direction of each port.
        per_mille: u16,
    },
    /// A port counts receive errors.
    InterfaceErrors {
        /// The port.
        port: Port,
        /// Errors a second.
        per_second: u32,
    },
    /// A port stays up and carries nothing: its octet counters stand still. Probes and hellos are not counted, and go on.
    NoTraffic {
        /// The port.
        port: Port,
    },
    /// A port's hellos are dropped: its adjacency goes, the interface stays.
    AdjacencyDrop {
        /// The port, either end.
        port: Port,
    },
    /// A cable is cut.
    LinkCut {
        /// The port, either end.
        port: Port,
    },
    /// Every internet uplink of a device is down.
    DiaDown {
        /// Device code.
        device: String,
    },
    /// The device refuses every line that contains a text.
    RejectLine {
        /// Device code.
        device: String,
        /// What the line contains.
        containing: String,
    },
    /// A verb never answers.
    Hang {
        /// Device code.
        device: String,
        /// Which.
        verb: Verb,
        /// Whether it has its effect.
        moment: Moment,
    },
    /// A verb fails, and the device's management is dead from then on. What the device does by itself goes on.
    ManagementDies {
        /// Device code.
        device: String,
        /// At which verb.
        verb: Verb,
        /// Whether it has its effect.
        moment: Moment,
    },
}

impl Fault {
    /// The device that it concerns first.
    pub fn device(&self) -> &str {
        match self {
            Self::SendLoss { port, .. }
            | Self::PortLoss { port, .. }
            | Self::InterfaceErrors { port, .. }
            | Self::NoTraffic { port }
            | Self::AdjacencyDrop { port }
            | Self::LinkCut { port } => &port.device,
            Self::DeviceLoss { device, .. }
            | Self::DiaDown { device }
            | Self::RejectLine { device, .. }
            | Self::Hang { device, .. }
            | Self::ManagementDies { device, .. } => device,
        }
    }

    pub(super) fn is_mute(&self, at: &Port) -> bool {
        matches!(self, Self::NoTraffic { port } if port == at)
    }

    pub(super) fn sends_lost(&self, from: &Port) -> u16 {
        match self {
            Self::SendLoss { port, per_mille } | Self::PortLoss { port, per_mille } if port == from => *per_mille,
            Self::DeviceLoss { device, per_mille } if *device == from.device => *per_mille,
            _ => 0,
        }
    }

    pub(super) fn receives_lost(&self, at: &Port) -> u16 {
        match self {
            Self::PortLoss { port, per_mille } if port == at => *per_mille,
            Self::DeviceLoss { device, per_mille } if *device == at.device => *per_mille,
            _ => 0,
        }
    }
}

/// The first line that a rejection fault refuses, counted from 1.
pub(super) fn rejected_line<'a>(
    faults: impl Iterator<Item = &'a Fault>,
    of: &str,
    family: Family,
    text: &str,
) -> Option<String> {
    let patterns: Vec<&str> = faults
        .filter_map(|fault| match fault {
            Fault::RejectLine { device, containing } if device == of => Some(containing.as_str()),
            _ => None,
        })
        .collect();
    text.lines()
        .enumerate()
        .find(|(_, line)| patterns.iter().any(|pattern| line.contains(pattern)))
        .map(|(index, line)| format!("line {}: {family} rejects it (injected fault): {:?}", index + 1, line.trim()))
}
