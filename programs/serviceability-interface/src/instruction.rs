//! The instructions: tags, accounts and data.
//!
//! An instruction's data is its tag byte and then a fixed record, for a few followed by a list. Every record that
//! changes something that exists carries `expected_sequence`: the subject's sequence as the sender read it, or
//! [`ANY_SEQUENCE`]; on a mismatch the program refuses, so that a stale transaction can't act twice.

use crate::{accounts::*, enums::*, types::*};

/// "Whatever the sequence is."
pub const ANY_SEQUENCE: u64 = 0;

/// One account of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountSpec {
    /// Its role, as in the reference.
    pub name: &'static str,
    /// Whether it signs.
    pub signer: bool,
    /// Whether it is changed.
    pub writable: bool,
}

const fn ro(name: &'static str) -> AccountSpec {
    AccountSpec { name, signer: false, writable: false }
}

const fn rw(name: &'static str) -> AccountSpec {
    AccountSpec { name, signer: false, writable: true }
}

const fn sig(name: &'static str) -> AccountSpec {
    AccountSpec { name, signer: true, writable: false }
}

const fn payer(name: &'static str) -> AccountSpec {
    AccountSpec { name, signer: true, writable: true }
}

macro_rules! instructions {
    ($($(#[doc = $doc:literal])* $variant:ident = $tag:literal $text:literal, $data:ident, [$($account:expr),* $(,)?];)+) => {
        byte_enum! {
            /// The first byte of an instruction's data.
            Tag {
                $($(#[doc = $doc])* $variant = $tag $text),+
            }
        }

        impl Tag {
            /// The accounts, in order. `Attest` is followed by one writable attestations account per verdict;
            /// `Advance` by the subject's context (see [`ADVANCE_DEVICE`] and [`ADVANCE_LINK`]).
            pub const fn accounts(self) -> &'static [AccountSpec] {
                match self {
                    $(Tag::$variant => const { &[$($account),*] }),+
                }
            }

            /// What it does.
            #[cfg(feature = "offchain")]
            pub const fn about(self) -> &'static str {
                match self {
                    $(Tag::$variant => concat!($($doc),*)),+
                }
            }

            /// The record that follows the tag byte.
            #[cfg(feature = "offchain")]
            pub const fn record(self) -> crate::layout::RecordSpec {
                match self {
                    $(Tag::$variant => <<$data as Field>::Raw as crate::layout::Described>::RECORD),+
                }
            }
        }

        /// An instruction with its data.
        #[cfg(feature = "offchain")]
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum Instruction {
            $($(#[doc = $doc])* $variant($data)),+
        }

        #[cfg(feature = "offchain")]
        impl Instruction {
            /// Its tag.
            pub const fn tag(&self) -> Tag {
                match self {
                    $(Instruction::$variant(_) => Tag::$variant),+
                }
            }

            /// The bytes that the program is given.
            ///
            /// # Errors
            /// Never in practice: writing to memory.
            pub fn encode(&self) -> Result<alloc::vec::Vec<u8>, borsh::io::Error> {
                let mut bytes = alloc::vec![self.tag().byte()];
                match self {
                    $(Instruction::$variant(data) => borsh::to_writer(&mut bytes, data)?),+
                }
                Ok(bytes)
            }

            /// Reads an instruction's bytes.
            ///
            /// # Errors
            /// An undefined tag, a wrong length, an undefined enum byte or an invalid value.
            pub fn decode(bytes: &[u8]) -> Result<Self, borsh::io::Error> {
                let invalid = || borsh::io::Error::new(borsh::io::ErrorKind::InvalidData, "undefined instruction tag");
                let (&tag, data) = bytes.split_first().ok_or_else(invalid)?;
                Ok(match Tag::from_byte(tag).ok_or_else(invalid)? {
                    $(Tag::$variant => Instruction::$variant(borsh::from_slice(data)?)),+
                })
            }
        }
    };
}

instructions! {
    /// Creates the network, its pools and its prefix table. No oracle set is in force yet.
    InitNetwork = 0 "init-network", InitNetwork, [
        payer("payer"), sig("upgrade_authority"), ro("program_data"), rw("network"), rw("link_net_pool"),
        rw("link_id_pool"), rw("node_segment_pool"), rw("loopback_pool"), rw("prefix_table"), ro("system_program"),
    ];
    /// Changes burn-ins, maximum age and core ASN.
    UpdateNetwork = 1 "update-network", UpdateNetwork, [sig("authority"), rw("network")];
    /// Trips or resets the breaker.
    SetPaused = 2 "set-paused", SetPaused, [sig("authority"), rw("network")];
    /// Replaces the oracle set and the quorum and begins a new epoch: every attestation is void at once.
    SetOracleSet = 3 "set-oracle-set", SetOracleSet, [sig("authority"), rw("network")];
    /// Names the next authority; the zero key takes the proposal back.
    ProposeAuthority = 4 "propose-authority", ProposeAuthority, [sig("authority"), rw("network")];
    /// The named key becomes the authority.
    AcceptAuthority = 5 "accept-authority", Expect, [sig("pending_authority"), rw("network")];
    /// Makes room for more dz prefixes. Anyone may pay for it.
    ExtendPrefixTable = 6 "extend-prefix-table", Extend, [payer("payer"), rw("prefix_table"), ro("system_program")];

    /// Registers a contributor.
    CreateContributor = 10 "create-contributor", CreateContributor, [
        payer("payer"), sig("authority"), rw("network"), rw("contributor"), ro("system_program"),
    ];
    /// Changes a contributor's keys: the owner for itself, the authority for recovery.
    UpdateContributor = 11 "update-contributor", UpdateContributor, [
        sig("owner_or_authority"), ro("network"), rw("contributor"),
    ];
    /// Suspends or activates a contributor, a location or an exchange.
    SetRegistryStatus = 12 "set-registry-status", SetRegistryStatus, [sig("authority"), ro("network"), rw("target")];
    /// Closes a contributor, a location or an exchange that nothing depends on.
    CloseRegistry = 13 "close-registry", Expect, [
        sig("authority"), rw("network"), rw("target"), rw("recipient"),
    ];
    /// Registers a location.
    CreateLocation = 14 "create-location", CreateLocation, [
        payer("payer"), sig("authority"), rw("network"), rw("location"), ro("system_program"),
    ];
    /// Changes a location's particulars.
    UpdateLocation = 15 "update-location", UpdateLocation, [sig("authority"), ro("network"), rw("location")];
    /// Registers an exchange.
    CreateExchange = 16 "create-exchange", CreateExchange, [
        payer("payer"), sig("authority"), rw("network"), rw("exchange"), ro("system_program"),
    ];
    /// Changes an exchange's particulars.
    UpdateExchange = 17 "update-exchange", UpdateExchange, [sig("authority"), ro("network"), rw("exchange")];

    /// Registers a device with its type's default interfaces, and its attestations.
    CreateDevice = 30 "create-device", CreateDevice, [
        payer("owner"), rw("network"), rw("contributor"), rw("location"), rw("exchange"), rw("device"),
        rw("attestations"), rw("prefix_table"), ro("system_program"),
    ];
    /// Changes a device's own fields.
    UpdateDevice = 31 "update-device", UpdateDevice, [
        sig("owner"), ro("network"), ro("contributor"), rw("device"), rw("prefix_table"),
    ];
    /// Assigns loopback addresses and segment id and begins provisioning.
    ProvisionDevice = 32 "provision-device", Expect, [
        sig("owner"), ro("network"), ro("contributor"), ro("location"), ro("exchange"), rw("device"),
        rw("loopback_pool"), rw("node_segment_pool"),
    ];
    /// Sets what a device is wanted to be. `Advance` in the same transaction makes it so.
    SetDeviceDesired = 33 "set-device-desired", SetDesired, [
        sig("owner_or_operations"), ro("contributor"), rw("device"),
    ];
    /// Stops a device.
    SuspendDevice = 34 "suspend-device", Expect, [sig("authority"), ro("network"), rw("device")];
    /// Lets a suspended device go on.
    ResumeDevice = 35 "resume-device", Expect, [sig("authority"), ro("network"), rw("device")];
    /// Refuses a device.
    RejectDevice = 36 "reject-device", Reject, [sig("authority"), ro("network"), rw("device")];
    /// Marks a device for deletion.
    DeleteDevice = 37 "delete-device", Expect, [
        sig("owner_or_authority"), ro("network"), ro("contributor"), rw("device"),
    ];
    /// Frees what a device holds and closes it; the rent goes to the contributor's owner.
    CloseDevice = 38 "close-device", Expect, [
        sig("owner_or_authority"), rw("network"), rw("contributor"), rw("location"), rw("exchange"), rw("device"),
        rw("attestations"), rw("loopback_pool"), rw("node_segment_pool"), rw("prefix_table"), rw("contributor_owner"),
    ];
    /// Adds an interface at the end of the list.
    AddInterface = 39 "add-interface", SetInterface, [
        payer("owner_or_operations"), ro("contributor"), rw("device"), ro("system_program"),
    ];
    /// Changes an interface that no link holds.
    UpdateInterface = 40 "update-interface", SetInterface, [
        sig("owner_or_operations"), ro("contributor"), rw("device"),
    ];
    /// Removes an interface that no link holds; the order of the others stays.
    RemoveInterface = 41 "remove-interface", RemoveInterface, [
        sig("owner_or_operations"), ro("contributor"), rw("device"), rw("contributor_owner"),
    ];

    /// Registers a link. For a WAN link `contributor_z` is the same account as `contributor_a`.
    CreateLink = 50 "create-link", CreateLink, [
        payer("owner_a"), rw("network"), rw("contributor_a"), ro("contributor_z"), rw("device_a"), rw("device_z"),
        ro("location_a"), ro("exchange_a"), ro("location_z"), ro("exchange_z"), rw("link"), rw("attestations"),
        ro("system_program"),
    ];
    /// Side Z agrees and names its interface.
    AcceptLink = 51 "accept-link", AcceptLink, [
        sig("owner_z"), ro("network"), ro("contributor_a"), rw("contributor_z"), ro("device_a"), rw("device_z"),
        ro("location_a"), ro("exchange_a"), ro("location_z"), ro("exchange_z"), rw("link"),
    ];
    /// Refuses a link.
    RejectLink = 52 "reject-link", Reject, [
        sig("owner_z_or_authority"), ro("network"), ro("contributor_z"), rw("link"),
    ];
    /// Assigns tunnel id and net and begins provisioning.
    ProvisionLink = 53 "provision-link", Expect, [
        sig("owner"), ro("network"), ro("contributor_a"), ro("contributor_z"), ro("device_a"), ro("device_z"),
        ro("location_a"), ro("exchange_a"), ro("location_z"), ro("exchange_z"), rw("link"), rw("link_net_pool"),
        rw("link_id_pool"),
    ];
    /// Changes a link's figures; the delay override alone needs an operations key only.
    UpdateLink = 54 "update-link", UpdateLink, [sig("owner_or_operations"), ro("contributor"), rw("link")];
    /// Sets what the signer's side wants a link to be. `Advance` in the same transaction makes it so.
    SetLinkDesired = 55 "set-link-desired", SetDesired, [
        sig("owner_or_operations"), ro("contributor"), rw("link"),
    ];
    /// Stops a link.
    SuspendLink = 56 "suspend-link", Expect, [
        sig("authority"), ro("network"), rw("link"), rw("device_a"), rw("device_z"),
    ];
    /// Lets a suspended link go on.
    ResumeLink = 57 "resume-link", Expect, [sig("authority"), ro("network"), rw("link")];
    /// Marks a link for deletion.
    DeleteLink = 58 "delete-link", Expect, [
        sig("owner_or_authority"), ro("network"), ro("contributor"), rw("link"),
    ];
    /// Frees what a link holds and closes it; the rent goes to side A's owner. A device Z that never accepted may
    /// be gone: any account is taken in its place then, and left alone.
    CloseLink = 59 "close-link", Expect, [
        sig("owner_or_authority"), rw("network"), rw("contributor_a"), rw("contributor_z"), rw("device_a"),
        rw("device_z"), rw("link"), rw("attestations"), rw("link_net_pool"), rw("link_id_pool"),
        rw("contributor_a_owner"),
    ];

    /// An oracle's word on many subjects at once. Writes only that oracle's entries.
    Attest = 70 "attest", Attest, [sig("oracle"), ro("network")];
    /// Recomputes health and applies the one transition that is allowed. No trust is in the sender.
    Advance = 71 "advance", Advance, [sig("sender"), ro("network"), rw("subject"), ro("attestations")];
    /// Makes an entry for every oracle of the current set. Anyone may pay for it.
    ExtendAttestations = 72 "extend-attestations", Extend, [
        payer("payer"), ro("network"), rw("attestations"), ro("system_program"),
    ];
}

/// What follows [`Tag::Advance`]'s accounts for a device.
pub const ADVANCE_DEVICE: &[AccountSpec] = &[ro("contributor"), ro("location"), ro("exchange")];

/// What follows [`Tag::Advance`]'s accounts for a link. For a WAN link `contributor_z` is `contributor_a`.
pub const ADVANCE_LINK: &[AccountSpec] = &[
    ro("contributor_a"),
    ro("contributor_z"),
    rw("device_a"),
    rw("device_z"),
    ro("location_a"),
    ro("exchange_a"),
    ro("location_z"),
    ro("exchange_z"),
];

/// Most verdicts that one `Attest` may carry: what a transaction can lock beside its other accounts.
pub const MAX_ATTEST_BATCH: usize = 56;

record! {
    /// Data of an instruction that needs nothing but the expected sequence.
    Expect / RawExpect {
        /// Sequence of the subject as read, or [`ANY_SEQUENCE`].
        expected_sequence: u64,
    }
}

record! {
    /// Data of an instruction that only makes an account longer.
    Extend / RawExtend {
        /// Entries to add; 0 means as many as are missing (attestations) or fit (prefix table).
        entries: u32,
    }
}

record! {
    /// Data of [`Tag::InitNetwork`].
    InitNetwork / RawInitNetwork {
        /// The first authority.
        authority: Key,
        /// Core ASN.
        core_asn: u32,
        /// Burn-in before first service, in slots.
        burn_in_new_slots: u64,
        /// Burn-in after maintenance, in slots.
        burn_in_maintenance_slots: u64,
        /// Age after which an attestation no longer counts, in slots.
        attestation_max_age_slots: u64,
        /// Block for link /31s.
        link_block: Prefix,
        /// Block for loopbacks.
        loopback_block: Prefix,
        /// Block for users.
        user_block: Prefix,
    }
}

record! {
    /// Data of [`Tag::UpdateNetwork`]. Address blocks are fixed: what came from them is in use.
    UpdateNetwork / RawUpdateNetwork {
        /// Sequence as read, or [`ANY_SEQUENCE`].
        expected_sequence: u64,
        /// Core ASN.
        core_asn: u32,
        /// Burn-in before first service, in slots.
        burn_in_new_slots: u64,
        /// Burn-in after maintenance, in slots.
        burn_in_maintenance_slots: u64,
        /// Age after which an attestation no longer counts, in slots.
        attestation_max_age_slots: u64,
    }
}

record! {
    /// Data of [`Tag::SetPaused`].
    SetPaused / RawSetPaused {
        /// Sequence as read, or [`ANY_SEQUENCE`].
        expected_sequence: u64,
        /// Whether the breaker is to be tripped.
        paused: bool,
    }
}

record! {
    /// Data of [`Tag::SetOracleSet`].
    SetOracleSet / RawSetOracleSet {
        /// Sequence as read, or [`ANY_SEQUENCE`].
        expected_sequence: u64,
        /// Oracles that have to agree.
        quorum: u8,
    } list
    /// The set.
    oracles: Key
}

record! {
    /// Data of [`Tag::ProposeAuthority`].
    ProposeAuthority / RawProposeAuthority {
        /// Sequence as read, or [`ANY_SEQUENCE`].
        expected_sequence: u64,
        /// The next authority, or zero.
        authority: Key,
    }
}

record! {
    /// Data of [`Tag::CreateContributor`].
    CreateContributor / RawCreateContributor {
        /// Code.
        code: Code,
        /// Owner's key.
        owner: Key,
        /// Operations key, or zero.
        operations_key: Key,
    }
}

record! {
    /// Data of [`Tag::UpdateContributor`].
    UpdateContributor / RawUpdateContributor {
        /// Sequence as read, or [`ANY_SEQUENCE`].
        expected_sequence: u64,
        /// Owner's key.
        owner: Key,
        /// Operations key, or zero.
        operations_key: Key,
    }
}

record! {
    /// Data of [`Tag::SetRegistryStatus`].
    SetRegistryStatus / RawSetRegistryStatus {
        /// Sequence as read, or [`ANY_SEQUENCE`].
        expected_sequence: u64,
        /// The status.
        status: RegistryStatus,
    }
}

record! {
    /// Data of [`Tag::CreateLocation`].
    CreateLocation / RawCreateLocation {
        /// Code.
        code: Code,
        /// Name for people.
        name: Label,
        /// Country.
        country: Country,
        /// Latitude in millionths of a degree.
        lat_e6: i32,
        /// Longitude in millionths of a degree.
        lng_e6: i32,
    }
}

record! {
    /// Data of [`Tag::UpdateLocation`].
    UpdateLocation / RawUpdateLocation {
        /// Sequence as read, or [`ANY_SEQUENCE`].
        expected_sequence: u64,
        /// Name for people.
        name: Label,
        /// Country.
        country: Country,
        /// Latitude in millionths of a degree.
        lat_e6: i32,
        /// Longitude in millionths of a degree.
        lng_e6: i32,
    }
}

record! {
    /// Data of [`Tag::CreateExchange`].
    CreateExchange / RawCreateExchange {
        /// Code.
        code: Code,
        /// Name for people.
        name: Label,
        /// Country.
        country: Country,
        /// Latitude in millionths of a degree.
        lat_e6: i32,
        /// Longitude in millionths of a degree.
        lng_e6: i32,
        /// Low half of the metro's BGP community.
        bgp_community: u16,
    }
}

record! {
    /// Data of [`Tag::UpdateExchange`].
    UpdateExchange / RawUpdateExchange {
        /// Sequence as read, or [`ANY_SEQUENCE`].
        expected_sequence: u64,
        /// Name for people.
        name: Label,
        /// Country.
        country: Country,
        /// Latitude in millionths of a degree.
        lat_e6: i32,
        /// Longitude in millionths of a degree.
        lng_e6: i32,
        /// Low half of the metro's BGP community.
        bgp_community: u16,
    }
}

record! {
    /// Data of [`Tag::CreateDevice`].
    CreateDevice / RawCreateDevice {
        /// Code.
        code: Code,
        /// What it is for.
        device_type: DeviceType,
        /// Operating system.
        platform: Platform,
        /// Public address, or zero.
        public_ip: Ip4,
        /// How many of `dz_prefixes` are set.
        dz_prefix_count: u8,
        /// Prefixes for its users; the unset ones are none.
        dz_prefixes: [Prefix; MAX_DZ_PREFIXES],
        /// Agent's key, or zero.
        agent_key: Key,
        /// Telemetry key, or zero.
        telemetry_key: Key,
        /// Management VRF, or zero.
        management_vrf: VrfName,
        /// What it is wanted to be.
        desired: DesiredStatus,
        /// Leave out the default interfaces: bulk import, repairs.
        skip_recipe: bool,
    }
}

record! {
    /// Data of [`Tag::UpdateDevice`].
    UpdateDevice / RawUpdateDevice {
        /// Sequence as read, or [`ANY_SEQUENCE`].
        expected_sequence: u64,
        /// Public address, or zero.
        public_ip: Ip4,
        /// How many of `dz_prefixes` are set.
        dz_prefix_count: u8,
        /// Prefixes for its users; the unset ones are none.
        dz_prefixes: [Prefix; MAX_DZ_PREFIXES],
        /// Agent's key, or zero.
        agent_key: Key,
        /// Telemetry key, or zero.
        telemetry_key: Key,
        /// Management VRF, or zero.
        management_vrf: VrfName,
    }
}

record! {
    /// Data of [`Tag::SetDeviceDesired`] and [`Tag::SetLinkDesired`].
    SetDesired / RawSetDesired {
        /// Sequence as read, or [`ANY_SEQUENCE`].
        expected_sequence: u64,
        /// What it is wanted to be.
        desired: DesiredStatus,
    }
}

record! {
    /// Data of [`Tag::RejectDevice`] and [`Tag::RejectLink`].
    Reject / RawReject {
        /// Sequence as read, or [`ANY_SEQUENCE`].
        expected_sequence: u64,
        /// Why; not [`RejectReason::None`].
        reason: RejectReason,
    }
}

record! {
    /// Data of [`Tag::AddInterface`] and [`Tag::UpdateInterface`].
    SetInterface / RawSetInterface {
        /// Sequence of the device as read, or [`ANY_SEQUENCE`].
        expected_sequence: u64,
        /// Name.
        name: InterfaceName,
        /// Kind.
        kind: InterfaceKind,
        /// Role.
        role: InterfaceRole,
        /// Loopback type.
        loopback: LoopbackType,
        /// VLAN of a sub-interface; else 0.
        vlan_id: u16,
        /// MTU in bytes.
        mtu: u16,
        /// Bandwidth in bit/s.
        bandwidth_bps: u64,
        /// Address, or none.
        address: Prefix,
    }
}

record! {
    /// Data of [`Tag::RemoveInterface`].
    RemoveInterface / RawRemoveInterface {
        /// Sequence of the device as read, or [`ANY_SEQUENCE`].
        expected_sequence: u64,
        /// Name.
        name: InterfaceName,
    }
}

record! {
    /// Data of [`Tag::CreateLink`].
    CreateLink / RawCreateLink {
        /// Code.
        code: Code,
        /// Type.
        link_type: LinkType,
        /// Side A's interface.
        interface_a: InterfaceName,
        /// Side Z's interface; for a DZX link a proposal, which side Z may leave or replace; it may be zero then.
        interface_z: InterfaceName,
        /// Bandwidth in bit/s.
        bandwidth_bps: u64,
        /// MTU in bytes.
        mtu: u16,
        /// One-way delay in nanoseconds.
        delay_ns: u64,
        /// Jitter in nanoseconds.
        jitter_ns: u64,
        /// What it is wanted to be, by both sides until they say otherwise.
        desired: DesiredStatus,
    }
}

record! {
    /// Data of [`Tag::AcceptLink`].
    AcceptLink / RawAcceptLink {
        /// Sequence as read, or [`ANY_SEQUENCE`].
        expected_sequence: u64,
        /// Side Z's interface.
        interface_z: InterfaceName,
    }
}

record! {
    /// Data of [`Tag::UpdateLink`].
    UpdateLink / RawUpdateLink {
        /// Sequence as read, or [`ANY_SEQUENCE`].
        expected_sequence: u64,
        /// Bandwidth in bit/s.
        bandwidth_bps: u64,
        /// MTU in bytes.
        mtu: u16,
        /// One-way delay in nanoseconds.
        delay_ns: u64,
        /// Jitter in nanoseconds.
        jitter_ns: u64,
        /// Delay to use for the metric, or 0.
        delay_override_ns: u64,
    }
}

record! {
    /// One verdict of [`Tag::Attest`].
    Verdict / RawVerdict {
        /// Health that the oracle sees: a byte of the subject's own health enum, not "unknown".
        verdict: u8,
        /// Criteria that failed.
        failed: u32,
    }
}

record! {
    /// Data of [`Tag::Attest`].
    Attest / RawAttest {
        /// Oracle epoch that the sender believes in: a word that was signed for an older set is void, also where its
        /// oracle is in the new one.
        epoch: u32,
        /// First slot of the window that was looked at.
        window_start_slot: u64,
        /// Last slot of the window that was looked at.
        window_end_slot: u64,
        /// Root over the evidence documents of the batch.
        evidence_root: Digest,
    } list
    /// One verdict per attestations account, in the same order.
    verdicts: Verdict
}

record! {
    /// Data of [`Tag::Advance`].
    Advance / RawAdvance {
        /// Sequence of the subject as read, or [`ANY_SEQUENCE`].
        expected_sequence: u64,
    }
}
