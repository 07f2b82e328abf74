//! Every verb, as it goes when nothing goes wrong, and in the wrong order.

use std::{collections::BTreeSet, net::Ipv4Addr, os::unix::fs::PermissionsExt, time::Duration};

use causeway_agent::{
    driver::{Driver, DriverError, ProbeKind, Target},
    eos::{
        EosArgs, EosConfig, EosConfigError, EosDriver, NoProber,
        config::{Credentials, Proof},
    },
};

use crate::{
    driver,
    model::{Dialect, ModelEapi, Wire, fixture},
    switch, text,
};

const LATER: Duration = Duration::from_secs(600);

/// Loads, compares, commits and confirms.
async fn apply(driver: &EosDriver, text: &str) {
    driver.load_candidate(text).await.unwrap();
    assert!(!driver.compare(text).await.unwrap().equal);
    driver.commit(LATER).await.unwrap();
    assert!(driver.is_pending().await.unwrap());
    assert!(driver.compare(text).await.unwrap().equal);
    driver.confirm().await.unwrap();
    assert!(!driver.is_pending().await.unwrap());
}

#[tokio::test]
async fn a_candidate_runs_from_the_commit_on_and_stays_after_the_confirmation() {
    for dialect in [Dialect::InTheSession, Dialect::BesideTheSessions] {
        let model = ModelEapi::start(switch().listing(dialect)).await;
        let folder = tempfile::tempdir().unwrap();
        let driver = driver(&model, folder.path());
        let before = model.running();
        driver.load_candidate(&text(7, 9_000)).await.unwrap();
        let comparison = driver.compare(&text(7, 9_000)).await.unwrap();
        assert!(!comparison.equal && comparison.diff.contains("+   isis metric 7"), "{}", comparison.diff);
        assert_eq!(model.running(), before, "nothing runs of a candidate");
        driver.commit(LATER).await.unwrap();
        assert!(model.running().contains("isis metric 7"));
        driver.confirm().await.unwrap();
        assert!(model.running().contains("isis metric 7") && model.live_sessions().is_empty());
        assert_eq!(model.startup(), before, "startup is saved by its own verb");
        driver.save_startup().await.unwrap();
        assert_eq!(model.startup(), model.running());
    }
}

#[tokio::test]
async fn a_revert_brings_back_what_ran_and_without_a_commit_does_nothing() {
    for dialect in [Dialect::InTheSession, Dialect::BesideTheSessions] {
        let model = ModelEapi::start(switch().listing(dialect)).await;
        let folder = tempfile::tempdir().unwrap();
        let driver = driver(&model, folder.path());
        let before = model.running();
        driver.revert().await.unwrap();
        driver.load_candidate(&text(7, 9_000)).await.unwrap();
        driver.commit(LATER).await.unwrap();
        assert_ne!(model.running(), before);
        driver.revert().await.unwrap();
        assert_eq!(model.running(), before);
        assert!(model.live_sessions().is_empty() && !driver.is_pending().await.unwrap());
        assert!(matches!(driver.confirm().await, Err(DriverError::State(_))));
    }
}

#[tokio::test]
async fn the_same_text_again_is_equal_and_its_session_is_dropped() {
    let model = ModelEapi::start(switch()).await;
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(&model, folder.path());
    apply(&driver, &text(7, 9_000)).await;
    driver.load_candidate(&text(7, 9_000)).await.unwrap();
    let again = driver.compare(&text(7, 9_000)).await.unwrap();
    assert!(again.equal && again.diff.is_empty(), "{}", again.diff);
    assert_eq!(model.live_sessions().len(), 1);
    driver.discard_candidate().await.unwrap();
    driver.discard_candidate().await.unwrap();
    assert!(model.live_sessions().is_empty());
    assert!(matches!(driver.commit(LATER).await, Err(DriverError::State(_))));
}

#[tokio::test]
async fn a_text_that_is_not_the_candidate_is_compared_in_a_session_of_its_own() {
    let model = ModelEapi::start(switch()).await;
    let folder = tempfile::tempdir().unwrap();
    apply(&driver(&model, folder.path()), &text(7, 9_000)).await;
    // As a new process, that knows no candidate.
    let driver = driver(&model, folder.path());
    assert!(driver.compare(&text(7, 9_000)).await.unwrap().equal);
    let other = driver.compare(&text(8, 9_000)).await.unwrap();
    assert!(!other.equal && other.diff.contains("-   isis metric 7") && other.diff.contains("+   isis metric 8"));
    assert!(model.live_sessions().is_empty());
    assert!(matches!(driver.compare("interface Ethernet1\n   nonsense\n").await, Err(DriverError::Refused(_))));
    assert!(model.live_sessions().is_empty());
}

