//! What the test can ask of the program: every instruction, in the small numbers of the model.
//!
//! A command names every account that it passes, so that it means the same when others are dropped before it, and so
//! that it can name the wrong one.

use causeway_interface::{
    Country, DesiredStatus, DeviceType, InterfaceKind, InterfaceRole, LinkType, LoopbackType, Platform, Prefix,
    RejectReason,
};

use super::state::{Actor, Id};

/// Who asks for what.
#[derive(Clone, Debug)]
pub struct Command {
    /// Who signs and pays.
    pub by: Actor,
    /// The subject's sequence that the sender believes in; `None` for any.
    pub expect: Option<u64>,
    pub what: What,
}

/// A device or a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    Device(Id),
    Link(Id),
}

/// A contributor, a location or an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Registry {
    Contributor(Id),
    Location(Id),
    Exchange(Id),
}

/// What stands above a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Around {
    pub contributor: Id,
    pub location: Id,
    pub exchange: Id,
}

/// One end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub device: Id,
    pub around: Around,
}

/// What a network begins with or is changed to.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub core_asn: u32,
    pub burn_in_new: u64,
    pub burn_in_maintenance: u64,
    pub max_age: u64,
}

/// What a location or exchange says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Particulars {
    pub country: Country,
    pub lat_e6: i32,
    pub lng_e6: i32,
    pub community: u16,
}

/// What a device says of itself.
#[derive(Clone, Debug)]
pub struct Fields {
    pub public_ip: u32,
    pub prefixes: Vec<Prefix>,
    /// Every byte of the key; 0 for no key.
    pub agent_key: u8,
    /// Every byte of the key; 0 for no key.
    pub telemetry_key: u8,
}

/// What an interface is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    pub name: String,
    pub kind: InterfaceKind,
    pub role: InterfaceRole,
    pub loopback: LoopbackType,
    pub vlan: u16,
    pub mtu: u16,
    pub bandwidth_bps: u64,
    pub address: Prefix,
}

/// A link's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    pub bandwidth_bps: u64,
    pub mtu: u16,
    pub delay_ns: u64,
    pub jitter_ns: u64,
    pub delay_override_ns: u64,
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum What {
    /// Not an instruction: time goes by.
    Warp(u64),
    InitNetwork {
        authority: Option<Actor>,
        terms: Terms,
        blocks: [Prefix; 3],
    },
    UpdateNetwork(Terms),
    SetPaused(bool),
    SetOracleSet {
        oracles: Vec<Actor>,
        quorum: u8,
    },
    ProposeAuthority(Option<Actor>),
    AcceptAuthority,
    ExtendPrefixTable {
        entries: u32,
    },
    CreateContributor {
        id: Id,
        owner: Option<Actor>,
        operations: Option<Actor>,
    },
    UpdateContributor {
        id: Id,
        owner: Option<Actor>,
        operations: Option<Actor>,
    },
    SetRegistryStatus {
        target: Registry,
        suspended: bool,
    },
    CloseRegistry {
        target: Registry,
        recipient: Actor,
    },
    CreateLocation {
        id: Id,
        particulars: Particulars,
    },
    UpdateLocation {
        id: Id,
        particulars: Particulars,
    },
    CreateExchange {
        id: Id,
        particulars: Particulars,
    },
    UpdateExchange {
        id: Id,
        particulars: Particulars,
    },
    CreateDevice {
        id: Id,
        around: Around,
        device_type: DeviceType,
        platform: Platform,
        fields: Fields,
        desired: DesiredStatus,
        skip_recipe: bool,
    },
    UpdateDevice {
        id: Id,
        contributor: Id,
        fields: Fields,
    },
    ProvisionDevice {
        id: Id,
        around: Around,
    },
    SetDeviceDesired {
        id: Id,
        contributor: Id,
        desired: DesiredStatus,
    },
    SuspendDevice {
        id: Id,
    },
    ResumeDevice {
        id: Id,
    },
    RejectDevice {
        id: Id,
        reason: RejectReason,
    },
    DeleteDevice {
        id: Id,
        contributor: Id,
    },
    CloseDevice {
        id: Id,
        around: Around,
        recipient: Actor,
    },
    AddInterface {
        id: Id,
        contributor: Id,
        interface: Interface,
    },
    UpdateInterface {
        id: Id,
        contributor: Id,
        interface: Interface,
    },
    RemoveInterface {
        id: Id,
        contributor: Id,
        name: String,
        recipient: Actor,
    },
    CreateLink {
        id: Id,
        link_type: LinkType,
        ends: [End; 2],
        ports: [String; 2],
        figures: Figures,
        desired: DesiredStatus,
    },
    AcceptLink {
        id: Id,
        ends: [End; 2],
        port: String,
    },
    RejectLink {
        id: Id,
        contributor: Id,
        reason: RejectReason,
    },
    ProvisionLink {
        id: Id,
        ends: [End; 2],
    },
    UpdateLink {
        id: Id,
        contributor: Id,
        figures: Figures,
    },
    SetLinkDesired {
        id: Id,
        contributor: Id,
        desired: DesiredStatus,
    },
    SuspendLink {
        id: Id,
        ends: [End; 2],
    },
    ResumeLink {
        id: Id,
    },
    DeleteLink {
        id: Id,
        contributor: Id,
    },
    CloseLink {
        id: Id,
        ends: [End; 2],
        recipient: Actor,
    },
    /// Words on the window from `window[0]` to `window[1]`, in slots, absolute.
    Attest {
        epoch: u32,
        window: [u64; 2],
        verdicts: Vec<(Subject, u8)>,
    },
    AdvanceDevice {
        id: Id,
        around: Around,
    },
    AdvanceLink {
        id: Id,
        ends: [End; 2],
    },
    ExtendAttestations {
        subject: Subject,
        entries: u32,
    },
}

impl Particulars {
    /// A name for people, which nothing depends on.
    pub const NAME: &'static str = "place";
}
