#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::driver::{Driver, DriverError, InterfaceCounters, ProbeKind, ProbeOutcome, Target};

const DELAY: Duration = Duration::from_millis(5);
const REVERT: Duration = Duration::from_secs(60);

/// One end of a link in a test.
#[derive(Clone)]
struct End {
    interface: &'static str,
    address: &'static str,
    lines: Vec<&'static str>,
}

fn end(interface: &'static str, address: &'static str, metric: &'static str) -> End {
    let lines = vec!["ip router isis 1", "isis circuit-type level-2-only", "isis network point-to-point", metric];
    End { interface, address, lines }
}

/// FRR text of test device `number` with some links.
fn frr(number: u8, peers: &[u8], isis: &[&str], ends: &[End]) -> String {
    let mut text =
        format!("hostname r{number}\nrouter isis 1\n net 49.0000.0a00.00{number:02x}.0000.00\n is-type level-2-only\n");
    isis.iter().for_each(|line| text += &format!(" {line}\n"));
    text += &format!("exit\ninterface lo\n ip address 10.0.0.{number}/32\n ip router isis 1\n isis passive\nexit\n");
    for end in ends {
        text += &format!("interface {}\n ip address {}\n", end.interface, end.address);
        end.lines.iter().for_each(|line| text += &format!(" {line}\n"));
        text += "exit\n";
    }
    text += "router bgp 65000\n no bgp default ipv4-unicast\n";
    for peer in peers {
        text += &format!(" neighbor 10.0.0.{peer} remote-as 65000\n neighbor 10.0.0.{peer} update-source lo\n");
    }
    text + "exit\n"
}

async fn run(fabric: &Fabric, code: &str, text: &str) {
    let driver = fabric.driver(code).unwrap();
    driver.load_candidate(text).await.unwrap();
    driver.commit(REVERT).await.unwrap();
    driver.confirm().await.unwrap();
}

fn port(text: &str) -> Port {
    let (device, interface) = text.split_once(':').unwrap();
    Port::new(device, interface)
}

/// Triangle r1 - r2 - r3 - r1, the direct way from r1 to r3 being the longest.
fn triangle() -> Fabric {
    let fabric = Fabric::new(1);
    for code in ["r1", "r2", "r3"] {
        fabric.add_device(code, Family::Frr, Some(format!("198.18.0.{}", &code[1..]).parse().unwrap())).unwrap();
        fabric.add_uplink(Port::new(code, "eth9"), UplinkKind::Dia).unwrap();
    }
    fabric.add_cable(port("r1:eth1"), port("r2:eth1"), DELAY).unwrap();
    fabric.add_cable(port("r2:eth2"), port("r3:eth1"), DELAY).unwrap();
    fabric.add_cable(port("r1:eth2"), port("r3:eth2"), DELAY * 4).unwrap();
    fabric
}

const M: &str = "isis metric 100";
const FAR: &str = "isis metric 500";

async fn configured() -> Fabric {
    let fabric = triangle();
    run(&fabric, "r1", &frr(1, &[2, 3], &[], &[end("eth1", "10.1.0.0/31", M), end("eth2", "10.1.0.4/31", FAR)])).await;
    run(&fabric, "r2", &frr(2, &[1, 3], &[], &[end("eth1", "10.1.0.1/31", M), end("eth2", "10.1.0.2/31", M)])).await;
    run(&fabric, "r3", &frr(3, &[1, 2], &[], &[end("eth1", "10.1.0.3/31", M), end("eth2", "10.1.0.5/31", FAR)])).await;
    fabric
}

fn is_adjacent(fabric: &Fabric, code: &str, interface: &str) -> bool {
    fabric.adjacencies(code).iter().any(|a| a.interface == interface && a.up)
}

fn path(fabric: &Fabric, from: &str, to: &str) -> Option<(u64, String)> {
    fabric.route(from, to).map(|route| (route.metric, route.devices.join(" ")))
}

fn counters(fabric: &Fabric, at: &str) -> InterfaceCounters {
    let port = port(at);
    fabric.counters(&port.device).into_iter().find(|c| c.interface == port.interface).unwrap()
}

async fn probe(fabric: &Fabric, from: &str, kind: ProbeKind, address: &str, count: u32) -> ProbeOutcome {
    let target = Target { kind, code: "x".into(), interface: None, address: address.parse().unwrap() };
    fabric.driver(from).unwrap().probe(&[target], count).await.unwrap()[0]
}

