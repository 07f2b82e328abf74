//! The real program on a real validator, through the SDK: from an empty ledger to an activated link and a drain.
//!
//! Needs the program's binary (`cargo xtask build-program`, or CAUSEWAY_PROGRAM_SO).

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    net::TcpListener,
    sync::Arc,
    time::{Duration, Instant},
};

use causeway_interface::{
    Code, DesiredStatus, DeviceHealth, DeviceStatus, DeviceType, ErrorCode, Key, LinkHealth, LinkStatus, LinkType,
    Platform, Prefix,
    accounts::Device,
    instruction::{
        ANY_SEQUENCE, CreateContributor, CreateDevice, CreateExchange, CreateLink, CreateLocation, Tag, Verdict,
    },
};
use causeway_localnet::{Localnet, LocalnetError, NetworkParams, Options, smallest_quorum};
use causeway_sdk::{
    DeviceRefs, Explain, Filter, Instructions, LedgerError, SendError, Sender, Submission, WatchConfig, Watcher,
    Window, address::to_key, predict,
};
use solana_sdk::{instruction::Instruction, signature::Keypair, signer::Signer};

#[path = "parts/history.rs"]
mod history;
#[path = "parts/lookup.rs"]
mod lookup;

/// Longest that anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Burn-ins, and the maximum age of a word, where subjects go through them: some seconds.
const SHORT_SLOTS: u64 = 40;
/// The same where words only have to land: longer than that takes on a machine that does other things as well.
const LONG_SLOTS: u64 = 2_000;

struct World {
    localnet: Localnet,
    sender: Sender,
    build: Instructions,
    owner: Arc<Keypair>,
    oracles: Vec<Arc<Keypair>>,
}

fn code(text: &str) -> Code {
    text.parse().unwrap()
}

impl World {
    async fn start() -> Self {
        Self::with_slots(SHORT_SLOTS).await
    }

    async fn with_slots(slots: u64) -> Self {
        let owner = Arc::new(Keypair::new());
        let oracles: Vec<_> = (0..3).map(|_| Arc::new(Keypair::new())).collect();
        let funded = oracles.iter().chain([&owner]).map(|k| (k.pubkey(), 1_000_000_000_000)).collect();
        let localnet = Localnet::start(Options { funded, ..Options::default() }).await.unwrap();
        let params = NetworkParams {
            burn_in_new_slots: slots,
            burn_in_maintenance_slots: slots,
            attestation_max_age_slots: slots,
            oracles: oracles.iter().map(|k| to_key(&k.pubkey())).collect(),
            quorum: smallest_quorum(3),
            ..NetworkParams::default()
        };
        localnet.init_network(&params).await.unwrap();
        let sender = localnet.sender();
        let build = Instructions::new(localnet.program_id());
        Self { localnet, sender, build, owner, oracles }
    }

    async fn by_authority(&self, instructions: Vec<Instruction>) -> Result<(), SendError> {
        let authority = self.localnet.authority();
        self.sender.send(Submission::new(instructions, authority)).await.map(drop)
    }

    async fn by_owner(&self, instructions: Vec<Instruction>) -> Result<(), SendError> {
        self.sender.send(Submission::new(instructions, &self.owner)).await.map(drop)
    }

    async fn registry(&self) {
        let authority = self.localnet.authority().pubkey();
        let owner =
            CreateContributor { code: code("acme"), owner: to_key(&self.owner.pubkey()), operations_key: Key::ZERO };
        let location = CreateLocation {
            code: code("ams"),
            name: "Amsterdam".parse().unwrap(),
            country: "NL".parse().unwrap(),
            lat_e6: 52_370_000,
            lng_e6: 4_890_000,
        };
        let exchange = CreateExchange {
            code: code("xams"),
            name: "Amsterdam".parse().unwrap(),
            country: "NL".parse().unwrap(),
            lat_e6: 52_370_000,
            lng_e6: 4_890_000,
            bgp_community: 100,
        };
        self.by_authority(vec![
            self.build.create_contributor(&authority, &authority, owner),
            self.build.create_location(&authority, &authority, location),
            self.build.create_exchange(&authority, &authority, exchange),
        ])
        .await
        .unwrap();
    }

