use proptest::prelude::*;

use super::*;

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.replace([' ', '\n'], "")).unwrap()
}

fn estimate() -> impl Strategy<Value = ErrorEstimate> {
    (any::<bool>(), any::<bool>(), 0_u8..64, 1_u8..).prop_map(|(synchronized, ptp, scale, multiplier)| ErrorEstimate {
        synchronized,
        format: if ptp { Format::Ptp } else { Format::Ntp },
        scale,
        multiplier,
    })
}

/// Every field at the octets that figure 3 of RFC 8762 gives it, with the SSID of figure 1 of RFC 8972.
#[test]
fn a_probe_is_laid_out_as_the_figure_shows() {
    let estimate = ErrorEstimate { synchronized: true, format: Format::Ptp, scale: 0x2a, multiplier: 0x55 };
    let probe = Probe { sequence: 0x0102_0304, timestamp: 0x1112_1314_1516_1718, estimate, ssid: 0x2122 };
    let expected = bytes("01020304 1112131415161718 ea55 2122") // 0, 4, 12, 14
        .into_iter()
        .chain([0; 28]) // 16
        .collect::<Vec<u8>>();
    assert_eq!(probe.encode().as_slice(), expected);
    assert_eq!(Probe::decode(&expected), Ok(probe));
}

/// Every field at the octets that figure 5 of RFC 8762 gives it.
#[test]
fn a_reflection_is_laid_out_as_the_figure_shows() {
    let reflection = Reflection {
        sequence: 0x0102_0304,
        timestamp: 0x1112_1314_1516_1718,
        estimate: ErrorEstimate { synchronized: false, format: Format::Ptp, scale: 1, multiplier: 2 },
        ssid: 0x2122,
        received: 0x3132_3334_3536_3738,
        sender_sequence: 0x4142_4344,
        sender_timestamp: 0x5152_5354_5556_5758,
        sender_estimate: ErrorEstimate { synchronized: true, format: Format::Ntp, scale: 63, multiplier: 255 },
        sender_ttl: 0xfe,
    };
    let expected = bytes(
        "01020304 1112131415161718 4102 2122  3132333435363738 \
         41424344 5152535455565758 bfff 0000  fe 000000",
    );
    assert_eq!(expected.len(), 44);
    assert_eq!(reflection.encode().as_slice(), expected);
    assert_eq!(Reflection::decode(&expected), Ok(reflection));
}

#[test]
fn what_must_be_zero_and_what_follows_is_not_looked_at() {
    let probe = Probe { sequence: 7, timestamp: 9, estimate: ErrorEstimate::UNKNOWN, ssid: 1 };
    let mut packet = probe.encode().to_vec();
    packet[16..].fill(0xff);
    packet.extend([0xff; 1_000]);
    assert_eq!(Probe::decode(&packet), Ok(probe));
}

#[test]
fn what_is_too_short_or_corrupt_is_told_apart() {
    let packet = Probe { sequence: 7, timestamp: 9, estimate: ErrorEstimate::UNKNOWN, ssid: 1 }.encode();
    for length in 0..BASE_BYTES {
        assert_eq!(Probe::decode(&packet[..length]), Err(Malformed::Short));
        assert_eq!(Reflection::decode(&packet[..length]), Err(Malformed::Short));
    }
    assert_eq!(Probe::decode(&[0; BASE_BYTES]), Err(Malformed::Estimate));
    assert_eq!(Reflection::decode(&packet), Err(Malformed::Estimate), "a probe is no answer");
}

proptest! {
    #[test]
    fn probes_come_back(sequence: u32, timestamp: u64, estimate in estimate(), ssid: u16) {
        let probe = Probe { sequence, timestamp, estimate, ssid };
        prop_assert_eq!(Probe::decode(&probe.encode()), Ok(probe));
    }

    #[test]
    fn reflections_come_back(
        numbers: (u32, u64, u16, u64, u32, u64, u8),
        estimate in estimate(),
        sender_estimate in estimate(),
    ) {
        let (sequence, timestamp, ssid, received, sender_sequence, sender_timestamp, sender_ttl) = numbers;
        let reflection = Reflection {
            sequence, timestamp, estimate, ssid, received, sender_sequence, sender_timestamp, sender_estimate, sender_ttl,
        };
        prop_assert_eq!(Reflection::decode(&reflection.encode()), Ok(reflection));
    }

    /// Whatever comes is read or refused, and what is read is written again as it came.
    #[test]
    fn any_bytes_are_read_or_refused(mut packet in prop::collection::vec(any::<u8>(), 0..100)) {
        if let Ok(probe) = Probe::decode(&packet) {
            packet.truncate(BASE_BYTES);
            packet[16..].fill(0);
            prop_assert_eq!(probe.encode().to_vec(), packet);
        }
    }

    #[test]
    fn any_answer_is_read_or_refused(packet in prop::collection::vec(any::<u8>(), 0..100)) {
        if let Ok(reflection) = Reflection::decode(&packet) {
            let _ = reflection.residence_ns();
            prop_assert_eq!(Reflection::decode(&reflection.encode()), Ok(reflection));
        }
    }
}