#[tokio::test]
async fn an_adjacency_needs_both_ends_to_agree() {
    type Change = fn(&mut End);
    let cases: &[(&str, bool, Change)] = &[
        ("as it is", true, |_| {}),
        ("no isis", false, |e| e.lines.retain(|l| !l.starts_with("ip router"))),
        ("passive", false, |e| e.lines.push("isis passive")),
        ("shut", false, |e| e.lines.push("shutdown")),
        ("other instance", false, |e| e.lines[0] = "ip router isis 2"),
        ("other subnet", false, |e| e.address = "10.1.0.9/31"),
        ("other length", false, |e| e.address = "10.1.0.1/30"),
        ("same address", false, |e| e.address = "10.1.0.0/31"),
        ("level 1", false, |e| e.lines[1] = "isis circuit-type level-1"),
        ("both levels", true, |e| e.lines[1] = "isis circuit-type level-1-2"),
        ("broadcast", false, |e| e.lines.retain(|l| !l.contains("point-to-point"))),
        ("other metric", true, |e| e.lines[3] = "isis metric 7"),
    ];
    for (name, expected, change) in cases {
        let fabric = triangle();
        let mut far = end("eth1", "10.1.0.1/31", M);
        change(&mut far);
        run(&fabric, "r1", &frr(1, &[], &[], &[end("eth1", "10.1.0.0/31", M)])).await;
        assert!(!is_adjacent(&fabric, "r1", "eth1"), "{name}: nothing at the far end yet");
        run(&fabric, "r2", &frr(2, &[], &[], &[far])).await;
        assert_eq!(is_adjacent(&fabric, "r1", "eth1"), *expected, "{name}");
        assert_eq!(path(&fabric, "r1", "r2").is_some(), *expected, "{name}");
    }
    let fabric = triangle();
    run(&fabric, "r1", &frr(1, &[], &[], &[end("eth1", "10.1.0.0/31", M)])).await;
    run(&fabric, "r2", &frr(1, &[], &[], &[end("eth1", "10.1.0.1/31", M)])).await;
    assert!(!is_adjacent(&fabric, "r1", "eth1"), "two systems of one id");
}

#[tokio::test]
async fn eos_and_frr_are_neighbours_and_unequal_mtus_are_not() {
    for (mtu, expected) in [("mtu 9000", true), ("mtu 1500", false)] {
        let fabric = Fabric::new(1);
        for (code, family) in [("a", Family::Eos), ("b", Family::Eos), ("c", Family::Frr)] {
            fabric.add_device(code, family, None).unwrap();
        }
        fabric.add_cable(port("a:Ethernet1"), port("b:Ethernet1"), DELAY).unwrap();
        fabric.add_cable(port("a:Ethernet2"), port("c:eth1"), DELAY).unwrap();
        let eos = |id: u8, mtu: &str, one: &str, two: &str| {
            let circuit = "isis enable 1\nisis circuit-type level-2\nisis network point-to-point";
            format!(
                "hostname e{id}\ninterface Loopback255\nip address 10.0.0.{id}/32\nisis enable 1\n\
                 interface Ethernet1\nno switchport\n{mtu}\nip address {one}\n{circuit}\n\
                 interface Ethernet2\nno switchport\nip address {two}\n{circuit}\n\
                 router isis 1\nnet 49.0000.0a00.000{id}.0000.00\nis-type level-2\n"
            )
        };
        run(&fabric, "a", &eos(1, "mtu 9000", "10.1.0.0/31", "10.1.0.2/31")).await;
        run(&fabric, "b", &eos(2, mtu, "10.1.0.1/31", "10.1.0.8/31")).await;
        run(&fabric, "c", &frr(3, &[], &[], &[end("eth1", "10.1.0.3/31", M)])).await;
        assert_eq!(is_adjacent(&fabric, "a", "Ethernet1"), expected);
        assert!(is_adjacent(&fabric, "a", "Ethernet2"));
        let neighbors: Vec<String> = fabric.adjacencies("c").into_iter().map(|a| a.neighbor).collect();
        assert_eq!(neighbors, ["e1"]);
    }
}

