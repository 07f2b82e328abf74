//! The enums of the ledger. Discriminants are fixed: they are stored bytes and never change meaning.

byte_enum! {
    /// What an account is; the first byte of every account.
    AccountType {
        /// The one network of a program deployment.
        Network = 1 "network",
        /// A party that brings devices and links.
        Contributor = 2 "contributor",
        /// A place where devices stand.
        Location = 3 "location",
        /// A metro or exchange that devices belong to.
        Exchange = 4 "exchange",
        /// A router.
        Device = 5 "device",
        /// A circuit between two devices.
        Link = 6 "link",
        /// What each oracle says of one device or link.
        Attestations = 7 "attestations",
        /// A bitmap allocator.
        Pool = 8 "pool",
        /// Every dz prefix in use, so that none overlaps another.
        PrefixTable = 9 "prefix-table",
    }
}

byte_enum! {
    /// Whether the network's breaker is tripped.
    NetworkStatus {
        /// Everything works.
        Running = 0 "running",
        /// No forward transition; drains still work.
        Paused = 1 "paused",
    }
}

byte_enum! {
    /// Status of a contributor, a location or an exchange.
    RegistryStatus {
        /// In good standing.
        Activated = 1 "activated",
        /// Blocks creation and every forward move beneath it.
        Suspended = 2 "suspended",
    }
}

byte_enum! {
    /// Where a device is in its life.
    DeviceStatus {
        /// Registered.
        Pending = 0 "pending",
        /// In service.
        Activated = 1 "activated",
        /// Stopped by the authority.
        Suspended = 2 "suspended",
        /// On its way out.
        Deleting = 3 "deleting",
        /// Refused by the authority.
        Rejected = 4 "rejected",
        /// Out of service for maintenance.
        Drained = 5 "drained",
        /// Addressed and configured; proving that it is ready for links.
        DeviceProvisioning = 6 "device-provisioning",
        /// Ready for links; proving that it is ready for users.
        LinkProvisioning = 7 "link-provisioning",
    }
}

byte_enum! {
    /// Where a link is in its life.
    LinkStatus {
        /// Registered and, where two parties are involved, accepted.
        Pending = 0 "pending",
        /// In service.
        Activated = 1 "activated",
        /// Stopped by the authority.
        Suspended = 2 "suspended",
        /// On its way out.
        Deleting = 3 "deleting",
        /// Refused by side Z or the authority.
        Rejected = 4 "rejected",
        /// Waiting for side Z's contributor.
        Requested = 5 "requested",
        /// Out of routing.
        HardDrained = 6 "hard-drained",
        /// Traffic avoids it if it can.
        SoftDrained = 7 "soft-drained",
        /// Addressed and configured at a metric that carries no traffic; proving itself.
        Provisioning = 8 "provisioning",
    }
}

byte_enum! {
    /// What a quorum of oracles holds a device to be.
    DeviceHealth {
        /// Fewer than a quorum have a fresh word on it.
        Unknown = 0 "unknown",
        /// A quorum looks; no level has burned in yet.
        Pending = 1 "pending",
        /// Ready to carry links.
        ReadyForLinks = 2 "ready-for-links",
        /// Ready to carry users.
        ReadyForUsers = 3 "ready-for-users",
        /// A quorum looks, and the level it had is gone.
        Impaired = 4 "impaired",
    }
}

byte_enum! {
    /// What a quorum of oracles holds a link to be.
    LinkHealth {
        /// Fewer than a quorum have a fresh word on it.
        Unknown = 0 "unknown",
        /// A quorum looks; the burn-in is not over.
        Pending = 1 "pending",
        /// Ready for service.
        ReadyForService = 2 "ready-for-service",
        /// A quorum looks, and readiness is gone.
        Impaired = 3 "impaired",
    }
}