#[tokio::test]
async fn what_the_operator_owns_is_untouched_and_no_secret_is_in_a_difference() {
    let model = ModelEapi::start(switch()).await;
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(&model, folder.path());
    let lines = [
        "username op secret",
        "ntp server 192.0.2.123",
        "ip route 192.0.2.0/24",
        "description customer",
        "management api",
    ];
    for metric in [7, 8] {
        apply(&driver, &text(metric, 9_000)).await;
        for line in lines {
            assert!(model.running().contains(line), "{line} after metric {metric}");
        }
    }
    let ours = driver.running_text().await.unwrap();
    assert!(ours.contains("isis metric 8"), "{ours}");
    assert!(!lines.iter().any(|line| ours.contains(line)), "{ours}");
    model.lock().switch.operator_types(&["hostname other"]);
    driver.load_candidate(&text(8, 9_000)).await.unwrap();
    let diff = driver.compare(&text(8, 9_000)).await.unwrap().diff;
    assert!(diff.contains("-hostname other") && !diff.contains("$6$"), "{diff}");
}

#[tokio::test]
async fn an_interface_that_a_later_text_does_not_name_is_taken_back_also_by_a_new_process() {
    let model = ModelEapi::start(switch()).await;
    let folder = tempfile::tempdir().unwrap();
    let more = text(7, 9_000)
        + "interface et2\n   mtu 9000\n   no switchport\n!\ninterface et2.5\n   encapsulation dot1q vlan 5\n!\n\
           interface Loopback9\n   ip address 198.18.9.9/32\n!\ninterface Management1\n   description MANAGEMENT\n!\n";
    apply(&driver(&model, folder.path()), &more).await;
    assert!(model.running().contains("Ethernet2.5") && model.running().contains("Loopback9"));
    apply(&driver(&model, folder.path()), &text(7, 9_000)).await;
    let running = model.running();
    assert!(!running.contains("Ethernet2.5") && !running.contains("Loopback9"), "{running}");
    assert!(running.contains("interface Ethernet2\n!"), "a port stays, with nothing in it: {running}");
    assert!(running.contains("description MANAGEMENT"), "the management interface is never taken back");
    assert!(running.contains("description customer"), "an interface that no text named is the operator's");
}

#[tokio::test]
async fn an_agent_that_lost_its_record_has_it_again_once_it_finds_its_text_running() {
    let model = ModelEapi::start(switch()).await;
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let more = text(7, 9_000) + "interface Loopback9\n   ip address 198.18.9.9/32\n!\n";
    apply(&driver(&model, folder.path()), &more).await;
    let next = driver(&model, other.path());
    next.load_candidate(&more).await.unwrap();
    assert!(next.compare(&more).await.unwrap().equal);
    next.discard_candidate().await.unwrap();
    let next = driver(&model, other.path());
    next.load_candidate(&text(7, 9_000)).await.unwrap();
    let diff = next.compare(&text(7, 9_000)).await.unwrap().diff;
    assert!(diff.contains("-interface Loopback9"), "{diff}");
}

#[tokio::test]
async fn a_refused_line_is_named_with_its_number_and_the_switchs_words_and_changes_nothing() {
    let model = ModelEapi::start(switch()).await;
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(&model, folder.path());
    let before = model.running();
    for (wrong, line, words) in [
        ("isis metrik 7", 4, "Invalid input (at token 1: 'metrik')"),
        ("mtu many", 4, "Invalid input (at token 1: 'many')"),
        ("isis metric", 4, "Incomplete command"),
        ("ip address 203.0.113.2/30", 4, "overlaps with that of interface Ethernet31"),
    ] {
        let text = format!("hostname r1\n!\ninterface Ethernet1\n   {wrong}\n   mtu 9000\n");
        let refused = driver.load_candidate(&text).await;
        let Err(DriverError::Refused(why)) = &refused else { panic!("{wrong}: {refused:?}") };
        assert!(why.starts_with(&format!("line {line}: ")) && why.contains(words) && why.contains(wrong), "{why}");
        assert_eq!(model.running(), before);
        assert!(model.live_sessions().is_empty(), "{wrong}");
        assert!(matches!(driver.commit(LATER).await, Err(DriverError::State(_))), "there is no candidate");
    }
    let calls = model.lock().calls.len();
    for hostile in
        ["hostname a\ncommit\n", "hostname a\n   bash echo\n", "copy running-config startup-config\n", "", "!\n"]
    {
        assert!(matches!(driver.load_candidate(hostile).await, Err(DriverError::Refused(_))), "{hostile:?}");
    }
    assert_eq!(model.lock().calls.len(), calls, "such a text is not even sent");
}