#[tokio::test]
async fn drains_move_traffic_as_they_should() {
    let fabric = configured().await;
    assert_eq!(path(&fabric, "r1", "r3"), Some((200, "r1 r2 r3".into())));
    let soft = [end("eth1", "10.1.0.0/31", "isis metric 1000000"), end("eth2", "10.1.0.4/31", FAR)];
    run(&fabric, "r1", &frr(1, &[2, 3], &[], &soft)).await;
    assert_eq!(path(&fabric, "r1", "r3"), Some((500, "r1 r3".into())), "soft drain shifts");
    assert!(is_adjacent(&fabric, "r1", "eth1"), "and keeps the adjacency");
    let mut hard = end("eth1", "10.1.0.0/31", M);
    hard.lines.push("isis passive");
    run(&fabric, "r1", &frr(1, &[2, 3], &[], &[hard, end("eth2", "10.1.0.4/31", FAR)])).await;
    assert!(!is_adjacent(&fabric, "r2", "eth1"), "hard drain takes it down at both ends");
    assert_eq!(path(&fabric, "r1", "r2"), Some((600, "r1 r3 r2".into())));
    assert_eq!(probe(&fabric, "r1", ProbeKind::Link, "10.1.0.1", 5).await.received, 5, "the link is still measured");
}

#[tokio::test]
async fn an_overloaded_device_is_reached_but_not_crossed() {
    let fabric = configured().await;
    let ends = [end("eth1", "10.1.0.1/31", M), end("eth2", "10.1.0.2/31", M)];
    run(&fabric, "r2", &frr(2, &[1, 3], &["set-overload-bit"], &ends)).await;
    assert_eq!(path(&fabric, "r1", "r3"), Some((500, "r1 r3".into())));
    assert_eq!(path(&fabric, "r1", "r2"), Some((100, "r1 r2".into())));
    assert_eq!(path(&fabric, "r2", "r3"), Some((100, "r2 r3".into())));
}

#[tokio::test]
async fn sessions_need_routes_and_both_ends() {
    let fabric = configured().await;
    let up = |code: &str| fabric.bgp_sessions(code).iter().map(|s| s.established).collect::<Vec<_>>();
    assert_eq!(up("r1"), [true, true]);
    run(&fabric, "r2", &frr(2, &[3], &[], &[end("eth1", "10.1.0.1/31", M), end("eth2", "10.1.0.2/31", M)])).await;
    assert_eq!((up("r1"), up("r2")), (vec![false, true], vec![true]));
    let cuts = ["r1:eth1", "r1:eth2"].map(|at| fabric.inject(Fault::LinkCut { port: port(at) }));
    assert_eq!(up("r1"), [false, false]);
    cuts.into_iter().for_each(|cut| assert!(fabric.heal(cut)));
    assert_eq!(up("r1"), [false, true]);
}

#[tokio::test]
async fn probes_answer_what_the_network_would() {
    let fabric = configured().await;
    let link = probe(&fabric, "r1", ProbeKind::Link, "10.1.0.1", 10).await;
    assert_eq!((link.sent, link.received), (10, 10));
    let rtt = 2 * u64::try_from(DELAY.as_nanos()).unwrap();
    assert!(link.rtt_min_ns >= rtt && link.rtt_min_ns <= link.rtt_avg_ns && link.rtt_avg_ns <= link.rtt_max_ns);
    assert_eq!(probe(&fabric, "r1", ProbeKind::Link, "10.1.0.0", 3).await.received, 0, "its own address");
    assert_eq!(probe(&fabric, "r1", ProbeKind::Link, "10.9.0.1", 3).await.received, 0, "no such subnet");
    let qa = probe(&fabric, "r1", ProbeKind::Qa, "10.0.0.3", 10).await;
    assert!(qa.received == 10 && qa.rtt_min_ns >= 2 * rtt, "over r2");
    assert_eq!(probe(&fabric, "r1", ProbeKind::Qa, "10.0.0.9", 3).await.received, 0);
    assert_eq!(probe(&fabric, "r1", ProbeKind::Reachability, "198.18.0.3", 3).await.received, 3);
    assert_eq!(probe(&fabric, "r1", ProbeKind::Reachability, "8.8.8.8", 3).await.received, 0);
    fabric.add_internet_host("8.8.8.8".parse().unwrap());
    assert_eq!(probe(&fabric, "r1", ProbeKind::Reachability, "8.8.8.8", 3).await.received, 3);
    let down = fabric.inject(Fault::DiaDown { device: "r3".into() });
    assert_eq!(probe(&fabric, "r1", ProbeKind::Reachability, "198.18.0.3", 3).await.received, 0);
    assert!(!counters(&fabric, "r3:eth9").oper_up);
    fabric.heal(down);
    assert!(counters(&fabric, "r3:eth9").oper_up);
}

