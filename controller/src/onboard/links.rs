//! Whether a device has the links that its type needs upstream.
//!
//! A device without links has to be configured before any link can come up, so that nothing is missing while it is in device
//! provisioning. From then on a device without them carries nothing, and a job on it would end as it began.

use causeway_interface::{
    DeviceStatus, DeviceType, InterfaceRole, LinkStatus, LinkType, accounts::Device, lifecycle::device::shape_holds,
};
use causeway_sdk::Snapshot;

/// What of a device's links there is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// They are enough.
    Holds,
    /// They will be needed.
    Later(String),
    /// They are needed now.
    Missing(String),
}

/// Whether a link is on its way into service or in it.
const fn counts(status: LinkStatus) -> bool {
    match status {
        LinkStatus::Pending
        | LinkStatus::Provisioning
        | LinkStatus::Activated
        | LinkStatus::SoftDrained
        | LinkStatus::HardDrained => true,
        // Nobody has agreed to a requested one yet.
        LinkStatus::Requested | LinkStatus::Suspended | LinkStatus::Deleting | LinkStatus::Rejected => false,
    }
}

/// What a type needs, in words.
#[must_use]
pub const fn words(device_type: DeviceType) -> &'static str {
    match device_type {
        DeviceType::Edge => "a CYOA interface and a DZX link",
        DeviceType::Transit => "no CYOA interface, and two WAN links or one WAN and one DZX link",
        DeviceType::Hybrid => "a CYOA interface and a WAN link",
    }
}

/// What is said of a device that has no link yet.
pub fn needed(device_type: DeviceType) -> Option<String> {
    Some(format!("to be activated, a device of type {device_type} needs {}", words(device_type)))
}

/// Looks at a device's links.
#[must_use]
pub fn look(snapshot: &Snapshot, device: &Device) -> Look {
    let key = causeway_sdk::address::to_key(&snapshot.addresses().device(&device.code));
    let of = |wanted: LinkType| {
        let links = snapshot.links_of(&key);
        let found = links.filter(|(_, link)| link.header.kind == wanted && counts(link.header.status)).count();
        u32::try_from(found).unwrap_or(u32::MAX)
    };
    let (wan, dzx) = (of(LinkType::Wan), of(LinkType::Dzx));
    let has_cyoa = device.interfaces.iter().any(|interface| interface.role == InterfaceRole::Cyoa);
    let device_type = device.header.kind;
    if shape_holds(device_type, has_cyoa, wan, dzx) {
        return Look::Holds;
    }
    let cause = format!(
        "a device of type {device_type} needs {}; device {} has {wan} WAN and {dzx} DZX links, and {} CYOA interface",
        words(device_type),
        device.code,
        if has_cyoa { "a" } else { "no" }
    );
    match device.header.status {
        DeviceStatus::LinkProvisioning | DeviceStatus::Activated | DeviceStatus::Drained => Look::Missing(cause),
        DeviceStatus::Pending
        | DeviceStatus::DeviceProvisioning
        | DeviceStatus::Suspended
        | DeviceStatus::Deleting
        | DeviceStatus::Rejected => Look::Later(format!("before it can be activated: {cause}")),
    }
}
