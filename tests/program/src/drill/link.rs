//! Links: what is checked of them and of their two ends.

use causeway_interface::{
    AccountType::{Contributor, Device, Exchange, Link, Location, Network},
    DeviceHealth, DeviceStatus, ErrorCode, InterfaceName, LinkHealth, LinkStatus, LinkType, PoolKind, RejectReason,
    instruction::Tag,
};
use causeway_sdk::LinkRefs;
use solana_sdk::{instruction::Instruction, signature::Signer};

use super::{
    case::{Case, Lands, swap},
    checks::{
        Check::{self, Apart, Changes, May, Names, Pays, Placed, Pool, Reads, ReadsUnless, Same, Sequence, Signs},
        Check::{Status, System, Vacant},
        Named, RUNNING, RUNNING_OR_PAUSED, Slot, Who, active,
    },
    link_close, link_life,
    town::Town,
};
use crate::world::{BURN_IN_NEW, code};

/// The owner's key of side A's or of side Z's contributor.
pub const EITHER_OWNER: &[Who] = &[Who::Owner("contributor_a"), Who::Owner("contributor_z")];

pub fn cases() -> Vec<Case> {
    let mut cases = vec![create_wan(), create_dzx(), accept()];
    cases.extend(reject());
    cases.extend(provision());
    cases.extend(link_life::cases());
    cases.extend(link_close::cases());
    cases
}

/// The link's status is one of these.
pub fn status(allowed: &'static [u8]) -> Check {
    Status("link", allowed, ErrorCode::LinkTransitionRefused)
}

/// The signer is one of these.
pub fn may(signer: Slot, who: &'static [Who]) -> Check {
    May(signer, who, ErrorCode::NotLinkParty)
}

/// The accounts around a link of the town.
pub fn refs(town: &Town, link: &str) -> LinkRefs {
    town.world.link_refs(&code(link))
}

/// Location and exchange of a device are its own.
fn place(device: Slot, location: Slot, exchange: Slot) -> [Check; 4] {
    [
        Reads(location, Location),
        Reads(exchange, Exchange),
        Names(device, Named::Location, location, ErrorCode::AccountMismatch),
        Names(device, Named::Exchange, exchange, ErrorCode::AccountMismatch),
    ]
}

/// What stands at both ends is the link's own.
pub fn ends(link: Slot) -> Vec<Check> {
    let foreign = ErrorCode::LinkForeignDevice;
    let mut checks = vec![
        Names(link, Named::DeviceA, "device_a", foreign),
        Names(link, Named::DeviceZ, "device_z", foreign),
        Reads("contributor_a", Contributor),
        Names(link, Named::ContributorA, "contributor_a", ErrorCode::AccountMismatch),
        Names("device_a", Named::Contributor, "contributor_a", foreign),
    ];
    checks.extend(place("device_a", "location_a", "exchange_a"));
    checks.extend([
        Reads("contributor_z", Contributor),
        Names(link, Named::ContributorZ, "contributor_z", ErrorCode::AccountMismatch),
        Names("device_z", Named::Contributor, "contributor_z", foreign),
    ]);
    checks.extend(place("device_z", "location_z", "exchange_z"));
    checks
}

/// Everything above both ends of a link.
pub const ABOVE: [Slot; 6] = ["contributor_a", "contributor_z", "location_a", "exchange_a", "location_z", "exchange_z"];

/// The network runs, and everything above both ends is in good standing.
fn forward() -> Vec<Check> {
    let mut checks = vec![RUNNING];
    checks.extend(ABOVE.map(active));
    checks
}

/// Both devices have one of these statuses.
fn devices(allowed: &'static [u8]) -> [Check; 2] {
    ["device_a", "device_z"].map(|device| Status(device, allowed, ErrorCode::LinkDevicesNotReady))
}

