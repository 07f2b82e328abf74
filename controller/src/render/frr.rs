//! FRRouting 8.4 and later, on Linux.
//!
//! The text is the whole managed configuration; a driver makes the router equal to it (`frr-reload`), so what an
//! earlier text set and this one doesn't is gone. `router isis` comes before the interfaces, because isisd drops
//! `isis metric` above 63 while it doesn't know of wide metrics yet. Descriptions are a link's code, or a role in
//! capitals.
//!
//! What it does not say: MTU and the management interface's VRF membership are Linux's, not FRR's. The MTU of each
//! role is in the device's interface list; whoever makes the interfaces sets it. So is a sub-interface's VLAN, which
//! its name ends with ([`crate::names`]). Loopbacks are addresses of `lo`, which is there on every Linux, with or without the
//! dummy driver; IS-IS announces them all, so that one which may not be announced is left out. Segment ids are not used,
//! for want of MPLS forwarding that can be counted on. There is no control-plane list: packets to the router itself are
//! the kernel's (rfcs/0019).

use super::{
    Capabilities, DeviceFamily, Family, Removal, Templates,
    compare::{ConfigTree, Difference},
    view::{IdlePorts, Loopbacks, Manner},
};

const TEMPLATES: Templates = Templates {
    head: include_str!("../../templates/frr-head.j2"),
    bgp: include_str!("../../templates/frr-bgp.j2"),
    body: include_str!("../../templates/frr.j2"),
};

/// Whether a line is in a section that is Causeway's as a whole. The driver says the same: BGP of other VRFs, static
/// routes of the management VRF and BFD for other peers are the operator's.
fn is_managed(path: &str) -> bool {
    let header = path.split(" / ").next().unwrap_or_default();
    header.starts_with("interface ")
        || header == "router isis 1"
        || (header.starts_with("router bgp ") && !header.contains(" vrf ") && !header.contains(" view "))
        || path.starts_with("bfd / profile causeway")
}

/// FRRouting.
#[derive(Clone, Copy, Debug)]
pub struct Frr;

impl DeviceFamily for Frr {
    fn family(&self) -> Family {
        Family::Frr
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { sets_mtu: false, segment_routing: false, pim: false, removal: Removal::Replacement }
    }

    fn templates(&self) -> Templates {
        TEMPLATES
    }

    fn tail(&self) -> &'static str {
        "end\n"
    }

    fn manner(&self) -> Manner {
        Manner { loopbacks: Loopbacks::Shared, idle_ports: IdlePorts::Unsaid }
    }

    fn parse(&self, text: &str) -> ConfigTree {
        ConfigTree::from_indented_with(text, as_running)
    }

    fn compare(&self, intended: &str, running: &str) -> Difference {
        self.parse(intended).difference(&self.parse(running), is_managed)
    }
}

/// A line as `show running-config` of FRR 8.4 has it; nothing for one that says a default, which it leaves out.
fn as_running(line: &str) -> Option<&str> {
    match line {
        // What is said as `lsp-gen-interval 1` comes back together with the two timers that were not said.
        "lsp-timers gen-interval 1 refresh-interval 900 max-lifetime 1200" => Some("lsp-gen-interval 1"),
        "metric-style wide" | "distance bgp 20 200 200" => None,
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        render::render_device,
        testing::{SyntheticLedger, code},
    };

    /// What a real FRR 8.4.4 said after it had been given the very text of this device.
    const RUNNING: &str = include_str!("../../tests/fixtures/frr-8.4.4-running.txt");

    #[test]
    fn what_real_frr_runs_after_the_text_differs_by_the_host_name_only() {
        let ledger = SyntheticLedger::ring(Family::Frr);
        let text = render_device(&ledger.snapshot, &code("ams"), None).unwrap().text.to_string();
        let found = Frr.compare(&text, RUNNING);
        // vtysh shows the machine's own host name, whatever it was told.
        assert_eq!(Vec::from_iter(found.missing), ["hostname ams"]);
        assert!(found.extra.is_empty(), "{:?}", found.extra);
    }

    #[test]
    fn the_operators_vrfs_routes_and_bfd_peers_are_no_drift_and_a_stale_peer_is() {
        let ledger = SyntheticLedger::ring(Family::Frr);
        let text = render_device(&ledger.snapshot, &code("ams"), None).unwrap().text.to_string();
        let beside = "router bgp 65342 vrf blue\n neighbor 10.0.0.1 remote-as 65001\nexit\n!\nrouter bgp 7 view looking-glass\nexit\n!\n\
                      vrf mgmt\n ip route 0.0.0.0/0 192.0.2.1\nexit-vrf\n!\nbfd\n peer 10.0.0.1\n exit\n !\nexit\n!\nrouter isis other\nexit\n";
        assert!(Frr.compare(&text, &format!("{RUNNING}{beside}")).extra.is_empty());
        let stale = RUNNING.replacen("router bgp 65342\n", "router bgp 65342\n neighbor 10.0.0.1 remote-as 65001\n", 1);
        let profile = "bfd\n profile causeway\n  detect-multiplier 9\n exit\n !\nexit\n";
        let found = Frr.compare(&text, &format!("{stale}{profile}"));
        assert_eq!(
            Vec::from_iter(found.extra),
            ["bfd / profile causeway / detect-multiplier 9", "router bgp 65342 / neighbor 10.0.0.1 remote-as 65001"]
        );
    }

    #[test]
    fn a_peer_or_metric_that_was_changed_beside_the_text_shows() {
        let ledger = SyntheticLedger::ring(Family::Frr);
        let text = render_device(&ledger.snapshot, &code("ams"), None).unwrap().text.to_string();
        let found = Frr.compare(&text, &RUNNING.replacen("isis metric 4000", "isis metric 4001", 1));
        assert!(found.missing.contains("interface eth3 / isis metric 4000"));
        assert_eq!(Vec::from_iter(found.extra), ["interface eth3 / isis metric 4001"]);
    }
}
