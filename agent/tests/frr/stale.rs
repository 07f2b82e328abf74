//! A change that breaks an adjacency with nobody noticing before its hold time is over.

use std::{sync::Arc, time::Duration};

use causeway_agent::{
    apply::{Applier, ApplyLimits},
    bundle::{Bundle, Generation, TextHash},
    core::Outcome,
    state::StateStore,
};

use crate::{
    applied,
    lab::{eventually, must, pair, text},
};

/// Ten hellos, a second apart.
const HOLD: Duration = Duration::from_secs(10);

fn bundle(generation: u64, text: &str) -> Bundle {
    Bundle { generation: Generation(generation), text: text.into(), hash: TextHash::of(text) }
}

#[tokio::test]
async fn an_mtu_that_takes_the_other_ends_hellos_away_is_not_confirmed_and_what_breaks_nothing_is_at_once() {
    let (a, b) = pair();
    applied(&a.driver(), &text(1, 4000)).await;
    applied(&b.driver(), &text(2, 4000)).await;
    eventually("an adjacency", || a.has_adjacency() && b.has_adjacency());
    let store = Arc::new(StateStore::open(a.state.path(), "r").unwrap());
    let applier = Applier::new(Arc::new(a.driver()), store, ApplyLimits::default());
    // A metric, another description, a port that comes.
    let coming =
        "interface lo2\n description LOOPBACK\n ip address 198.18.7.1/32\n ip router isis 1\n isis passive\nexit\n";
    for (generation, next) in [
        (1, text(1, 5000)),
        (2, text(1, 5000).replace("one-two", "one-too")),
        (3, text(1, 5000).replace("one-two", "one-too") + coming),
    ] {
        let done = applier.apply(&bundle(generation, &next)).await;
        assert_eq!(done.outcome, Outcome::Applied, "{done:?}");
        assert!(done.took < HOLD, "{done:?}");
    }
    // Both ends of a live link have been given more by hand; the text says what it always said, to one of them.
    for router in [&a, &b] {
        must("ip", &["-n", &router.name, "link", "set", "dev", "eth1", "mtu", "9216"]);
    }
    tokio::time::sleep(HOLD + Duration::from_secs(2)).await;
    assert!(a.has_adjacency() && b.has_adjacency());
    let done = applier.apply(&bundle(4, &text(1, 5000))).await;
    let Outcome::Reverted(failure) = &done.outcome else { panic!("it was kept: {done:?}") };
    assert_eq!(failure.code, "ADJACENCY_LOST", "{failure:?}");
    assert_eq!(a.mtu("eth1"), "9216");
    eventually("the adjacency", || a.has_adjacency() && b.has_adjacency());
}
