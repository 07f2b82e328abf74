//! The accounts: layouts, lengths and what each field means.
//!
//! Every account begins with the same 24-byte header, so that a client selects by type, status, health or desired
//! status with one `memcmp`. Fields are at fixed offsets; only the list at the end, a `u32` count and fixed-size
//! entries, can grow.

use crate::{enums::*, types::*};

/// Layout version written by this build.
#[cfg(not(feature = "next-layout"))]
pub const LAYOUT_VERSION: u8 = 1;
/// Layout version written by this build: one that does not exist yet, for the test of how versions follow each other.
#[cfg(feature = "next-layout")]
pub const LAYOUT_VERSION: u8 = 2;
/// Oldest layout version that this build reads.
///
/// A version has the length of the one before it and reads the same: it may only give a meaning to reserved bytes, and
/// zero there has to mean what the older version meant. So an older account is read as it is, and the next write
/// brings it up to date in place ([`upgrade`]); rfcs/0009.
pub const OLDEST_LAYOUT_VERSION: u8 = 1;

/// Whether this build reads accounts of a layout version.
pub const fn is_readable(version: u8) -> bool {
    OLDEST_LAYOUT_VERSION <= version && version <= LAYOUT_VERSION
}

/// [`RawHeader::flags`] of every account that the test's next layout version has written.
#[cfg(feature = "next-layout")]
pub const NEXT_LAYOUT_FLAG: u8 = 0x80;

/// Brings the account with this header, of a version that this build reads, to the version that it writes.
pub fn upgrade(header: &mut RawHeader) {
    #[cfg(feature = "next-layout")]
    {
        header.flags |= NEXT_LAYOUT_FLAG;
    }
    header.version = LAYOUT_VERSION;
}

/// Most oracles that a network can have.
pub const MAX_ORACLES: usize = 31;
/// Most dz prefixes of one device.
pub const MAX_DZ_PREFIXES: usize = 4;
/// Most interfaces of one device: what one instruction can allocate (10 240 bytes) with room for the fixed part.
pub const MAX_INTERFACES: usize = 112;
/// Entries that a prefix table begins with: what one instruction can allocate.
pub const PREFIX_TABLE_CAPACITY: usize = 1_270;

/// Offset of the account type, for `memcmp`.
pub const OFFSET_TYPE: usize = 0;
/// Offset of the status byte, for `memcmp`.
pub const OFFSET_STATUS: usize = 3;
/// Offset of the health byte, for `memcmp`.
pub const OFFSET_HEALTH: usize = 4;
/// Offset of the desired status byte, for `memcmp`.
pub const OFFSET_DESIRED: usize = 5;
/// Offset of the kind byte, for `memcmp`.
pub const OFFSET_KIND: usize = 6;

/// [`RawHeader::flags`] of a link: side Z's interface and counters hold it.
pub const LINK_FLAG_Z_ATTACHED: u8 = 1;

/// The first 24 bytes of every account.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct RawHeader {
    /// [`AccountType`].
    pub account_type: u8,
    /// Layout version.
    pub version: u8,
    /// PDA bump.
    pub bump: u8,
    /// Status; which enum depends on the type.
    pub status: u8,
    /// Health; which enum depends on the type.
    pub health: u8,
    /// [`DesiredStatus`] of a device or link.
    pub desired: u8,
    /// Kind; which enum depends on the type.
    pub kind: u8,
    /// Flags; which depends on the type.
    pub flags: u8,
    /// Grows with every mutation. Begins at the slot of creation, so that a transaction meant for an earlier
    /// account of the same code finds another number.
    pub sequence: Le64,
    /// Slot of the last change of status.
    pub status_since_slot: Le64,
}

impl RawHeader {
    /// Bytes of the header.
    pub const LEN: usize = core::mem::size_of::<Self>();
}

/// The first 24 bytes of every account, typed by what status, health, desired status and kind mean for it.
#[cfg(feature = "offchain")]
#[derive(
    Clone, Debug, PartialEq, Eq, borsh::BorshSerialize, borsh::BorshDeserialize, serde::Serialize, serde::Deserialize,
)]
pub struct Header<S, H, D, K> {
    /// What the account is.
    pub account_type: AccountType,
    /// Layout version.
    pub version: u8,
    /// PDA bump.
    pub bump: u8,
    /// Status.
    pub status: S,
    /// Health.
    pub health: H,
    /// Desired status.
    pub desired: D,
    /// Kind.
    pub kind: K,
    /// Flags.
    pub flags: u8,
    /// Grows with every mutation; begins at the slot of creation.
    pub sequence: u64,
    /// Slot of the last change of status.
    pub status_since_slot: u64,
}

