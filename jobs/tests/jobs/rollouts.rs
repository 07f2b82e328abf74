//! Rollouts, end to end on simulated devices, in virtual time.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use causeway_jobs::{
    adapter::memory::Op,
    clock::sleep,
    desk::AskError,
    rollout::{
        Budget, Cause, End, Event, Health, Outcome, Phase, Progress, Recorded, Rollout, RolloutState, Shape, Soak,
        is_rollout,
    },
    spec::{JobId, Kind, Transport, Wanted},
    status::JobStatus,
    store::MAX_PAGE,
    window::Window,
};

use crate::{
    fakes::text,
    world::{DAY_MS, OLD, World, in_virtual_time},
};

const HOUR_MS: u64 = 3_600_000;

/// What became of each device: new, old, and whether anything was done to it at all.
fn touched(world: &World) -> (usize, usize, usize) {
    let (mut new, mut old, mut untouched) = (0, 0, 0);
    for device in &world.devices {
        let (running, done) = world.fleet.with(device, |d| (d.running.clone(), d.done.len())).unwrap();
        if running == text(device, Wanted::Current) {
            new += 1;
        } else {
            assert_eq!(running, text(device, OLD), "{device} runs something else");
            old += 1;
        }
        untouched += usize::from(done == 0);
    }
    (new, old, untouched)
}

/// Largest memory of this process so far, in MB; of all tests that ran in it.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap() / 1_024
}

async fn events(world: &World, id: JobId) -> Vec<Recorded> {
    let mut all = Vec::new();
    loop {
        let page = world.store.events(id, all.len() as u64, MAX_PAGE).await.unwrap();
        all.extend(page.iter().map(|row| Recorded::decode(id, row.seq, &row.text).unwrap()));
        if page.len() < MAX_PAGE {
            return all;
        }
    }
}

fn thousand(what: &str, bring: impl Fn(&World), judge: impl Fn(&World, &Rollout)) {
    let began = std::time::Instant::now();
    in_virtual_time(async |time| {
        let world = World::new(&time, 1_000);
        bring(&world);
        let controller = world.controller("c", Arc::clone(&world.store));
        let id = world.desk.start_rollout(&world.rollout(Shape::default())).await.unwrap();
        let rollout = world.rolled_out(id).await;
        judge(&world, &rollout);
        for device in &world.devices {
            assert_eq!(world.store.holder_of(*device).await.unwrap(), None);
        }
        controller.stop().await;
        println!(
            "1 000 devices, {what}: {:.1?}, peak memory {} MB, {} events, {} s by the rollout's clock",
            began.elapsed(),
            peak_mb(),
            rollout.next_seq,
            (rollout.changed_ms - rollout.started_ms) / 1_000
        );
    });
}

#[test]
fn of_a_thousand_nobody_but_a_bad_canary_is_touched_and_it_goes_back() {
    thousand(
        "the canary unwell after its change",
        |world| {
            let bad = Health::Bad("D3: no adjacency on eth1".to_owned());
            world.oracles.0.lock().unwrap().insert(world.devices[0], bad);
        },
        |world, rollout| {
            assert_eq!((rollout.status(), rollout.state()), (JobStatus::Failed, RolloutState::RolledBack));
            assert!(
                matches!(&rollout.phase, Phase::Ended(End::Back(Cause::Unhealthy(why))) if why.contains("r0001: D3")),
                "{:?}",
                rollout.phase
            );
            assert_eq!(touched(world), (0, 1_000, 999));
            let commits =
                world.fleet.with(&world.devices[0], |d| d.done.iter().filter(|op| **op == Op::Commit).count());
            assert_eq!(commits, Some(2), "it was changed, and brought back by a job");
            let saved = world.fleet.with(&world.devices[0], |d| d.startup == d.running).unwrap();
            assert!(saved, "it would start with what was taken back");
        },
    );
    thousand(
        "the canary refused by its job",
        |world| {
            world.fleet.with(&world.devices[0], |d| d.problems = vec!["no adjacency on eth1".to_owned()]).unwrap();
        },
        |world, rollout| {
            assert_eq!(rollout.phase, Phase::Ended(End::Back(Cause::Failed(vec![0]))));
            assert_eq!(touched(world), (0, 1_000, 999));
        },
    );
}

