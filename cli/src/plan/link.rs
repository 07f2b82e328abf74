//! Links.

use std::collections::BTreeMap;

use causeway_interface::{
    Code, LinkStatus, LinkType,
    accounts::Link,
    instruction::{ANY_SEQUENCE, CreateLink, UpdateLink},
};
use causeway_sdk::{DeviceRefs, LinkRefs, address::to_key};

use super::{Draft, Kind, Operation, Signer, Stage, differ};
use crate::site::{DeviceSpec, LinkSpec, Site};

pub(super) fn plan(site: &Site, draft: &mut Draft<'_>) {
    let devices: BTreeMap<Code, &DeviceSpec> = site.devices.iter().map(|d| (d.code, d)).collect();
    for spec in &site.links {
        let subject = (Kind::Link, spec.code);
        let (Some(a), Some(z)) = (end(spec.a.device, &devices, draft), end(spec.z.device, &devices, draft)) else {
            draft.conflict(subject, "ends on a device that neither the site nor the ledger has".into());
            continue;
        };
        match draft.snapshot.link(&spec.code) {
            None => create(spec, &a, &z, draft),
            Some((_, found)) => change(spec, &a, &z, found, draft),
        }
    }
}

/// A side of a link.
struct End {
    contributor: Code,
    refs: DeviceRefs,
}

/// The device of a side, from the site or else from the ledger.
fn end(code: Code, site: &BTreeMap<Code, &DeviceSpec>, draft: &Draft<'_>) -> Option<End> {
    if let Some(spec) = site.get(&code) {
        let refs =
            DeviceRefs::by_codes(&draft.addresses, &spec.code, &spec.contributor, &spec.location, &spec.exchange);
        return Some(End { contributor: spec.contributor, refs });
    }
    let (_, device) = draft.snapshot.device(&code)?;
    let contributor = draft.snapshot.contributors.get(&device.contributor)?.code;
    Some(End { contributor, refs: DeviceRefs::of(&draft.addresses, device) })
}

fn refs(spec: &LinkSpec, a: &End, z: &End, draft: &Draft<'_>) -> LinkRefs {
    LinkRefs::by_code(&draft.addresses, &spec.code, a.refs, z.refs)
}

fn figures(spec: &LinkSpec, expected_sequence: u64) -> UpdateLink {
    UpdateLink {
        expected_sequence,
        bandwidth_bps: spec.bandwidth_bps,
        mtu: spec.mtu,
        delay_ns: spec.delay_ns,
        jitter_ns: spec.jitter_ns,
        delay_override_ns: spec.delay_override_ns,
    }
}

fn create(spec: &LinkSpec, a: &End, z: &End, draft: &mut Draft<'_>) {
    let subject = (Kind::Link, spec.code);
    let owner_a = Signer::Owner(a.contributor);
    let data = Box::new(CreateLink {
        code: spec.code,
        link_type: spec.link_type,
        interface_a: spec.a.interface,
        interface_z: spec.z.interface,
        bandwidth_bps: spec.bandwidth_bps,
        mtu: spec.mtu,
        delay_ns: spec.delay_ns,
        jitter_ns: spec.jitter_ns,
        desired: spec.desired,
    });
    let operation = Operation::CreateLink { sides: [a.refs, z.refs], data };
    draft.step(Stage::Links, subject, owner_a, operation, Vec::new());
    match spec.link_type {
        LinkType::Wan => {}
        LinkType::Dzx => accept(spec, a, z, draft),
    }
    if spec.delay_override_ns != 0 {
        let operation = Operation::UpdateLink(a.contributor, figures(spec, ANY_SEQUENCE));
        draft.step(Stage::LinkFigures, subject, owner_a, operation, Vec::new());
    }
    provision(spec, a, z, draft);
}

fn accept(spec: &LinkSpec, a: &End, z: &End, draft: &mut Draft<'_>) {
    let operation = Operation::AcceptLink(refs(spec, a, z, draft), spec.z.interface);
    draft.step(Stage::AcceptLinks, (Kind::Link, spec.code), Signer::Owner(z.contributor), operation, Vec::new());
}

/// Links are provisioned once both devices are; a device that this plan can't provision keeps its links pending.
fn provision(spec: &LinkSpec, a: &End, z: &End, draft: &mut Draft<'_>) {
    let waits =
        draft.plan.notes.iter().any(|n| n.kind == Kind::Device && (n.code == spec.a.device || n.code == spec.z.device));
    if waits {
        let message = "registered and not provisioned: a device of it is not".into();
        return draft.note((Kind::Link, spec.code), message);
    }
    let operation = Operation::ProvisionLink(refs(spec, a, z, draft));
    draft.step(Stage::ProvisionLinks, (Kind::Link, spec.code), Signer::Owner(a.contributor), operation, Vec::new());
}

fn change(spec: &LinkSpec, a: &End, z: &End, found: &Link, draft: &mut Draft<'_>) {
    let subject = (Kind::Link, spec.code);
    let before = draft.plan.steps.len();
    let attached = found.header.status != LinkStatus::Requested;
    let fixed = [
        ("type", found.header.kind != spec.link_type),
        ("side A", found.device_a != to_key(&a.refs.device) || found.interface_a != spec.a.interface),
        ("side Z", found.device_z != to_key(&z.refs.device) || attached && found.interface_z != spec.z.interface),
    ];
    let other: Vec<_> = fixed.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
    if !other.is_empty() {
        let message = format!("exists with another {}: delete it first, or choose another code", other.join(", "));
        return draft.conflict(subject, message);
    }
    match found.header.status {
        LinkStatus::Deleting | LinkStatus::Rejected => {
            return draft.conflict(subject, format!("is {}: delete it first", found.header.status));
        }
        LinkStatus::Requested => {
            accept(spec, a, z, draft);
            provision(spec, a, z, draft);
        }
        LinkStatus::Pending => provision(spec, a, z, draft),
        LinkStatus::Activated
        | LinkStatus::Suspended
        | LinkStatus::HardDrained
        | LinkStatus::SoftDrained
        | LinkStatus::Provisioning => {}
    }
    let mut changes = Vec::new();
    differ(&mut changes, "bandwidth_bps", &found.bandwidth_bps, &spec.bandwidth_bps);
    differ(&mut changes, "mtu", &found.mtu, &spec.mtu);
    differ(&mut changes, "delay_ns", &found.delay_ns, &spec.delay_ns);
    differ(&mut changes, "jitter_ns", &found.jitter_ns, &spec.jitter_ns);
    differ(&mut changes, "delay_override_ns", &found.delay_override_ns, &spec.delay_override_ns);
    if !changes.is_empty() {
        // Not the sequence as read: accepting, in an earlier stage of this plan, moves it.
        let operation = Operation::UpdateLink(a.contributor, figures(spec, ANY_SEQUENCE));
        draft.step(Stage::LinkFigures, subject, Signer::Owner(a.contributor), operation, changes);
    }
    for (side, desired) in [(a, found.desired_a), (z, found.desired_z)] {
        if desired == spec.desired || side.contributor == a.contributor && !std::ptr::eq(side, a) {
            continue;
        }
        let mut changes = Vec::new();
        differ(&mut changes, "desired", &desired, &spec.desired);
        let link = refs(spec, a, z, draft);
        let operation = Operation::SetLinkDesired(side.contributor, link, ANY_SEQUENCE, spec.desired);
        draft.step(Stage::Desired, subject, Signer::Owner(side.contributor), operation, changes);
    }
    if draft.plan.steps.len() == before {
        draft.plan.unchanged += 1;
    }
}
