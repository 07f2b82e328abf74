//! What a session-reflector answers, and what it leaves alone. Pure.
//!
//! Stateless (RFC 8762, section 4.3): the sequence number is the sender's, so that strangers can't make it remember
//! anything. An answer goes to where the probe came from and is never longer than the probe.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4},
};

use ipnet::Ipv4Net;

use super::packet::{BASE_BYTES, ErrorEstimate, Malformed, Probe, Reflection};

/// Below this are the ports of services. A sender takes its port from the ephemeral ones; what seems to come from a
/// service is an attempt to set two of them on each other, an echo or another reflector for instance.
pub const FIRST_SENDER_PORT: u16 = 1_024;

/// Why a packet is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// Not a probe.
    Malformed,
    /// From a port of a service, or the reflector's own.
    Port,
    /// From or to an address that is not of one machine.
    Address,
    /// From nobody that is known.
    Stranger,
    /// The source's share is used up.
    SourceRate,
    /// The share of all is used up.
    TotalRate,
}

impl Refusal {
    /// All, in order.
    pub const ALL: [Self; 6] =
        [Self::Malformed, Self::Port, Self::Address, Self::Stranger, Self::SourceRate, Self::TotalRate];

    /// For metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Port => "port",
            Self::Address => "address",
            Self::Stranger => "stranger",
            Self::SourceRate => "source-rate",
            Self::TotalRate => "total-rate",
        }
    }
}

impl From<Malformed> for Refusal {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Whom a reflector answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers(Option<BTreeMap<u8, Vec<Ipv4Addr>>>);

impl Peers {
    /// Everybody.
    pub const ANYBODY: Self = Self(None);

    /// Who is in one of these networks.
    pub fn only(networks: impl IntoIterator<Item = Ipv4Net>) -> Self {
        let mut by_length: BTreeMap<u8, Vec<Ipv4Addr>> = BTreeMap::new();
        for network in networks {
            by_length.entry(network.prefix_len()).or_default().push(network.network());
        }
        for networks in by_length.values_mut() {
            networks.sort_unstable();
        }
        Self(Some(by_length))
    }

    /// Whether this one is among them. At most 33 searches, however many networks there are.
    #[must_use]
    pub fn contains(&self, source: Ipv4Addr) -> bool {
        let Some(by_length) = &self.0 else { return true };
        by_length.iter().any(|(length, networks)| {
            Ipv4Net::new(source, *length).is_ok_and(|own| networks.binary_search(&own.network()).is_ok())
        })
    }
}

/// A packet as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    /// Its bytes.
    pub packet: &'a [u8],
    /// From where.
    pub source: SocketAddrV4,
    /// To which of the machine's addresses, where that is known.
    pub destination: Option<Ipv4Addr>,
    /// TTL, where it is known.
    pub ttl: Option<u8>,
    /// Unix nanoseconds.
    pub at_unix_ns: u64,
}

/// Whether it is a probe that may be answered. Its rate is not looked at.
///
/// # Errors
/// See [`Refusal`].
pub fn check(arrived: &Arrived<'_>, own_port: u16, peers: &Peers) -> Result<Probe, Refusal> {
    let probe = Probe::decode(arrived.packet)?;
    let port = arrived.source.port();
    if port < FIRST_SENDER_PORT || port == own_port {
        return Err(Refusal::Port);
    }
    let of_many = |address: Ipv4Addr| address.is_multicast() || address.is_broadcast() || address.is_unspecified();
    if of_many(*arrived.source.ip()) || arrived.destination.is_some_and(of_many) {
        return Err(Refusal::Address);
    }
    if !peers.contains(*arrived.source.ip()) {
        return Err(Refusal::Stranger);
    }
    Ok(probe)
}