#[test]
fn of_a_thousand_a_failure_in_the_third_wave_takes_that_wave_back_and_no_other() {
    thousand(
        "one of the third wave refused by its job",
        |world| {
            world.fleet.with(&world.devices[12], |d| d.problems = vec!["no adjacency on eth1".to_owned()]).unwrap();
        },
        |world, rollout| {
            assert_eq!(rollout.phase, Phase::Ended(End::Back(Cause::Failed(vec![12]))));
            assert_eq!((rollout.wave, rollout.state()), (2, RolloutState::RolledBack));
            assert!(
                matches!(&rollout.devices[12].forward, Progress::Settled(Outcome::Unchanged { code: Some(code), .. })
                    if code == "CW-JOB-VERIFY-FAILED"),
                "{:?}",
                rollout.devices[12]
            );
            // Waves of 1, 4 and 16.
            assert_eq!(touched(world), (5, 995, 979));
            assert!(world.devices[..5].iter().all(|d| world.running(d) == text(d, Wanted::Current)));
        },
    );
}

#[test]
fn a_rollout_to_all_ends_with_all_on_the_new_configuration() {
    thousand(
        "all well",
        |_| {},
        |world, rollout| {
            assert_eq!((rollout.status(), rollout.state()), (JobStatus::Provisioned, RolloutState::Done));
            assert_eq!((rollout.percent(), touched(world)), (100, (1_000, 0, 0)));
        },
    );
}

#[test]
fn devices_are_begun_in_their_windows_and_within_the_budget() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 12);
        let controller = world.controller("c", Arc::clone(&world.store));
        // Every day 02:00 to 04:00 UTC; one device on Saturdays, 22:00 to 23:00.
        let windows: Vec<Window> = (0..7).map(|day| Window { opens: day * 1_440 + 120, minutes: 120 }).collect();
        let saturday = Window { opens: 5 * 1_440 + 22 * 60, minutes: 60 };
        let mut request = world.rollout(Shape { first: 4, growth: 2, ..Shape::default() });
        request.windows.clone_from(&windows);
        request.own_windows = [(world.devices[9], vec![saturday])].into();
        request.budget = Some(Budget { devices: 3, per_ms: HOUR_MS });
        let id = world.desk.start_rollout(&request).await.unwrap();
        let rollout = world.rolled_out(id).await;
        assert_eq!(rollout.state(), RolloutState::Done, "{rollout:#?}");
        let mut begun: Vec<(u64, u16)> = Vec::new();
        for recorded in events(&world, id).await {
            if let Event::Began { places, back: false } = recorded.event {
                begun.extend(places.iter().map(|place| (recorded.at_ms, *place)));
            }
        }
        assert_eq!(begun.len(), 12);
        for (at_ms, place) in &begun {
            let minute = (at_ms / 60_000 + 3 * 1_440) % (7 * 1_440);
            let of = if *place == 9 { vec![saturday] } else { windows.clone() };
            let inside = of.iter().any(|w| (u64::from(w.opens)..=u64::from(w.opens + w.minutes) - 2).contains(&minute));
            assert!(inside, "device {place} was begun at minute {minute} of the week");
            let hour = begun.iter().filter(|(other, _)| (*at_ms..at_ms + HOUR_MS).contains(other)).count();
            assert!(hour <= 3, "{hour} devices in an hour from {at_ms} on");
        }
        assert!(rollout.changed_ms - DAY_MS > 24 * HOUR_MS, "12 devices, 3 an hour, 2 hours a day");
        controller.stop().await;
    });
}

#[test]
fn rollouts_together_keep_to_a_budget_over_all_of_them() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 12);
        let budget = Budget { devices: 3, per_ms: HOUR_MS };
        let controller = world.paced_controller("c", Arc::clone(&world.store), Some(budget));
        // Three rollouts of four devices each, and a dry run of all, which counts for nothing.
        let mut ids = Vec::new();
        for n in 0..3 {
            let mut request = world.rollout(Shape { first: 4, ..Shape::default() });
            request.targets = request.targets[n * 4..n * 4 + 4].to_vec();
            ids.push(world.desk.start_rollout(&request).await.unwrap());
        }
        let mut dry = world.rollout(Shape { first: 12, ..Shape::default() });
        (dry.kind, dry.soak.by_health, dry.soak.for_ms) = (Kind::DryRun, false, 0);
        dry.at_once = 1;
        let dry = world.desk.start_rollout(&dry).await.unwrap();
        let mut begun: Vec<u64> = Vec::new();
        for id in ids {
            let rollout = world.rolled_out(id).await;
            assert_eq!(rollout.state(), RolloutState::Done, "{rollout:#?}");
            for recorded in events(&world, id).await {
                if let Event::Began { places, back: false } = recorded.event {
                    begun.extend(places.iter().map(|_| recorded.at_ms));
                }
            }
        }
        world.rolled_out(dry).await;
        // A device that another job held was begun again, and counted once.
        assert!(begun.len() >= 12, "{begun:?}");
        begun.sort_unstable();
        let last = begun.last().copied().unwrap();
        assert!(last - begun[0] >= 3 * HOUR_MS, "12 devices, 3 an hour: {begun:?}");
        controller.stop().await;
    });
}

