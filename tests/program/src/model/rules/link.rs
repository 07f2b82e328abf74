//! Links: their life, and what they hold.

use causeway_interface::{
    DesiredStatus, DeviceStatus, DeviceType, ErrorCode, LinkHealth, LinkStatus, LinkType, RejectReason,
};

use super::{
    Broken, Verdict,
    device::open_words,
    fresh,
    interface::{check_free, give_back, take},
    lowest_free,
};
use crate::model::{
    changes,
    command::{Command, End, Figures, Subject, What},
    state::{Actor, Flaw, Id, Link, Model, Stamp, nets_of},
};

pub fn step(model: &mut Model, command: &Command) -> Verdict {
    match &command.what {
        What::CreateLink { .. } => create(model, command),
        What::AcceptLink { id, ends, port } => accept(model, command, *id, ends, port),
        What::ProvisionLink { id, ends } => provision(model, command, *id, ends),
        What::UpdateLink { id, contributor, figures } => update(model, command, *id, *contributor, figures),
        What::SetLinkDesired { id, contributor, desired } => want(model, command, *id, *contributor, *desired),
        What::SuspendLink { id, ends } => suspend(model, command, *id, ends),
        What::CloseLink { id, ends, recipient } => close(model, command, *id, ends, *recipient),
        _ => simple(model, command),
    }
}

fn create(model: &mut Model, command: &Command) -> Verdict {
    let What::CreateLink { id, link_type, ends, ports, figures, desired } = &command.what else {
        unreachable!("asked for one")
    };
    let mut broken = Broken::default();
    let [a, z] = ends;
    let same_party = a.around.contributor == z.around.contributor;
    broken.unless(a.device != z.device, ErrorCode::LinkSameDevice);
    broken.unless(same_party == (*link_type == LinkType::Wan), ErrorCode::LinkTypeMismatch);
    check_figures(&mut broken, figures);
    let (Some(device_a), Some(device_z)) = (model.devices.get(&a.device), model.devices.get(&z.device)) else {
        return broken.missing();
    };
    for (end, device) in [(a, device_a), (z, device_z)] {
        check_end(&mut broken, model, end);
        broken.unless(takes_links(device.status), ErrorCode::LinkDevicesNotReady);
    }
    check_forward(&mut broken, model, ends);
    broken.unless(model.owns(command.by, a.around.contributor), ErrorCode::NotLinkParty);
    broken.unless(!model.links.contains_key(id), ErrorCode::AlreadyInitialized);
    check_free(&mut broken, device_a, &ports[0]);
    let attached = *link_type == LinkType::Wan;
    if attached {
        let edge = [device_a, device_z].iter().any(|device| device.device_type == DeviceType::Edge);
        broken.unless(!edge, ErrorCode::LinkShapeBroken);
        check_free(&mut broken, device_z, &ports[1]);
    }
    broken.so_far()?;
    let link = Link {
        stamp: Stamp::new(model.slot),
        status: if attached { LinkStatus::Pending } else { LinkStatus::Requested },
        health: LinkHealth::Pending,
        health_since: model.slot,
        link_type: *link_type,
        suspended_from: LinkStatus::Pending,
        reject_reason: RejectReason::None,
        desired: [*desired; 2],
        devices: [a.device, z.device],
        contributors: [a.around.contributor, z.around.contributor],
        ports: ports.clone(),
        attached,
        figures: Figures { delay_override_ns: 0, ..*figures },
        tunnel_id: 0,
        tunnel_net: None,
    };
    model.links.insert(*id, link);
    open_words(model, Subject::Link(*id));
    for (side, end) in ends.iter().enumerate().take(if attached { 2 } else { 1 }) {
        if let Some(device) = model.devices.get_mut(&end.device) {
            take(device, &ports[side], *id);
        }
    }
    model.touch_contributor(a.around.contributor);
    model.net_mut().stamp.sequence += 1;
    Ok(())
}

fn check_figures(broken: &mut Broken, figures: &Figures) {
    let delays = 10_000..=1_000_000_000;
    broken.unless((10_000_000_000..=400_000_000_000).contains(&figures.bandwidth_bps), ErrorCode::BandwidthOutOfRange);
    broken.unless((1_500..=9_216).contains(&figures.mtu), ErrorCode::MtuOutOfRange);
    let each = [figures.delay_ns, figures.jitter_ns].iter().all(|ns| delays.contains(ns));
    let overridden = figures.delay_override_ns == 0 || delays.contains(&figures.delay_override_ns);
    broken.unless(each && overridden, ErrorCode::DelayOutOfRange);
}