byte_enum! {
    /// What its contributor wants a device or link to be.
    DesiredStatus {
        /// Hold where it is.
        Pending = 0 "pending",
        /// In service.
        Activated = 1 "activated",
        /// Out of routing.
        HardDrained = 6 "hard-drained",
        /// Avoided by traffic that can.
        SoftDrained = 7 "soft-drained",
    }
}

impl DesiredStatus {
    /// Whether a drain is wanted.
    #[inline(always)]
    pub const fn is_drain(self) -> bool {
        matches!(self, Self::HardDrained | Self::SoftDrained)
    }

    /// The stricter of two wishes: a link does what the more careful of its two sides wants, so that neither side
    /// can put back into service what the other has taken out.
    #[inline(always)]
    pub const fn stricter(self, other: Self) -> Self {
        if self.strictness() >= other.strictness() { self } else { other }
    }

    const fn strictness(self) -> u8 {
        match self {
            Self::Activated => 0,
            Self::Pending => 1,
            Self::SoftDrained => 2,
            Self::HardDrained => 3,
        }
    }
}

byte_enum! {
    /// What a device is for.
    DeviceType {
        /// Users and transit.
        Hybrid = 0 "hybrid",
        /// Transit only.
        Transit = 1 "transit",
        /// Users only, on links to another contributor.
        Edge = 2 "edge",
    }
}

byte_enum! {
    /// Who the two ends of a link belong to.
    LinkType {
        /// Both ends one contributor's.
        Wan = 1 "wan",
        /// Two contributors'; the far side has to accept.
        Dzx = 127 "dzx",
    }
}

byte_enum! {
    /// The router's operating system, which decides the form of its configuration.
    Platform {
        /// Arista EOS.
        Eos = 1 "eos",
        /// FRRouting on Linux.
        Frr = 2 "frr",
    }
}

byte_enum! {
    /// What an interface is.
    InterfaceKind {
        /// A port.
        Physical = 0 "physical",
        /// A loopback.
        Loopback = 1 "loopback",
        /// The out-of-band management port.
        Management = 2 "management",
        /// An aggregate of ports.
        PortChannel = 3 "port-channel",
        /// A VLAN on a port or an aggregate; its name is the parent's, a dot and a number.
        SubInterface = 4 "sub-interface",
    }
}

byte_enum! {
    /// What an interface is for.
    InterfaceRole {
        /// Links to other devices, or nothing yet.
        Fabric = 0 "fabric",
        /// Users connect over it.
        Cyoa = 1 "cyoa",
        /// Direct internet access.
        Dia = 2 "dia",
    }
}

byte_enum! {
    /// Which routing a loopback is for.
    LoopbackType {
        /// Not a routing loopback.
        None = 0 "none",
        /// The VPNv4 loopback: router id, segment id and iBGP VPNv4 source.
        Vpnv4 = 1 "vpnv4",
        /// The IPv4 loopback: iBGP IPv4 source.
        Ipv4 = 2 "ipv4",
    }
}

byte_enum! {
    /// What a pool hands out.
    PoolKind {
        /// /31 nets for links.
        LinkNet = 1 "link-net",
        /// Ids of links (tunnel ids).
        LinkId = 2 "link-id",
        /// Segment-routing node ids.
        NodeSegment = 3 "node-segment",
        /// /32 loopback addresses.
        Loopback = 4 "loopback",
    }
}

byte_enum! {
    /// Why the authority or side Z refused.
    RejectReason {
        /// Not rejected.
        None = 0 "none",
        /// What was registered is not what is there.
        WrongData = 1 "wrong-data",
        /// There is one already.
        Duplicate = 2 "duplicate",
        /// It breaks a policy of the network.
        Policy = 3 "policy",
        /// The equipment can't do it.
        Unsupported = 4 "unsupported",
        /// It was not agreed.
        NotAgreed = 5 "not-agreed",
        /// Any other reason.
        Other = 255 "other",
    }
}

byte_enum! {
    /// A byte that must be zero, where a header field has no meaning for the account.
    Unused {
        /// The only value.
        Zero = 0 "unused",
    }
}
