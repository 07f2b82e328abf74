//! Batches of before and of today: what each side reads of the other's.

use prost::Message;

use crate::telemetry::{Batch, InterfaceSample, SessionSample, SystemSample};

/// As agents made it before sessions and machines were told: device `r1`, sequence 7, one interface, 3 lost samples.
const BEFORE: &str = "0a0272311007180520052a0c0805120465746831180120094803";

/// What an oracle of before knows of a batch.
#[derive(Clone, PartialEq, Message)]
struct Known {
    #[prost(string, tag = "1")]
    device: String,
    #[prost(uint64, tag = "2")]
    sequence: u64,
    #[prost(message, repeated, tag = "5")]
    interfaces: Vec<InterfaceSample>,
    #[prost(uint64, tag = "9")]
    lost_samples: u64,
}

fn batch() -> Batch {
    let interface =
        InterfaceSample { at_unix_ms: 5, interface: "eth1".into(), oper_up: true, in_octets: 9, ..Default::default() };
    Batch {
        device: "r1".into(),
        sequence: 7,
        from_unix_ms: 5,
        to_unix_ms: 5,
        interfaces: vec![interface],
        lost_samples: 3,
        ..Batch::default()
    }
}

#[test]
fn bytes_are_as_they_were_and_a_batch_of_before_says_nothing_of_sessions_and_machines() {
    let bytes = batch().encode_to_vec();
    assert_eq!(hex(&bytes), BEFORE);
    assert_eq!(Batch::decode(bytes.as_slice()).unwrap(), batch());
}

#[test]
fn what_is_told_of_sessions_and_machines_is_left_out_by_who_does_not_know_it() {
    let told = Batch {
        sessions: vec![SessionSample {
            at_unix_ms: 5,
            peer: vec![198, 18, 0, 1],
            established: true,
            prefixes_received: Some(0),
        }],
        systems: vec![SystemSample { at_unix_ms: 5, cpu_busy_permille: Some(0) }],
        ..batch()
    };
    let bytes = told.encode_to_vec();
    // In the order of the fields, so that what is new stands at the end: 14 octets and 6.
    let (session, system) = ("520c08051204c612000118012000", "5a0408051000");
    assert_eq!(hex(&bytes), [BEFORE, session, system].concat());
    assert_eq!(Batch::decode(bytes.as_slice()).unwrap(), told);
    let known = Known::decode(bytes.as_slice()).unwrap();
    assert_eq!((known.device.as_str(), known.sequence, known.lost_samples), ("r1", 7, 3));
    assert_eq!(known.interfaces, batch().interfaces);
}

#[test]
fn what_a_device_does_not_say_is_not_zero() {
    let read = |bytes: &[u8]| SystemSample::decode(bytes).unwrap().cpu_busy_permille;
    assert_eq!((read(&[8, 5]), read(&[8, 5, 16, 0])), (None, Some(0)));
    let read = |bytes: &[u8]| SessionSample::decode(bytes).unwrap().prefixes_received;
    assert_eq!((read(&[8, 5]), read(&[8, 5, 32, 0])), (None, Some(0)));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