/// The accounts of an end, whose device exists, are there and belong together.
pub fn check_end(broken: &mut Broken, model: &Model, end: &End) {
    let device = &model.devices[&end.device];
    broken.unless(model.stands(&end.around), ErrorCode::WrongOwner);
    broken.unless(device.contributor == end.around.contributor, ErrorCode::LinkForeignDevice);
    let place = (device.location, device.exchange) == (end.around.location, end.around.exchange);
    broken.unless(place, ErrorCode::AccountMismatch);
}

/// The ends are those of the link.
pub fn check_named(broken: &mut Broken, link: &Link, ends: &[End; 2]) {
    broken.unless(link.devices == ends.map(|end| end.device), ErrorCode::LinkForeignDevice);
    broken.unless(link.contributors == ends.map(|end| end.around.contributor), ErrorCode::AccountMismatch);
}

/// What every move towards service asks for.
fn check_forward(broken: &mut Broken, model: &Model, ends: &[End; 2]) {
    broken.unless(!model.net().paused, ErrorCode::NetworkPaused);
    let suspended = |end: &End| model.stands(&end.around) && !model.in_good_standing(&end.around);
    broken.unless(!ends.iter().any(suspended), ErrorCode::RegistrySuspended);
}

fn takes_links(status: DeviceStatus) -> bool {
    !matches!(status, DeviceStatus::Suspended | DeviceStatus::Deleting | DeviceStatus::Rejected)
}

/// The link, where the devices of its ends exist too.
pub fn with_devices<'m>(model: &'m Model, id: Id, ends: &[End; 2]) -> Option<&'m Link> {
    model.links.get(&id).filter(|_| ends.iter().all(|end| model.devices.contains_key(&end.device)))
}

fn accept(model: &mut Model, command: &Command, id: Id, ends: &[End; 2], port: &str) -> Verdict {
    let mut broken = Broken::default();
    let [a, z] = ends;
    // A WAN link has one party, which is then passed as two.
    let two = a.around.contributor != z.around.contributor && a.device != z.device;
    broken.unless(two, ErrorCode::DuplicateAccount);
    let Some(link) = with_devices(model, id, ends) else { return broken.missing() };
    check_named(&mut broken, link, ends);
    ends.iter().for_each(|end| check_end(&mut broken, model, end));
    broken.unless(fresh(command, &link.stamp), ErrorCode::StaleSequence);
    broken.unless(link.status == LinkStatus::Requested, ErrorCode::LinkTransitionRefused);
    broken.unless(model.owns(command.by, z.around.contributor), ErrorCode::NotLinkParty);
    check_forward(&mut broken, model, ends);
    let ready = ends.iter().all(|end| takes_links(model.devices[&end.device].status));
    broken.unless(ready, ErrorCode::LinkDevicesNotReady);
    let port = if port.is_empty() { link.ports[1].clone() } else { port.to_owned() };
    check_free(&mut broken, &model.devices[&z.device], &port);
    broken.so_far()?;
    let slot = model.slot;
    if let Some(device) = model.devices.get_mut(&z.device) {
        take(device, &port, id);
    }
    model.touch_contributor(z.around.contributor);
    if let Some(link) = model.links.get_mut(&id) {
        link.ports[1] = port;
        link.attached = true;
        enter(link, LinkStatus::Pending, slot);
    }
    Ok(())
}

/// A change of status by an instruction.
pub fn enter(link: &mut Link, status: LinkStatus, slot: u64) {
    link.status = status;
    link.stamp.status_since = slot;
    link.stamp.sequence += 1;
}

fn provision(model: &mut Model, command: &Command, id: Id, ends: &[End; 2]) -> Verdict {
    let mut broken = Broken::default();
    let Some(link) = with_devices(model, id, ends) else { return broken.missing() };
    check_named(&mut broken, link, ends);
    ends.iter().for_each(|end| check_end(&mut broken, model, end));
    broken.unless(fresh(command, &link.stamp), ErrorCode::StaleSequence);
    broken.unless(link.status == LinkStatus::Pending, ErrorCode::LinkTransitionRefused);
    let party = ends.iter().any(|end| model.owns(command.by, end.around.contributor));
    broken.unless(party, ErrorCode::NotLinkParty);
    check_forward(&mut broken, model, ends);
    let past_pending = ends.iter().all(|end| {
        let status = model.devices[&end.device].status;
        takes_links(status) && status != DeviceStatus::Pending
    });
    broken.unless(past_pending, ErrorCode::LinkDevicesNotReady);
    let net = lowest_free(nets_of(&model.net().link_block), &model.nets());
    let tunnel_id = lowest_free(1..=65_535, &model.tunnel_ids());
    broken.unless(net.is_some() && tunnel_id.is_some(), ErrorCode::PoolExhausted);
    broken.so_far()?;
    let slot = model.slot;
    if let (Some(link), Some(tunnel_id)) = (model.links.get_mut(&id), tunnel_id) {
        link.tunnel_net = net;
        link.tunnel_id = tunnel_id;
        enter(link, LinkStatus::Provisioning, slot);
    }
    Ok(())
}