/// Statuses of devices past pending.
const PAST_PENDING: &[u8] = &[
    DeviceStatus::Activated.byte(),
    DeviceStatus::Drained.byte(),
    DeviceStatus::DeviceProvisioning.byte(),
    DeviceStatus::LinkProvisioning.byte(),
];
/// Statuses of devices that take links.
const TAKES_LINKS: &[u8] = &[
    DeviceStatus::Pending.byte(),
    DeviceStatus::Activated.byte(),
    DeviceStatus::Drained.byte(),
    DeviceStatus::DeviceProvisioning.byte(),
    DeviceStatus::LinkProvisioning.byte(),
];

/// Provisions a link and its devices, and has the oracles hold them ready through the burn-in.
pub fn ready(town: &mut Town, link: &str, devices: [&str; 2]) {
    let (devices, link) = (devices.map(code), code(link));
    provision_devices(town, &devices);
    town.world.provision_link(&town.acme, &link).expect("the link is provisioned");
    let [a, z] = devices.map(|device| (town.world.device_key(&device), DeviceHealth::ReadyForUsers.byte()));
    let verdicts = [a, z, (town.world.link_key(&link), LinkHealth::ReadyForService.byte())];
    town.world.attest_for(&verdicts, BURN_IN_NEW);
    for device in &devices {
        town.world.advance_device(device).expect("to link provisioning");
    }
}

fn provision_devices(town: &mut Town, devices: &[causeway_interface::Code]) {
    for device in devices {
        let of_acme = device.as_bytes().starts_with(b"a");
        let owner = if of_acme { &town.acme } else { &town.zeta };
        town.world.provision_device(owner, device).expect("the device is provisioned");
    }
}

fn create(town: &Town, a: &str, z: &str, link_type: LinkType) -> Instruction {
    let [a, z] = [a, z].map(|device| town.world.device_refs(&code(device)));
    let data = town.world.link_data("new", link_type, "eth8", "eth8");
    town.world.ix.create_link(&town.acme.owner.pubkey(), &a, &z, data)
}

fn creates(sides: Check) -> Vec<Check> {
    let mut checks = vec![
        Pays("owner_a"),
        Vacant("link"),
        Vacant("attestations"),
        System("system_program"),
        Apart("device_a", "device_z", ErrorCode::LinkSameDevice),
        Changes("network", Network),
        Changes("device_a", Device),
        Changes("device_z", Device),
        Changes("contributor_a", Contributor),
        ReadsUnless("contributor_z", "contributor_a", Contributor),
        sides,
        Names("device_a", Named::Contributor, "contributor_a", ErrorCode::LinkForeignDevice),
        Names("device_z", Named::Contributor, "contributor_z", ErrorCode::LinkForeignDevice),
    ];
    checks.extend(place("device_a", "location_a", "exchange_a"));
    checks.extend(place("device_z", "location_z", "exchange_z"));
    checks.extend(forward());
    checks.extend(devices(TAKES_LINKS));
    checks.extend([may("owner_a", &[Who::Owner("contributor_a")]), Placed("link"), Placed("attestations")]);
    checks
}

fn create_wan() -> Case {
    Case::new(
        Tag::CreateLink,
        "WAN",
        |town| create(town, "a1", "a2", LinkType::Wan),
        creates(Same("contributor_z", "contributor_a", ErrorCode::LinkTypeMismatch)),
        &[
            swap("device_a", "an owner links whichever of its devices it likes"),
            swap("device_z", "an owner links whichever of its devices it likes"),
        ],
    )
}

fn create_dzx() -> Case {
    Case::new(
        Tag::CreateLink,
        "DZX",
        |town| create(town, "a1", "z1", LinkType::Dzx),
        creates(Apart("contributor_z", "contributor_a", ErrorCode::LinkTypeMismatch)),
        &[
            swap("device_a", "an owner links whichever of its devices it likes"),
            swap("device_z", "side Z may accept or reject whichever of its devices it is asked for"),
        ],
    )
}

