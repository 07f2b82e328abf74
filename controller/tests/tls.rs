//! Both ports over TLS, with a certificate that the agent's tests have too.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::{Path, PathBuf};

use causeway_controller::{daemon::Config, tls::TlsFiles};
use causeway_wire::controller::{GetConfigRequest, config_client::ConfigClient};
use common::{Running, agent_key, config, open, with_token};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/tests/fixtures").join(name)
}

#[tokio::test]
async fn agents_and_people_are_served_over_tls_by_who_trusts_the_ca_only() {
    let tls = TlsFiles { certificate: fixture("test-only-server.pem"), key: fixture("test-only-server-key.pem") };
    let running = Running::start(Config { tls: Some(tls), ..config() }).await;
    let pem = |name: &str| std::fs::read(fixture(name)).unwrap();
    let endpoint = |ca: &str| {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem(ca)));
        let endpoint = Endpoint::from_shared(format!("https://{}", running.handle.grpc_addr)).unwrap();
        endpoint.tls_config(tls).unwrap()
    };
    let mut client = ConfigClient::new(endpoint("test-only-ca.pem").connect().await.unwrap());
    let token = open(&mut client, "ams", &agent_key(1)).await.unwrap();
    let got = client.get_config(with_token(&token, GetConfigRequest::default())).await.unwrap().into_inner();
    assert_eq!(got.generation, running.generation("ams"));
    endpoint("test-only-other-ca.pem").connect().await.unwrap_err();

    let people = |ca: &str| {
        let ca = reqwest::Certificate::from_pem(&pem(ca)).unwrap();
        reqwest::Client::builder().tls_built_in_root_certs(false).add_root_certificate(ca).build().unwrap()
    };
    let url = format!("https://{}/ready", running.handle.http_addr);
    assert!(people("test-only-ca.pem").get(&url).send().await.unwrap().status().is_success());
    people("test-only-other-ca.pem").get(&url).send().await.unwrap_err();
    drop(client);
    running.handle.shutdown().await;
}
