use causeway_interface::Key;
use causeway_wire::signing::verify;
use ed25519_dalek::SigningKey;

use super::*;

fn signer() -> Signer {
    Signer { key: SigningKey::from_bytes(&[5; 32]), program_id: Key([7; 32]) }
}

fn ams() -> Code {
    "ams".parse().unwrap()
}

fn wanted(text: &str) -> Wanted {
    Wanted { generation: 7, family: Family::Frr, text: text.into() }
}

fn opened(orders: &Orders, text: &str, correlation: &str) -> [u8; 32] {
    let order = Order { correlation: correlation.into(), waits: true, confirm_within_ms: 1_000 };
    let served = Served::sign(&ams(), wanted(text), Some(order), &signer());
    let sha256 = served.sha256;
    orders.open(&ams(), served);
    sha256
}

fn said(orders: &Orders, have_order: &str, waiting: Option<[u8; 32]>) {
    let said = Said { at_unix_ms: 1, takes_orders: true, have_order: have_order.into(), waiting, ..Said::default() };
    orders.polled(&ams(), said);
}

fn report(orders: &Orders, result: ReportResult, sha256: [u8; 32], order: &str) {
    let report = Report { sha256: sha256.to_vec(), result, order: order.into(), ..Report::default() };
    orders.reported(&ams(), &report, &signer());
}

fn text_of(turn: &Turn) -> Option<&str> {
    match turn {
        Turn::Job(served) => Some(&served.text),
        Turn::Ledger | Turn::Nothing => None,
    }
}

#[test]
fn an_order_is_served_until_it_is_done_and_then_kept_where_jobs_provision() {
    let orders = Orders::default();
    assert_eq!((orders.turn(&ams(), false), orders.turn(&ams(), true)), (Turn::Ledger, Turn::Nothing));
    let sha256 = opened(&orders, "new", "a");
    assert_eq!(orders.turn(&ams(), false), Turn::Ledger, "its agent does not say that it knows orders");
    said(&orders, "", None);
    assert_eq!(text_of(&orders.turn(&ams(), false)), Some("new"));
    assert_eq!(orders.notice(&ams()), ("a".into(), OrderAnswer::Unspecified));

    assert!(!orders.confirm(&ams(), sha256, &signer()), "nothing waits yet");
    report(&orders, ReportResult::Waiting, sha256, "a");
    assert!(!orders.confirm(&ams(), [9; 32], &signer()));
    assert!(orders.confirm(&ams(), sha256, &signer()));
    let word = orders.word(&ams(), "a").unwrap();
    assert_eq!((word.answer, orders.word(&ams(), "b")), (OrderAnswer::Confirm, None));
    let message = word_message(&[7; 32], "ams", "a", &sha256, 1);
    assert_eq!(verify(&signer().key.verifying_key().to_bytes(), &message, &word.signature), Ok(()));

    report(&orders, ReportResult::Applied, sha256, "a");
    assert_eq!(orders.turn(&ams(), false), Turn::Ledger);
    let Turn::Job(kept) = orders.turn(&ams(), true) else { panic!("nothing is kept") };
    assert_eq!((kept.order.as_ref(), &*kept.text), (None, "new"));
    let message = bundle_message(&[7; 32], "ams", 7, "frr", &sha256);
    assert_eq!(verify(&signer().key.verifying_key().to_bytes(), &message, &kept.signature), Ok(()));
}

#[test]
fn what_is_withdrawn_is_not_served_any_more_and_its_agent_is_told() {
    let orders = Orders::default();
    orders.looked_up(&ams(), Some(Served::sign(&ams(), wanted("old"), None, &signer())));
    said(&orders, "", None);
    let sha256 = opened(&orders, "new", "a");
    report(&orders, ReportResult::Waiting, sha256, "a");
    orders.withdraw(&ams(), &signer());
    assert_eq!(text_of(&orders.turn(&ams(), true)), Some("old"));
    assert_eq!(orders.word(&ams(), "a").map(|word| word.answer), Some(OrderAnswer::Withdraw));
    assert_eq!(orders.notice(&ams()), ("a".into(), OrderAnswer::Withdraw));
    // Twice is as once.
    orders.withdraw(&ams(), &signer());
    assert!(orders.word(&ams(), "a").is_some());
    report(&orders, ReportResult::Reverted, sha256, "a");
    assert_eq!(orders.of(&ams()).said.unwrap().waiting, None);
    said(&orders, "a", None);
    assert_eq!(orders.word(&ams(), "a"), None, "it is heard");
}