/// Which sides of a link a contributor is.
fn sides(link: &Link, contributor: Id) -> [bool; 2] {
    link.contributors.map(|side| side == contributor)
}

/// The passed contributor is a side of the link, one that counts.
fn check_side(broken: &mut Broken, link: &Link, contributor: Id) {
    let [is_a, is_z] = sides(link, contributor);
    broken.unless(is_a || is_z, ErrorCode::AccountMismatch);
    let consented = is_a || link.attached || !changes::CONSENT_BEFORE_RIGHTS;
    broken.unless(consented, ErrorCode::NotLinkParty);
}

fn update(model: &mut Model, command: &Command, id: Id, contributor: Id, figures: &Figures) -> Verdict {
    let mut broken = Broken::default();
    check_figures(&mut broken, figures);
    if !model.contributors.contains_key(&contributor) {
        return broken.missing();
    }
    let Some(link) = model.links.get(&id) else { return broken.missing() };
    check_side(&mut broken, link, contributor);
    broken.unless(fresh(command, &link.stamp), ErrorCode::StaleSequence);
    broken.unless(link.is_live(), ErrorCode::LinkTransitionRefused);
    let registered = Figures { delay_override_ns: figures.delay_override_ns, ..link.figures } == *figures;
    let allowed = model.owns(command.by, contributor) || registered && model.operates(command.by, contributor);
    broken.unless(allowed, ErrorCode::NotLinkParty);
    broken.so_far()?;
    if let Some(link) = model.links.get_mut(&id) {
        link.figures = *figures;
        link.stamp.sequence += 1;
    }
    Ok(())
}

fn want(model: &mut Model, command: &Command, id: Id, contributor: Id, desired: DesiredStatus) -> Verdict {
    let mut broken = Broken::default();
    if !model.contributors.contains_key(&contributor) {
        return broken.missing();
    }
    let Some(link) = model.links.get(&id) else { return broken.missing() };
    check_side(&mut broken, link, contributor);
    broken.unless(fresh(command, &link.stamp), ErrorCode::StaleSequence);
    broken.unless(link.is_live(), ErrorCode::LinkTransitionRefused);
    broken.unless(model.operates(command.by, contributor), ErrorCode::NotLinkParty);
    let mut next = link.desired;
    for (wish, own) in next.iter_mut().zip(sides(link, contributor)) {
        if own {
            *wish = desired;
        }
    }
    broken.unless(next != link.desired, ErrorCode::NoChange);
    broken.so_far()?;
    if let Some(link) = model.links.get_mut(&id) {
        link.desired = next;
        link.stamp.sequence += 1;
    }
    Ok(())
}

fn suspend(model: &mut Model, command: &Command, id: Id, ends: &[End; 2]) -> Verdict {
    let mut broken = Broken::default();
    let Some(link) = model.links.get(&id) else { return broken.missing() };
    broken.unless(link.devices == ends.map(|end| end.device), ErrorCode::LinkForeignDevice);
    broken.unless(fresh(command, &link.stamp), ErrorCode::StaleSequence);
    broken.unless(link.is_live() && link.status != LinkStatus::Suspended, ErrorCode::LinkTransitionRefused);
    broken.unless(model.is_authority(command.by), ErrorCode::NotAuthority);
    broken.so_far()?;
    let left = link.status;
    // Its devices count it out.
    if left == LinkStatus::Activated {
        ends.iter().for_each(|end| model.touch_device(end.device));
    }
    let slot = model.slot;
    if let Some(link) = model.links.get_mut(&id) {
        link.suspended_from = left;
        enter(link, LinkStatus::Suspended, slot);
    }
    Ok(())
}

