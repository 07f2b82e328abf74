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
    Capabilities, DeviceFamily, Family, Removal, RenderError,
    compare::{ConfigTree, Difference},
    fill,
    view::{Loopbacks, View},
};
use crate::plan::DevicePlan;

const TEMPLATE: &str = include_str!("../../templates/frr.j2");

/// Sections that are Causeway's as a whole.
const MANAGED: &[&str] = &["interface ", "router isis 1", "router bgp "];

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

    fn render(&self, plan: &DevicePlan, site: &[String]) -> Result<String, RenderError> {
        fill(Family::Frr, TEMPLATE, &View::new(plan, Loopbacks::Shared, site)?)
    }

    fn parse(&self, text: &str) -> ConfigTree {
        ConfigTree::from_indented(text)
    }

    fn compare(&self, intended: &str, running: &str) -> Difference {
        self.parse(intended).difference(&self.parse(running), MANAGED)
    }
}