#[test]
fn what_waits_is_given_more_time_by_a_number_of_its_own_where_its_agent_can() {
    let orders = Orders::default();
    said(&orders, "", None);
    let sha256 = opened(&orders, "new", "a");
    assert_eq!(orders.extend(&ams(), sha256, &signer()), None, "nothing waits");
    report(&orders, ReportResult::Waiting, sha256, "a");
    assert_eq!(orders.extend(&ams(), sha256, &signer()), None, "its agent does not say that it can");
    let poll = |extended| {
        let said = Said { takes_orders: true, have_order: "a".into(), waiting: Some(sha256), ..Said::default() };
        orders.polled(&ams(), Said { takes_extensions: true, extended, ..said });
    };
    poll(0);
    assert_eq!(orders.extend(&ams(), [9; 32], &signer()), None);
    assert_eq!(orders.extend(&ams(), sha256, &signer()), Some(1));
    assert_eq!(orders.extend(&ams(), sha256, &signer()), Some(1), "nobody has heard it yet");
    let word = orders.word(&ams(), "a").unwrap();
    assert_eq!((word.answer, word.extension), (OrderAnswer::Extend, 1));
    let message = extension_message(&[7; 32], "ams", "a", &sha256, 1);
    assert_eq!(verify(&signer().key.verifying_key().to_bytes(), &message, &word.signature), Ok(()));
    // A report says it before a poll does; the next one, of whichever controller, is another word.
    let told = Report { extended: 1, order: "a".into(), sha256: sha256.to_vec(), ..Report::default() };
    orders.reported(&ams(), &Report { result: ReportResult::Waiting, ..told }, &signer());
    assert_eq!(orders.of(&ams()).said.unwrap().extended, 1);
    assert_eq!(orders.extend(&ams(), sha256, &signer()), Some(2));
    poll(MAX_EXTENSIONS);
    assert_eq!(orders.extend(&ams(), sha256, &signer()), None, "not for ever");
    assert!(orders.confirm(&ams(), sha256, &signer()), "and the word to confirm takes its place");
    assert_eq!(orders.notice(&ams()), ("a".into(), OrderAnswer::Confirm));
}

#[test]
fn a_controller_that_knows_nothing_of_an_order_takes_back_what_waits() {
    let orders = Orders::default();
    said(&orders, "of-another", Some([3; 32]));
    orders.withdraw(&ams(), &signer());
    let word = orders.word(&ams(), "of-another").unwrap();
    assert_eq!((word.answer, word.sha256), (OrderAnswer::Withdraw, [3; 32]));
}

#[test]
fn what_is_open_for_a_job_that_went_elsewhere_is_not_served_any_more() {
    let orders = Orders::default();
    said(&orders, "", None);
    opened(&orders, "new", "job1-r1-s5-t1");
    assert!(!orders.forget("job11-"));
    assert_eq!(text_of(&orders.turn(&ams(), true)), Some("new"));
    assert!(orders.forget("job1-"));
    assert_eq!((orders.turn(&ams(), true), orders.of(&ams()).word), (Turn::Nothing, None));
}

#[test]
fn the_agent_of_a_device_that_is_pushed_to_is_offered_nothing() {
    let orders = Orders::new(ByJobs { pushed: [ams()].into(), ..ByJobs::default() });
    orders.looked_up(&ams(), Some(Served::sign(&ams(), wanted("old"), None, &signer())));
    said(&orders, "", None);
    opened(&orders, "new", "a");
    assert_eq!((orders.turn(&ams(), true), orders.turn(&ams(), false)), (Turn::Nothing, Turn::Nothing));
}

#[test]
fn reports_of_other_orders_count_for_nothing() {
    let orders = Orders::default();
    said(&orders, "", None);
    let sha256 = opened(&orders, "new", "b");
    for (result, sha256, order) in [
        (ReportResult::Refused, sha256, "a"),
        (ReportResult::Applied, sha256, ""),
        (ReportResult::Applied, [1; 32], "b"),
    ] {
        report(&orders, result, sha256, order);
        assert_eq!(orders.of(&ams()).told, None, "{order:?}");
        assert!(orders.of(&ams()).open.is_some());
    }
}

#[test]
fn who_is_provisioned_by_jobs_is_said_by_device_or_contributor() {
    let code = |text: &str| text.parse::<Code>().unwrap();
    let by = ByJobs {
        devices: [code("ams")].into(),
        contributors: [code("co")].into(),
        pushed: [code("lon")].into(),
        all: false,
    };
    assert!(by.has(&code("ams"), None) && by.has(&code("fra"), Some(&code("co"))));
    assert!(!by.has(&code("fra"), Some(&code("other"))) && !by.has(&code("co"), None));
    assert!(by.has(&code("lon"), None), "who is pushed to has jobs, and nothing else");
    assert!(ByJobs { all: true, ..ByJobs::default() }.has(&code("x"), None));
    assert!(!ByJobs::default().has(&code("ams"), Some(&code("co"))));
}