/// The answer to a probe, sent at a time in unix nanoseconds.
#[must_use]
pub fn answer(probe: &Probe, arrived: &Arrived<'_>, sent_unix_ns: u64) -> [u8; BASE_BYTES] {
    let estimate = ErrorEstimate { format: probe.estimate.format, ..ErrorEstimate::UNKNOWN };
    // A clock that was set back in between would have it answered before it came.
    let sent_unix_ns = sent_unix_ns.max(arrived.at_unix_ns);
    let reflection = Reflection {
        sequence: probe.sequence,
        timestamp: estimate.format.encode(sent_unix_ns),
        estimate,
        ssid: probe.ssid,
        received: estimate.format.encode(arrived.at_unix_ns),
        sender_sequence: probe.sequence,
        sender_timestamp: probe.timestamp,
        sender_estimate: probe.estimate,
        // RFC 8762, section 4.3.1: 255 where it can't be told.
        sender_ttl: arrived.ttl.unwrap_or(u8::MAX),
    };
    reflection.encode()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stamp::clock::Format;

    const OWN: u16 = 862;

    fn probe() -> Probe {
        Probe { sequence: 3, timestamp: 77, estimate: ErrorEstimate::UNKNOWN, ssid: 9 }
    }

    fn from<'a>(packet: &'a [u8], source: &str, destination: &str) -> Arrived<'a> {
        let (source, destination) = (source.parse().unwrap(), destination.parse().ok());
        Arrived { packet, source, destination, ttl: Some(254), at_unix_ns: 5_000 }
    }

    #[test]
    fn what_is_not_of_a_sender_is_left_alone() {
        let (sound, peers) = (probe().encode(), Peers::only(["10.0.0.0/8".parse().unwrap()]));
        for (packet, source, destination, expected) in [
            (sound.as_slice(), "10.0.0.1:40000", "10.0.0.2", None),
            (&sound[..43], "10.0.0.1:40000", "10.0.0.2", Some(Refusal::Malformed)),
            (&[], "10.0.0.1:40000", "10.0.0.2", Some(Refusal::Malformed)),
            (&[0; 44], "10.0.0.1:40000", "10.0.0.2", Some(Refusal::Malformed)),
            (&sound, "10.0.0.1:862", "10.0.0.2", Some(Refusal::Port)),
            (&sound, "10.0.0.1:7", "10.0.0.2", Some(Refusal::Port)),
            (&sound, "10.0.0.1:0", "10.0.0.2", Some(Refusal::Port)),
            (&sound, "255.255.255.255:40000", "10.0.0.2", Some(Refusal::Address)),
            (&sound, "0.0.0.0:40000", "10.0.0.2", Some(Refusal::Address)),
            (&sound, "224.0.0.5:40000", "10.0.0.2", Some(Refusal::Address)),
            (&sound, "10.0.0.1:40000", "224.0.0.5", Some(Refusal::Address)),
            (&sound, "10.0.0.1:40000", "255.255.255.255", Some(Refusal::Address)),
            (&sound, "11.0.0.1:40000", "10.0.0.2", Some(Refusal::Stranger)),
        ] {
            let found = check(&from(packet, source, destination), OWN, &peers);
            assert_eq!(found.err(), expected, "{source} {destination}");
        }
        assert_eq!(
            check(&from(&sound, "10.0.0.1:9862", ""), 9_862, &Peers::ANYBODY),
            Err(Refusal::Port),
            "another reflector"
        );
        assert!(check(&from(&sound, "11.0.0.1:40000", ""), OWN, &Peers::ANYBODY).is_ok());
        assert_eq!(check(&from(&sound, "11.0.0.1:40000", ""), OWN, &Peers::only([])), Err(Refusal::Stranger));
    }

    #[test]
    fn an_answer_is_in_the_senders_format_and_never_before_the_probe_came() {
        for format in [Format::Ntp, Format::Ptp] {
            let probe = Probe { estimate: ErrorEstimate { format, ..ErrorEstimate::UNKNOWN }, ..probe() };
            let packet = probe.encode();
            let arrived = from(&packet, "10.0.0.1:40000", "10.0.0.2");
            let read = |at| Reflection::decode(&answer(&probe, &arrived, at)).unwrap();
            assert_eq!(read(7_500).residence_ns(), Some(2_500));
            assert_eq!(read(4_000).residence_ns(), Some(0));
            let unknown = Arrived { ttl: None, ..arrived };
            assert_eq!(Reflection::decode(&answer(&probe, &unknown, 0)).unwrap().sender_ttl, 255);
        }
    }

    #[test]
    fn networks_of_any_length_are_found() {
        let networks = ["10.1.0.0/16", "192.0.2.7/32", "198.51.100.0/31", "10.2.3.0/24"];
        let peers = Peers::only(networks.map(|n| n.parse().unwrap()));
        for (address, known) in [
            ("10.1.255.255", true),
            ("10.2.3.4", true),
            ("10.2.4.4", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("198.51.100.1", true),
            ("198.51.100.2", false),
        ] {
            assert_eq!(peers.contains(address.parse().unwrap()), known, "{address}");
        }
        assert!(Peers::only(["0.0.0.0/0".parse().unwrap()]).contains(Ipv4Addr::LOCALHOST));
    }

    proptest! {
        /// Whatever comes, an answer is no longer, says of the sender what the sender said, and can be read.
        #[test]
        fn answers_are_no_longer_and_true(
            packet in prop::collection::vec(any::<u8>(), 0..200), address: u32, port: u16, ttl: u8, at in 0..1_u64 << 62,
        ) {
            let source = SocketAddrV4::new(Ipv4Addr::from_bits(address), port);
            let arrived =
                Arrived { packet: &packet, source, destination: None, ttl: Some(ttl), at_unix_ns: at };
            if let Ok(probe) = check(&arrived, OWN, &Peers::ANYBODY) {
                let reply = answer(&probe, &arrived, at + 10);
                prop_assert!(reply.len() <= packet.len());
                prop_assert!(reply[24..38] == packet[..14] && reply[14..16] == packet[14..16] && reply[40] == ttl);
                prop_assert_eq!(Reflection::decode(&reply).unwrap().residence_ns(), Some(10));
            }
        }
    }
}