/// What concerns nothing but the link itself.
fn simple(model: &mut Model, command: &Command) -> Verdict {
    use LinkStatus::{Deleting, HardDrained, Pending, Provisioning, Rejected, Requested, SoftDrained, Suspended};
    let mut broken = Broken::default();
    let (id, named) = match command.what {
        What::ResumeLink { id } => (id, None),
        What::RejectLink { id, contributor, .. } | What::DeleteLink { id, contributor } => (id, Some(contributor)),
        ref other => unreachable!("not of a link: {other:?}"),
    };
    if named.is_some_and(|contributor| !model.contributors.contains_key(&contributor)) {
        return broken.missing();
    }
    let Some(link) = model.links.get(&id) else { return broken.missing() };
    broken.unless(fresh(command, &link.stamp), ErrorCode::StaleSequence);
    let authority = model.is_authority(command.by);
    let mut next = link.clone();
    match command.what {
        What::ResumeLink { .. } => {
            broken.unless(link.status == Suspended, ErrorCode::LinkTransitionRefused);
            broken.unless(authority, ErrorCode::NotAuthority);
            broken.unless(!model.net().paused, ErrorCode::NetworkPaused);
            let to = if link.in_service() { HardDrained } else { link.suspended_from };
            next.suspended_from = Pending;
            enter(&mut next, to, model.slot);
        }
        What::RejectLink { contributor, reason, .. } => {
            let from = [Requested, Pending, Provisioning];
            broken.unless(link.contributors[1] == contributor, ErrorCode::AccountMismatch);
            broken.unless(from.contains(&link.status), ErrorCode::LinkTransitionRefused);
            broken.unless(authority || model.owns(command.by, contributor), ErrorCode::NotLinkParty);
            broken.unless(reason != RejectReason::None, ErrorCode::InstructionData);
            next.reject_reason = reason;
            enter(&mut next, Rejected, model.slot);
        }
        What::DeleteLink { contributor, .. } => {
            let from = [Requested, Pending, Provisioning, Suspended, Rejected, SoftDrained, HardDrained];
            broken.unless(link.contributors.contains(&contributor), ErrorCode::AccountMismatch);
            broken.unless(from.contains(&link.status), ErrorCode::LinkTransitionRefused);
            let [is_a, _] = sides(link, contributor);
            let party = (is_a || link.attached) && model.owns(command.by, contributor);
            broken.unless(authority || party, ErrorCode::NotLinkParty);
            enter(&mut next, Deleting, model.slot);
        }
        ref other => unreachable!("not of a link: {other:?}"),
    }
    broken.so_far()?;
    model.links.insert(id, next);
    Ok(())
}

fn close(model: &mut Model, command: &Command, id: Id, ends: &[End; 2], recipient: Actor) -> Verdict {
    let mut broken = Broken::default();
    let [a, z] = ends.map(|end| (end.device, end.around.contributor));
    if let Some(contributor) = model.contributors.get(&a.1) {
        broken.unless(contributor.owner == recipient, ErrorCode::AccountMismatch);
    }
    let there = model.devices.contains_key(&a.0) && model.contributors.contains_key(&a.1);
    let Some(link) = model.links.get(&id).filter(|_| there) else { return broken.missing() };
    let dzx = link.link_type == LinkType::Dzx;
    broken.unless(link.contributors[0] == a.1, ErrorCode::AccountMismatch);
    broken.unless(link.devices[0] == a.0, ErrorCode::LinkForeignDevice);
    broken.unless(fresh(command, &link.stamp), ErrorCode::StaleSequence);
    // A side Z that never accepted holds nothing, and may be gone.
    if link.attached {
        let there = model.devices.contains_key(&z.0) && (!dzx || model.contributors.contains_key(&z.1));
        broken.unless(there, ErrorCode::WrongOwner);
        broken.unless(a.0 != z.0 && (!dzx || a.1 != z.1), ErrorCode::DuplicateAccount);
        broken.unless(link.devices[1] == z.0, ErrorCode::LinkForeignDevice);
        broken.unless(!dzx || link.contributors[1] == z.1, ErrorCode::AccountMismatch);
    }
    broken.unless(link.status == LinkStatus::Deleting, ErrorCode::LinkTransitionRefused);
    let owns_z = link.attached && dzx && model.owns(command.by, z.1);
    let party = model.is_authority(command.by) || model.owns(command.by, a.1) || owns_z;
    broken.unless(party, ErrorCode::NotLinkParty);
    broken.so_far()?;
    if let Some(link) = model.links.remove(&id) {
        model.words.remove(&Subject::Link(id));
        let both = link.attached && model.flaw != Some(Flaw::HeldInterface);
        for side in 0..if both { 2 } else { 1 } {
            if let Some(device) = model.devices.get_mut(&link.devices[side]) {
                give_back(device, &link.ports[side]);
            }
        }
        model.touch_contributor(a.1);
        if link.attached && dzx {
            model.touch_contributor(z.1);
        }
    }
    model.net_mut().stamp.sequence += 1;
    Ok(())
}