#[tokio::test]
async fn a_timer_is_as_long_as_asked_and_reverts_by_itself() {
    let model = ModelEapi::start(switch()).await;
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(&model, folder.path());
    let before = model.running();
    driver.load_candidate(&text(7, 9_000)).await.unwrap();
    driver.commit(Duration::from_millis(9_500)).await.unwrap();
    assert_eq!(model.sent("configure session causeway-"), 2);
    assert!(model.lock().calls.iter().flatten().any(|command| command.ends_with("commit timer 00:00:10")));
    model.lock().switch.timer_goes_off();
    assert_eq!(model.running(), before);
    assert!(!driver.is_pending().await.unwrap());
    assert!(matches!(driver.confirm().await, Err(DriverError::State(_))), "it was reverted in time");
    assert_eq!(model.running(), before, "a late confirmation changes nothing");
    driver.load_candidate(&text(7, 9_000)).await.unwrap();
    for wrong in [Duration::ZERO, Duration::from_secs(86_400)] {
        assert!(matches!(driver.commit(wrong).await, Err(DriverError::State(_))));
    }
}

#[tokio::test]
async fn what_may_go_away_again_is_not_saved() {
    let model = ModelEapi::start(switch()).await;
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(&model, folder.path());
    driver.load_candidate(&text(7, 9_000)).await.unwrap();
    driver.commit(LATER).await.unwrap();
    assert!(matches!(driver.save_startup().await, Err(DriverError::State(_))));
    driver.revert().await.unwrap();
    model.lock().switch.operator_commits("maintenance", LATER);
    assert!(matches!(driver.save_startup().await, Err(DriverError::State(why)) if why.contains("maintenance")));
    assert_eq!(model.sent("copy running-config"), 0);
}

#[tokio::test]
async fn adjacencies_and_counters_are_read_from_json() {
    let mut switch = switch();
    let wire = |host, system_id| Wire { host, system_id, mtu: 9_000 };
    switch.wires.insert("Ethernet1".into(), wire("lon", "c612.0003.0000"));
    let model = ModelEapi::start(switch).await;
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(&model, folder.path());
    assert_eq!(driver.adjacencies().await.unwrap(), [], "IS-IS does not run yet");
    apply(&driver, &text(7, 9_000)).await;
    let found = driver.adjacencies().await.unwrap();
    assert_eq!(
        found.iter().map(|a| (a.interface.as_str(), a.up, a.neighbor.as_str())).collect::<Vec<_>>(),
        [("Ethernet1", true, "lon")]
    );
    assert_eq!(driver.wanted_adjacencies(&text(7, 9_000)).await.unwrap(), BTreeSet::from(["Ethernet1".to_owned()]));
    let counters = driver.counters().await.unwrap();
    let one = counters.iter().find(|counters| counters.interface == "Ethernet1").unwrap();
    assert_eq!((one.oper_up, one.in_octets, one.out_octets, one.carrier_transitions), (true, 1_000, 2_000, 5));
    assert_eq!((one.in_errors, one.out_errors, one.in_discards, one.out_discards), (1, 2, 3, 4));
}

#[tokio::test]
async fn without_a_sender_of_probes_a_probe_is_an_error_and_not_a_loss() {
    let model = ModelEapi::start(switch()).await;
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(&model, folder.path());
    let target = Target { kind: ProbeKind::Link, code: "a".into(), interface: None, address: Ipv4Addr::LOCALHOST };
    assert!(matches!(driver.probe(&[target], 10).await, Err(DriverError::State(_))));
    assert_eq!(driver.probe(&[], 10).await, Ok(Vec::new()));
    assert_eq!(driver.family(), "eos");
}

