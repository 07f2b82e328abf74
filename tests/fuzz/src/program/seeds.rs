//! Where the search begins: every instruction with the accounts that it asks for, its golden sample as data, and the
//! sample's fields set to what fits the stage.

use std::mem::offset_of;

use causeway_interface::{
    DeviceStatus, InterfaceKind, InterfaceRole, LinkStatus, LoopbackType,
    accounts::{OFFSET_STATUS, RawDevice},
    instruction::{ADVANCE_DEVICE, ADVANCE_LINK, AccountSpec, Tag},
};

use super::{
    case::{Case, Change, Meta},
    stage::{NEW, Stage},
};
use crate::golden;

/// What an instruction is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// What is in service.
    InService,
    /// What waits for its provisioning.
    Waiting,
    /// The link that side Z has yet to accept, and what it is attached to.
    Requested,
}

/// The seeds, with a name for each.
pub fn all(stage: &Stage) -> Vec<(String, Case)> {
    let samples = golden::samples("instruction");
    let mut seeds = Vec::new();
    for tag in Tag::ALL.iter().copied() {
        let sample = samples.iter().find(|(name, _)| name == tag.name());
        let (_, sample) = sample.unwrap_or_else(|| panic!("{tag} has no golden sample"));
        for (place, about) in [About::InService, About::Waiting, About::Requested].into_iter().enumerate() {
            let contexts: &[(&str, &[AccountSpec])] = match tag {
                Tag::Advance => &[("-device", ADVANCE_DEVICE), ("-link", ADVANCE_LINK)],
                Tag::Attest => &[("", &[AccountSpec { name: "attestations", signer: false, writable: true }])],
                _ => &[("", &[])],
            };
            for (suffix, context) in contexts {
                let is_link = *suffix == "-link" || is_about_links(tag);
                let meta = |spec: &AccountSpec| Meta {
                    who: stage.who(account(tag, about, is_link, spec.name)),
                    flags: u8::from(spec.signer) | u8::from(spec.writable) << 1,
                };
                let accounts = tag.accounts().iter().chain(*context).map(meta).collect();
                let changes = beforehand(tag).iter().map(|(part, at, byte)| Change {
                    who: stage.who(account(tag, about, is_link, part)),
                    at: *at as u16,
                    byte: *byte,
                });
                let data = data(tag, sample, stage.slot());
                let case = Case { accounts, changes: changes.collect(), plant: None, data };
                seeds.push((format!("seed-{tag}{suffix}-{place}"), case));
            }
        }
    }
    seeds
}

/// Bytes without which the instruction would be refused at once: of which part, where, and what.
fn beforehand(tag: Tag) -> &'static [(&'static str, usize, u8)] {
    const LINKS: (&str, usize, u8) = ("device", offset_of!(RawDevice, link_count), 0);
    const DEVICE_LEAVES: (&str, usize, u8) = ("device", OFFSET_STATUS, DeviceStatus::Deleting.byte());
    const DEVICE_RESTS: (&str, usize, u8) = ("device", OFFSET_STATUS, DeviceStatus::Suspended.byte());
    const Z_IS_PROVISIONED: (&str, usize, u8) = ("device_z", OFFSET_STATUS, DeviceStatus::DeviceProvisioning.byte());
    const LINK_RESTS: (&str, usize, u8) = ("link", OFFSET_STATUS, LinkStatus::Suspended.byte());
    const LINK_LEAVES: (&str, usize, u8) = ("link", OFFSET_STATUS, LinkStatus::Deleting.byte());
    match tag {
        Tag::ResumeDevice => &[DEVICE_RESTS],
        Tag::DeleteDevice => &[LINKS],
        Tag::CloseDevice => &[DEVICE_LEAVES, LINKS],
        Tag::ProvisionLink => &[Z_IS_PROVISIONED],
        Tag::ResumeLink => &[LINK_RESTS],
        Tag::CloseLink => &[LINK_LEAVES],
        _ => &[],
    }
}

fn is_about_links(tag: Tag) -> bool {
    tag.accounts().iter().any(|spec| spec.name == "link")
}