    fn create_device(&self, name: &str, n: u32) -> Instruction {
        let mut dz_prefixes = [Prefix::NONE; 4];
        dz_prefixes[0] = Prefix::new(0xc613_0000 + 8 * n, 29);
        let data = CreateDevice {
            code: code(name),
            device_type: DeviceType::Hybrid,
            platform: Platform::Frr,
            public_ip: causeway_interface::Ip4::from_u32(0xc612_0000 + n),
            dz_prefix_count: 1,
            dz_prefixes,
            agent_key: Key([1; 32]),
            telemetry_key: Key([2; 32]),
            management_vrf: Default::default(),
            desired: DesiredStatus::Activated,
            skip_recipe: false,
        };
        self.build.create_device(&self.owner.pubkey(), &code("acme"), &code("ams"), &code("xams"), data)
    }

    /// Every oracle says the same of the subjects. A word that was too long on its way is lost: whoever burns in says it
    /// again.
    async fn attest(&self, verdicts: &[(Key, u8)]) {
        let slot = self.sender.ledger().slot().await.unwrap();
        let window =
            Window { epoch: 1, start_slot: slot.saturating_sub(5), end_slot: slot, evidence_root: Default::default() };
        let verdicts: Vec<_> =
            verdicts.iter().map(|(key, verdict)| (*key, Verdict { verdict: *verdict, failed: 0 })).collect();
        let attest = |oracle: &Arc<Keypair>| {
            Submission::new(vec![self.build.attest(&oracle.pubkey(), window, &verdicts)], oracle)
        };
        for result in self.sender.send_all(self.oracles.iter().map(attest).collect()).await {
            match result {
                Ok(_) | Err(SendError::Program { code: ErrorCode::WindowInvalid, .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    /// Attests and advances until the predicate holds.
    async fn burn_in(&self, verdicts: &[(Key, u8)], advance: &[Instruction], done: impl AsyncFn() -> bool) -> Duration {
        let began = Instant::now();
        loop {
            self.attest(verdicts).await;
            for instruction in advance {
                // Refused while there is nothing to do yet.
                match self.by_owner(vec![instruction.clone()]).await {
                    Ok(()) | Err(SendError::Program { .. }) => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
            if done().await {
                return began.elapsed();
            }
            assert!(began.elapsed() < PATIENCE, "the burn-in does not end");
        }
    }

    async fn device(&self, name: &str) -> Device {
        self.sender.ledger().device(&code(name)).await.unwrap()
    }

    fn key(&self, name: &str) -> Key {
        to_key(&self.build.addresses().device(&code(name)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_an_empty_ledger_to_a_drained_link() {
    let world = World::start().await;
    let ledger = world.sender.ledger().clone();
    let config = WatchConfig { reconcile_every: Duration::from_secs(5), gather: Duration::from_millis(50) };
    let watcher = Watcher::start(ledger.clone(), world.localnet.websocket_url(), config);
    world.registry().await;

    let creates = [world.create_device("a1", 1), world.create_device("z1", 2)];
    for result in world.sender.send_all(creates.map(|i| Submission::new(vec![i], &world.owner)).into()).await {
        result.unwrap();
    }
    let again = world.by_owner(vec![world.create_device("a1", 1)]).await.unwrap_err();
    assert_eq!(again.program_code(), Some(ErrorCode::AlreadyInitialized), "{again:?}");
    assert!(matches!(&again, SendError::Program { tag: Some(Tag::CreateDevice), logs, .. } if !logs.is_empty()));

    let refs = |device: &Device| DeviceRefs::of(world.build.addresses(), device);
    let (a, z) = (refs(&world.device("a1").await), refs(&world.device("z1").await));
    let owner = world.owner.pubkey();
    world
        .by_owner(vec![
            world.build.provision_device(&owner, &a, ANY_SEQUENCE),
            world.build.provision_device(&owner, &z, ANY_SEQUENCE),
        ])
        .await
        .unwrap();
    let stale = world.build.set_device_desired(&owner, &a, DesiredStatus::Activated, 1);
    let stale = world.by_owner(vec![stale]).await.unwrap_err();
    assert_eq!(stale.code(), "CW-6012", "{stale:?}");

    let data = CreateLink {
        code: code("a1-z1"),
        link_type: LinkType::Wan,
        interface_a: "eth3".parse().unwrap(),
        interface_z: "eth3".parse().unwrap(),
        bandwidth_bps: 100_000_000_000,
        mtu: 9_000,
        delay_ns: 5_000_000,
        jitter_ns: 10_000,
        desired: DesiredStatus::Activated,
    };
    world.by_owner(vec![world.build.create_link(&owner, &a, &z, data)]).await.unwrap();
    let snapshot = ledger.snapshot().await.unwrap();
    let link = snapshot.link_refs(&code("a1-z1")).unwrap();
    world.by_owner(vec![world.build.provision_link(&owner, &link, ANY_SEQUENCE)]).await.unwrap();

    // Devices to link provisioning, then the link, then the devices.
    let (a_key, z_key, link_key) = (world.key("a1"), world.key("z1"), to_key(&link.link));
    let advance_devices = [&a, &z].map(|r| world.build.advance_device(&owner, r, ANY_SEQUENCE));
    let advance_link = world.build.advance_link(&owner, &link, ANY_SEQUENCE);
    let users = DeviceHealth::ReadyForUsers.byte();
    let service = LinkHealth::ReadyForService.byte();
    let verdicts = [(a_key, users), (z_key, users), (link_key, service)];
    let all = [advance_devices.to_vec(), vec![advance_link.clone()]].concat();
    let took = world
        .burn_in(&verdicts, &all, async || {
            let snapshot = ledger.snapshot().await.unwrap();
            snapshot.devices.values().all(|d| d.header.status == DeviceStatus::Activated)
                && snapshot.links.values().all(|l| l.header.status == LinkStatus::Activated)
        })
        .await;
    eprintln!("activated in {took:?}");

    // What is predicted from a snapshot is what the ledger says: nothing to do.
    let snapshot = ledger.snapshot().await.unwrap();
    assert!(snapshot.undecodable.is_empty());
    let prediction = predict::link(&snapshot, &link_key, snapshot.slot).unwrap();
    assert!(!prediction.changes(), "{prediction:?}");
    assert_eq!(prediction.detail.tally.fresh, 3);

    // A drain takes effect in its own transaction.
    let contributor = link.a.contributor;
    let drain =
        world.build.set_link_desired(&owner, &contributor, &link.link, DesiredStatus::SoftDrained, ANY_SEQUENCE);
    world.by_owner(vec![drain, advance_link.clone()]).await.unwrap();
    assert_eq!(ledger.link(&code("a1-z1")).await.unwrap().header.status, LinkStatus::SoftDrained);

    // The watcher has seen it, and a filtered list finds it.
    let mut watched = watcher.receiver();
    let seen = watched.wait_for(|w| {
        let link = w.snapshot.as_ref().and_then(|s| s.links.get(&link_key));
        link.is_some_and(|l| l.header.status == LinkStatus::SoftDrained)
    });
    tokio::time::timeout(Duration::from_secs(20), seen).await.unwrap().unwrap();
    let drained = Filter { status: Some(LinkStatus::SoftDrained.byte()), ..Filter::default() };
    let listed = ledger.list::<causeway_interface::accounts::Link>(drained).await.unwrap();
    assert!(listed.items.contains_key(&link_key) && listed.undecodable.is_empty());
    let none = Filter { status: Some(LinkStatus::Rejected.byte()), ..Filter::default() };
    assert!(ledger.list::<causeway_interface::accounts::Link>(none).await.unwrap().items.is_empty());

    // History tells it from the ledger's own events, newest first.
    let history = ledger.history(&link_key, 100).await.unwrap();
    let statuses: Vec<u8> = history.entries.iter().flat_map(|e| e.events.iter().rev()).map(|e| e.to.status).collect();
    assert_eq!(statuses.first(), Some(&LinkStatus::SoftDrained.byte()), "{history:?}");
    assert_eq!(statuses.last(), Some(&LinkStatus::Pending.byte()), "{history:?}");

    assert!(matches!(ledger.device(&code("nobody")).await, Err(LedgerError::NotFound { .. })));
    let poor = Arc::new(Keypair::new());
    let unpaid = world.build.advance_link(&poor.pubkey(), &link, ANY_SEQUENCE);
    let unpaid = world.sender.send(Submission::new(vec![unpaid], &poor)).await.unwrap_err();
    assert_eq!(unpaid.code(), "CW-SEND-UNFUNDED", "{unpaid:?}");
    assert!(world.sender.transactions() > 10);
    drop(watcher);
    world.localnet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_creations_land_and_are_counted() {
    let world = World::start().await;
    world.registry().await;
    let owner = &world.owner;
    let one = Instant::now();
    world.by_owner(vec![world.create_device("first", 1_000)]).await.unwrap();
    let latency = one.elapsed();

    let submissions =
        (0..200).map(|n| Submission::new(vec![world.create_device(&format!("d{n}"), n)], owner)).collect();
    let before = world.sender.transactions();
    let (began, first_slot) = (Instant::now(), world.sender.ledger().slot().await.unwrap());
    let results = world.sender.send_all(submissions).await;
    let took = began.elapsed();
    let slots = world.sender.ledger().slot().await.unwrap() - first_slot;
    for result in results {
        result.unwrap();
    }
    assert_eq!(world.sender.transactions() - before, 200);
    assert_eq!(world.sender.ledger().snapshot().await.unwrap().devices.len(), 201);
    eprintln!(
        "one create confirmed in {latency:?}; 200 in {took:?}: {:.0}/s; slot time {:?}",
        200.0 / took.as_secs_f64(),
        took / u32::try_from(slots.max(1)).unwrap()
    );
    world.localnet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_run_side_by_side_and_leave_nothing_behind() {
    let (one, two) = tokio::join!(Localnet::start(Options::default()), Localnet::start(Options::default()));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_ne!(one.rpc_url(), two.rpc_url());
    one.init_network(&NetworkParams::default()).await.unwrap();
    assert!(one.ledger().network().await.is_ok());
    assert_eq!(two.ledger().network().await.unwrap_err().code(), "CW-NETWORK-MISSING");
    let keys: Vec<_> = (0..100).map(|_| Keypair::new().pubkey()).collect();
    two.fund(&keys, 5_000_000).await.unwrap();
    assert_eq!(two.ledger().balance(&to_key(&keys[99])).await.unwrap(), 5_000_000);

    let folders = [one.folder().to_owned(), two.folder().to_owned()];
    let url = one.rpc_url().to_owned();
    assert!(folders.iter().all(|f| f.is_dir()));
    tokio::join!(one.stop(), two.stop());
    assert!(!folders.iter().any(|f| f.exists()));
    let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
    assert!(TcpListener::bind(("127.0.0.1", port)).is_ok(), "the port is free again");
}

#[tokio::test]
async fn a_taken_port_and_a_missing_program_are_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = Localnet::start(Options { rpc_port: Some(port), ..Options::default() }).await.unwrap_err();
    assert!(matches!(error, LocalnetError::PortInUse { port: named } if named == port), "{error:?}");
    assert_eq!(error.code(), "CW-LOCALNET-PORT-IN-USE");

    let missing = Options { program: Some("/nonexistent/program.so".into()), ..Options::default() };
    let error = Localnet::start(missing).await.unwrap_err();
    assert_eq!(error.code(), "CW-LOCALNET-PROGRAM-MISSING");
    assert!(error.remedy().contains("cargo xtask build-program"));
}
