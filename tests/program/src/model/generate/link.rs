//! What happens to links.

use causeway_interface::{DesiredStatus, DeviceStatus, DeviceType, InterfaceKind, InterfaceRole, LinkStatus, LinkType};

use super::{Generator, around, ends, owner_of, plain};
use crate::model::{
    atlas::OWNERS,
    command::{Command, End, Figures, What},
    state::{Device, Id, Link, Model, Port},
};

impl Generator {
    pub(super) fn link(&mut self, model: &Model) -> Command {
        let id = self.rng.within(0..self.profile.links);
        let Some(link) = model.links.get(&id) else { return self.create_link(model, id) };
        if self.rng.chance(2) {
            return self.create_link(model, id);
        }
        if self.rng.chance(6) {
            // Any of it in any status.
            let choice = self.rng.below(10);
            return self.link_step(model, id, link, choice);
        }
        let held = link.wanted() != DesiredStatus::Activated;
        let doomed = |id: &Id| model.devices.get(id).is_none_or(|device| !device.is_live());
        let pending = |id: &Id| model.devices.get(id).is_none_or(|device| device.status == DeviceStatus::Pending);
        let choices: &[(u64, u64)] = match link.status {
            // A device on its way out waits for its links to go.
            LinkStatus::Activated if link.devices.iter().any(doomed) => &[(30, 4), (10, 5)],
            LinkStatus::Deleting => &[(40, 8), (5, 4)],
            _ if link.devices.iter().any(doomed) => &[(40, 7), (5, 4), (5, 1)],
            LinkStatus::Requested => &[(50, 0), (4, 1), (6, 3), (6, 4), (4, 5), (2, 7)],
            LinkStatus::Pending if link.devices.iter().any(pending) => {
                &[(5, 2), (20, 3), (1, 1), (2, 4), (1, 5), (1, 7)]
            }
            LinkStatus::Pending => &[(50, 2), (2, 1), (6, 3), (4, 4), (3, 5), (3, 7)],
            LinkStatus::Provisioning if held => &[(50, 4), (2, 7)],
            LinkStatus::Provisioning => &[(20, 3), (3, 4), (2, 5), (1, 1), (2, 7)],
            LinkStatus::Activated => &[(20, 4), (20, 3), (4, 5)],
            LinkStatus::SoftDrained | LinkStatus::HardDrained if held => &[(50, 4), (5, 3), (3, 5), (3, 7)],
            LinkStatus::SoftDrained | LinkStatus::HardDrained => &[(6, 4), (20, 3), (3, 5), (3, 7)],
            LinkStatus::Suspended => &[(40, 6), (5, 7), (5, 3), (5, 4)],
            LinkStatus::Rejected => &[(40, 7), (5, 6)],
        };
        let mut choice = self.rng.weighted(choices);
        let growing = link.is_live() && link.status != LinkStatus::Suspended && !link.devices.iter().any(doomed);
        if growing && matches!(choice, 1 | 5 | 7) && self.rng.chance(self.profile.calm) {
            choice = 3;
        }
        self.link_step(model, id, link, choice)
    }

    fn link_step(&mut self, model: &Model, id: Id, link: &Link, choice: u64) -> Command {
        let authority = model.net().authority;
        let [a, z] = link.contributors;
        let side = if self.rng.chance(50) { a } else { z };
        let (owner_z, owner) = (owner_of(model, z), owner_of(model, side));
        match choice {
            0 => {
                let device = model.devices.get(&link.devices[1]);
                let free = device.and_then(|device| self.free_port(device));
                let port = free.filter(|_| self.rng.chance(70)).unwrap_or_default();
                plain(owner_z, What::AcceptLink { id, ends: ends(model, link), port })
            }
            1 => {
                let by = if self.rng.chance(60) { owner_z } else { authority };
                plain(by, What::RejectLink { id, contributor: z, reason: self.reason() })
            }
            2 => plain(owner, What::ProvisionLink { id, ends: ends(model, link) }),
            3 => {
                let mut figures = self.figures();
                let mut by = owner;
                if self.rng.chance(50) {
                    figures = Figures { delay_override_ns: figures.delay_override_ns, ..link.figures };
                    by = self.operator(model, side);
                }
                plain(by, What::UpdateLink { id, contributor: side, figures })
            }
            4 => {
                // Whoever holds it back is the one who lets go.
                let holds = |n: usize| link.desired[n] != DesiredStatus::Activated;
                let side = if holds(0) && !holds(1) {
                    0
                } else if holds(1) && !holds(0) {
                    1
                } else {
                    self.rng.within(0..2)
                };
                let side = usize::from(side);
                let contributor = link.contributors[side];
                let desired = self.desired(link.desired[side]);
                plain(self.operator(model, contributor), What::SetLinkDesired { id, contributor, desired })
            }
            5 => plain(authority, What::SuspendLink { id, ends: ends(model, link) }),
            6 => plain(authority, What::ResumeLink { id }),
            7 => {
                let by = if self.rng.chance(70) { owner } else { authority };
                plain(by, What::DeleteLink { id, contributor: side })
            }
            _ => {
                let owner_a = owner_of(model, a);
                let recipient = if self.rng.chance(92) { owner_a } else { self.rng.within(OWNERS) };
                let by = self.rng.weighted(&[(5, owner_a), (3, owner_z), (2, authority)]);
                plain(by, What::CloseLink { id, ends: ends(model, link), recipient })
            }
        }
    }

