//! Approvals of jobs and rollouts: nothing begins before everybody agreed who has to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use causeway_interface::{Code, Key};
use causeway_jobs::{
    approval::{ApprovalPolicy, Role, Roles, Rule},
    clock::sleep,
    desk::Desk,
    error::{self, StepError, Trouble},
    metrics::JobMetrics,
    rollout::{RolloutRequest, RolloutState, Shape},
    spec::{JobId, Kind},
    status::{JobStatus, State},
};
use futures::future::BoxFuture;
use prometheus_client::registry::Registry as Prometheus;

use crate::world::{World, in_virtual_time, policy};

const DAY: Duration = Duration::from_secs(86_400);

const fn key(n: u8) -> Key {
    Key([n; 32])
}
const PROPOSER: Key = key(1);
const OWNER: Key = key(2);
const AUTHORITY: Key = key(3);
const STRANGER: Key = key(4);

/// Roles as a test says.
#[derive(Default)]
struct FakeRoles {
    of: BTreeMap<Key, BTreeSet<Role>>,
    is_away: bool,
}

impl Roles for FakeRoles {
    fn roles<'a>(&'a self, key: &'a Key, devices: &'a [Code]) -> BoxFuture<'a, Result<BTreeSet<Role>, StepError>> {
        Box::pin(async move {
            assert!(!devices.is_empty());
            if self.is_away {
                return Err(error::LEDGER_AWAY.transient(Trouble::Network, "on demand"));
            }
            Ok(self.of.get(key).cloned().unwrap_or_default())
        })
    }
}

fn desk(world: &World, is_away: bool) -> Desk {
    let rule = |kinds: &[Kind], devices, approvals| Rule {
        kinds: kinds.iter().copied().collect(),
        devices,
        approvals,
        roles: [Role::Owner, Role::Authority].into(),
        glass: [Role::Authority].into(),
        expires_ms: 24 * 3_600_000,
    };
    let rules = vec![rule(&[Kind::Decommission], 1, 1), rule(&[Kind::Provision, Kind::NetworkChange], 2, 2)];
    let of = [(PROPOSER, [Role::Owner].into()), (OWNER, [Role::Owner].into()), (AUTHORITY, [Role::Authority].into())];
    let roles = FakeRoles { of: of.into(), is_away };
    let desk = Desk::new(Arc::clone(&world.store), world.registry.clone(), policy(), Arc::clone(&world.clock), None);
    desk.approved_by(ApprovalPolicy { rules }, Arc::new(roles))
}

fn untouched(world: &World) -> bool {
    world.devices.iter().all(|device| world.fleet.with(device, |d| d.done.is_empty()).unwrap())
}

#[test]
fn a_job_that_needs_an_approval_does_not_begin_before_it() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 1);
        let desk = desk(&world, false);
        let controller = world.controller("c", Arc::clone(&world.store));
        let request = world.request(Kind::Decommission);
        let nobody = desk.start(&request, None).await.unwrap_err();
        assert_eq!(nobody.kind().code, "CW-JOB-PROPOSER-UNKNOWN");
        let id = desk.propose(&request, Some(PROPOSER), None).await.unwrap();
        sleep(world.clock.as_ref(), DAY / 2).await;
        let job = desk.job(id).await.unwrap();
        assert_eq!(
            (job.status(), job.state(), job.next_seq),
            (JobStatus::NotProvisioned, State::WaitingForApproval, 1)
        );
        for (key, words) in [(PROPOSER, "can not approve it"), (STRANGER, "none of the roles")] {
            let refused = desk.approve(id, key, "looks good").await.unwrap_err();
            assert_eq!(refused.kind().code, "CW-JOB-APPROVAL-REFUSED");
            assert!(refused.to_string().contains(words), "{refused}");
        }
        assert!(untouched(&world));
        desk.approve(id, OWNER, "looks good").await.unwrap();
        let job = world.settled(id).await;
        assert_eq!(job.status(), JobStatus::Provisioned);
        assert_eq!(job.approvals.unwrap().given, BTreeMap::from([(OWNER, Role::Owner)]));
        // A dry run is free.
        desk.start(&world.request(Kind::DryRun), None).await.unwrap();
        controller.stop().await;
    });
}

