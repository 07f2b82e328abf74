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
    DeviceFamily, Family, Templates,
    view::{IdlePorts, Loopbacks, Manner},
};

const TEMPLATES: Templates = Templates {
    head: include_str!("../../templates/frr-head.j2"),
    bgp: include_str!("../../templates/frr-bgp.j2"),
    body: include_str!("../../templates/frr.j2"),
};

/// FRRouting.
#[derive(Clone, Copy, Debug)]
pub struct Frr;

impl DeviceFamily for Frr {
    fn family(&self) -> Family {
        Family::Frr
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
}
