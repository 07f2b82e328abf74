//! The FRR driver on real FRR.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod apply;
mod asked;
mod bad_bundle;
mod crowd;
mod disk;
mod failures;
mod killed;
mod lab;
mod left;
mod passage;
mod speed;
mod stale;
mod unit;
mod what_runs;

use std::time::Duration;

use causeway_agent::driver::{Driver, DriverError};

/// Longer than any test's commit needs.
const LONG: Duration = Duration::from_secs(120);

async fn applied(driver: &impl Driver, text: &str) {
    driver.load_candidate(text).await.unwrap();
    driver.commit(LONG).await.unwrap();
    let compared = driver.compare(text).await.unwrap();
    assert!(compared.equal, "{}", compared.diff);
    driver.confirm().await.unwrap();
}

fn refused(result: Result<(), DriverError>, what: &str) -> String {
    match result {
        Err(DriverError::Refused(words)) => words,
        other => panic!("{what}: refused was expected, and it is {other:?}"),
    }
}