#[cfg(not(feature = "offchain"))]
/// Stands for the typed header, which needs the `offchain` feature.
pub struct Header<S, H, D, K>(core::marker::PhantomData<(S, H, D, K)>);

impl<S, H, D, K> Field for Header<S, H, D, K> {
    type Raw = RawHeader;
}

/// Header of an account that has a registry status only.
pub type RegistryHeader = Header<RegistryStatus, Unused, Unused, Unused>;

record! {
    /// The one network of a deployment: who decides, who attests, and the numbers everything else obeys.
    Network / RawNetwork {
        /// Header; status is [`NetworkStatus`].
        header: Header<NetworkStatus, Unused, Unused, Unused>,
        /// May change everything here; meant to be a multisig.
        authority: Key,
        /// Named by the authority, not yet accepted; zero for none.
        pending_authority: Key,
        /// Grows with every new oracle set; attestations of an older epoch are void.
        oracle_epoch: u32,
        /// Oracles that have to agree.
        quorum: u8,
        /// Oracles in the set.
        oracle_count: u8,
        /// Autonomous system number of the backbone.
        core_asn: u32,
        /// Burn-in before first service, in slots.
        burn_in_new_slots: u64,
        /// Burn-in after maintenance, in slots.
        burn_in_maintenance_slots: u64,
        /// Age in slots after which an attestation no longer counts.
        attestation_max_age_slots: u64,
        /// Block that link /31 nets come from.
        link_block: Prefix,
        /// Block that loopback addresses come from.
        loopback_block: Prefix,
        /// Block that user addresses come from.
        user_block: Prefix,
        /// Contributors that exist.
        contributor_count: u32,
        /// Locations that exist.
        location_count: u32,
        /// Exchanges that exist.
        exchange_count: u32,
        /// Devices that exist.
        device_count: u32,
        /// Links that exist.
        link_count: u32,
        /// The oracle set; the first `oracle_count` are in force, the rest zero. An oracle's place is its entry in
        /// every [`Attestations`].
        oracles: [Key; MAX_ORACLES],
        /// Zero, until a later layout version gives it a meaning.
        reserved: Reserved,
    }
}

record! {
    /// A party that brings devices and links.
    Contributor / RawContributor {
        /// Header; status is [`RegistryStatus`].
        header: RegistryHeader,
        /// Its code.
        code: Code,
        /// May create, update, provision and delete its objects.
        owner: Key,
        /// May set desired status and operational fields; zero for none.
        operations_key: Key,
        /// Devices of this contributor.
        device_count: u32,
        /// Sides of links that are held by this contributor.
        link_count: u32,
        /// Zero, until a later layout version gives it a meaning.
        reserved: Reserved,
    }
}

record! {
    /// A place where devices stand.
    Location / RawLocation {
        /// Header; status is [`RegistryStatus`].
        header: RegistryHeader,
        /// Its code.
        code: Code,
        /// Name for people.
        name: Label,
        /// Country.
        country: Country,
        /// Latitude in millionths of a degree, north positive.
        lat_e6: i32,
        /// Longitude in millionths of a degree, east positive.
        lng_e6: i32,
        /// Devices that stand here.
        device_count: u32,
        /// Zero, until a later layout version gives it a meaning.
        reserved: Reserved,
    }
}

record! {
    /// A metro or exchange that devices belong to.
    Exchange / RawExchange {
        /// Header; status is [`RegistryStatus`].
        header: RegistryHeader,
        /// Its code.
        code: Code,
        /// Name for people.
        name: Label,
        /// Country.
        country: Country,
        /// Latitude in millionths of a degree, north positive.
        lat_e6: i32,
        /// Longitude in millionths of a degree, east positive.
        lng_e6: i32,
        /// Low half of the BGP community that marks routes of this metro; the high half is the core ASN's low half.
        bgp_community: u16,
        /// Devices that belong here.
        device_count: u32,
        /// Zero, until a later layout version gives it a meaning.
        reserved: Reserved,
    }
}

record! {
    /// One interface of a device.
    Interface / RawInterface {
        /// Name, unique on its device.
        name: InterfaceName,
        /// What it is.
        kind: InterfaceKind,
        /// What it is for.
        role: InterfaceRole,
        /// Which routing it is for, when a loopback.
        loopback: LoopbackType,
        /// VLAN of a sub-interface, 1 to 4094; else 0.
        vlan_id: u16,
        /// MTU in bytes.
        mtu: u16,
        /// Bandwidth in bit/s; 0 where it has no meaning.
        bandwidth_bps: u64,
        /// Its address, or none.
        address: Prefix,
        /// Segment-routing node index of the VPNv4 loopback; else 0.
        node_segment: u16,
        /// The link that holds it; zero when free.
        link: Key,
    }
}

