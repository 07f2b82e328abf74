//! What a bucket of each kind of series says.

use super::{
    Outcome,
    coverage::{self, Judgement, Rules, Say, Window},
};
use crate::telemetry::{AdjacencyBucket, InterfaceBucket, ProbeBucket, Series};

/// No series at all.
pub(super) fn absent() -> Judgement {
    Judgement { outcome: Outcome::NotObserved, observed: "no samples".to_owned(), judged_from: 0 }
}

/// An interface: up, without errors and flaps, with traffic. Traffic may pause for as long as samples may.
pub(super) fn interface(series: Option<&Series<InterfaceBucket>>, window: &Window, rules: &Rules) -> Judgement {
    let Some(series) = series else { return absent() };
    let idle = idle_stretches(&series.buckets, rules);
    let says: Vec<(u64, Say)> = series
        .buckets
        .iter()
        .filter(|(_, bucket)| bucket.samples > 0)
        .map(|(number, bucket)| (*number, interface_says(*number, bucket, &idle)))
        .collect();
    let judgement = coverage::judge(&says, window, series.first_ms, rules);
    if judgement.outcome != Outcome::Passed {
        return judgement;
    }
    let octets = series
        .buckets
        .iter()
        .filter(|(number, _)| (judgement.judged_from..window.end).contains(number))
        .fold(0u64, |sum, (_, bucket)| sum.saturating_add(bucket.octets));
    if octets == 0 {
        let observed = format!("{}, no traffic yet", judgement.observed);
        return Judgement { outcome: Outcome::NotObserved, observed, ..judgement };
    }
    Judgement { observed: format!("{}, {octets} octets", judgement.observed), ..judgement }
}

fn interface_says(number: u64, bucket: &InterfaceBucket, idle: &[(u64, u64)]) -> Say {
    if bucket.down > 0 {
        return Say::Bad(format!("down in {} of {} samples", bucket.down, bucket.samples));
    }
    if bucket.errors > 0 {
        return Say::Bad(format!("{} errors", bucket.errors));
    }
    if bucket.flaps > 0 {
        return Say::Bad(format!("carrier changed {} times", bucket.flaps));
    }
    if idle.iter().any(|(from, to)| (*from..=*to).contains(&number)) {
        return Say::Bad("no traffic".to_owned());
    }
    Say::Good
}

/// First and last bucket of every stretch without traffic that is longer than the limit.
fn idle_stretches(buckets: &[(u64, InterfaceBucket)], rules: &Rules) -> Vec<(u64, u64)> {
    let mut stretches: Vec<(u64, u64)> = Vec::new();
    let mut open: Option<(u64, u64)> = None;
    for (number, bucket) in buckets.iter().filter(|(_, bucket)| bucket.compared > 0) {
        open = match (bucket.octets == 0, open) {
            (true, Some((from, _))) => Some((from, *number)),
            (true, None) => Some((*number, *number)),
            (false, ended) => {
                stretches.extend(ended);
                None
            }
        };
    }
    stretches.extend(open);
    stretches.retain(|(from, to)| (to - from + 1).saturating_mul(rules.bucket_ms) > rules.max_gap_ms);
    stretches
}

/// An adjacency: up.
pub(super) fn adjacency(series: Option<&Series<AdjacencyBucket>>, window: &Window, rules: &Rules) -> Judgement {
    let Some(series) = series else { return absent() };
    let says: Vec<(u64, Say)> = series
        .buckets
        .iter()
        .filter(|(_, bucket)| bucket.samples > 0)
        .map(|(number, bucket)| {
            let bad = bucket.down > 0;
            let why = || format!("adjacency down in {} of {} samples", bucket.down, bucket.samples);
            (*number, if bad { Say::Bad(why()) } else { Say::Good })
        })
        .collect();
    coverage::judge(&says, window, series.first_ms, rules)
}

/// Probes: loss in no bucket above the limit. A bucket in which none was sent holds no sample.
pub(super) fn probes(series: Option<&Series<ProbeBucket>>, window: &Window, rules: &Rules) -> Judgement {
    let Some(series) = series else { return absent() };
    let says: Vec<(u64, Say)> = series
        .buckets
        .iter()
        .filter(|(_, bucket)| bucket.samples > 0 && bucket.sent > 0)
        .map(|(number, bucket)| {
            let lost = bucket.sent.saturating_sub(bucket.received);
            let allowed = u128::from(bucket.sent) * u128::from(rules.loss_limit_ppm) / 1_000_000;
            let bad = u128::from(lost) > allowed;
            let why = || format!("{lost} of {} probes lost", bucket.sent);
            (*number, if bad { Say::Bad(why()) } else { Say::Good })
        })
        .collect();
    coverage::judge(&says, window, series.first_ms, rules)
}

/// That something was reported at all.
pub(super) fn reported(series: &Series<u32>, window: &Window, rules: &Rules) -> Judgement {
    let reported = series.buckets.iter().filter(|(_, samples)| *samples > 0);
    let says: Vec<(u64, Say)> = reported.map(|(number, _)| (*number, Say::Good)).collect();
    coverage::judge(&says, window, series.first_ms, rules)
}
