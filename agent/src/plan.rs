//! The probe plan: what the controller asks to be probed, checked, and kept over restarts and outages.

use std::{io, net::Ipv4Addr, path::Path};

use causeway_wire::{controller::ProbePlan, telemetry};
use prost::Message;

use crate::{
    driver::{ProbeKind, Target},
    state::write_atomically,
};

/// Targets that an agent probes at most: every device and link of a large network, from one device.
pub const MAX_TARGETS: usize = 20_000;
/// Longest code or interface name in bytes, as on the ledger.
const MAX_NAME_BYTES: usize = 32;

/// A plan that passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The controller's hash of it; empty where there is none yet.
    pub sha256: Vec<u8>,
    /// What to probe, in the controller's order.
    pub targets: Vec<Target>,
    /// Entries that make no sense and are left out.
    pub left_out: usize,
}

impl Plan {
    /// Reads a plan. Entries that make no sense are left out and counted: the rest is still measured.
    pub fn read(plan: &ProbePlan) -> Self {
        let targets: Vec<Target> = plan.targets.iter().take(MAX_TARGETS).filter_map(target).collect();
        let left_out = plan.targets.len() - targets.len();
        Self { sha256: plan.sha256.get(..32).unwrap_or_default().to_vec(), targets, left_out }
    }

    /// The plan that an earlier process kept; an empty one where there is none that can be read, because the controller
    /// sends it again.
    pub fn load(path: &Path) -> Self {
        let kept = std::fs::read(path).ok().and_then(|bytes| ProbePlan::decode(bytes.as_slice()).ok());
        kept.map(|plan| Self::read(&plan)).unwrap_or_default()
    }
}

/// Keeps a plan for the next process. Blocks for a disk write.
///
/// # Errors
/// IO.
pub fn keep(path: &Path, plan: &ProbePlan) -> io::Result<()> {
    write_atomically(path, &plan.encode_to_vec())
}

fn target(entry: &causeway_wire::controller::ProbeTarget) -> Option<Target> {
    let kind = match telemetry::ProbeKind::try_from(i32::try_from(entry.kind).ok()?).ok()? {
        telemetry::ProbeKind::Unspecified => return None,
        telemetry::ProbeKind::Link => ProbeKind::Link,
        telemetry::ProbeKind::Qa => ProbeKind::Qa,
        telemetry::ProbeKind::Reachability => ProbeKind::Reachability,
    };
    let named = |name: &str| name.len() <= MAX_NAME_BYTES && !name.contains(|c: char| c.is_control());
    let address: Ipv4Addr = entry.address.parse().ok()?;
    let sound = !entry.code.is_empty() && named(&entry.code) && named(&entry.interface) && !address.is_unspecified();
    let interface = (!entry.interface.is_empty()).then(|| entry.interface.clone());
    sound.then(|| Target { kind, code: entry.code.clone(), interface, address })
}

#[cfg(test)]
mod tests {
    use causeway_wire::controller::ProbeTarget;

    use super::*;

    fn entry(kind: u32, code: &str, interface: &str, address: &str) -> ProbeTarget {
        ProbeTarget { kind, code: code.into(), interface: interface.into(), address: address.into() }
    }

    #[test]
    fn senseless_entries_are_left_out_and_counted() {
        let plan = ProbePlan {
            sha256: vec![1; 32],
            targets: vec![
                entry(1, "a-b", "eth1", "10.0.0.1"),
                entry(0, "a-b", "eth1", "10.0.0.1"),
                entry(9, "a-b", "", "10.0.0.1"),
                entry(u32::MAX, "a-b", "", "10.0.0.1"),
                entry(2, "", "", "10.0.0.1"),
                entry(2, "b", "", "10.0.0"),
                entry(3, &"x".repeat(33), "", "10.0.0.1"),
                entry(3, "b", "", "198.18.0.1"),
            ],
        };
        let read = Plan::read(&plan);
        assert_eq!((read.targets.len(), read.left_out), (2, 6));
        assert_eq!(read.targets[1].interface, None);
    }

    #[test]
    fn a_kept_plan_is_read_again_and_a_damaged_one_is_empty() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plan");
        assert_eq!(Plan::load(&path), Plan::default());
        let plan = ProbePlan { sha256: vec![2; 32], targets: vec![entry(1, "l", "", "10.0.0.1")] };
        keep(&path, &plan).unwrap();
        assert_eq!(Plan::load(&path), Plan::read(&plan));
        std::fs::write(&path, b"\xff\xff").unwrap();
        assert_eq!(Plan::load(&path), Plan::default());
    }
}
