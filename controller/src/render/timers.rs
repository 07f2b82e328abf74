//! How fast a router notices and acts. A failure of a link is noticed within 150 ms and routed around within about 200 ms
//! more of what the network's size costs; nothing here depends on the ledger.

use serde::Serialize;

/// Milliseconds between BFD packets on a link, each way (RFC 5880, 6.8.1). 20 packets a second and link are nothing to a
/// switch, and what two cores can do for a few hundred links in a lab.
pub const BFD_INTERVAL_MS: u16 = 50;
/// Intervals of BFD that both families take, in ms.
pub const BFD_INTERVALS_MS: std::ops::RangeInclusive<u16> = 50..=60_000;
/// BFD packets that may be lost in a row: detection in 150 ms. It is FRR's default, which FRR leaves out of what it says it
/// runs; its template therefore doesn't say it.
pub const BFD_MULTIPLIER: u8 = 3;
/// Seconds between IS-IS hellos, the least that both families take. BFD is faster; this finds what BFD can't.
pub const HELLO_S: u8 = 1;
/// Milliseconds from the first change to computing routes (RFC 8405, INITIAL_SPF_DELAY). One link that fails is told by either
/// of its ends, and either is enough, so that there is nothing to wait for; a router that fails is told by all its
/// neighbours, which SHORT_SPF_DELAY gathers. FRR takes 100 ms before it tells of a light that it lost, and with 50 more a
/// cut link of a network of 25 was routed around after 207 ms.
pub const SPF_INITIAL_MS: u16 = 10;
/// The same when changes go on (SHORT_SPF_DELAY).
pub const SPF_SHORT_MS: u16 = 200;
/// The same when they don't end (LONG_SPF_DELAY). Not longer: of two neighbours one hears of a change later, and while one counts
/// it as a first one and the other as one of many, they compute routes apart by the difference, and packets go round between them.
/// With a second here the return of a cut link of a ring cost a pair 890 ms. Routers keep answering under a storm, for which
/// RFC 8405 has this delay: routes of 158 routers take FRR a few milliseconds, five times a second.
pub const SPF_LONG_MS: u16 = SPF_SHORT_MS;
/// Milliseconds of quiet after which the next change is a first one again (HOLDDOWN_INTERVAL).
pub const SPF_HOLDDOWN_MS: u16 = 2_000;
/// Milliseconds for which changes count as one event (TIME_TO_LEARN_INTERVAL).
pub const SPF_LEARN_MS: u16 = 500;
/// Seconds between two versions of an own link-state packet in FRR, the least that it takes; one that BFD asks for
/// does not wait.
pub const LSP_GENERATION_S: u8 = 1;
/// Longest wait in seconds that EOS grows its own back-off to, for routes and for link-state packets.
pub const BACKOFF_MAX_S: u8 = 2;

/// The same for templates.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Timers {
    bfd_interval_ms: u16,
    bfd_multiplier: u8,
    hello_s: u8,
    spf_initial_ms: u16,
    spf_short_ms: u16,
    spf_long_ms: u16,
    spf_holddown_ms: u16,
    spf_learn_ms: u16,
    lsp_generation_s: u8,
    backoff_max_s: u8,
}

impl Timers {
    /// With another interval of BFD.
    #[must_use]
    pub const fn with_bfd_interval(self, milliseconds: u16) -> Self {
        Self { bfd_interval_ms: milliseconds, ..self }
    }
}

/// What every device gets, unless the controller is told another interval of BFD.
pub const TIMERS: Timers = Timers {
    bfd_interval_ms: BFD_INTERVAL_MS,
    bfd_multiplier: BFD_MULTIPLIER,
    hello_s: HELLO_S,
    spf_initial_ms: SPF_INITIAL_MS,
    spf_short_ms: SPF_SHORT_MS,
    spf_long_ms: SPF_LONG_MS,
    spf_holddown_ms: SPF_HOLDDOWN_MS,
    spf_learn_ms: SPF_LEARN_MS,
    lsp_generation_s: LSP_GENERATION_S,
    backoff_max_s: BACKOFF_MAX_S,
};
