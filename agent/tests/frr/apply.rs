//! What an apply does, and what it leaves alone.

use std::{collections::BTreeSet, fs, net::Ipv4Addr, path::Path};

use causeway_agent::{
    driver::{Cpu, Driver, DriverError},
    frr::tree::Tree,
};

use crate::{
    LONG, applied,
    lab::{ALL, Router, eventually, must, pair, text},
    refused,
};

#[tokio::test]
async fn from_nothing_to_an_adjacency_a_session_and_a_saved_startup() {
    let (a, b) = pair();
    let (left, right) = (a.driver(), b.driver());
    assert!(!left.compare(&text(1, 4000)).await.unwrap().equal, "an empty router is not compliant");
    applied(&left, &text(1, 4000)).await;
    applied(&right, &text(2, 4000)).await;
    eventually("an adjacency", || a.has_adjacency() && b.has_adjacency());
    let seen = left.adjacencies().await.unwrap();
    assert_eq!(seen.iter().map(|x| (x.interface.as_str(), x.up)).collect::<Vec<_>>(), [("eth1", true)]);
    assert_eq!(left.wanted_adjacencies(&text(1, 4000)).await.unwrap(), BTreeSet::from(["eth1".to_owned()]));
    let far = BTreeSet::from([Ipv4Addr::new(198, 18, 0, 2)]);
    loop {
        let reach = left.reach(&text(1, 4000)).await.unwrap();
        if reach.sessions == far && reach.routes == far {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let sessions = left.sessions().await.unwrap();
    let told: Vec<_> = sessions.iter().map(|one| (one.peer.to_string(), one.established)).collect();
    assert_eq!(told, [("198.18.0.2".to_owned(), true)]);
    assert!(sessions.iter().all(|one| one.prefixes_received.is_some()), "{sessions:?}");
    assert!(matches!(left.cpu().await, Ok(Some(Cpu::Time(_)))));
    assert_eq!((a.mtu("eth1"), b.mtu("eth1")), ("9000".to_owned(), "9000".to_owned()), "fabric MTU");
    let counters = left.counters().await.unwrap();
    let eth1 = counters.iter().find(|c| c.interface == "eth1").unwrap();
    assert!(eth1.oper_up && eth1.in_octets > 0 && eth1.out_octets > 0 && eth1.carrier_transitions > 0, "{eth1:?}");
    assert!(!a.startup().contains("router isis"), "nothing is saved by itself");
    left.save_startup().await.unwrap();
    assert!(a.startup().contains("router isis 1") && a.startup().contains("neighbor 198.18.0.2 remote-as 65000"));
}

#[tokio::test]
async fn a_line_that_frr_refuses_changes_nothing() {
    let (a, _b) = pair();
    let driver = a.driver();
    applied(&driver, &text(1, 4000)).await;
    let before = a.running();
    let good = text(1, 4000);
    let with = |after: &str, line: &str| good.replacen(after, &format!("{after}{line}\n"), 1);
    for bad in [
        // Not a command at all, at the end of a text that is otherwise new.
        text(1, 5000).replace("exit-address-family\n", "exit-address-family\n no such line\n"),
        // vtysh -C takes the next ones: only the daemons know better.
        with(" is-type level-2-only\n", " net 49.0000.c612.0009.0000.00"),
        with(" bgp router-id 198.18.0.1\n", " neighbor 198.18.0.77 update-source 198.18.0.1"),
        good.replace("metric-style wide", "metric-style narrow"),
        with("interface eth1\n", " ip address 10.0.0.300/31"),
        with("!\n", "interface a-name-that-is-too-long-for-linux\n description X\nexit"),
        with(" isis hello-interval 1\n", " do write memory"),
        String::new(),
        "!\nend\n".to_owned(),
        "hostname r1\nend\n".to_owned(),
    ] {
        let words = refused(driver.load_candidate(&bad).await, &bad);
        assert!(!words.is_empty());
        assert!(matches!(driver.commit(LONG).await, Err(DriverError::State(_))), "no candidate is left");
        assert_eq!(a.running(), before, "{words}");
    }
    assert_eq!(a.watchdogs(), Vec::<String>::new());
}

#[tokio::test]
async fn every_text_of_the_controller_follows_every_other_comes_back_after_a_loss_of_power_and_goes_again() {
    let mut router = Router::new("g", &ALL);
    let driver = router.driver();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../controller/tests/golden");
    let mut seen = 0;
    let mut paths: Vec<_> = fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|e| e == "frr")) {
        // Linux takes names of 15 bytes; this one is for the renderer's sake.
        let text = fs::read_to_string(path).unwrap().replace("Port-Channel", "pc");
        applied(&driver, &text).await;
        driver.save_startup().await.unwrap();
        let before = Tree::parse(&router.running());
        router.lose_power();
        let bit = ["router isis 1", "set-overload-bit"].map(str::to_owned);
        let after = Tree::parse(&router.running());
        let has_isis = before.contains(&bit[..1]);
        assert_eq!(after.contains(&bit), has_isis, "{}", path.display());
        let rest = |tree: &Tree| tree.filtered(|line| line.as_slice() != bit.as_slice()).text();
        assert_eq!(rest(&after), rest(&before), "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 10, "{seen} golden texts");
    let least = "interface lo\n description LOOPBACK\nexit\n";
    applied(&driver, least).await;
    assert_eq!(driver.running_text().await.unwrap(), "interface lo\n description LOOPBACK\n");
}

#[tokio::test]
async fn changes_of_every_kind_lead_where_they_should() {
    let (a, _b) = pair();
    let driver = a.driver();
    let base = text(1, 4000);
    let peer = "neighbor 198.18.0.2";
    for (what, next) in [
        ("metric", text(1, 1_000_000)),
        ("passive", base.replace(" isis passive\n", "").replace(" isis metric 4000\n", " isis metric 4000\n isis passive\n")),
        ("address", base.replace("10.0.0.0/31", "10.0.0.2/31")),
        ("system id", base.replace("c612.0001", "c612.0007")),
        ("autonomous system", base.replace("65000", "65001")),
        ("overload", base.replace(" is-type level-2-only\n", " is-type level-2-only\n set-overload-bit\n")),
        ("peer changes", base.replace(&format!("{peer} remote-as 65000"), &format!("{peer} remote-as 65099"))),
        ("peer leaves", base.lines().filter(|l| !l.contains(peer)).map(|l| format!("{l}\n")).collect()),
        (
            "peer in a group",
            base.replace(
                &format!(" {peer} remote-as 65000\n"),
                &format!(" neighbor RR peer-group\n neighbor RR remote-as 65000\n {peer} peer-group RR\n"),
            ),
        ),
        ("reflector", base.replace(&format!("  {peer} activate\n"), &format!("  {peer} activate\n  {peer} route-reflector-client\n"))),
        (
            "BFD",
            base.replace(" isis metric 4000\n", " isis metric 4000\n isis bfd\n isis bfd profile FABRIC\n")
                + "bfd\n profile FABRIC\n  transmit-interval 100\n  receive-interval 100\n exit\n !\nexit\n",
        ),
        ("no IS-IS on the link", base.replacen(" ip router isis 1\n isis circuit-type level-2-only\n isis hello-interval 1\n isis metric 4000\n isis network point-to-point\n", "", 1)),
        ("site lines", base.clone() + "ip prefix-list SITE seq 5 permit 10.0.0.0/8 le 32\nip route 192.0.2.0/24 blackhole\nroute-map SITE permit 10\n match ip address prefix-list SITE\nexit\n"),
        ("no routing", "interface eth1\n description one-two\nexit\n".to_owned()),
    ] {
        applied(&driver, &base).await;
        let before = driver.running_text().await.unwrap();
        driver.load_candidate(&next).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        driver.commit(LONG).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        let compared = driver.compare(&next).await.unwrap();
        assert!(compared.equal, "{what}: {}", compared.diff);
        assert!(!driver.compare(&base).await.unwrap().equal, "{what} shows");
        driver.revert().await.unwrap_or_else(|error| panic!("{what}, back: {error}"));
        assert_eq!(driver.running_text().await.unwrap(), before, "{what}, back");
        applied(&driver, &next).await;
    }
}

#[tokio::test]
async fn what_the_operator_owns_is_left_alone_and_what_an_earlier_text_brought_goes() {
    let (a, _b) = pair();
    let operators = [
        "ip route 203.0.113.0/24 blackhole",
        "ip prefix-list OPS seq 5 permit 192.168.0.0/16",
        "vrf mgmt\n ip route 0.0.0.0/0 192.168.1.1\nexit-vrf",
        "router bgp 64999 vrf mgmt\n bgp router-id 1.2.3.4\nexit",
    ];
    for lines in operators {
        a.vtysh(&[&format!("configure terminal\n{lines}")]);
    }
    must("ip", &["-n", &a.name, "address", "add", "192.168.1.5/24", "dev", "lo"]);
    let owned = |running: &str| {
        ["203.0.113.0/24", "OPS seq 5", " ip route 0.0.0.0/0 192.168.1.1", "router bgp 64999 vrf mgmt"]
            .iter()
            .all(|l| running.contains(l))
    };
    assert!(owned(&a.running()), "{}", a.running());
    let driver = a.driver();
    // The site asks for one line that is there, and two that aren't.
    let site = "vrf mgmt\n ip route 192.0.2.0/24 192.168.1.1\nexit-vrf\nip route 203.0.113.0/24 blackhole\nip route 198.51.100.0/24 blackhole\n";
    applied(&driver, &(text(1, 4000) + site)).await;
    assert!(owned(&a.running()) && a.running().contains("198.51.100.0/24") && a.running().contains("192.0.2.0/24"));
    assert!(!driver.running_text().await.unwrap().contains("OPS"));
    drop(driver);
    // Another agent process, which knows what is Causeway's from the file.
    let driver = a.driver();
    applied(&driver, &text(1, 4000)).await;
    let running = a.running();
    assert!(owned(&running), "{running}");
    assert!(!running.contains("198.51.100.0/24") && !running.contains("192.0.2.0/24"), "{running}");
    assert!(must("ip", &["-n", &a.name, "address", "show", "dev", "lo"]).contains("192.168.1.5"));
}

#[tokio::test]
async fn interfaces_that_a_text_asks_for_are_made_and_taken_back() {
    let (a, _b) = pair();
    let driver = a.driver();
    applied(&driver, &text(1, 4000)).await;
    let has = || crate::lab::may("ip", &["-n", &a.name, "link", "show", "dev", "Loopback255"]).status.success();
    let with = text(1, 4000) + "interface Loopback255\n description LOOPBACK\n ip address 198.18.9.9/32\nexit\n";
    let other = with.replace("description one-two", "description DIA");
    driver.load_candidate(&other).await.unwrap();
    assert!(!has(), "nothing is made before the commit");
    driver.commit(LONG).await.unwrap();
    assert!(has() && a.mtu("eth1") == "1500");
    driver.revert().await.unwrap();
    assert!(!has() && a.mtu("eth1") == "9000", "the way back takes it along");
    applied(&driver, &with).await;
    assert!(has());
    applied(&driver, &text(1, 4000)).await;
    assert!(!has(), "a text without it takes it away");
    // Whoever lowers an MTU by hand has drifted.
    must("ip", &["-n", &a.name, "link", "set", "dev", "eth1", "mtu", "1400"]);
    let compared = driver.compare(&text(1, 4000)).await.unwrap();
    assert!(!compared.equal && compared.diff.contains("mtu 9000"), "{}", compared.diff);
}
