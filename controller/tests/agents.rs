//! The agent's way in, with a real client over a real connection.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use causeway_controller::{grpc::CODE_METADATA, store::ApplyState, testing::code};
use causeway_interface::{Key, LinkStatus};
use causeway_wire::{
    controller::{ApplyReport, ApplyResult, GetConfigRequest, NonceRequest, OpenSessionRequest, WatchConfigRequest},
    signing,
};
use common::{PATIENCE, Running, agent_key, config, open, with_token};
use tonic::{Code as GrpcCode, Status};

fn refusal(status: Status) -> (GrpcCode, String) {
    let code = status.metadata().get(CODE_METADATA).map(|v| v.to_str().unwrap().to_string());
    (status.code(), code.unwrap_or_default())
}

fn report(device: &str, generation: u64, sha256: &[u8]) -> ApplyReport {
    ApplyReport {
        device: device.into(),
        generation,
        sha256: sha256.to_vec(),
        result: ApplyResult::Applied.into(),
        ..ApplyReport::default()
    }
}

#[tokio::test]
async fn an_agent_gets_its_signed_configuration_once_and_then_only_changes() {
    let mut running = Running::start(config()).await;
    let mut client = running.client().await;
    let token = open(&mut client, "ams", &agent_key(1)).await.unwrap();
    let first = client.get_config(with_token(&token, GetConfigRequest::default())).await.unwrap().into_inner();
    let bundle = first.bundle.unwrap();
    let sha256: [u8; 32] = bundle.sha256.clone().try_into().unwrap();
    assert_eq!(signing::sha256(bundle.text.as_bytes()), sha256);
    let program_id = running.ledger.snapshot.program_id.0;
    let message = signing::bundle_message(&program_id, "ams", bundle.generation, "frr", &sha256);
    let key: [u8; 32] = bundle.controller_key.try_into().unwrap();
    assert_eq!(key, running.handle.controller_key());
    assert_eq!(signing::verify(&key, &message, &bundle.signature), Ok(()));
    let probes = first.probe_plan.unwrap();
    assert_eq!(probes.targets.iter().filter(|t| t.kind == 1).count(), 3);
    assert_eq!(probes.targets.iter().filter(|t| t.kind == 2).count(), 3);
    assert_eq!(probes.targets.iter().filter(|t| t.kind == 3).count(), 3);

    let have = GetConfigRequest {
        have_sha256: sha256.to_vec(),
        have_probe_plan_sha256: probes.sha256.clone(),
        ..GetConfigRequest::default()
    };
    let again = client.get_config(with_token(&token, have.clone())).await.unwrap().into_inner();
    assert!(again.bundle.is_none() && again.probe_plan.is_none());

    running.ledger.link_mut("ams-fra").header.status = LinkStatus::SoftDrained;
    running.publish().await;
    let drained = client.get_config(with_token(&token, have)).await.unwrap().into_inner();
    assert!(drained.bundle.unwrap().text.contains("isis metric 1000000"));
    assert!(drained.probe_plan.is_none());
    running.handle.shutdown().await;
}

