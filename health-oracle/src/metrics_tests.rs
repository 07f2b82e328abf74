use super::*;

fn value(metrics: &Metrics, now_ms: u64, name: &str) -> f64 {
    let text = metrics.text_at(now_ms);
    let line = text.lines().find(|line| line.starts_with(&format!("causeway_oracle_{name} "))).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn the_ledgers_lag_grows_while_its_slot_stands_still() {
    let metrics = Metrics::default();
    let at = time::now_ms();
    let read = |slot, after| metrics.ledger_read(slot, SlotClock::new(slot, at), at + after);
    let lag =
        |after| (value(&metrics, at + after, "ledger_lag_seconds"), value(&metrics, at + after, "ledger_lag_slots"));
    read(100, 0);
    assert_eq!(lag(2_000), (2.0, 5.0));
    read(100, 4_000);
    assert_eq!(lag(4_000), (4.0, 10.0), "an answer that says nothing new");
    read(90, 5_000);
    assert_eq!(lag(6_000), (6.0, 15.0), "a node that is behind");
    read(91, 6_000);
    assert_eq!(lag(6_000), (0.0, 0.0));
}

#[test]
fn ages_count_from_the_start_until_something_came() {
    let metrics = Metrics::default();
    let at = time::now_ms();
    assert!(value(&metrics, at + 60_000, "round_age_seconds") >= 59.0);
    assert!(value(&metrics, at + 60_000, "telemetry_age_seconds") >= 59.0);
    {
        let _waiting = metrics.waiting();
        assert_eq!(value(&metrics, at, "telemetry_waiting"), 1.0);
    }
    assert_eq!(value(&metrics, at, "telemetry_waiting"), 0.0);
}

#[test]
fn the_old_form_names_counters_as_their_samples_do() {
    let text = "# HELP a_b Things.\n# TYPE a_b counter\na_b_total{x=\"# EOF\"} 1\n# HELP c Others.\n# TYPE c gauge\nc 2\n# EOF\n";
    let old = "# HELP a_b_total Things.\n# TYPE a_b_total counter\na_b_total{x=\"# EOF\"} 1\n# HELP c Others.\n# TYPE c gauge\nc 2\n";
    assert_eq!(in_old_form(text), old);
}