#[tokio::test]
async fn loss_is_seen_where_it_is_and_heals() {
    let fabric = configured().await;
    let fault = fabric.inject(Fault::SendLoss { port: port("r2:eth1"), per_mille: 300 });
    let lossy = probe(&fabric, "r1", ProbeKind::Link, "10.1.0.1", 1_000).await.received;
    assert!((600..800).contains(&lossy), "{lossy} of 1000 with 30 % lost one way");
    assert_eq!(probe(&fabric, "r3", ProbeKind::Link, "10.1.0.2", 1_000).await.received, 1_000, "another link");
    let qa = probe(&fabric, "r3", ProbeKind::Qa, "10.0.0.1", 1_000).await.received;
    assert!((600..800).contains(&qa), "{qa} on a path over it");
    assert!(is_adjacent(&fabric, "r1", "eth1"));
    fabric.heal(fault);
    assert_eq!(probe(&fabric, "r1", ProbeKind::Link, "10.1.0.1", 1_000).await.received, 1_000);
    fabric.inject(Fault::DeviceLoss { device: "r1".into(), per_mille: 100 });
    let both = probe(&fabric, "r1", ProbeKind::Link, "10.1.0.1", 1_000).await.received;
    assert!((740..880).contains(&both), "{both} of 1000 with 10 % lost each way");
    fabric.inject(Fault::PortLoss { port: port("r1:eth1"), per_mille: 1_000 });
    assert!(!is_adjacent(&fabric, "r1", "eth1"), "no hello arrives");
    assert_eq!(fabric.heal_device("r1"), 2);
    assert!(is_adjacent(&fabric, "r1", "eth1"));
}

#[tokio::test]
async fn a_qa_probe_is_answered_while_packets_find_a_way_there_and_back() {
    let fabric = configured().await;
    let rtt = 2 * u64::try_from(DELAY.as_nanos()).unwrap();
    let way = async |fabric: &Fabric| probe(fabric, "r1", ProbeKind::Qa, "10.0.0.3", 10).await;
    let direct = way(&fabric).await;
    assert!(direct.received == 10 && (2 * rtt..3 * rtt).contains(&direct.rtt_min_ns), "over r2: {direct:?}");
    // The wire is whole and the adjacency gone: the other way round.
    fabric.inject(Fault::AdjacencyDrop { port: port("r2:eth2") });
    let around = way(&fabric).await;
    assert!(around.received == 10 && (4 * rtt..5 * rtt).contains(&around.rtt_min_ns), "{around:?}");
    let cut = fabric.inject(Fault::LinkCut { port: port("r1:eth2") });
    assert_eq!(way(&fabric).await, ProbeOutcome { sent: 10, ..ProbeOutcome::default() }, "no way is left");
    assert_eq!(probe(&fabric, "r1", ProbeKind::Qa, "10.0.0.2", 10).await.received, 10, "to another there is");
    fabric.heal(cut);
    assert_eq!(way(&fabric).await.received, 10);
    // A loopback that is not announced any more is not reached, wherever it is.
    let silent = frr(3, &[1, 2], &[], &[end("eth2", "10.1.0.5/31", FAR)])
        .replace("lo\n ip address 10.0.0.3/32\n ip router isis 1\n", "lo\n ip address 10.0.0.3/32\n");
    run(&fabric, "r3", &silent).await;
    assert!(is_adjacent(&fabric, "r1", "eth2"));
    assert_eq!(way(&fabric).await.received, 0);
}