fn accept() -> Case {
    let mut checks = vec![
        Signs("owner_z"),
        Reads("network", Network),
        Reads("contributor_a", Contributor),
        Changes("contributor_z", Contributor),
        Reads("device_a", Device),
        Changes("device_z", Device),
        Changes("link", Link),
        Names("link", Named::ContributorA, "contributor_a", ErrorCode::AccountMismatch),
        Names("link", Named::ContributorZ, "contributor_z", ErrorCode::AccountMismatch),
        Names("link", Named::DeviceA, "device_a", ErrorCode::LinkForeignDevice),
        Names("link", Named::DeviceZ, "device_z", ErrorCode::LinkForeignDevice),
        Names("device_z", Named::Contributor, "contributor_z", ErrorCode::LinkForeignDevice),
        Sequence("link"),
    ];
    checks.extend(place("device_a", "location_a", "exchange_a"));
    checks.extend(place("device_z", "location_z", "exchange_z"));
    checks.extend(forward());
    checks.extend(devices(TAKES_LINKS));
    checks.extend([status(const { &[LinkStatus::Requested.byte()] }), may("owner_z", &[Who::Owner("contributor_z")])]);
    Case::new(
        Tag::AcceptLink,
        "as proposed",
        |town| {
            let refs = refs(town, "x-open");
            town.world.ix.accept_link(&town.zeta.owner.pubkey(), &refs, InterfaceName::ZERO, 0)
        },
        checks,
        &[],
    )
}

fn reject() -> Vec<Case> {
    const UNPROVEN: &[u8] =
        &[LinkStatus::Requested.byte(), LinkStatus::Pending.byte(), LinkStatus::Provisioning.byte()];
    const LANDS: &[Lands] = &[
        swap("owner_z_or_authority", "side Z's owner may, and the authority"),
        swap("link", "zeta is side Z of its own WAN link as well"),
    ];
    let checks = || {
        vec![
            Signs("owner_z_or_authority"),
            Reads("network", Network),
            Reads("contributor_z", Contributor),
            Changes("link", Link),
            Names("link", Named::ContributorZ, "contributor_z", ErrorCode::AccountMismatch),
            Sequence("link"),
            RUNNING_OR_PAUSED,
            status(UNPROVEN),
            may("owner_z_or_authority", &[Who::Owner("contributor_z"), Who::Authority]),
        ]
    };
    fn reject(town: &Town, by_authority: bool) -> Instruction {
        let signer = if by_authority { &town.world.authority } else { &town.zeta.owner };
        town.world.ix.reject_link(&signer.pubkey(), &refs(town, "x-open"), RejectReason::NotAgreed, 0)
    }
    vec![
        Case::new(Tag::RejectLink, "by side Z", |town| reject(town, false), checks(), LANDS),
        Case::new(Tag::RejectLink, "by the authority", |town| reject(town, true), checks(), LANDS),
    ]
}

fn provision() -> Vec<Case> {
    let checks = || {
        let mut checks = vec![
            Signs("owner"),
            Reads("network", Network),
            Changes("link", Link),
            Pool("link_net_pool", PoolKind::LinkNet),
            Pool("link_id_pool", PoolKind::LinkId),
            Reads("device_a", Device),
            Reads("device_z", Device),
            Sequence("link"),
        ];
        checks.extend(ends("link"));
        checks.extend(forward());
        checks.extend(devices(PAST_PENDING));
        checks.extend([status(const { &[LinkStatus::Pending.byte()] }), may("owner", EITHER_OWNER)]);
        checks
    };
    vec![
        Case::new(
            Tag::ProvisionLink,
            "WAN",
            |town| {
                provision_devices(town, &["a1", "a2"].map(code));
                town.world.ix.provision_link(&town.acme.owner.pubkey(), &refs(town, "w-acme"), 0)
            },
            checks(),
            &[],
        ),
        Case::new(
            Tag::ProvisionLink,
            "DZX",
            |town| {
                town.accepted_dzx();
                provision_devices(town, &["a1", "z1"].map(code));
                town.world.ix.provision_link(&town.acme.owner.pubkey(), &refs(town, "x-open"), 0)
            },
            checks(),
            &[swap("owner", "either side's owner may")],
        ),
    ]
}
