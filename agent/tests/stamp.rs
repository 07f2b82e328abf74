//! STAMP over real sockets: answers, losses, floods, many targets, links between network namespaces, and what another
//! implementation reads in the packets. Needs root, ip, tcpdump and tshark, as `cargo xtask test` provides them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use causeway_agent::{
    driver::{ProbeKind, ProbeOutcome, Target},
    stamp::{
        Prober, ProberSettings, Reflector, ReflectorSettings, Steady, SteadySettings,
        limit::{Limits, Share},
        packet::{ErrorEstimate, Probe, Reflection},
        reflect::{Peers, Refusal},
        socket::{opener, opener_in, unix_ns},
    },
};

/// Held by tests that need the machine's cores to themselves, as far as this file goes.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn target(address: Ipv4Addr, interface: Option<&str>) -> Target {
    Target { kind: ProbeKind::Link, code: "l".into(), interface: interface.map(str::to_owned), address }
}

fn reflector(change: impl FnOnce(&mut ReflectorSettings)) -> Reflector {
    let listen = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
    let mut settings = ReflectorSettings { listen, ..ReflectorSettings::default() };
    change(&mut settings);
    Reflector::start(settings).unwrap()
}

fn prober(port: u16) -> Prober {
    let gap = Duration::from_millis(5);
    Prober::new(ProberSettings { port, gap, patience: Duration::from_millis(500), ..ProberSettings::default() })
}

/// A socket of a stranger's, towards a reflector.
fn stranger(reflector: &Reflector) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(SocketAddrV4::new(Ipv4Addr::LOCALHOST, reflector.address().port())).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    socket
}