record! {
    /// A router.
    Device / RawDevice {
        /// Header; kind is [`DeviceType`].
        header: Header<DeviceStatus, DeviceHealth, DesiredStatus, DeviceType>,
        /// Its code.
        code: Code,
        /// Whose it is.
        contributor: Key,
        /// Where it stands.
        location: Key,
        /// The metro it belongs to.
        exchange: Key,
        /// Operating system.
        platform: Platform,
        /// Status it had when it was suspended; [`DeviceStatus::Pending`] otherwise.
        suspended_from: DeviceStatus,
        /// Why it was rejected.
        reject_reason: RejectReason,
        /// Public address.
        public_ip: Ip4,
        /// How many of `dz_prefixes` are set.
        dz_prefix_count: u8,
        /// Prefixes that users of this device get addresses from.
        dz_prefixes: [Prefix; MAX_DZ_PREFIXES],
        /// ed25519 key by which the agent proves itself to the controller; zero for none.
        agent_key: Key,
        /// ed25519 key that signs the device's telemetry; zero for none.
        telemetry_key: Key,
        /// VRF of the management interface; zero for the default.
        management_vrf: VrfName,
        /// Slot of the last change of health.
        health_since_slot: u64,
        /// Links that hold an interface of this device, whatever their status.
        link_count: u32,
        /// Activated WAN links.
        activated_wan_links: u32,
        /// Activated DZX links.
        activated_dzx_links: u32,
        /// Users connected.
        user_count: u32,
        /// Zero, until a later layout version gives it a meaning.
        reserved: Reserved,
    } list
    /// Interfaces in order of creation.
    interfaces: Interface
}

record! {
    /// A circuit between two devices.
    Link / RawLink {
        /// Header; kind is [`LinkType`], flags hold [`LINK_FLAG_Z_ATTACHED`]; desired is the stricter of both sides'.
        header: Header<LinkStatus, LinkHealth, DesiredStatus, LinkType>,
        /// Its code.
        code: Code,
        /// Device of side A, who registered the link.
        device_a: Key,
        /// Device of side Z.
        device_z: Key,
        /// Interface of side A.
        interface_a: InterfaceName,
        /// Interface of side Z.
        interface_z: InterfaceName,
        /// Contributor of side A.
        contributor_a: Key,
        /// Contributor of side Z; the same as A's for a WAN link.
        contributor_z: Key,
        /// Status it had when it was suspended; [`LinkStatus::Pending`] otherwise.
        suspended_from: LinkStatus,
        /// Why it was rejected.
        reject_reason: RejectReason,
        /// What side A wants.
        desired_a: DesiredStatus,
        /// What side Z wants.
        desired_z: DesiredStatus,
        /// Bandwidth in bit/s.
        bandwidth_bps: u64,
        /// MTU in bytes.
        mtu: u16,
        /// One-way delay in nanoseconds.
        delay_ns: u64,
        /// Jitter in nanoseconds.
        jitter_ns: u64,
        /// Delay to use for the metric instead of `delay_ns`; 0 for none.
        delay_override_ns: u64,
        /// Id from the link-id pool; 0 until provisioned.
        tunnel_id: u32,
        /// /31 from the link-net pool: side A has the first address, side Z the second; none until provisioned.
        tunnel_net: Prefix,
        /// Slot of the last change of health.
        health_since_slot: u64,
        /// Zero, until a later layout version gives it a meaning.
        reserved: Reserved,
    }
}

record! {
    /// What one oracle last said of one subject.
    Attestation / RawAttestation {
        /// Health that it sees: a [`DeviceHealth`] or [`LinkHealth`] byte.
        verdict: u8,
        /// Oracle epoch in which it spoke.
        epoch: u32,
        /// Slot in which it spoke; 0 for never.
        slot: u64,
        /// Slot since which it has continuously held the subject to be at least at the lower (device: ready for
        /// links; link: ready for service) and the upper (device: ready for users) level; 0 for not.
        since: [u64; 2],
        /// Criteria that failed, bit n for criterion n of the stage table.
        failed: u32,
        /// First slot of the window that it looked at.
        window_start_slot: u64,
        /// Last slot of the window that it looked at.
        window_end_slot: u64,
        /// Root over the evidence documents of its batch.
        evidence_root: Digest,
    }
}

record! {
    /// What each oracle says of one device or link. Entry n is oracle n's.
    Attestations / RawAttestations {
        /// Header; kind is the subject's [`AccountType`].
        header: Header<Unused, Unused, Unused, AccountType>,
        /// The device or link.
        subject: Key,
    } list
    /// One entry per oracle.
    entries: Attestation
}

