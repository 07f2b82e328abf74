//! FRRouting 8.4 and later, on Linux.
//!
//! The text is the whole managed configuration; a driver makes the router equal to it (`frr-reload`), so what an
//! earlier text set and this one doesn't is gone. `router isis` comes before the interfaces, because isisd drops
//! `isis metric` above 63 while it doesn't know of wide metrics yet. Descriptions are a link's code, or a role in
//! capitals.
//!
//! What it does not say: MTU and the management interface's VRF membership are Linux's, not FRR's. The MTU of each
//! role is in the device's interface list; whoever makes the interfaces sets it. Routing loopbacks are addresses of
//! `lo`, which is there on every Linux, with or without the dummy driver; segment ids are not used, for
//! want of MPLS forwarding that can be counted on.

use super::{
    Capabilities, DeviceFamily, Family, Removal, Templates,
    compare::{ConfigTree, Difference},
    view::Loopbacks,
};

const TEMPLATES: Templates = Templates {
    head: include_str!("../../templates/frr-head.j2"),
    bgp: include_str!("../../templates/frr-bgp.j2"),
    body: include_str!("../../templates/frr.j2"),
};

/// Sections that are Causeway's as a whole.
const MANAGED: &[&str] = &["interface ", "router isis 1", "router bgp ", "bfd"];

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

    fn loopbacks(&self) -> Loopbacks {
        Loopbacks::Shared
    }

    fn parse(&self, text: &str) -> ConfigTree {
        ConfigTree::from_indented_with(text, as_running)
    }

    fn compare(&self, intended: &str, running: &str) -> Difference {
        self.parse(intended).difference(&self.parse(running), MANAGED)
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
    fn a_peer_or_metric_that_was_changed_beside_the_text_shows() {
        let ledger = SyntheticLedger::ring(Family::Frr);
        let text = render_device(&ledger.snapshot, &code("ams"), None).unwrap().text.to_string();
        let found = Frr.compare(&text, &RUNNING.replacen("isis metric 4000", "isis metric 4001", 1));
        assert!(found.missing.contains("interface eth3 / isis metric 4000"));
        assert_eq!(Vec::from_iter(found.extra), ["interface eth3 / isis metric 4001"]);
    }
}
