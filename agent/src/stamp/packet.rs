//! The packets of RFC 8762 in unauthenticated mode, with the session identifier of RFC 8972. Pure.
//!
//! ```text
//! session-sender (4.2.1, figure 3)         session-reflector (4.3.1, figure 5)
//!  0  sequence number           4           0  sequence number             4
//!  4  timestamp                 8           4  timestamp                   8
//! 12  error estimate            2          12  error estimate              2
//! 14  SSID (RFC 8972, 3)        2          14  SSID                        2
//! 16  must be zero             28          16  receive timestamp           8
//!                                          24  sender's sequence number    4
//!                                          28  sender's timestamp          8
//!                                          36  sender's error estimate     2
//!                                          38  must be zero                2
//!                                          40  sender's TTL                1
//!                                          41  must be zero                3
//! ```
//!
//! Both are 44 octets. What must be zero is written as zero and not looked at when read, as the RFC asks. Octets beyond
//! the 44 (TLVs of RFC 8972, padding) are not looked at either: an answer of the base length tells a sender that there
//! are no extensions here (RFC 8972, section 4).

use prost::bytes::{Buf, BufMut};

use super::clock::Format;

/// Length of the base packets of both directions, in octets.
pub const BASE_BYTES: usize = 44;

/// Bit of the error estimate for a clock that is synchronized to UTC.
const SYNCHRONIZED: u16 = 1 << 15;
/// Bit of the error estimate for timestamps in PTP's format (RFC 8762 takes RFC 8186's Z).
const PTP: u16 = 1 << 14;
/// The six bits of the scale.
const SCALE_MASK: u8 = 0x3f;

/// How good a clock is (RFC 4656, section 4.1.2, with the Z bit of RFC 8186): the error is
/// `multiplier * 2^-32 * 2^scale` seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorEstimate {
    /// The clock follows UTC by something outside of the machine.
    pub synchronized: bool,
    /// Format of the timestamps beside it.
    pub format: Format,
    /// Power of two, below 64.
    pub scale: u8,
    /// Never 0: a packet that has it is corrupt.
    pub multiplier: u8,
}

impl ErrorEstimate {
    /// Of a clock of which nothing is known: not synchronized, a millisecond (2^-32 * 2^22 s) off. Round trips are
    /// differences of one clock each, so that nothing here rests on it.
    pub const UNKNOWN: Self = Self { synchronized: false, format: Format::Ntp, scale: 22, multiplier: 1 };

    /// As on the wire.
    #[must_use]
    pub fn to_bits(self) -> u16 {
        let synchronized = if self.synchronized { SYNCHRONIZED } else { 0 };
        let format = if self.format == Format::Ptp { PTP } else { 0 };
        synchronized | format | (u16::from(self.scale & SCALE_MASK) << 8) | u16::from(self.multiplier)
    }

    /// From the wire; none for a multiplier of 0 (RFC 4656: consider the packet corrupt).
    #[must_use]
    pub fn from_bits(bits: u16) -> Option<Self> {
        let [high, multiplier] = bits.to_be_bytes();
        let estimate = Self {
            synchronized: bits & SYNCHRONIZED != 0,
            format: if bits & PTP != 0 { Format::Ptp } else { Format::Ntp },
            scale: high & SCALE_MASK,
            multiplier,
        };
        (multiplier != 0).then_some(estimate)
    }
}

/// Why bytes are not a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Fewer than [`BASE_BYTES`].
    #[error("shorter than {BASE_BYTES} octets")]
    Short,
    /// An error estimate whose multiplier is 0.
    #[error("the error estimate's multiplier is 0")]
    Estimate,
}

/// What a session-sender sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// From 0 in each session.
    pub sequence: u32,
    /// When it was sent, in the format that the estimate names.
    pub timestamp: u64,
    /// Of the sender's clock.
    pub estimate: ErrorEstimate,
    /// Session identifier; not 0 (RFC 8972, section 3).
    pub ssid: u16,
}

impl Probe {
    /// As on the wire.
    #[must_use]
    pub fn encode(&self) -> [u8; BASE_BYTES] {
        let mut packet = [0; BASE_BYTES];
        let mut at = packet.as_mut_slice();
        at.put_u32(self.sequence);
        at.put_u64(self.timestamp);
        at.put_u16(self.estimate.to_bits());
        at.put_u16(self.ssid);
        packet
    }

    /// From the wire.
    ///
    /// # Errors
    /// See [`Malformed`].
    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let mut at = base(packet)?;
        let (sequence, timestamp) = (at.get_u32(), at.get_u64());
        let estimate = ErrorEstimate::from_bits(at.get_u16()).ok_or(Malformed::Estimate)?;
        Ok(Self { sequence, timestamp, estimate, ssid: at.get_u16() })
    }
}

/// What a session-reflector answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reflection {
    /// A stateless reflector's is the sender's.
    pub sequence: u32,
    /// When it was sent back, in the format that the estimate names.
    pub timestamp: u64,
    /// Of the reflector's clock.
    pub estimate: ErrorEstimate,
    /// The sender's.
    pub ssid: u16,
    /// When the probe came in, in the same format.
    pub received: u64,
    /// The sender's, like the next two.
    pub sender_sequence: u32,
    /// Copied bit by bit.
    pub sender_timestamp: u64,
    /// Copied.
    pub sender_estimate: ErrorEstimate,
    /// TTL with which the probe came in.
    pub sender_ttl: u8,
}

impl Reflection {
    /// As on the wire.
    #[must_use]
    pub fn encode(&self) -> [u8; BASE_BYTES] {
        let mut packet = [0; BASE_BYTES];
        let mut at = packet.as_mut_slice();
        at.put_u32(self.sequence);
        at.put_u64(self.timestamp);
        at.put_u16(self.estimate.to_bits());
        at.put_u16(self.ssid);
        at.put_u64(self.received);
        at.put_u32(self.sender_sequence);
        at.put_u64(self.sender_timestamp);
        at.put_u16(self.sender_estimate.to_bits());
        at.put_u16(0);
        at.put_u8(self.sender_ttl);
        packet
    }

    /// From the wire.
    ///
    /// # Errors
    /// See [`Malformed`].
    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let mut at = base(packet)?;
        let (sequence, timestamp) = (at.get_u32(), at.get_u64());
        let estimate = ErrorEstimate::from_bits(at.get_u16()).ok_or(Malformed::Estimate)?;
        let (ssid, received) = (at.get_u16(), at.get_u64());
        let (sender_sequence, sender_timestamp) = (at.get_u32(), at.get_u64());
        let sender_estimate = ErrorEstimate::from_bits(at.get_u16()).ok_or(Malformed::Estimate)?;
        at.advance(2);
        Ok(Self {
            sequence,
            timestamp,
            estimate,
            ssid,
            received,
            sender_sequence,
            sender_timestamp,
            sender_estimate,
            sender_ttl: at.get_u8(),
        })
    }

    /// How long the reflector held the probe, in ns, by its own clock; none where that makes no sense.
    #[must_use]
    pub fn residence_ns(&self) -> Option<u64> {
        let held = self.estimate.format.between_ns(self.received, self.timestamp)?;
        u64::try_from(held).ok()
    }
}

/// The base packet; reads of it below can't run out.
fn base(packet: &[u8]) -> Result<&[u8], Malformed> {
    packet.get(..BASE_BYTES).ok_or(Malformed::Short)
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;