record! {
    /// A bitmap allocator: value of index n is `base + n * stride`.
    Pool / RawPool {
        /// Header; kind is [`PoolKind`].
        header: Header<Unused, Unused, Unused, PoolKind>,
        /// Value of index 0: an IPv4 address as a number, or an id.
        base: u32,
        /// Distance between values.
        stride: u32,
        /// How many values there are.
        capacity: u32,
        /// How many are handed out.
        allocated: u32,
        /// Bit n of word m: word `64 * m + n` of the bitmap is full. Finds a free word in at most 16 steps.
        full_words: [u64; 16],
    } list
    /// The bitmap; bit n of word m is index `64 * m + n`, set when handed out or past the capacity.
    words: u64
}

record! {
    /// An address range, both ends in it.
    PrefixRange / RawPrefixRange {
        /// First address as a number.
        first: u32,
        /// Last address as a number.
        last: u32,
    }
}

record! {
    /// Every dz prefix in use: disjoint ranges, ascending.
    PrefixTable / RawPrefixTable {
        /// Header.
        header: Header<Unused, Unused, Unused, Unused>,
        /// How many entries are in use; the rest are zero.
        used: u32,
    } list
    /// The ranges.
    ranges: PrefixRange
}

/// An account's fixed part, by type.
pub trait Account: bytemuck::Pod {
    /// The type byte.
    const TYPE: AccountType;
    /// Bytes of one entry of the list at the end; 0 where there is none.
    const ENTRY_LEN: usize;

    /// Length of an account with `entries` list entries.
    #[inline(always)]
    fn len_with(entries: usize) -> usize {
        let fixed = core::mem::size_of::<Self>();
        // A count is a `u32`; said here, it also spares the program's target a 128-bit product, which it has not.
        let entries = if entries > u32::MAX as usize { u32::MAX as usize } else { entries };
        if Self::ENTRY_LEN == 0 { fixed } else { fixed + 4 + entries * Self::ENTRY_LEN }
    }
}

macro_rules! account {
    ($($raw:ident $ty:ident $entry:expr;)+) => {$(
        impl Account for $raw {
            const TYPE: AccountType = AccountType::$ty;
            const ENTRY_LEN: usize = $entry;
        }
    )+};
}

account! {
    RawNetwork Network 0;
    RawContributor Contributor 0;
    RawLocation Location 0;
    RawExchange Exchange 0;
    RawDevice Device RawInterface::LEN;
    RawLink Link 0;
    RawAttestations Attestations RawAttestation::LEN;
    RawPool Pool 8;
    RawPrefixTable PrefixTable RawPrefixRange::LEN;
}

/// Why bytes are not the account they were taken for.
#[cfg(feature = "offchain")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Shorter than a header.
    TooShort,
    /// Another type of account, or an undefined type byte.
    WrongType {
        /// What it was taken for.
        expected: AccountType,
        /// The byte that is there.
        found: u8,
    },
    /// A layout version that this build can't read.
    WrongVersion {
        /// The byte that is there.
        found: u8,
    },
    /// An undefined enum byte, an invalid code, or a wrong length; borsh's own words.
    Malformed(alloc::string::String),
}

#[cfg(feature = "offchain")]
impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooShort => f.write_str("shorter than an account header"),
            Self::WrongType { expected, found } => write!(f, "expected a {expected} account, found type byte {found}"),
            Self::WrongVersion { found } => {
                write!(f, "layout version {found}, this build reads {OLDEST_LAYOUT_VERSION} to {LAYOUT_VERSION}")
            }
            Self::Malformed(why) => write!(f, "malformed: {why}"),
        }
    }
}

#[cfg(feature = "offchain")]
impl core::error::Error for DecodeError {}

/// A typed account that decodes from exactly its bytes.
#[cfg(feature = "offchain")]
pub trait Record: borsh::BorshDeserialize + borsh::BorshSerialize {
    /// The type byte.
    const TYPE: AccountType;

    /// Decodes an account's whole data.
    ///
    /// # Errors
    /// Wrong type, version or length, undefined enum bytes and invalid codes; never a default.
    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let (&found, version) = match data {
            [found, version, ..] if data.len() >= RawHeader::LEN => (found, *version),
            _ => return Err(DecodeError::TooShort),
        };
        if found != Self::TYPE.byte() {
            return Err(DecodeError::WrongType { expected: Self::TYPE, found });
        }
        if !is_readable(version) {
            return Err(DecodeError::WrongVersion { found: version });
        }
        Self::try_from_slice(data).map_err(|e| DecodeError::Malformed(alloc::string::ToString::to_string(&e)))
    }
}

#[cfg(feature = "offchain")]
macro_rules! typed {
    ($($name:ident)+) => {$(
        impl Record for $name {
            const TYPE: AccountType = AccountType::$name;
        }
    )+};
}

#[cfg(feature = "offchain")]
typed! { Network Contributor Location Exchange Device Link Attestations Pool PrefixTable }