/// The account that plays a part.
fn account(tag: Tag, about: About, is_link: bool, part: &str) -> &'static str {
    let dzx = about == About::Requested;
    match part {
        "payer" | "sender" => "payer",
        "authority" | "pending_authority" | "owner_or_authority" => "authority",
        "upgrade_authority" => "upgrade-authority",
        "owner" | "owner_a" | "owner_or_operations" | "contributor_owner" | "contributor_a_owner" => "owner-a",
        "owner_z" | "owner_z_or_authority" => "owner-z",
        "oracle" => "oracle",
        "recipient" => "stranger",
        "system_program" => "system-program",
        "program_data" => "program-data",
        "network" => "network",
        "contributor" if tag == Tag::CreateContributor => "new-contributor",
        "contributor" | "contributor_a" => "contributor-a",
        "contributor_z" => {
            if dzx {
                "contributor-z"
            } else {
                "contributor-a"
            }
        }
        "location" if tag == Tag::CreateLocation => "new-location",
        "exchange" if tag == Tag::CreateExchange => "new-exchange",
        "location" | "location_a" | "location_z" => "location",
        "exchange" | "exchange_a" | "exchange_z" => "exchange",
        "target" => match about {
            About::InService => "contributor-z",
            About::Waiting => "location",
            About::Requested => "exchange",
        },
        "device" if tag == Tag::CreateDevice => "new-device",
        "link" if tag == Tag::CreateLink => "new-link",
        "subject" | "device" | "link" if is_link => match about {
            About::InService => "link",
            About::Waiting => "link-wan",
            About::Requested => "link-dzx",
        },
        "subject" | "device" => {
            if about == About::InService {
                "device-a"
            } else {
                "device-idle"
            }
        }
        "device_a" => "device-a",
        "device_z" => match about {
            About::InService => "device-z",
            About::Waiting => "device-idle",
            About::Requested => "device-remote",
        },
        "attestations" if tag == Tag::CreateDevice => "new-attestations-device",
        "attestations" if tag == Tag::CreateLink => "new-attestations-link",
        "attestations" => match (is_link, about) {
            (false, About::InService) => "attestations-device",
            (false, About::Waiting | About::Requested) => "attestations-idle",
            (true, About::InService) => "attestations-link",
            (true, About::Waiting) => "attestations-wan",
            (true, About::Requested) => "attestations-dzx",
        },
        "link_net_pool" => "link-net-pool",
        "link_id_pool" => "link-id-pool",
        "node_segment_pool" => "node-segment-pool",
        "loopback_pool" => "loopback-pool",
        "prefix_table" => "prefix-table",
        other => panic!("{tag}: nobody plays {other}"),
    }
}

/// The golden sample's data with what has to fit the stage.
fn data(tag: Tag, sample: &[u8], slot: u64) -> Vec<u8> {
    let mut data = sample.to_vec();
    let record = tag.record();
    for field in record.fields {
        let fitting: Vec<u8> = match field.name {
            "expected_sequence" => 0_u64.to_le_bytes().to_vec(),
            "code" => NEW.as_bytes().to_vec(),
            "epoch" => 1_u32.to_le_bytes().to_vec(),
            "window_start_slot" => (slot - 100).to_le_bytes().to_vec(),
            "window_end_slot" => slot.to_le_bytes().to_vec(),
            "interface_a" | "interface_z" => b"eth6".to_vec(),
            "name" if field.ty == "InterfaceName" => {
                if tag == Tag::AddInterface {
                    b"eth77".to_vec()
                } else {
                    b"eth7".to_vec()
                }
            }
            "kind" => vec![InterfaceKind::Physical.byte()],
            "role" => vec![InterfaceRole::Fabric.byte()],
            "loopback" => vec![LoopbackType::None.byte()],
            "vlan_id" | "address" => Vec::new(),
            "entries" => vec![2],
            "dz_prefix_count" => vec![1],
            "dz_prefixes" => vec![198, 19, 100, 0, 29],
            _ => continue,
        };
        let place = &mut data[1 + field.offset..1 + field.offset + field.len];
        place.fill(0);
        place[..fitting.len()].copy_from_slice(&fitting);
    }
    if let (Tag::Attest, Some(list)) = (tag, record.list) {
        data.truncate(1 + record.len + 4 + list.entry_len);
        data[1 + record.len..][..4].copy_from_slice(&1_u32.to_le_bytes());
    }
    data
}