#[tokio::test]
async fn counters_grow_with_traffic_and_errors_with_faults() {
    let fabric = configured().await;
    let grown = |from_ms: u64, at: &str| {
        fabric.advance_to(from_ms);
        let before = counters(&fabric, at);
        fabric.advance_to(from_ms + 1_000);
        let after = counters(&fabric, at);
        (after.in_octets - before.in_octets, after.out_octets - before.out_octets, after.in_errors - before.in_errors)
    };
    let (low, high, dia) = (grown(0, "r1:eth1"), grown(2_000, "r1:eth2"), grown(4_000, "r1:eth9"));
    assert!(low.0 > high.0 && high.0 > 0 && low.2 == 0, "low metrics attract traffic: {low:?} {high:?}");
    assert!(dia.0 > 0 && dia.1 > 0);
    fabric.inject(Fault::InterfaceErrors { port: port("r1:eth1"), per_second: 7 });
    assert_eq!(grown(6_000, "r1:eth1").2, 7);
    fabric.inject(Fault::LinkCut { port: port("r2:eth1") });
    assert_eq!(grown(8_000, "r1:eth1"), (0, 0, 0));
    fabric.heal_device("r2");
    assert_eq!(
        counters(&fabric, "r1:eth1").carrier_transitions,
        1 + 2,
        "up once with the devices, then cut and healed"
    );
    fabric.advance_to(1);
    assert_eq!(fabric.now_ms(), 9_000, "time never goes back");
}

#[tokio::test]
async fn a_dropped_adjacency_leaves_the_interface_up() {
    let fabric = configured().await;
    let drop = fabric.inject(Fault::AdjacencyDrop { port: port("r1:eth1") });
    assert!(!is_adjacent(&fabric, "r2", "eth1") && counters(&fabric, "r2:eth1").oper_up);
    fabric.heal(drop);
    assert!(is_adjacent(&fabric, "r2", "eth1"));
}

#[tokio::test]
async fn an_unconfirmed_commit_reverts_by_the_fabrics_clock() {
    let fabric = configured().await;
    let old = fabric.running_text("r1").unwrap();
    let driver = fabric.driver("r1").unwrap();
    let new = old.replace("hostname r1", "hostname other");
    driver.load_candidate(&new).await.unwrap();
    driver.commit(Duration::from_secs(10)).await.unwrap();
    drop(driver);
    fabric.advance_to(9_999);
    assert_eq!(fabric.running_text("r1").unwrap(), new);
    fabric.advance_to(10_000);
    assert_eq!(fabric.running_text("r1").unwrap(), old);
    let late = fabric.driver("r1").unwrap().confirm().await;
    assert!(matches!(late, Err(DriverError::State(_))), "too late: {late:?}");
}

#[tokio::test]
async fn a_refused_candidate_changes_nothing_and_a_reboot_runs_startup() {
    let fabric = configured().await;
    let old = fabric.running_text("r1").unwrap();
    let driver = fabric.driver("r1").unwrap();
    driver.save_startup().await.unwrap();
    let refused = driver.load_candidate(&format!("{old}nonsense\n")).await;
    assert!(matches!(refused, Err(DriverError::Refused(_))), "{refused:?}");
    assert!(matches!(driver.commit(REVERT).await, Err(DriverError::State(_))), "there is no candidate");
    fabric.inject(Fault::RejectLine { device: "r1".into(), containing: "metric 100".into() });
    let Err(DriverError::Refused(why)) = driver.load_candidate(&old).await else { panic!("not refused") };
    assert!(why.contains("isis metric 100") && why.starts_with("line "), "{why}");
    fabric.heal_device("r1");
    run(&fabric, "r1", "hostname bare\n").await;
    fabric.reboot("r1").unwrap();
    assert_eq!(fabric.running_text("r1").unwrap(), old);
}

#[test]
fn wiring_that_can_not_be_is_refused() {
    let fabric = triangle();
    assert_eq!(fabric.add_device("r1", Family::Frr, None), Err(FabricError::DeviceExists("r1".into())));
    assert_eq!(fabric.add_cable(port("r1:eth1"), port("r3:eth7"), DELAY), Err(FabricError::PortInUse(port("r1:eth1"))));
    assert_eq!(fabric.add_cable(port("r1:e"), port("r1:e"), DELAY), Err(FabricError::Loop(port("r1:e"))));
    assert_eq!(fabric.add_management(port("r1:eth9")), Err(FabricError::PortInUse(port("r1:eth9"))));
    assert!(matches!(fabric.driver("r9"), Err(FabricError::UnknownDevice(_))));
}

#[tokio::test]
async fn the_same_seed_loses_the_same_packets() {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let fabric = configured().await;
        fabric.inject(Fault::DeviceLoss { device: "r1".into(), per_mille: 500 });
        seen.push(probe(&fabric, "r1", ProbeKind::Link, "10.1.0.1", 100).await);
    }
    assert_eq!(seen[0], seen[1]);
}
