//! Arista EOS.
//!
//! The text is one configuration session. A session merges, so the text first takes back what earlier ones may have
//! set: each listed interface but the management one goes to its default, IS-IS instance 1, BGP and the control-plane ACL
//! go away, and all of it is then said anew. Each of these lines stands alone at the top level, where it can't leave or enter
//! a context whether or not the thing is there. EOS applies the net difference at commit: what is said anew unchanged
//! does not flap. Interfaces that the ledger lists, `router isis 1`, `router bgp` and the access list
//! `CAUSEWAY-CONTROL-PLANE` are thereby Causeway's as a whole; anything else on the switch is the operator's and is not
//! touched.
//!
//! A port's default is a switched one of VLAN 1 that is up, which would bridge whatever hangs on it. So a device without routing
//! has each port that the ledger lists routed and shut.
//!
//! What it does not do: an interface that left the ledger's list is not named any more. The text is a function of the
//! ledger, which has forgotten it; the device's driver knows the text that it applied last, and takes back what that
//! named and this one doesn't. Members of a port channel are the operator's and must not be on the ledger: an
//! interface that is listed goes to its default and leaves the channel. The management interface is never set back:
//! it carries the session. Its VRF is said only together with its address, since EOS drops the address
//! when the VRF changes.
//!
//! The control-plane ACL takes BGP from the network's loopbacks and users only and BFD from its links; it takes people in
//! by SSH and HTTPS wherever the management interface may be in the default VRF, so that no text locks the operator
//! out. A site snippet that names another access group for `system control-plane` comes later and wins.

use super::{
    DeviceFamily, Family, Templates,
    view::{IdlePorts, Loopbacks, Manner},
};

const TEMPLATES: Templates = Templates {
    head: include_str!("../../templates/eos-head.j2"),
    bgp: include_str!("../../templates/eos-bgp.j2"),
    body: include_str!("../../templates/eos.j2"),
};

/// Arista EOS.
#[derive(Clone, Copy, Debug)]
pub struct Eos;

impl DeviceFamily for Eos {
    fn family(&self) -> Family {
        Family::Eos
    }

    fn templates(&self) -> Templates {
        TEMPLATES
    }

    fn tail(&self) -> &'static str {
        ""
    }

    fn manner(&self) -> Manner {
        Manner { loopbacks: Loopbacks::Separate, idle_ports: IdlePorts::Shut }
    }
}