#[test]
fn a_paused_rollout_begins_no_device_until_it_is_resumed() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 6);
        let controller = world.controller("c", Arc::clone(&world.store));
        let id = world.desk.start_rollout(&world.rollout(Shape::default())).await.unwrap();
        sleep(world.clock.as_ref(), Duration::from_secs(30)).await;
        let rollout = world.desk.pause_rollout(id, "operator", "a match is on").await.unwrap();
        assert_eq!(rollout.state(), RolloutState::Paused);
        sleep(world.clock.as_ref(), Duration::from_secs(86_400)).await;
        assert_eq!(touched(&world), (1, 5, 5), "the canary was under way, and nobody after it");
        let again = world.desk.pause_rollout(id, "operator", "again").await.unwrap_err();
        assert_eq!(again.kind().code, "CW-JOB-NOT-NOW");
        world.desk.resume_rollout(id, "operator").await.unwrap();
        assert_eq!(world.rolled_out(id).await.state(), RolloutState::Done);
        assert_eq!(touched(&world), (6, 0, 0));
        controller.stop().await;
    });
}

#[test]
fn a_cancelled_rollout_takes_its_wave_back_and_leaves_those_before_it() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 6);
        let controller = world.controller("c", Arc::clone(&world.store));
        let id = world.desk.start_rollout(&world.rollout(Shape::default())).await.unwrap();
        // The canary has soaked, the second wave runs what was asked and is watched.
        sleep(world.clock.as_ref(), Duration::from_secs(110)).await;
        assert_eq!(touched(&world), (5, 1, 1));
        world.desk.cancel_rollout(id, "operator", "the wrong week").await.unwrap();
        let rollout = world.rolled_out(id).await;
        assert_eq!((rollout.status(), rollout.state()), (JobStatus::Partial, RolloutState::Cancelled));
        assert_eq!(touched(&world), (1, 5, 1));
        controller.stop().await;
    });
}

#[test]
fn a_device_that_another_job_holds_is_waited_for_and_in_the_end_fails_its_wave() {
    for comes_free in [true, false] {
        in_virtual_time(async |time| {
            let world = World::new(&time, 3);
            let controller = world.controller("c", Arc::clone(&world.store));
            let mut other = world.request(Kind::Provision);
            other.targets = vec![other.targets[1]];
            let other = world.desk.start(&other, Some("somebody looks at it")).await.unwrap();
            let id = world.desk.start_rollout(&world.rollout(Shape::default())).await.unwrap();
            sleep(world.clock.as_ref(), Duration::from_secs(600)).await;
            assert_eq!(touched(&world), (2, 1, 1));
            if comes_free {
                world.desk.cancel(other, "operator", "looked").await.unwrap();
                assert_eq!(world.rolled_out(id).await.state(), RolloutState::Done);
                assert_eq!(touched(&world), (3, 0, 0));
            } else {
                let rollout = world.rolled_out(id).await;
                assert_eq!(rollout.phase, Phase::Ended(End::Back(Cause::Failed(vec![1]))));
                assert!(
                    matches!(&rollout.devices[1].forward, Progress::Settled(Outcome::Unchanged { code: Some(code), .. })
                    if code == "CW-JOB-BUSY")
                );
                assert_eq!(touched(&world), (1, 2, 1));
            }
            controller.stop().await;
        });
    }
}

#[test]
fn going_back_waits_for_no_window_no_budget_and_no_ledger() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 5);
        let controller = world.controller("c", Arc::clone(&world.store));
        let mut request = world.rollout(Shape { first: 5, ..Shape::default() });
        // Ten minutes from now on, once a week.
        let now = u16::try_from((DAY_MS / 60_000 + 3 * 1_440) % (7 * 1_440)).unwrap();
        request.windows = vec![Window { opens: now, minutes: 10 }];
        request.budget = Some(Budget { devices: 5, per_ms: 7 * 24 * HOUR_MS });
        request.soak = Soak { for_ms: HOUR_MS, settle_ms: 20 * 60_000, limit_ms: 2 * HOUR_MS, ..request.soak };
        let id = world.desk.start_rollout(&request).await.unwrap();
        sleep(world.clock.as_ref(), Duration::from_secs(900)).await;
        assert_eq!(touched(&world), (5, 0, 0));
        world.office.wrong.lock().unwrap().push_back((crate::fakes::Wrong::CheckAway, 1_000));
        world.oracles.0.lock().unwrap().insert(world.devices[3], Health::Bad("L2: 4 % lost".to_owned()));
        let rollout = world.rolled_out(id).await;
        assert_eq!(rollout.state(), RolloutState::RolledBack);
        assert_eq!(touched(&world), (0, 5, 0));
        assert!(rollout.changed_ms - DAY_MS < HOUR_MS, "{} s", (rollout.changed_ms - DAY_MS) / 1_000);
        controller.stop().await;
    });
}

