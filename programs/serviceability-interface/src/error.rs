//! The program's errors: numbered in bands, never renumbered, each with a cause and a remedy.
//!
//! Bands: 1000 network and registry, 2000 device, 3000 link, 4000 health, 5000 pools, 6000 accounts and arithmetic.

macro_rules! errors {
    ($($(#[$meta:meta])* $variant:ident = $code:literal, $cause:literal, $remedy:literal;)+) => {
        /// Why the program refused.
        // As wide as a register of the program's machine, which has to cut a narrower one to size after every call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u64)]
        pub enum ErrorCode {
            $($(#[$meta])* #[doc = $cause] $variant = $code),+
        }

        impl ErrorCode {
            /// Every code, ascending.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant),+];

            /// The number in a transaction's `Custom` error.
            #[inline(always)]
            pub const fn code(self) -> u32 {
                self as u32
            }

            /// The error with this number.
            pub const fn from_code(code: u32) -> Option<Self> {
                match code {
                    $($code => Some(ErrorCode::$variant),)+
                    _ => None,
                }
            }

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(ErrorCode::$variant => stringify!($variant)),+
                }
            }

            /// What was wrong, in one sentence.
            pub const fn cause(self) -> &'static str {
                match self {
                    $(ErrorCode::$variant => $cause),+
                }
            }

            /// What to do about it.
            pub const fn remedy(self) -> &'static str {
                match self {
                    $(ErrorCode::$variant => $remedy),+
                }
            }
        }
    };
}

