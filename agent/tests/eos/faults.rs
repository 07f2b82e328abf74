//! What goes wrong: somebody else's locks and sessions, lost connections, answers that are none, restarts.

use std::time::Duration;

use causeway_agent::{
    driver::{Driver, DriverError},
    eos::{EosConfig, EosDriver, NoProber},
};

use crate::{
    driver, eventually,
    model::{Fault, ModelEapi},
    quick, switch, text,
};

const LATER: Duration = Duration::from_secs(600);

#[tokio::test]
async fn what_an_earlier_agent_left_open_is_dropped_and_nothing_of_others() {
    let model = ModelEapi::start(switch()).await;
    let folder = tempfile::tempdir().unwrap();
    {
        let mut shared = model.lock();
        for name in ["causeway-0000", "causeway-0001", "maintenance", "causewayish"] {
            shared.switch.operator_opens(name);
        }
    }
    let first = driver(&model, folder.path());
    assert!(!first.is_pending().await.unwrap());
    assert_eq!(model.live_sessions(), ["causewayish", "maintenance"], "at the start");
    model.lock().switch.operator_opens("causeway-0002");
    first.load_candidate(&text(7, 9_000)).await.unwrap();
    let live = model.live_sessions();
    assert!(live.len() == 3 && !live.contains(&"causeway-0002".to_owned()), "before a session is opened: {live:?}");
    first.load_candidate(&text(8, 9_000)).await.unwrap();
    assert_eq!(model.live_sessions().len(), 3, "a new candidate takes the place of the old one");
}

#[tokio::test]
async fn a_switch_full_of_others_sessions_is_told_as_such_and_our_own_never_fill_it() {
    let model = ModelEapi::start(switch()).await;
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(&model, folder.path());
    for one in 0..5 {
        model.lock().switch.operator_opens(&format!("causeway-{one}"));
    }
    driver.load_candidate(&text(7, 9_000)).await.unwrap();
    driver.discard_candidate().await.unwrap();
    for one in 0..5 {
        model.lock().switch.operator_opens(&format!("op{one}"));
    }
    let full = driver.load_candidate(&text(7, 9_000)).await;
    assert!(matches!(&full, Err(DriverError::State(why)) if why.contains("op3")), "{full:?}");
    assert_eq!(model.live_sessions().len(), 5);
}

#[tokio::test]
async fn anothers_timer_or_lock_is_an_error_that_says_whose_and_changes_nothing() {
    let model = ModelEapi::start(switch()).await;
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(&model, folder.path());
    driver.load_candidate(&text(7, 9_000)).await.unwrap();
    model.lock().switch.operator_commits("maintenance", LATER);
    let before = model.running();
    let refused = driver.commit(LATER).await;
    assert!(matches!(&refused, Err(DriverError::State(why)) if why.contains("maintenance")), "{refused:?}");
    assert_eq!(driver.is_pending().await, Ok(false), "it is not ours");
    driver.revert().await.unwrap();
    assert_eq!((model.running(), model.live_sessions()), (before.clone(), vec!["maintenance".to_owned()]));

    let model = ModelEapi::start(switch()).await;
    let driver = crate::driver(&model, folder.path());
    let before = model.running();
    driver.load_candidate(&text(7, 9_000)).await.unwrap();
    model.lock().switch.locked_by = Some("alice".into());
    for refused in [driver.commit(LATER).await, driver.load_candidate(&text(8, 9_000)).await] {
        assert!(matches!(&refused, Err(DriverError::State(why)) if why.contains("alice")), "{refused:?}");
    }
    assert_eq!(model.running(), before);
}

#[tokio::test]
async fn what_an_operator_types_while_a_candidate_is_loaded_is_never_taken_back() {
    let model = ModelEapi::start(switch()).await;
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(&model, folder.path());
    driver.load_candidate(&text(7, 9_000)).await.unwrap();
    driver.compare(&text(7, 9_000)).await.unwrap();
    model.lock().switch.operator_types(&["ip name-server 192.0.2.53"]);
    let refused = driver.commit(LATER).await;
    assert!(matches!(&refused, Err(DriverError::State(why)) if why.contains("somebody changed")), "{refused:?}");
    driver.load_candidate(&text(7, 9_000)).await.unwrap();
    driver.commit(LATER).await.unwrap();
    driver.confirm().await.unwrap();
    assert!(model.running().contains("ip name-server 192.0.2.53") && model.running().contains("isis metric 7"));
}