    fn create_link(&mut self, model: &Model, id: Id) -> Command {
        let standing = |(_, device): &(&Id, &Device)| device.is_live() && device.status != DeviceStatus::Suspended;
        let standing = self.rng.any(model.devices.iter().filter(standing).map(|(id, _)| *id));
        let first = standing.filter(|_| !self.rng.chance(4)).or_else(|| self.rng.any(model.devices.keys().copied()));
        let first = first.unwrap_or(0);
        let own = model.devices.get(&first).map(|device| device.contributor);
        // Another device, of the same contributor as often as not; of an edge device, mostly of another's.
        let edge = model.devices.get(&first).is_some_and(|device| device.device_type == DeviceType::Edge);
        let near = self.rng.chance(if edge { 5 } else { 55 });
        let fits = |(id, device): &(&Id, &Device)| {
            let suits = !near || edge || device.device_type != DeviceType::Edge;
            **id != first && (Some(device.contributor) == own) == near && suits
        };
        let second = self.rng.any(model.devices.iter().filter(fits).map(|(id, _)| *id));
        let other = |id: &Id| *id != first;
        let second = second.or_else(|| self.rng.any(model.devices.keys().copied().filter(other)));
        let second = second.filter(|_| !self.rng.chance(1)).unwrap_or(first);
        let ends = [first, second].map(|device| End { device, around: around(model, device) });
        let same = ends[0].around.contributor == ends[1].around.contributor;
        let link_type = if same == self.rng.chance(98) { LinkType::Wan } else { LinkType::Dzx };
        let mut ports = ends.map(|end| {
            model.devices.get(&end.device).and_then(|device| self.free_port(device)).unwrap_or_else(|| "eth3".into())
        });
        if link_type == LinkType::Dzx && self.rng.chance(40) {
            ports[1].clear();
        }
        let figures = Figures { delay_override_ns: 0, ..self.figures() };
        let desired =
            if self.rng.chance(90) { DesiredStatus::Activated } else { self.desired(DesiredStatus::Activated) };
        let by = owner_of(model, ends[0].around.contributor);
        plain(by, What::CreateLink { id, link_type, ends, ports, figures, desired })
    }

    /// A port that a link can take; rarely one that it can't, or none that exists.
    fn free_port(&mut self, device: &Device) -> Option<String> {
        let free = |port: &&Port| {
            let kind = !matches!(port.given.kind, InterfaceKind::Loopback | InterfaceKind::Management);
            kind && port.given.role == InterfaceRole::Fabric && port.link.is_none()
        };
        if device.device_type == DeviceType::Edge && self.rng.chance(1) {
            return Some("nowhere1".into());
        }
        let port = if self.rng.chance(94) {
            self.rng.any(device.ports.iter().filter(free))
        } else {
            self.rng.any(device.ports.iter())
        };
        port.map(|port| port.given.name.clone())
    }

    fn figures(&mut self) -> Figures {
        let rng = &mut self.rng;
        Figures {
            bandwidth_bps: rng.weighted(&[(50, 10_000_000_000), (50, 400_000_000_000), (1, 9_999_999_999)]),
            mtu: rng.weighted(&[(50, 9_000), (50, 1_500), (1, 9_217)]),
            delay_ns: rng.weighted(&[(50, 10_000), (50, 5_000_000), (1, 1_000_000_001)]),
            jitter_ns: rng.weighted(&[(50, 10_000), (50, 50_000), (1, 9_999)]),
            delay_override_ns: rng.weighted(&[(40, 0), (50, 7_000_000), (1, 1)]),
        }
    }
}