async fn reaches(config: &EosConfig) -> Result<bool, DriverError> {
    EosDriver::new(config, NoProber).unwrap().is_pending().await
}

#[tokio::test]
async fn tls_needs_the_right_ca_or_the_right_certificate() {
    let model = ModelEapi::start_tls(switch()).await;
    let folder = tempfile::tempdir().unwrap();
    let with = |proof| EosConfig { proof, ..model.config(folder.path().join("m")) };
    assert_eq!(reaches(&with(Some(Proof::Ca(fixture("test-only-ca.pem"))))).await, Ok(false));
    assert_eq!(reaches(&with(Some(Proof::Certificate(fixture("test-only-server.pem"))))).await, Ok(false));
    let sent = model.lock().calls.len();
    for wrong in [
        Proof::Ca(fixture("test-only-other-ca.pem")),
        Proof::Certificate(fixture("test-only-other-ca.pem")),
        Proof::Certificate(fixture("test-only-ca.pem")),
    ] {
        let refused = reaches(&with(Some(wrong))).await;
        assert!(matches!(&refused, Err(DriverError::Unreachable(why)) if why.contains("certificate")), "{refused:?}");
    }
    assert_eq!(model.lock().calls.len(), sent, "no password went to a switch that is not proven");
    let new = |config: &EosConfig| EosDriver::new(config, NoProber).err();
    assert!(matches!(new(&with(None)), Some(EosConfigError::NoProof)));
    for junk in [Proof::Ca(b"junk".to_vec()), Proof::Certificate(fixture("test-only-server-key.pem"))] {
        assert!(matches!(new(&with(Some(junk))), Some(EosConfigError::Pem(_))));
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_as_such_and_the_socket_needs_none() {
    let model = ModelEapi::start(switch()).await;
    let folder = tempfile::tempdir().unwrap();
    let wrong = Credentials { user: "causeway".into(), password: "other".into() };
    let config = EosConfig { credentials: Some(wrong), ..model.config(folder.path().join("m")) };
    let refused = reaches(&config).await;
    assert!(matches!(&refused, Err(DriverError::Unreachable(why)) if why.contains("password")), "{refused:?}");
    let none = EosConfig { credentials: None, ..model.config(folder.path().join("m")) };
    assert!(matches!(EosDriver::new(&none, NoProber).err(), Some(EosConfigError::NoCredentials)));

    let model = ModelEapi::start_socket(switch(), &folder.path().join("command-api.sock"));
    let driver = EosDriver::new(&model.config(folder.path().join("m")), NoProber).unwrap();
    apply(&driver, &text(7, 9_000)).await;
    assert!(model.running().contains("isis metric 7"));
}

#[tokio::test]
async fn the_options_of_the_command_line_make_a_driver_that_works() {
    use clap::Parser;
    #[derive(clap::Parser)]
    struct Options {
        #[command(flatten)]
        eos: EosArgs,
    }
    let model = ModelEapi::start_tls(switch()).await;
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let (ca, secret) = (put("ca.pem", &fixture("test-only-ca.pem")), put("secret", b"causeway:test-only:password\n"));
    let read = |more: &[&str]| {
        let mut words = vec!["agent", "--eos-ca", &ca, "--eos-credentials", &secret];
        words.extend(more);
        Options::parse_from(words).eos.config(folder.path(), "r1")
    };
    let address = match model.config(folder.path().join("x")).endpoint {
        causeway_agent::eos::config::Endpoint::Https(url) => url.to_string(),
        other => panic!("{other:?}"),
    };
    let config = read(&["--eos-url", &address, "--eos-commit-s", "60"]).unwrap();
    assert_eq!(
        (config.timeouts.revert, config.managed_file.clone()),
        (Duration::from_secs(60), folder.path().join("r1.eos.json"))
    );
    assert_eq!(reaches(&config).await, Ok(false));
    let limits = config.timeouts.apply_limits();
    assert!(limits.revert_after > limits.verb + limits.verify);
    assert!(matches!(read(&[]), Err(EosConfigError::Missing(_))));
    assert!(matches!(read(&["--eos-url", &address, "--eos-save-s", "0"]), Err(EosConfigError::Zero(_))));
}