#[tokio::test]
async fn a_reboot_before_the_confirmation_leaves_the_startup_configuration() {
    let model = ModelEapi::start(switch()).await;
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(&model, folder.path());
    let before = model.running();
    driver.load_candidate(&text(7, 9_000)).await.unwrap();
    driver.commit(LATER).await.unwrap();
    model.lock().switch.reboot();
    assert_eq!(driver.is_pending().await, Ok(false));
    assert!(matches!(driver.confirm().await, Err(DriverError::State(_))));
    assert!(!driver.compare(&text(7, 9_000)).await.unwrap().equal);
    driver.revert().await.unwrap();
    assert_eq!(model.running(), before);
    // A candidate that was open is gone too.
    driver.load_candidate(&text(7, 9_000)).await.unwrap();
    driver.compare(&text(7, 9_000)).await.unwrap();
    model.lock().switch.reboot();
    assert!(matches!(driver.commit(LATER).await, Err(DriverError::State(_))));
    assert_eq!(model.sent("configure session"), 3, "entered twice and committed once");
    driver.discard_candidate().await.unwrap();
    assert_eq!((model.running(), model.live_sessions().len()), (before, 0));
}

#[tokio::test]
async fn a_confirmation_that_comes_as_the_timer_goes_off_is_no_confirmation() {
    // The switch is slow to take the confirmation, and its timer goes off before; a confirmation of a session that is
    // gone opens an empty one of that name, commits it, and is a success to whoever only looks at the answer.
    let model = ModelEapi::start(switch().ticking(Duration::from_millis(100))).await;
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(&model, folder.path());
    let before = model.running();
    driver.load_candidate(&text(7, 9_000)).await.unwrap();
    driver.commit(Duration::from_secs(5)).await.unwrap();
    model.inject("configure session causeway-", Fault::Slow(Duration::from_millis(800)));
    assert!(matches!(driver.confirm().await, Err(DriverError::State(_))));
    assert_eq!(model.running(), before);
    assert_eq!(model.lock().switch.reverted, 1);
}

#[tokio::test]
async fn a_commit_whose_connection_breaks_is_pending_until_it_is_gone() {
    // The switch never hears of it; it does and carries it out; it does and takes its time.
    let slow = Duration::from_millis(300);
    for fault in [Fault::DropBefore, Fault::DropAfter, Fault::DropDuring(slow)] {
        let model = ModelEapi::start(switch()).await;
        let folder = tempfile::tempdir().unwrap();
        let driver = driver(&model, folder.path());
        let before = model.running();
        driver.load_candidate(&text(7, 9_000)).await.unwrap();
        driver.compare(&text(7, 9_000)).await.unwrap();
        model.inject("configure session causeway-", fault.clone());
        assert!(matches!(driver.commit(Duration::from_secs(5)).await, Err(DriverError::Unreachable(_))), "{fault:?}");
        assert_eq!(driver.is_pending().await, Ok(true), "{fault:?}");
        let reverted = driver.revert().await;
        if fault == Fault::DropDuring(slow) {
            assert!(
                matches!(&reverted, Err(DriverError::State(why)) if why.contains("being committed")),
                "{reverted:?}"
            );
            eventually("the commit is carried out", || model.running() != before).await;
            assert_eq!(driver.is_pending().await, Ok(true));
            model.lock().switch.timer_goes_off();
            assert_eq!(model.running(), before, "its timer goes off");
        } else {
            reverted.unwrap();
        }
        assert_eq!(driver.is_pending().await, Ok(false), "{fault:?}");
        assert_eq!((model.running(), model.live_sessions().len()), (before, 0), "{fault:?}");
    }
}