fn probe(sequence: u32) -> Probe {
    Probe { sequence, timestamp: 0x0123_4567_89ab_cdef, estimate: ErrorEstimate::UNKNOWN, ssid: 99 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_are_answered_and_timed_by_the_kernel() {
    let reflector = reflector(|_| {});
    let prober = prober(reflector.address().port());
    // Two targets of one address, one of another, and one where nobody answers: a reserved address without a route.
    let silent = UdpSocket::bind("127.0.0.9:0").unwrap();
    let local = [Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 9, 8, 7)];
    let targets: Vec<Target> = local.iter().map(|address| target(*address, None)).collect();
    for round in 1..=3_u64 {
        let outcomes = prober.probe(&targets, 10).await.unwrap();
        for outcome in &outcomes {
            assert_eq!((outcome.sent, outcome.received), (10, 10));
            assert!(0 < outcome.rtt_min_ns && outcome.rtt_min_ns <= outcome.rtt_avg_ns, "{outcome:?}");
            assert!(outcome.rtt_avg_ns <= outcome.rtt_max_ns && outcome.rtt_max_ns < 500_000_000, "{outcome:?}");
        }
        let counts = prober.counts();
        assert_eq!((counts.sent, counts.answered), (30 * round, 30 * round));
        assert_eq!((counts.duplicates, counts.late, counts.foreign, counts.unsent), (0, 0, 0, 0));
    }
    assert_eq!((reflector.counts().answered, reflector.counts().without_kernel_time), (90, 0));
    let elsewhere = self::prober(silent.local_addr().unwrap().port());
    let lost = ProbeOutcome { sent: 3, ..ProbeOutcome::default() };
    assert_eq!(elsewhere.probe(&[target(Ipv4Addr::new(127, 0, 0, 9), None)], 3).await.unwrap(), [lost]);
    assert_eq!(prober.probe(&[], 10).await.unwrap(), []);
    assert_eq!(prober.probe(&targets, 0).await.unwrap(), [ProbeOutcome::default(); 3]);
    assert!(prober.probe(&targets, u32::MAX).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_no_link_or_has_no_way_is_lost_and_not_an_error() {
    let prober = prober(9_862);
    let targets = [target(Ipv4Addr::LOCALHOST, Some("no-such-link")), target(Ipv4Addr::BROADCAST, None)];
    let outcomes = prober.probe(&targets, 4).await.unwrap();
    assert_eq!(outcomes[0], ProbeOutcome { sent: 4, ..ProbeOutcome::default() });
    assert_eq!(outcomes[1], ProbeOutcome::default(), "a right that is missing is not a loss of the network's");
    assert_eq!(prober.counts().unsent, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_late_answers_and_strangers_answers_are_counted_as_such() {
    // A reflector that answers each probe wrongly first, then twice, and the last too late.
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let forger = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let odd = tokio::spawn(async move {
        let mut packet = [0; 100];
        for n in 0..4 {
            let (length, from) = socket.recv_from(&mut packet).await.unwrap();
            let probe = Probe::decode(&packet[..length]).unwrap();
            let (timestamp, estimate) = (probe.timestamp, probe.estimate);
            let right = Reflection {
                sequence: probe.sequence,
                timestamp,
                estimate,
                ssid: probe.ssid,
                received: timestamp,
                sender_sequence: probe.sequence,
                sender_timestamp: timestamp,
                sender_estimate: estimate,
                sender_ttl: 255,
            };
            forger.send_to(&right.encode(), from).await.unwrap();
            socket.send_to(&Reflection { sender_timestamp: !timestamp, ..right }.encode(), from).await.unwrap();
            socket.send_to(&probe.encode(), from).await.unwrap();
            socket.send_to(b"no packet", from).await.unwrap();
            if n == 3 {
                tokio::time::sleep(Duration::from_millis(800)).await;
            }
            socket.send_to(&right.encode(), from).await.unwrap();
            socket.send_to(&right.encode(), from).await.unwrap();
        }
    });
    let prober = prober(port);
    let outcomes = prober.probe(&[target(Ipv4Addr::LOCALHOST, None)], 4).await.unwrap();
    assert_eq!((outcomes[0].sent, outcomes[0].received), (4, 3));
    odd.await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let counts = prober.counts();
    assert_eq!((counts.answered, counts.duplicates, counts.late, counts.foreign), (3, 3, 2, 16));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reflector_answers_probes_only_and_never_with_more_than_it_got() {
    let reflector = reflector(|_| {});
    let socket = stranger(&reflector);
    let mut answer = [0; 4_000];
    let sound = probe(7).encode();
    for junk in [&[][..], b"hello", &sound[..43], &[0; 44], &[0; 1_400]] {
        socket.send(junk).unwrap();
    }
    assert!(socket.recv(&mut answer).is_err(), "no answer to what is no probe");
    for length in [44, 45, 500, 1_400, 9_000] {
        let mut padded = sound.to_vec();
        padded.resize(length, 0xff);
        socket.send(&padded).unwrap();
        let answered = socket.recv(&mut answer).unwrap();
        assert_eq!(answered, 44, "of {length}");
        let reflection = Reflection::decode(&answer[..answered]).unwrap();
        assert_eq!((reflection.sequence, reflection.sender_sequence, reflection.ssid), (7, 7, 99));
        assert_eq!((reflection.sender_timestamp, reflection.sender_estimate), (probe(7).timestamp, probe(7).estimate));
        assert_eq!(reflection.sender_ttl, 64, "the TTL that it came with");
        assert!(reflection.residence_ns().unwrap() < 1_000_000_000);
    }
    assert_eq!(reflector.counts().refused[&Refusal::Malformed], 5);
    // Two reflectors are not to be set on each other.
    let other = self::reflector(|_| {});
    let spoofed = UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 861)).unwrap();
    spoofed.send_to(&sound, SocketAddrV4::new(Ipv4Addr::LOCALHOST, other.address().port())).unwrap();
    spoofed.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(spoofed.recv(&mut answer).is_err());
    assert_eq!(other.counts().refused[&Refusal::Port], 1);
    reflector.set_peers(Peers::only(["127.0.0.2/32".parse().unwrap()]));
    socket.send(&sound).unwrap();
    assert!(socket.recv(&mut answer).is_err());
    assert_eq!(reflector.counts().refused[&Refusal::Stranger], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_gets_its_share_and_others_keep_theirs() {
    let _alone = ALONE.lock().await;
    let share = |per_second, burst| Share { per_second, burst };
    let reflector = reflector(|settings| settings.limits = Limits { source: share(100, 50), total: share(1_000, 500) });
    let flood = stranger(&reflector);
    let began = Instant::now();
    for n in 0..20_000 {
        let _ = flood.send(&probe(n).encode());
    }
    let elapsed = began.elapsed();
    let other = UdpSocket::bind("127.7.7.7:0").unwrap();
    other.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    other.send_to(&probe(1).encode(), SocketAddrV4::new(Ipv4Addr::LOCALHOST, reflector.address().port())).unwrap();
    assert_eq!(other.recv(&mut [0; 100]).unwrap(), 44, "someone else is answered");
    let counts = reflector.counts();
    let allowed = 50 + 100 * (elapsed.as_secs() + 3) + 11;
    assert!(counts.answered >= 50 && counts.answered <= allowed, "{counts:?}, {allowed}");
    assert!(counts.refused[&Refusal::SourceRate] > 1_000, "{counts:?}");
}

/// What one agent has to be able to do: every target of the largest plan, ten probes each, within a sample's ten seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_targets_are_probed_within_one_sample() {
    let _alone = ALONE.lock().await;
    let much = Share { per_second: 1_000_000, burst: 1_000_000 };
    let reflector = reflector(|settings| settings.limits = Limits { source: much, total: much });
    let prober = Prober::new(ProberSettings { port: reflector.address().port(), ..ProberSettings::default() });
    let targets: Vec<Target> =
        (0..20_000_u32).map(|n| target(Ipv4Addr::from_bits(0x7f01_0000 + n + n / 254), None)).collect();
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let outcomes = prober.probe(&targets, 10).await.unwrap();
    let (took, cpu) = (began.elapsed(), cpu_seconds() - cpu);
    let received: u64 = outcomes.iter().map(|outcome| u64::from(outcome.received)).sum();
    println!("200 000 probes in {took:?}, {cpu:.2} s of CPU for both ends, {} lost", 200_000 - received);
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(outcomes.iter().all(|outcome| outcome.sent == 10));
    assert!(received > 199_000, "{received} of 200 000: {:?}", prober.counts());
}

/// User and system time of this process so far.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // Fields 14 and 15, in hundredths of a second.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_steady_pairs_lose_nothing_and_tell_each_loss_with_its_time() {
    let _alone = ALONE.lock().await;
    let reflectors: Vec<Reflector> = (0..10).map(|_| reflector(|_| {})).collect();
    let start = |n: usize| {
        let host = u8::try_from(n).unwrap() + 1;
        Steady::start(SteadySettings {
            source: Ipv4Addr::new(127, 0, 1, host),
            target: SocketAddrV4::new(Ipv4Addr::new(127, 0, 2, host), reflectors[n].address().port()),
            per_second: 500,
            patience: Duration::from_millis(500),
            wait: Duration::from_millis(500),
            opener: opener(),
        })
        .unwrap()
    };
    let pairs: Vec<Steady> = (0..10).map(start).collect();
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs(3)).await;
    // One far end falls silent for a while.
    let from = unix_ns();
    reflectors[0].set_peers(Peers::only([]));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let to = unix_ns();
    reflectors[0].set_peers(Peers::ANYBODY);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let elapsed = began.elapsed().as_secs_f64();
    for (n, pair) in pairs.into_iter().enumerate() {
        let report = pair.stop().await;
        assert_eq!(report.sent, report.answered + report.lost);
        assert!(report.sent as f64 > 0.9 * 500.0 * elapsed, "{} in {elapsed} s", report.sent);
        assert_eq!((report.waiting, report.unsent, report.duplicates, report.late, report.foreign), (0, 0, 0, 0, 0));
        assert!(report.rtt_min_ns > 0);
        assert_eq!(report.lost, report.losses.len() as u64);
        if n == 0 {
            assert!((50..=150).contains(&report.lost), "{} of about 100", report.lost);
            // A packet that was sent just before may have been read just after.
            let near = report.lost_between(from - 20_000_000, to + 20_000_000);
            assert_eq!(near as u64, report.lost);
        } else {
            assert_eq!(report.lost, 0);
        }
    }
}

/// Runs a program and wants it to succeed.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; `cargo xtask test` installs it"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn ip(arguments: &str) {
    run("ip", &arguments.split_whitespace().collect::<Vec<_>>());
}

/// A namespace with two links to this one; removed when dropped.
struct Far {
    name: String,
    reflector: Option<Child>,
}

impl Drop for Far {
    fn drop(&mut self) {
        if let Some(child) = &mut self.reflector {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

/// Where the far end's reflector listens.
const FAR_PORT: u16 = 28_620;

/// Not a test by itself: the far end of the next one, in a process and namespace of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "run by another test, in a namespace"]
async fn reflects_in_a_namespace() {
    let listen = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, FAR_PORT);
    let _reflector = Reflector::start(ReflectorSettings { listen, ..ReflectorSettings::default() }).unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_of_a_link_takes_that_link_and_no_other() {
    let mut far = Far { name: format!("stamp-{}", std::process::id()), reflector: None };
    let name = far.name.clone();
    ip(&format!("netns add {name}"));
    ip(&format!("-n {name} link set lo up"));
    for n in [1, 2] {
        ip(&format!("link add stamp{n} type veth peer name far{n} netns {name}"));
        ip(&format!("addr add 10.254.{n}.0/31 dev stamp{n}"));
        ip(&format!("link set stamp{n} up"));
        ip(&format!("-n {name} addr add 10.254.{n}.1/31 dev far{n}"));
        ip(&format!("-n {name} link set far{n} up"));
    }
    let this = std::env::current_exe().unwrap();
    let arguments = ["netns", "exec", &name, this.to_str().unwrap(), "--ignored", "--exact", "reflects_in_a_namespace"];
    far.reflector = Some(Command::new("ip").args(arguments).stdout(Stdio::null()).spawn().unwrap());
    let prober = prober(FAR_PORT);
    let over = |interface| target(Ipv4Addr::new(10, 254, 1, 1), interface);
    let targets = [over(Some("stamp1")), over(None), target(Ipv4Addr::new(10, 254, 2, 1), Some("stamp2"))];
    let received = async || {
        let outcomes = prober.probe(&targets, 5).await.unwrap();
        assert!(outcomes.iter().all(|outcome| outcome.sent == 5), "{outcomes:?}");
        outcomes.iter().map(|outcome| outcome.received).collect::<Vec<_>>()
    };
    let mut found = Vec::new();
    for _ in 0..40 {
        found = received().await;
        if found == [5, 5, 5] {
            break;
        }
    }
    assert_eq!(found, [5, 5, 5]);
    ip(&format!("-n {name} link set far1 down"));
    // There is another way to the address, and whoever names no link takes it.
    ip("route add 10.254.1.1/32 via 10.254.2.1");
    assert_eq!(received().await, [0, 5, 5], "the link is cut, and the other way is no link");
    // The link is made anew: another interface of the same name.
    ip("route del 10.254.1.1/32 via 10.254.2.1");
    ip("link del stamp1");
    assert_eq!(received().await[0], 0, "an interface that is gone loses what would take it");
    ip(&format!("link add stamp1 type veth peer name far1 netns {name}"));
    ip("addr add 10.254.1.0/31 dev stamp1");
    ip("link set stamp1 up");
    ip(&format!("-n {name} addr add 10.254.1.1/31 dev far1"));
    ip(&format!("-n {name} link set far1 up"));
    for _ in 0..40 {
        found = received().await;
        if found[0] == 5 {
            break;
        }
    }
    assert_eq!(found[0], 5, "and is used again once it is back");
    assert_eq!(prober.counts().unsent, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_are_made_where_the_device_is_and_none_where_that_is_not() {
    let far = Far { name: format!("device-{}", std::process::id()), reflector: None };
    let name = far.name.clone();
    ip(&format!("netns add {name}"));
    ip(&format!("-n {name} link set lo up"));
    ip(&format!("-n {name} link add core1 type veth peer name core2"));
    ip(&format!("-n {name} addr add 10.254.7.1/32 dev core1"));
    for link in ["core1", "core2"] {
        ip(&format!("-n {name} link set {link} up"));
    }
    let reflector = reflector(|settings| settings.opener = opener_in(&name));
    let settings = |opener| ProberSettings {
        port: reflector.address().port(),
        gap: Duration::from_millis(5),
        patience: Duration::from_millis(500),
        opener,
        ..ProberSettings::default()
    };
    let inside = Prober::new(settings(opener_in(&name)));
    let targets = [
        target(Ipv4Addr::new(10, 254, 7, 1), None),
        target(Ipv4Addr::new(10, 254, 7, 9), Some("core1")),
        target(Ipv4Addr::new(10, 254, 7, 1), Some("no-such-link")),
    ];
    let outcomes = inside.probe(&targets, 4).await.unwrap();
    let counted = |outcomes: &[ProbeOutcome]| outcomes.iter().map(|o| (o.sent, o.received)).collect::<Vec<_>>();
    assert_eq!(counted(&outcomes), [(4, 4), (4, 0), (4, 0)], "the device's address, a link of nobody, and none");
    // A namespace that is not there says nothing of the device: not sent, and not lost.
    let nowhere = Prober::new(settings(opener_in("no-such-namespace")));
    assert_eq!(counted(&nowhere.probe(&targets, 4).await.unwrap()), [(0, 0), (0, 0), (0, 0)]);
    assert_eq!(nowhere.counts().unsent, 12);
    assert!(
        std::fs::read_link("/proc/thread-self/ns/net").unwrap() == std::fs::read_link("/proc/self/ns/net").unwrap()
    );
}

/// Another implementation of the format: Wireshark's, for TWAMP-Test, whose packets STAMP's are (RFC 8762, section 4.6).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tshark_reads_the_packets_without_complaint() {
    let reflector = reflector(|_| {});
    let port = reflector.address().port();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stamp.pcap");
    let file = file.to_str().unwrap();
    let mut capture = Command::new("tcpdump")
        .args(["--immediate-mode", "-i", "lo", "-U", "-w", file, "-Z", "root", &format!("udp port {port}")])
        .stderr(Stdio::null())
        .spawn()
        .expect("tcpdump; `cargo xtask test` installs it");
    let prober = prober(port);
    let size = || std::fs::metadata(file).map_or(0, |metadata| metadata.len());
    // A capture that has begun has written its head.
    for _ in 0..100 {
        if size() > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let outcomes = prober.probe(&[target(Ipv4Addr::LOCALHOST, None)], 10).await.unwrap();
    assert_eq!(outcomes[0].received, 10);
    tokio::time::sleep(Duration::from_millis(500)).await;
    run("kill", &["-INT", &capture.id().to_string()]);
    capture.wait().unwrap();
    let decode = format!("udp.port=={port},twamp.test");
    let tshark = |arguments: &[&str]| run("tshark", &[&["-n", "-r", file, "-d", &decode], arguments].concat());
    assert_eq!(tshark(&["-Y", "twamp.test"]).lines().count(), 20);
    let complaints = tshark(&["-Y", "_ws.expert || _ws.malformed || !twamp.test", "-V"]);
    assert!(complaints.is_empty(), "{complaints}");
    let fields = [
        "udp.dstport",
        "udp.length",
        "twamp.test.seq_number",
        "twamp.test.timestamp",
        "twamp.test.error_estimate.multiplier",
        "twamp.test.error_estimate.scale",
        "twamp.test.sender_seq_number",
        "twamp.test.sender_ttl",
        "twamp.test.sender_timestamp",
    ];
    let mut arguments = vec!["-T", "fields", "-t", "e"];
    arguments.extend(fields.iter().flat_map(|field| ["-e", *field]));
    let read = tshark(&arguments);
    let lines: Vec<Vec<&str>> = read.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines.len(), 20, "{read}");
    for (n, pair) in lines.chunks(2).enumerate() {
        let number = n.to_string();
        let (probe, reflection) = (&pair[0], &pair[1]);
        assert_eq!(probe[0], port.to_string());
        // 44 octets and UDP's head. It reads both as a reflector's; a probe's other half is zero.
        assert_eq!(probe[1..3], ["52", number.as_str()], "{read}");
        assert_eq!(probe[4..8], ["1,0", "22,0", "0", "0"], "{read}");
        assert_eq!(reflection[1..3], ["52", number.as_str()], "{read}");
        assert_eq!(reflection[4..6], ["1,1", "22,22"], "{read}");
        assert_eq!(reflection[8], probe[3], "the sender's timestamp comes back");
        assert_eq!((reflection[6], reflection[7]), (number.as_str(), "255"), "{read}");
    }
}
