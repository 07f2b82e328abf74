//! Several controllers on one store: a job is worked on where its devices are.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use causeway_interface::Code;
use causeway_jobs::{
    adapter::{
        agent_pull::AgentPull,
        memory::{Fault, Op},
    },
    clock::sleep,
    event::{Event, Recorded},
    runner::near::Reach,
    spec::{JobId, Kind, Transport},
    status::{JobStatus, State},
    store::MAX_PAGE,
};

use crate::{
    agents::ModelPort,
    fakes::CutStore,
    world::{Controller, World, in_virtual_time, policy, registry},
};

/// What a controller says that it reaches.
#[derive(Default)]
struct FakeReach(Mutex<BTreeSet<Code>>);

impl Reach for FakeReach {
    fn is_here(&self, device: &Code) -> bool {
        self.0.lock().unwrap().contains(device)
    }
}

impl FakeReach {
    fn comes(&self, device: &Code) {
        self.0.lock().unwrap().insert(*device);
    }

    fn goes(&self, device: &Code) {
        self.0.lock().unwrap().remove(device);
    }
}

/// Two controllers on one store, and what each reaches.
struct Two {
    world: World,
    reach: [Arc<FakeReach>; 2],
    controllers: Vec<Controller>,
}

impl Two {
    fn new(world: World) -> Self {
        let reach = [Arc::new(FakeReach::default()), Arc::new(FakeReach::default())];
        let begin = |(name, reach): (&str, &Arc<FakeReach>)| {
            let store = CutStore::shared(Arc::clone(&world.store));
            world.controller_at(name, store, Some(Arc::clone(reach) as Arc<dyn Reach>))
        };
        let controllers = ["a", "b"].into_iter().zip(&reach).map(begin).collect();
        Self { world, reach, controllers }
    }

    async fn start(&self, kind: Kind) -> JobId {
        self.world.desk.start(&self.world.request(kind), None).await.unwrap()
    }

    async fn holders(&self, id: JobId) -> Vec<(String, u64)> {
        holders(&self.world, id).await
    }

    async fn pass(&self, seconds: u64) {
        sleep(self.world.clock.as_ref(), Duration::from_secs(seconds)).await;
    }

    async fn stop(self) {
        for controller in self.controllers {
            controller.stop().await;
        }
    }
}

/// Who had the job, one after the other, and when.
async fn holders(world: &World, id: JobId) -> Vec<(String, u64)> {
    let rows = world.store.events(id, 0, MAX_PAGE).await.unwrap();
    let events = rows.iter().map(|row| Recorded::decode(id, row.seq, &row.text).unwrap());
    let claimed = events.filter_map(|recorded| match recorded.event {
        Event::Claimed { holder, .. } => Some((holder, recorded.at_ms)),
        _ => None,
    });
    claimed.collect()
}

#[test]
fn a_job_is_taken_by_the_controller_that_its_device_is_at_and_follows_it() {
    in_virtual_time(async |time| {
        let two = Two::new(World::new(&time, 1));
        let device = two.world.devices[0];
        two.reach[1].comes(&device);
        let id = two.start(Kind::Provision).await;
        let job = two.world.settled(id).await;
        assert_eq!(job.status(), JobStatus::Provisioned);
        let holders = two.holders(id).await;
        assert_eq!(holders.len(), 1, "{holders:?}");
        assert!(holders[0].0 == "b" && holders[0].1 - job.started_ms < 10_000, "{holders:?}");

        // Its commit gets no answer, and meanwhile the device goes to the other one.
        two.world.fleet.with(&device, |device| device.fault(Op::Commit, Fault::Hang, 1_000)).unwrap();
        let id = two.start(Kind::Revert).await;
        two.pass(6).await;
        two.reach[1].goes(&device);
        // Away for a moment is not gone.
        two.pass(10).await;
        two.reach[1].comes(&device);
        two.pass(15).await;
        assert_eq!(two.holders(id).await.len(), 1);
        two.stop().await;
    });
}

#[test]
fn a_job_whose_device_goes_to_another_controller_is_let_go_of_and_ended_there() {
    in_virtual_time(async |time| {
        let two = Two::new(World::new(&time, 1));
        let device = two.world.devices[0];
        two.reach[0].comes(&device);
        two.world.fleet.with(&device, |device| device.fault(Op::Commit, Fault::DoAndHang, 1)).unwrap();
        let id = two.start(Kind::Provision).await;
        two.pass(6).await;
        let moved_ms = two.world.clock.now_ms();
        two.reach[0].goes(&device);
        two.reach[1].comes(&device);
        // The step that hangs is waited for; nothing of it is done twice.
        two.world.fleet.with(&device, |device| device.fault(Op::Standing, Fault::Hang, 2)).unwrap();
        let job = two.world.settled(id).await;
        assert_eq!((job.status(), job.state()), (JobStatus::Provisioned, State::Done));
        let holders = two.holders(id).await;
        let names: Vec<&str> = holders.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        let took_ms = holders[1].1 - moved_ms;
        assert!((20_000..40_000).contains(&took_ms), "{took_ms} ms");
        two.stop().await;
    });
}

#[test]
fn what_nobody_reaches_whole_is_anybodys_after_a_while() {
    for devices in [1, 2] {
        in_virtual_time(async |time| {
            let two = Two::new(World::new(&time, devices));
            if devices == 2 {
                // Each at another one.
                two.reach[0].comes(&two.world.devices[0]);
                two.reach[1].comes(&two.world.devices[1]);
            }
            let id = two.start(if devices == 2 { Kind::NetworkChange } else { Kind::Provision }).await;
            two.pass(44).await;
            assert!(two.holders(id).await.is_empty());
            let job = two.world.settled(id).await;
            assert_eq!(job.status(), JobStatus::Provisioned);
            let holders = two.holders(id).await;
            assert_eq!(holders.len(), 1, "{holders:?}");
            assert!((45_000..60_000).contains(&(holders[0].1 - job.started_ms)), "{holders:?}");
            two.stop().await;
        });
    }
}

#[test]
fn who_has_no_way_to_a_device_leaves_its_job_to_those_who_have() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 1);
        let agents = AgentPull::new(ModelPort::new(world.fleet.clone()), Arc::clone(&world.clock));
        let with_agents = registry(&world.fleet).over(Arc::new(agents));
        let mut world = world.reached_by(with_agents.clone(), policy());
        let mut request = world.request(Kind::Provision);
        request.targets.iter_mut().for_each(|target| target.transport = Transport::AgentPull);
        let id = world.desk.start(&request, None).await.unwrap();

        world.registry = registry(&world.fleet);
        let begin = |world: &World, name: &str, reach: &Arc<FakeReach>| {
            let store = CutStore::shared(Arc::clone(&world.store));
            world.controller_at(name, store, Some(Arc::clone(reach) as Arc<dyn Reach>))
        };
        let without = begin(&world, "without", &Arc::default());
        sleep(world.clock.as_ref(), Duration::from_secs(200)).await;
        assert!(holders(&world, id).await.is_empty());
        world.registry = with_agents;
        let reach = Arc::new(FakeReach::default());
        reach.comes(&world.devices[0]);
        let with = begin(&world, "with", &reach);
        assert_eq!(world.settled(id).await.status(), JobStatus::Provisioned);
        let names: Vec<String> = holders(&world, id).await.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["with"]);
        without.stop().await;
        with.stop().await;
    });
}
