//! Arista EOS.
//!
//! The text is one configuration session. A session merges, so the text first takes back what earlier ones may have
//! set: each listed interface but the management one goes to its default, IS-IS instance 1 and BGP go away, and all
//! of it is then said anew. Each of these lines stands alone at the top level, where it can't leave or enter a context
//! whether or not the thing is there. EOS applies the net difference at commit: what is said anew unchanged does not
//! flap. Interfaces that the ledger lists, `router isis 1` and `router bgp` are thereby Causeway's as a whole; anything
//! else on the switch is the operator's and is not touched.
//!
//! What it does not do: an interface that left the ledger's list is not named any more and so not set back by a later
//! text; the driver compares what runs with what was meant and finds it. The management interface is never set back:
//! it carries the session. Its VRF is said only together with its address, since EOS drops the address
//! when the VRF changes.

use super::{
    Capabilities, DeviceFamily, Family, Removal,
    compare::{ConfigTree, Difference},
    token::TokenError,
    view::{Loopbacks, View},
};
use crate::plan::DevicePlan;

const TEMPLATE: &str = include_str!("../../templates/eos.j2");

/// Sections that are Causeway's as a whole.
const MANAGED: &[&str] = &["interface ", "router isis 1", "router bgp ", "ip access-list CAUSEWAY-"];

/// Arista EOS.
#[derive(Clone, Copy, Debug)]
pub struct Eos;

impl DeviceFamily for Eos {
    fn family(&self) -> Family {
        Family::Eos
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { sets_mtu: true, segment_routing: true, pim: true, removal: Removal::Session }
    }

    fn template(&self) -> &'static str {
        TEMPLATE
    }

    fn view(&self, plan: &DevicePlan, site: &[String]) -> Result<View, TokenError> {
        View::new(plan, Loopbacks::Separate, site)
    }

    fn parse(&self, text: &str) -> ConfigTree {
        ConfigTree::from_indented(text)
    }

    fn compare(&self, intended: &str, running: &str) -> Difference {
        self.parse(intended).difference(&self.parse(running), MANAGED)
    }
}