#[tokio::test]
async fn a_commit_that_a_dead_agent_left_under_way_is_pending_to_the_next_one() {
    let model = ModelEapi::start(switch()).await;
    let folder = tempfile::tempdir().unwrap();
    let before = model.running();
    {
        let dying = driver(&model, folder.path());
        dying.load_candidate(&text(7, 9_000)).await.unwrap();
        model.inject("configure session causeway-", Fault::DropDuring(Duration::from_millis(300)));
        let _ = dying.commit(Duration::from_secs(5)).await;
    }
    let next = driver(&model, folder.path());
    assert_eq!(next.is_pending().await, Ok(true), "it can not be dropped, so it may come to run");
    assert!(next.revert().await.is_err());
    eventually("the commit is carried out", || model.running() != before).await;
    assert_eq!(next.is_pending().await, Ok(true));
    next.revert().await.unwrap();
    assert_eq!(model.running(), before);
}

#[tokio::test]
async fn answers_that_are_none_are_unreachable_and_bounded() {
    let model = ModelEapi::start(switch()).await;
    let folder = tempfile::tempdir().unwrap();
    let config = EosConfig { timeouts: quick(), max_answer_bytes: 100_000, ..model.config(folder.path().join("m")) };
    let driver = EosDriver::new(&config, NoProber).unwrap();
    for fault in [
        Fault::DropBefore,
        Fault::DropAfter,
        Fault::Endless,
        Fault::Slow(Duration::from_secs(5)),
        Fault::Answer(200, "<html>".into()),
        Fault::Answer(200, "{}".into()),
        Fault::Answer(200, r#"{"jsonrpc":"2.0","id":"0","result":[{},{"sessions":{}}]}"#.into()),
        Fault::Answer(200, "x".repeat(200_000)),
        Fault::Answer(502, "bad gateway\u{7}".into()),
        Fault::Answer(503, "y".repeat(200_000)),
        Fault::Answer(301, String::new()),
    ] {
        let said = format!("{fault:?}").chars().take(60).collect::<String>();
        model.inject("show configuration sessions", fault);
        let too_long = said == "Endless" || said.starts_with("Answer(200, \"xx");
        let began = std::time::Instant::now();
        let refused = driver.is_pending().await;
        if too_long {
            let why = format!("{refused:?}");
            assert!(why.contains("more than 100000 bytes"), "{said}: {why}");
        }
        assert!(matches!(&refused, Err(DriverError::Unreachable(_))), "{said}: {refused:?}");
        assert!(began.elapsed() < Duration::from_secs(3), "{said}");
    }
    assert_eq!(driver.is_pending().await, Ok(false), "and it goes on");
}

#[tokio::test]
async fn a_command_that_the_switch_does_not_carry_out_is_told_with_its_words() {
    let model = ModelEapi::start(switch()).await;
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(&model, folder.path());
    for command in [
        "enable",
        "show configuration sessions",
        "show interfaces",
        "show running-config",
        "configure session",
        "copy running",
    ] {
        model.inject(command, Fault::Fail(1005, "not authorized for this".into()));
        let refused = match command {
            "show interfaces" => driver.counters().await.err(),
            "show running-config" => driver.running_text().await.err(),
            "configure session" => driver.load_candidate(&text(7, 9_000)).await.err(),
            "copy running" => driver.save_startup().await.err(),
            _ => driver.is_pending().await.err(),
        };
        assert!(
            matches!(&refused, Some(DriverError::State(why)) if why.contains("not authorized")),
            "{command}: {refused:?}"
        );
    }
    model
        .inject("show isis neighbors", Fault::Answer(200, r#"{"jsonrpc":"2.0","id":"99","result":[{},{},{}]}"#.into()));
    assert!(matches!(driver.adjacencies().await, Err(DriverError::Unreachable(_))));
}

#[tokio::test]
async fn a_load_that_is_cut_off_leaves_a_session_that_the_next_one_drops() {
    let model = ModelEapi::start(switch()).await;
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(&model, folder.path());
    model.inject("isis metric", Fault::DropAfter);
    assert!(matches!(driver.load_candidate(&text(7, 9_000)).await, Err(DriverError::Unreachable(_))));
    assert_eq!(model.live_sessions().len(), 1);
    assert!(matches!(driver.commit(LATER).await, Err(DriverError::State(_))), "half a candidate is never committed");
    driver.load_candidate(&text(8, 9_000)).await.unwrap();
    assert_eq!(model.live_sessions().len(), 1);
    driver.commit(LATER).await.unwrap();
    assert!(model.running().contains("isis metric 8"));
}

#[tokio::test]
async fn a_record_that_can_not_be_written_stops_the_commit() {
    let model = ModelEapi::start(switch()).await;
    let folder = tempfile::tempdir().unwrap();
    // A file stands where the folder would have to be.
    let inside = folder.path().join("no-folder");
    let driver = EosDriver::new(&model.config(inside.join("m")), NoProber).unwrap();
    std::fs::write(&inside, "").unwrap();
    let before = model.running();
    driver.load_candidate(&text(7, 9_000)).await.unwrap();
    assert!(matches!(driver.commit(LATER).await, Err(DriverError::State(_))));
    assert_eq!(model.running(), before);
}

#[tokio::test]
async fn a_commit_counts_with_its_timer_and_an_abort_once_the_session_is_gone() {
    let model = ModelEapi::start(switch()).await;
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(&model, folder.path());
    driver.load_candidate(&text(7, 9_000)).await.unwrap();
    driver.compare(&text(7, 9_000)).await.unwrap();
    model.inject("configure session causeway-", Fault::Ignore);
    let unarmed = driver.commit(LATER).await;
    assert!(matches!(&unarmed, Err(DriverError::State(why)) if why.contains("timer")), "{unarmed:?}");
    driver.revert().await.unwrap();

    driver.load_candidate(&text(7, 9_000)).await.unwrap();
    driver.commit(LATER).await.unwrap();
    model.inject("configure session causeway-", Fault::Ignore);
    let confirmed = driver.confirm().await;
    assert!(matches!(&confirmed, Err(DriverError::State(why)) if why.contains("still lists")), "{confirmed:?}");
    model.inject("configure session causeway-", Fault::Ignore);
    let reverted = driver.revert().await;
    assert!(matches!(&reverted, Err(DriverError::State(why)) if why.contains("still there")), "{reverted:?}");
    driver.revert().await.unwrap();
    assert!(model.live_sessions().is_empty() && !model.running().contains("isis metric"));
}

#[tokio::test]
async fn what_was_taken_back_is_the_operators_again_and_what_was_confirmed_unseen_is_ours() {
    let model = ModelEapi::start(switch()).await;
    let folder = tempfile::tempdir().unwrap();
    let with = |number: u32| text(7, 9_000) + &format!("interface Loopback{number}\n   description ours\n!\n");
    let first = driver(&model, folder.path());
    first.load_candidate(&with(7)).await.unwrap();
    first.commit(LATER).await.unwrap();
    first.confirm().await.unwrap();
    first.load_candidate(&with(9)).await.unwrap();
    first.commit(LATER).await.unwrap();
    first.revert().await.unwrap();
    model.lock().switch.operator_types(&["interface Loopback9", "description theirs"]);
    // The confirmation's answer is lost, and the switch has carried it out.
    let next = driver(&model, folder.path());
    next.load_candidate(&with(8)).await.unwrap();
    next.commit(LATER).await.unwrap();
    model.inject("configure session causeway-", Fault::DropAfter);
    assert!(next.confirm().await.is_err());
    assert!(!next.is_pending().await.unwrap() && !model.running().contains("Loopback7"));
    assert!(next.compare(&with(8)).await.unwrap().equal);
    model.lock().switch.operator_types(&["interface Loopback7", "description theirs too"]);
    next.load_candidate(&text(7, 9_000)).await.unwrap();
    next.commit(LATER).await.unwrap();
    next.confirm().await.unwrap();
    let running = model.running();
    assert!(
        running.contains("description theirs\n") && running.contains("theirs too") && !running.contains("Loopback8"),
        "{running}"
    );
}