errors! {
    NotAuthority = 1000, "The signer is not the network's authority.", "Sign with the authority's key; `causeway network get` names it.";
    NetworkPaused = 1001, "The network is paused: no forward transition.", "Wait until the authority resumes it with `causeway network pause --off`; drains still work.";
    NoPendingAuthority = 1002, "No hand-over of authority is pending, or not to this key.", "Have the authority propose this key first.";
    QuorumNotAllowed = 1003, "The quorum is too small or too large for the oracle set.", "Use a majority for two or three oracles, more than two thirds for four or more.";
    OracleSetTooLarge = 1004, "The oracle set holds more than 31 keys.", "Use at most 31 oracles.";
    OracleDuplicate = 1005, "The oracle set names a key twice, or the zero key.", "Name every oracle once.";
    SlotsOutOfRange = 1006, "A burn-in or the maximum age is zero or too long, maintenance is longer than new, or the maximum age is longer than maintenance.", "Use 1 to 160 000 000 slots: maximum age at most maintenance, maintenance at most new.";
    AddressBlockInvalid = 1007, "An address block has host bits set or is not /8 to /30.", "Give blocks as networks, such as 172.16.0.0/16.";
    AddressBlocksOverlap = 1008, "Two address blocks of the network overlap.", "Choose disjoint link, loopback and user blocks.";
    AsnInvalid = 1009, "The core ASN is reserved.", "Use an ordinary or private ASN, such as 65000 or 4200000000.";
    NotUpgradeAuthority = 1010, "Only the program's upgrade authority may initialise the network.", "Sign with the key that deployed the program.";
    RegistrySuspended = 1011, "A contributor, location or exchange above the object is suspended.", "Have the authority activate it again, or use another; drains still work.";
    RegistryInUse = 1012, "The contributor, location or exchange still has devices or links.", "Delete what depends on it first.";
    CoordinatesOutOfRange = 1013, "A latitude is beyond 90 or a longitude beyond 180 degrees.", "Give degrees, north and east positive.";
    CodeInvalid = 1014, "A code is not 1 to 32 characters of a-z, 0-9, _ and -.", "Choose a code of these characters.";
    LabelInvalid = 1015, "A name has control characters or is not UTF-8.", "Use at most 64 bytes of plain text.";
    CountryInvalid = 1016, "A country is not two upper-case letters.", "Use the ISO 3166-1 alpha-2 code, such as US.";
    KeyMissing = 1017, "A key that is needed is zero.", "Give the key.";
    NoChange = 1018, "The instruction would change nothing.", "Read the object again: it is already so.";

    NotDeviceOwner = 2000, "The signer may not do this to the device.", "Sign with the owner's key of its contributor, or the operations key where that is enough.";
    DeviceTransitionRefused = 2001, "The device's status does not allow this.", "`causeway device get` shows its status; the state diagram in the docs shows what it allows.";
    DeviceFieldsMissing = 2002, "A field that provisioning needs is missing: public IP, agent key, telemetry key, or one of the two routing loopbacks.", "Complete the device with `causeway device update`.";
    DeviceHasLinks = 2003, "The device still has links, or, to be rejected, links in service.", "Delete its links first; to reject it, suspend or drain them.";
    DeviceLinksMissing = 2004, "The device has no activated link.", "Bring a link into service first.";
    DeviceShapeBroken = 2005, "The device type's shape does not hold.", "Edge: a CYOA interface and a DZX link. Transit: two WAN links or one of each. Hybrid: a CYOA interface and a WAN link.";
    DeviceNotDesired = 2006, "The desired status does not ask for this.", "Set it with `causeway device set-desired`.";
    PublicIpNotRoutable = 2007, "The public IP is not globally routable.", "Use a public address; labs may use 198.18.0.0/15.";
    DzPrefixInvalid = 2008, "A dz prefix has host bits, is longer than /29 or shorter than /8, or lies where no unicast address is.", "Give a network of /8 to /29 that hosts can have addresses from.";
    DzPrefixOverlap = 2009, "A dz prefix overlaps another, of this or another device, or the network's own link or loopback block.", "Choose a prefix that nobody uses; `causeway device list` and `causeway network get` show them.";
    DzPrefixTooMany = 2010, "A device has at most four dz prefixes.", "Aggregate them.";
    InterfaceNameInvalid = 2011, "An interface name is not 1 to 24 characters of letters, digits, / . _ - beginning with a letter.", "Use the router's own name of the interface.";
    InterfaceExists = 2012, "The device has an interface of this name.", "Choose another name, or update that one.";
    InterfaceNotFound = 2013, "The device has no interface of this name.", "`causeway device interface list` shows them.";
    InterfaceInUse = 2014, "A link holds the interface, or a sub-interface that stands on it.", "Delete that link first, or use another interface.";
    InterfaceLimit = 2015, "The device has as many interfaces as fit.", "Remove those that are not needed.";
    InterfaceUnfit = 2016, "An interface of this kind or role can't hold a link.", "Use a free fabric port, aggregate or sub-interface.";
    InterfaceManaged = 2017, "Routing loopbacks are given their addresses by the program and are fixed once provisioned.", "Leave the address empty; change routing loopbacks only while the device is pending.";
    InterfaceShape = 2018, "Kind, role, loopback type, VLAN and name of the interface don't fit together.", "A sub-interface is named parent.number and has a VLAN; only a loopback has a loopback type; only ports have roles.";
    VlanOutOfRange = 2019, "A VLAN is not 1 to 4094, or given for something that is not a sub-interface.", "Use 1 to 4094 on sub-interfaces and 0 elsewhere.";
    MtuOutOfRange = 2020, "An MTU is not 1500 to 9216.", "Use 1500 to 9216 bytes.";
    LoopbackDuplicate = 2021, "The device has a routing loopback of this type.", "Keep one VPNv4 and one IPv4 loopback.";
    DeviceHealthLow = 2022, "The device's health is below what this needs.", "`causeway health get CODE` says which criterion fails.";
    DeviceBurnIn = 2023, "The maintenance burn-in since the drain is not over.", "Wait; `causeway health get CODE` says how long.";
    VrfInvalid = 2024, "The management VRF's name is not a token of at most 16 characters.", "Use letters, digits, / . _ -.";
    InterfaceAddressInvalid = 2025, "An interface address has a length beyond 32 or is an address that no interface can have.", "Give address/length, such as 198.18.0.1/30.";

    NotLinkParty = 3000, "The signer may not do this to the link.", "Sign with the owner's key of a side's contributor, or an operations key where that is enough.";
    LinkTransitionRefused = 3001, "The link's status does not allow this.", "`causeway link get` shows its status; the state diagram in the docs shows what it allows.";
    LinkSameDevice = 3002, "Both ends of the link are the same device.", "Name two devices.";
    LinkTypeMismatch = 3003, "A WAN link has one contributor, a DZX link two.", "Use dzx where the devices belong to two contributors and wan where to one.";
    LinkShapeBroken = 3004, "A WAN link can't end on an edge device.", "Use a DZX link, or another device.";
    LinkDevicesNotReady = 3005, "A device of the link is not far enough, or not in good standing.", "Provision both devices first; `causeway device get` shows where each is.";
    LinkNotDesired = 3006, "The desired status does not ask for this.", "Set it with `causeway link set-desired`; both sides have to want it.";
    LinkHealthLow = 3007, "The link's health is below what this needs.", "`causeway health get CODE` says which criterion fails.";
    LinkBurnIn = 3008, "The maintenance burn-in since the drain is not over.", "Wait; `causeway health get CODE` says how long.";
    DelayOutOfRange = 3009, "A delay or jitter is not 10 000 ns to 1 s.", "Use 10 000 to 1 000 000 000 ns; an override may also be 0.";
    BandwidthOutOfRange = 3010, "A link's bandwidth is not 10 to 400 Gbit/s.", "Use 10 000 000 000 to 400 000 000 000 bit/s.";
    LinkForeignDevice = 3011, "The device is not the link's, or not the signer's.", "Name the link's own devices; side A has to be yours.";

    NotOracle = 4000, "The signer is not an oracle of the current set.", "Use a key of the set; `causeway network get` lists it.";
    VerdictInvalid = 4001, "The verdict is not one that an oracle can give of this subject.", "Attest pending, impaired or a level of the subject's own health enum.";
    AttestationsTooSmall = 4002, "The subject's attestations have no entry for this oracle yet.", "Extend them first; the SDK does so by itself.";
    AttestationsMismatch = 4003, "The attestations are another subject's.", "Pass the account derived from the subject.";
    WindowInvalid = 4004, "The window ends before it begins, in the future, or longer ago than the maximum age.", "Attest on current data.";
    BatchMismatch = 4005, "Verdicts and accounts of the batch differ in number.", "Pass one attestations account per verdict, in the same order.";
    OracleEpochStale = 4006, "The attestation was signed for another oracle epoch.", "Read the network again and attest anew.";

    PoolExhausted = 5000, "The pool has nothing left.", "Delete what is not needed, or plan a larger block.";
    PoolDoubleFree = 5001, "The value is free already.", "Report this: the program must never do it.";
    PoolForeignValue = 5002, "The value is not one of the pool's.", "Report this: the program must never do it.";
    PoolCorrupt = 5003, "The pool's bitmap and summary disagree.", "Report this: the program must never do it.";
    PoolKindMismatch = 5004, "Another kind of pool was expected.", "Pass the pools in the documented order.";
    PrefixTableFull = 5005, "The table of dz prefixes is full.", "Extend it with `causeway network extend-prefixes`.";
    PrefixNotFound = 5006, "The table of dz prefixes does not hold this prefix.", "Report this: the program must never do it.";

    UnknownInstruction = 6000, "The instruction's tag is undefined.", "Update the client.";
    InstructionData = 6001, "The instruction's data has the wrong length or an undefined value.", "Update the client.";
    AccountCount = 6002, "The instruction has too few or too many accounts.", "Update the client.";
    MissingSignature = 6003, "An account that has to sign did not.", "Sign with it.";
    NotWritable = 6004, "An account that is changed was passed read-only.", "Update the client.";
    WrongOwner = 6005, "An account does not belong to this program.", "Pass the account of this deployment.";
    WrongType = 6006, "An account is of another type.", "Pass the accounts in the documented order.";
    WrongVersion = 6007, "An account's layout version is not one that this program reads.", "Upgrade the program or the account.";
    WrongLength = 6008, "An account's length does not fit its type.", "Report this: the program must never write it.";
    WrongAddress = 6009, "An account is not at its derived address.", "Pass the derived address.";
    DuplicateAccount = 6010, "The same account was passed twice where two are needed.", "Pass two different accounts.";
    AlreadyInitialized = 6011, "The account exists.", "Choose another code, or use what is there.";
    StaleSequence = 6012, "The object changed since it was read.", "Read it again and decide anew.";
    WrongProgram = 6013, "An account that should be a program of the system is another.", "Pass the system program.";
    Overflow = 6014, "A number went beyond its range.", "Report this.";
    AccountMismatch = 6015, "An account is not the one that another account names.", "Pass the accounts that belong together.";
    CorruptAccount = 6016, "An account holds an undefined value.", "Report this: the program must never write it.";
    NotRentExempt = 6017, "The payer can't cover the account's rent.", "Fund the payer.";
}

impl core::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} ({}): {}", self.name(), self.code(), self.cause())
    }
}

impl core::error::Error for ErrorCode {}
