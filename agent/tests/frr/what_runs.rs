//! What runs on a real router, asked for through the controller and answered by the agent's own program.

use std::{sync::Arc, time::Duration};

use causeway_controller::{running::Answer, store::ApplyState, testing::code};
use causeway_wire::signing::sha256;

use crate::{
    bad_bundle::{Network, until},
    lab::{ALL, Router, join_by},
};

/// Longer than the test: what differs stays as it is until somebody has looked.
const SELDOM: Duration = Duration::from_secs(600);
/// What an operator may have beside what is managed: nobody's business.
const BESIDE: [&str; 4] =
    ["ip route 10.9.0.0/16 blackhole", "router bgp 65001 view V", "neighbor 10.8.0.1 remote-as 65001", "log syslog"];

/// Asks, and waits for the answer.
async fn asked(network: &Network) -> Arc<Answer> {
    let shared = network.controller.shared();
    let number = shared.ask_running(&code("west")).unwrap();
    let answer = || shared.desk.answer(&code("west")).filter(|answer| answer.number >= number);
    until("an answer", || answer().is_some()).await;
    answer().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_router_runs_is_told_with_its_difference_and_without_secrets() {
    let mut network = Network::new().await;
    let (mut west, east) = (Router::new("w", &ALL), Router::new("e", &ALL));
    let port = network.ledger.link_mut("west-east").interface_a.to_string();
    join_by(&port, &west, &east);
    let agent = network.agent_that_polls(&west, SELDOM);
    until("the configuration runs", || network.state() == ApplyState::Current).await;

    // As served; what is beside it is not told.
    west.vtysh(&[&["configure terminal"], &BESIDE[..]].concat());
    let answer = asked(&network).await;
    assert_eq!((answer.error_code.as_str(), answer.hidden_lines, answer.text_cut), ("", 0, false), "{answer:?}");
    for line in ["router isis 1\n", &format!("interface {port}\n"), " ip router isis 1\n", "router bgp 65342\n"] {
        assert!(answer.text.contains(line), "{line:?} in {}", answer.text);
    }
    assert!(!BESIDE.iter().any(|line| answer.text.contains(line)), "{}", answer.text);
    assert_eq!(answer.running_sha256, sha256(answer.text.as_bytes()));
    let bundle = network.controller.bundle(&code("west")).unwrap();
    let compared = answer.compared.as_ref().unwrap();
    assert_eq!((compared.equal, compared.diff.as_str()), (true, ""));
    assert_eq!((compared.generation, compared.sha256.as_slice()), (bundle.generation, &bundle.sha256[..]));

    // Changed beside the agent, with a secret in it.
    let interface = format!("interface {port}");
    let changes = ["configure terminal", &interface, "isis metric 77", "isis password clear hunter2"];
    west.vtysh(&changes);
    let differs = asked(&network).await;
    assert!(differs.text.contains(" isis metric 77\n"), "{}", differs.text);
    let compared = differs.compared.as_ref().unwrap();
    assert!(!compared.equal && compared.diff.contains("- isis metric 77\n"), "{}", compared.diff);
    assert_ne!(differs.running_sha256, answer.running_sha256);
    assert!(west.running().contains("hunter2"));
    assert!(!differs.text.contains("hunter2") && !compared.diff.contains("hunter2"), "{}", differs.text);
    assert!(differs.text.contains("isis password clear <hidden>") || differs.text.contains("isis password <hidden>"));
    assert!(differs.hidden_lines > 0);
    // To look changes nothing.
    assert!(west.running().contains("isis metric 77") && network.state() == ApplyState::Current);

    // A daemon that is away: what is left is told, and that it can't be compared.
    west.crash("isisd");
    let partly = asked(&network).await;
    assert_eq!(partly.error_code, "DEVICE_UNREACHABLE", "{partly:?}");
    assert!(partly.message.contains("isisd") && partly.text.contains("router bgp 65342\n"), "{partly:?}");
    agent.kill();
    network.controller.shutdown().await;
}
