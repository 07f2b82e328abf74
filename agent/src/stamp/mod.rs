//! Two-way measurement by STAMP (RFC 8762, unauthenticated mode): probes over links and through the network, and
//! answers to those of others.
//!
//! - [`clock`], [`packet`]: timestamps and packets as the RFC has them. [`reflect`], [`limit`]: what is answered.
//!   [`session`]: which answer belongs to which probe. All pure.
//! - [`Prober`] probes many targets at once, for [`crate::driver::Driver::probe`]; [`Steady`] sends at a steady pace and
//!   says of each lost packet when it was sent; [`Reflector`] answers. [`socket`] is the edge.
//!
//! Round trips are in ns, without the time that the reflector held the packet, and of the kernel's receive timestamps at
//! both ends where the kernel gives them. They rest on differences of one clock each: clocks need not agree. What is
//! believed of an answer is what its reflector says it held the packet for, but never less than nothing and never more
//! than the whole way; whether it came is decided here. IPv4 only, as the ledger's addresses are.
//!
//! What is sent is not authenticated: RFC 8762's authenticated mode needs a key for each pair. An answer counts only from
//! the address that was probed and with the sender's port, session, sequence number and 64-bit timestamp, which nobody
//! beside the path sees.

pub mod clock;
pub mod limit;
pub mod packet;
mod prober;
pub mod reflect;
mod reflector;
pub mod session;
pub mod socket;
mod standing;
mod steady;

pub use prober::{Counts, Prober, ProberSettings};
pub use reflector::{Reflector, ReflectorCounts, ReflectorSettings};
pub use standing::Standing;
pub use steady::{Loss, MAX_LOSSES, Steady, SteadyReport, SteadySettings};

/// The port that session-reflectors listen on (RFC 8762, section 4.1).
pub const PORT: u16 = 862;
