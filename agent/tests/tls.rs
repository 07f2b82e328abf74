//! Controllers that serve TLS, over real connections.

#![allow(clippy::unwrap_used)]

mod common;

use causeway_agent::{Agent, AgentConfig, config::ConfigError, trust::TrustError};
use causeway_wire::controller::ApplyResult;
use common::*;

fn secured(url: &str, ca: Option<Vec<u8>>, state: &std::path::Path) -> AgentConfig {
    AgentConfig { controller_ca: ca, ..config(url, &[], state) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_is_pulled_and_applied_over_tls_by_name_and_by_either_address() {
    for (listen, host) in [("127.0.0.1:0", "localhost"), ("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "[::1]")] {
        let controller = FakeController::new(bundle(5, &text(1, 100)));
        let serving = controller.serve_tls(listen).await;
        let (fabric, state) = (fabric(), tempfile::tempdir().unwrap());
        let clock = fabric.run_clock();
        let url = format!("https://{host}:{}", serving.address.port());
        let config = secured(&url, Some(fixture("test-only-ca.pem")), state.path());
        let agent = Agent::start(config, fabric.driver(DEVICE).unwrap()).unwrap();
        until_status(&agent, "generation 5 runs", |s| s.applied.is_some_and(|a| a.generation.0 == 5)).await;
        assert_eq!(fabric.running_text(DEVICE).unwrap(), text(1, 100), "{host}");
        eventually("the report", || !controller.reports(ApplyResult::Applied).is_empty()).await;
        agent.shutdown().await;
        clock.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_of_another_ca_or_another_name_or_without_tls_is_not_spoken_to() {
    let controller = FakeController::new(bundle(5, &text(1, 100)));
    let secure = controller.serve_tls("127.0.0.1:0").await;
    // The whole of 127/8 is this machine; the certificate is for 127.0.0.1 of it.
    let elsewhere = controller.serve_tls("127.0.0.2:0").await;
    let plain = controller.serve("127.0.0.1:0").await;
    let vouched = "shows a certificate that the controllers' CA does not vouch for";
    for (serving, ca, expected) in [
        (&secure, "test-only-other-ca.pem", vouched),
        (&elsewhere, "test-only-ca.pem", vouched),
        (&plain, "test-only-ca.pem", "can not be reached"),
    ] {
        let (fabric, state) = (fabric(), tempfile::tempdir().unwrap());
        let url = format!("https://{}", serving.address);
        let config = secured(&url, Some(fixture(ca)), state.path());
        let agent = Agent::start(config, fabric.driver(DEVICE).unwrap()).unwrap();
        until_status(&agent, "an error", |s| s.last_error.is_some()).await;
        let status = agent.status();
        let error = status.last_error.unwrap();
        assert!(error.contains(expected) && error.contains(&url), "{error}");
        assert!(!status.connected && status.applied.is_none());
        agent.shutdown().await;
    }
    assert_eq!(controller.state().sessions, 0);
}

#[tokio::test]
async fn an_agent_that_could_prove_no_controller_does_not_start() {
    let state = tempfile::tempdir().unwrap();
    let url = "https://controller.example:9443";
    let garbled = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
    for (ca, expected) in [
        (None, "needs the CA of its certificate"),
        (Some(Vec::new()), "holds no certificate"),
        (Some(b"not PEM at all".to_vec()), "holds no certificate"),
        (Some(fixture("test-only-server-key.pem")), "holds no certificate"),
        (Some(b"-----BEGIN CERTIFICATE-----\nAAAA\n".to_vec()), "is not PEM"),
        (Some(garbled), "can not be used"),
    ] {
        let error = secured(url, ca, state.path()).check().unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let refused = secured("HTTPS://controller.example", None, state.path()).check();
    assert_eq!(refused, Err(ConfigError::Trust(TrustError::NoCa("HTTPS://controller.example".into()))));
    assert_eq!(secured("http://127.0.0.1:9000", None, state.path()).check(), Ok(()));
    assert_eq!(secured(url, Some(fixture("test-only-ca.pem")), state.path()).check(), Ok(()));
}