#[test]
fn what_nobody_approves_in_time_is_cancelled_and_gives_its_devices_up() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 3);
        let desk = desk(&world, false);
        let controller = world.controller("c", Arc::clone(&world.store));
        let id = desk.propose(&world.request(Kind::NetworkChange), Some(PROPOSER), None).await.unwrap();
        desk.approve(id, OWNER, "one of two").await.unwrap();
        let rollout = RolloutRequest { proposer: Some(PROPOSER), ..world.rollout(Shape::default()) };
        let rollout = desk.start_rollout(&rollout).await.unwrap();
        sleep(world.clock.as_ref(), DAY - Duration::from_secs(60)).await;
        assert_eq!(desk.job(id).await.unwrap().state(), State::WaitingForApproval);
        sleep(world.clock.as_ref(), Duration::from_secs(180)).await;
        let job = world.settled(id).await;
        assert_eq!((job.status(), job.state()), (JobStatus::NotProvisioned, State::Cancelled));
        assert!(format!("{:?}", job.phase).contains("CW-JOB-APPROVAL-EXPIRED"));
        assert_eq!(world.store.holder_of(world.devices[0]).await.unwrap(), None);
        assert_eq!(world.rolled_out(rollout).await.state(), RolloutState::Cancelled);
        assert!(untouched(&world));
        controller.stop().await;
    });
}

#[test]
fn the_glass_is_broken_by_who_may_and_it_is_recorded_and_counted() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 1);
        let mut prometheus = Prometheus::default();
        let desk = desk(&world, false).counted(JobMetrics::register(&mut prometheus));
        let controller = world.controller("c", Arc::clone(&world.store));
        let id = desk.propose(&world.request(Kind::Decommission), Some(AUTHORITY), None).await.unwrap();
        let refused = desk.break_glass(id, OWNER, "it burns").await.unwrap_err();
        assert_eq!(refused.kind().code, "CW-JOB-APPROVAL-REFUSED");
        assert!(untouched(&world));
        desk.break_glass(id, AUTHORITY, "it burns").await.unwrap();
        let job = world.settled(id).await;
        assert_eq!(job.status(), JobStatus::Provisioned);
        let glass = job.approvals.unwrap().glass.unwrap();
        assert_eq!((glass.key, glass.role, glass.reason.as_str()), (AUTHORITY, Role::Authority, "it burns"));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &prometheus).unwrap();
        assert!(text.contains("causeway_job_glass_broken_total 1"), "{text}");
        controller.stop().await;
    });
}

#[test]
fn a_retry_of_what_went_back_has_to_be_approved_anew() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 1);
        let desk = desk(&world, false);
        let controller = world.controller("c", Arc::clone(&world.store));
        world.fleet.with(&world.devices[0], |d| d.problems = vec!["no adjacency on eth1".to_owned()]).unwrap();
        let id = desk.propose(&world.request(Kind::Decommission), Some(PROPOSER), None).await.unwrap();
        desk.approve(id, OWNER, "yes").await.unwrap();
        assert_eq!(world.settled(id).await.state(), State::RolledBack);
        world.fleet.with(&world.devices[0], |d| d.mend()).unwrap();
        let job = desk.retry(id, &[], "operator").await.unwrap();
        assert_eq!(job.state(), State::WaitingForApproval);
        desk.approve(id, AUTHORITY, "once more").await.unwrap();
        assert_eq!(world.settled(id).await.status(), JobStatus::Provisioned);
        controller.stop().await;
    });
}

#[test]
fn a_rollout_waits_for_its_approvals_and_its_jobs_need_none() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 3);
        let desk = desk(&world, false);
        let controller = world.controller("c", Arc::clone(&world.store));
        let request = RolloutRequest { proposer: Some(PROPOSER), ..world.rollout(Shape::default()) };
        let id = desk.start_rollout(&request).await.unwrap();
        desk.approve_rollout(id, OWNER, "one").await.unwrap();
        sleep(world.clock.as_ref(), DAY / 2).await;
        assert_eq!(desk.rollout(id).await.unwrap().state(), RolloutState::WaitingForApproval);
        assert!(untouched(&world));
        let own = desk.approve_rollout(id, PROPOSER, "mine").await.unwrap_err();
        assert_eq!(own.kind().code, "CW-JOB-APPROVAL-REFUSED");
        desk.approve_rollout(id, AUTHORITY, "two").await.unwrap();
        assert_eq!(world.rolled_out(id).await.state(), RolloutState::Done);
        controller.stop().await;
    });
}

#[test]
fn without_the_ledger_nobody_has_a_role() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 1);
        let id: JobId =
            desk(&world, true).propose(&world.request(Kind::Decommission), Some(PROPOSER), None).await.unwrap();
        let away = desk(&world, true).approve(id, OWNER, "yes").await.unwrap_err();
        assert_eq!(away.kind().code, "CW-JOB-LEDGER-AWAY");
        let none = world.desk.approve(id, OWNER, "yes").await.unwrap_err();
        assert_eq!(none.kind().code, "CW-JOB-APPROVAL-REFUSED");
    });
}