#[test]
fn what_oracles_do_not_know_is_not_good() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 2);
        let controller = world.controller("c", Arc::clone(&world.store));
        let unknown = Health::Unknown("no fresh attestation".to_owned());
        world.oracles.0.lock().unwrap().insert(world.devices[0], unknown);
        let id = world.desk.start_rollout(&world.rollout(Shape::default())).await.unwrap();
        let rollout = world.rolled_out(id).await;
        assert!(matches!(&rollout.phase, Phase::Ended(End::Back(Cause::Unhealthy(why))) if why.contains("no fresh")));
        assert_eq!(touched(&world), (0, 2, 1));
        controller.stop().await;
    });
}

#[test]
fn a_rollout_that_makes_no_sense_is_refused_before_there_is_one() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 2);
        let whole = || world.rollout(Shape::default());
        let mut twice = whole();
        twice.targets[1] = twice.targets[0];
        let mut far = whole();
        far.targets[1].transport = Transport::EapiPush;
        let mut short = whole();
        short.windows = vec![Window { opens: 0, minutes: 1 }];
        let mut none = whole();
        none.budget = Some(Budget { devices: 0, per_ms: 1 });
        let mut often = whole();
        often.soak.look_ms = 1;
        let network = causeway_jobs::rollout::RolloutRequest { kind: Kind::NetworkChange, ..whole() };
        for (request, code, words) in [
            (twice, "CW-JOB-INVALID", "each once"),
            (far, "CW-JOB-UNSUPPORTED", "eapi-push"),
            (short, "CW-JOB-INVALID", "fits into one"),
            (none, "CW-JOB-INVALID", "at least one"),
            (often, "CW-JOB-INVALID", "looks"),
            (network, "CW-JOB-INVALID", "one job"),
        ] {
            let refused: AskError = world.desk.start_rollout(&request).await.unwrap_err();
            let cause = std::error::Error::source(&refused).map(ToString::to_string).unwrap_or_default();
            assert_eq!(refused.kind().code, code, "{refused}");
            assert!(format!("{refused} {cause}").contains(words), "{refused}: {cause}");
        }
        assert_eq!(world.store.list(Default::default(), 9).await.unwrap(), []);
    });
}

#[test]
fn jobs_and_rollouts_are_told_from_each_other_and_hostile_rows_stop_their_own() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 4);
        let one = |n: usize| {
            let mut request = world.rollout(Shape::default());
            request.targets = vec![request.targets[n]];
            request
        };
        let mut ids = Vec::new();
        for n in 0..4 {
            ids.push(world.desk.start_rollout(&one(n)).await.unwrap());
        }
        let first = world.store.events(ids[0], 0, MAX_PAGE).await.unwrap();
        assert!(is_rollout(&first[0].text));
        assert_eq!(world.desk.job(ids[0]).await.unwrap_err().kind().code, "CW-JOB-OTHER-KIND");
        let hostile = [
            r#"{"rollout":1,"at_ms":0,"event":{"made":{"place":9,"back":false,"job":1}}}"#,
            r#"{"rollout":2,"at_ms":0,"event":"from a newer one"}"#,
            r#"{"v":1,"at_ms":0,"event":{"claimed":{"holder":"x","token":1}}}"#,
        ];
        for (id, text) in ids.iter().zip(hostile) {
            let summary = world.desk.rollout(*id).await.unwrap().summary();
            let append = causeway_jobs::store::Append {
                job: *id,
                seq: 1,
                token: None,
                events: vec![text.to_owned()],
                artifacts: Vec::new(),
                summary,
            };
            world.store.append(append).await.unwrap();
        }
        let controller = world.controller("c", Arc::clone(&world.store));
        assert_eq!(world.rolled_out(ids[3]).await.state(), RolloutState::Done);
        let broken: BTreeSet<bool> = [
            world.store.job(ids[0]).await.unwrap().unwrap().broken.is_some(),
            world.store.job(ids[1]).await.unwrap().unwrap().broken.is_some(),
            world.store.job(ids[2]).await.unwrap().unwrap().broken.is_some(),
        ]
        .into();
        assert_eq!(broken, BTreeSet::from([true]));
        controller.stop().await;
    });
}