#[tokio::test]
async fn a_watching_agent_is_told_at_once_and_of_finality() {
    let mut running = Running::start(config()).await;
    let mut client = running.client().await;
    let token = open(&mut client, "ams", &agent_key(1)).await.unwrap();
    let mut notices = client.watch_config(with_token(&token, WatchConfigRequest {})).await.unwrap().into_inner();
    let first = notices.message().await.unwrap().unwrap();
    assert_eq!(first.generation, running.generation("ams"));
    assert!(first.finalized_slot < first.generation);
    running.handle.shared().finalized(first.generation);
    let finalized = tokio::time::timeout(PATIENCE, notices.message()).await.unwrap().unwrap().unwrap();
    assert_eq!((finalized.generation, finalized.finalized_slot), (first.generation, first.generation));
    // Nothing of another device's changes.
    running.ledger.link_mut("lon-par").header.status = LinkStatus::HardDrained;
    running.publish().await;
    running.ledger.link_mut("ams-fra").header.status = LinkStatus::HardDrained;
    running.publish().await;
    let changed = tokio::time::timeout(PATIENCE, notices.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(changed.generation, running.ledger.snapshot.slot);
    running.handle.shutdown().await;
    // The stream ends with the controller.
    let end = tokio::time::timeout(PATIENCE, notices.message()).await.unwrap();
    assert!(!matches!(end, Ok(Some(_))));
}

/// A drain that was taken back before anyone saw it leaves the text as it was, and has been taken into account.
#[tokio::test]
async fn an_agent_is_told_as_of_which_slot_its_text_holds_without_another_body() {
    let mut running = Running::start(config()).await;
    let mut client = running.client().await;
    let token = open(&mut client, "ams", &agent_key(1)).await.unwrap();
    let first = client.get_config(with_token(&token, GetConfigRequest::default())).await.unwrap().into_inner();
    assert_eq!(first.evaluated_slot, running.ledger.snapshot.slot);
    let have = GetConfigRequest {
        have_sha256: first.sha256.clone(),
        have_probe_plan_sha256: first.probe_plan.unwrap().sha256.clone(),
        ..GetConfigRequest::default()
    };
    let mut notices = client.watch_config(with_token(&token, WatchConfigRequest {})).await.unwrap().into_inner();
    assert_eq!(notices.message().await.unwrap().unwrap().evaluated_slot, first.evaluated_slot);

    // The ledger goes on and nothing of this device changes: the next poll says so, and no notice is sent for it.
    running.ledger.link_mut("lon-par").header.status = LinkStatus::HardDrained;
    running.publish().await;
    let quiet = running.ledger.snapshot.slot;
    let polled = client.get_config(with_token(&token, have.clone())).await.unwrap().into_inner();
    assert_eq!((polled.evaluated_slot, polled.generation), (quiet, first.generation));
    assert!(polled.bundle.is_none() && polled.probe_plan.is_none());

    running.ledger.link_mut("ams-fra").header.status_since_slot = quiet + 10;
    running.publish().await;
    let notice = tokio::time::timeout(PATIENCE, notices.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(notice.evaluated_slot, running.ledger.snapshot.slot, "of the change, and not of the quiet slots");
    assert_eq!((notice.generation, notice.sha256), (first.generation, first.sha256));
    running.handle.shutdown().await;
}

#[tokio::test]
async fn a_session_watches_once_and_the_newer_watch_stays() {
    let running = Running::start(config()).await;
    let mut client = running.client().await;
    let token = open(&mut client, "ams", &agent_key(1)).await.unwrap();
    let mut older = client.watch_config(with_token(&token, WatchConfigRequest {})).await.unwrap().into_inner();
    let first = older.message().await.unwrap().unwrap();
    let mut newer = client.watch_config(with_token(&token, WatchConfigRequest {})).await.unwrap().into_inner();
    let ended = tokio::time::timeout(PATIENCE, older.message()).await.unwrap().unwrap_err();
    assert_eq!(refusal(ended), (GrpcCode::Aborted, "watch-replaced".into()));
    newer.message().await.unwrap().unwrap();
    running.handle.shared().finalized(first.generation);
    let told = tokio::time::timeout(PATIENCE, newer.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(told.finalized_slot, first.generation);
    running.handle.shutdown().await;
}

#[tokio::test]
async fn each_way_not_to_be_the_agent_is_refused_by_its_own_name() {
    let mut running = Running::start(config()).await;
    let mut client = running.client().await;
    let wrong = open(&mut client, "ams", &agent_key(2)).await.unwrap_err();
    assert_eq!(refusal(wrong), (GrpcCode::Unauthenticated, "wrong-key".into()));
    for unknown in ["nowhere", "", "AMS", "ams\n"] {
        let status = client.get_nonce(NonceRequest { device: unknown.into() }).await.unwrap_err();
        assert_eq!(refusal(status), (GrpcCode::NotFound, "unknown-device".into()), "{unknown:?}");
    }
    let keyless = open(&mut client, "lon", &agent_key(3)).await.unwrap_err();
    assert_eq!(refusal(keyless), (GrpcCode::FailedPrecondition, "no-agent-key".into()));

    let nonce = client.get_nonce(NonceRequest { device: "ams".into() }).await.unwrap().into_inner().nonce;
    let program_id = running.ledger.snapshot.program_id.0;
    let signature = signing::sign(&agent_key(1), &signing::session_message(&program_id, "ams", &nonce)).to_vec();
    let request = OpenSessionRequest { device: "ams".into(), nonce: nonce.clone(), signature };
    let token = client.open_session(request.clone()).await.unwrap().into_inner().token;
    let replayed = client.open_session(request.clone()).await.unwrap_err();
    assert_eq!(refusal(replayed), (GrpcCode::Unauthenticated, "used-nonce".into()));
    let crossed = OpenSessionRequest { device: "fra".into(), ..request };
    let crossed = client.open_session(crossed).await.unwrap_err();
    assert_eq!(refusal(crossed), (GrpcCode::Unauthenticated, "foreign-nonce".into()));

    let none = client.get_config(GetConfigRequest::default()).await.unwrap_err();
    assert_eq!(refusal(none), (GrpcCode::Unauthenticated, "no-token".into()));
    let invented = client.get_config(with_token(&"0".repeat(64), GetConfigRequest::default())).await.unwrap_err();
    assert_eq!(refusal(invented), (GrpcCode::Unauthenticated, "unknown-session".into()));
    let foreign = client.report(with_token(&token, report("fra", 1, &[0; 32]))).await.unwrap_err();
    assert_eq!(refusal(foreign), (GrpcCode::PermissionDenied, "other-device".into()));

    // The ledger names another agent key: the session is over, also the one that watches.
    let watching = client.watch_config(with_token(&token, WatchConfigRequest {})).await.unwrap();
    let mut notices = watching.into_inner();
    notices.message().await.unwrap().unwrap();
    running.ledger.device_mut("ams").agent_key = Key(agent_key(9).verifying_key().to_bytes());
    running.publish().await;
    let ended = tokio::time::timeout(PATIENCE, notices.message()).await.unwrap().unwrap_err();
    assert_eq!(refusal(ended), (GrpcCode::Unauthenticated, "unknown-session".into()));
    let over = client.get_config(with_token(&token, GetConfigRequest::default())).await.unwrap_err();
    assert_eq!(refusal(over), (GrpcCode::Unauthenticated, "unknown-session".into()));
    running.handle.shutdown().await;
}

#[tokio::test]
async fn a_report_is_taken_only_whole_and_shows_as_applied() {
    let running = Running::start(config()).await;
    let mut client = running.client().await;
    let token = open(&mut client, "ams", &agent_key(1)).await.unwrap();
    let bundle = running.handle.bundle(&code("ams")).unwrap();
    for broken in [
        ApplyReport { result: 0, ..report("ams", 1, &bundle.sha256) },
        ApplyReport { result: 99, ..report("ams", 1, &bundle.sha256) },
        report("ams", 1, &[0; 31]),
        ApplyReport { running_sha256: vec![1], ..report("ams", 1, &bundle.sha256) },
    ] {
        let status = client.report(with_token(&token, broken)).await.unwrap_err();
        assert_eq!(refusal(status), (GrpcCode::InvalidArgument, "report-invalid".into()));
    }
    assert_eq!(running.handle.apply_state(&code("ams")), Some(ApplyState::Never));
    client.report(with_token(&token, report("ams", bundle.generation, &bundle.sha256))).await.unwrap();
    assert_eq!(running.handle.apply_state(&code("ams")), Some(ApplyState::Current));
    running.handle.shutdown().await;
}

#[tokio::test]
async fn one_device_that_calls_without_end_is_slowed_and_another_is_not() {
    let running = Running::start(config()).await;
    let mut client = running.client().await;
    let token = open(&mut client, "ams", &agent_key(1)).await.unwrap();
    let mut refused = None;
    for _ in 0..2_000 {
        if let Err(status) = client.get_config(with_token(&token, GetConfigRequest::default())).await {
            refused = Some(refusal(status));
            break;
        }
    }
    assert_eq!(refused, Some((GrpcCode::ResourceExhausted, "rate-limited".into())));
    let other = open(&mut client, "fra", &agent_key(2)).await.unwrap();
    client.get_config(with_token(&other, GetConfigRequest::default())).await.unwrap();
    running.handle.shutdown().await;
}
