//! A device's whole history on a real validator, against what was noted while it happened.

use base64::{Engine, prelude::BASE64_STANDARD};
use causeway_interface::{
    AccountType, RejectReason,
    event::{EVENT_VERSION, Event, Triple},
};
use causeway_sdk::events;
use solana_sdk::pubkey::Pubkey;

use super::*;

/// Writes its data into the log, whatever it is.
const MEMO: Pubkey = Pubkey::from_str_const("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");

/// One transition as it was seen when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Noted {
    tag: Tag,
    to: Triple,
    sequence: u64,
    actor: Key,
    signature: String,
}

struct Chronicle<'a> {
    world: &'a World,
    refs: DeviceRefs,
    noted: Vec<Noted>,
}

impl Chronicle<'_> {
    /// Sends one transition of the device and notes it, with the state that the ledger holds then.
    async fn does(&mut self, tag: Tag, who: &Arc<Keypair>, instructions: Vec<Instruction>) {
        let receipt = self.world.sender.send(Submission::new(instructions, who)).await.unwrap();
        let (to, sequence) = match self.world.sender.ledger().device(&code("a1")).await {
            Ok(device) => {
                let header = &device.header;
                let (status, health, desired) = (header.status.byte(), header.health.byte(), header.desired.byte());
                (Triple { status, health, desired }, header.sequence)
            }
            // Closed: the event's sequence is one more than the last.
            Err(LedgerError::NotFound { .. }) => {
                (Triple { status: 0, health: 0, desired: 0 }, self.noted.last().map_or(0, |noted| noted.sequence) + 1)
            }
            Err(error) => panic!("{error:?}"),
        };
        let (actor, signature) = (to_key(&who.pubkey()), receipt.signature.to_string());
        self.noted.push(Noted { tag, to, sequence, actor, signature });
    }

    /// All oracles hold the device to be ready for links until the program does; the `Advance` that says so is noted.
    async fn becomes_ready_for_links(&mut self) {
        let began = Instant::now();
        let key = to_key(&self.refs.device);
        loop {
            self.world.attest(&[(key, DeviceHealth::ReadyForLinks.byte())]).await;
            let ledger = self.world.sender.ledger();
            let snapshot = ledger.snapshot().await.unwrap();
            if predict::device(&snapshot, &key, snapshot.slot).unwrap().changes() {
                let oracle = self.world.oracles[1].clone();
                let advance = self.world.build.advance_device(&oracle.pubkey(), &self.refs, ANY_SEQUENCE);
                self.does(Tag::Advance, &oracle, vec![advance]).await;
            }
            if self.world.device("a1").await.header.status == DeviceStatus::LinkProvisioning {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "the burn-in does not end");
        }
    }
}

fn forged(subject: Key, program: &Pubkey) -> Instruction {
    let triple = Triple { status: 1, health: 3, desired: 1 };
    let event = Event {
        version: EVENT_VERSION,
        kind: Tag::Advance.byte(),
        subject_type: AccountType::Device,
        subject,
        from: triple.clone(),
        to: triple,
        actor: Key([9; 32]),
        sequence: 77,
        slot: 1,
        detail: 0,
    };
    let line = BASE64_STANDARD.encode(borsh::to_vec(&event).unwrap());
    let text = format!("x\nProgram {program} invoke [1]\nProgram data: {line}\nProgram {program} success");
    Instruction { program_id: MEMO, accounts: vec![], data: text.into_bytes() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_devices_history_is_all_that_happened_to_it_and_nothing_else() {
    let world = World::start().await;
    world.registry().await;
    let (owner, authority) = (world.owner.clone(), world.localnet.authority().clone());
    let refs = DeviceRefs::by_codes(world.build.addresses(), &code("a1"), &code("acme"), &code("ams"), &code("xams"));
    let (key, program) = (to_key(&refs.device), world.localnet.program_id());
    let mut life = Chronicle { world: &world, refs, noted: Vec::new() };

    life.does(Tag::CreateDevice, &owner, vec![world.create_device("a1", 1)]).await;
    // Failed ones, on the ledger and not only in simulation: nothing happened.
    let again = Submission::new(vec![world.create_device("a1", 1)], &owner).with_compute_units(100_000);
    let error = world.sender.send(again).await.unwrap_err();
    assert!(matches!(error, SendError::Program { signature: Some(_), .. }), "{error:?}");
    // Others' transactions that only read the same places are no part of it.
    world.by_owner(vec![world.create_device("a2", 2)]).await.unwrap();
    let provision = world.build.provision_device(&owner.pubkey(), &refs, ANY_SEQUENCE);
    life.does(Tag::ProvisionDevice, &owner, vec![forged(key, &program), provision, forged(key, &program)]).await;
    life.becomes_ready_for_links().await;
    let reject = world.build.reject_device(&authority.pubkey(), &refs.device, RejectReason::Policy, ANY_SEQUENCE);
    life.does(Tag::RejectDevice, &authority, vec![reject]).await;
    let delete = world.build.delete_device(&owner.pubkey(), &refs, ANY_SEQUENCE);
    life.does(Tag::DeleteDevice, &owner, vec![delete]).await;
    let close = world.build.close_device(&owner.pubkey(), &refs, &owner.pubkey(), ANY_SEQUENCE);
    life.does(Tag::CloseDevice, &owner, vec![close]).await;
    life.does(Tag::CreateDevice, &owner, vec![world.create_device("a1", 3)]).await;

    let ledger = world.sender.ledger();
    let history = ledger.history(&key, 100).await.unwrap();
    assert!(!history.truncated);
    let mut read = Vec::new();
    for entry in &history.entries {
        assert!(entry.complete, "{entry:?}");
        assert!(entry.time.is_some_and(|time| time > 1_700_000_000), "{entry:?}");
        for event in &entry.events {
            assert_eq!((event.slot, event.subject), (entry.slot, key));
            let tag = Tag::from_byte(event.kind).unwrap();
            let (to, sequence, actor) = (event.to.clone(), event.sequence, event.actor);
            read.push(Noted { tag, to, sequence, actor, signature: entry.signature.clone() });
        }
    }
    read.reverse();
    assert_eq!(read, life.noted);
    let healths = |noted: &[Noted]| noted.iter().filter(|n| n.tag == Tag::Advance).count();
    assert!(healths(&life.noted) >= 1, "{:?}", life.noted);
    let slots: Vec<u64> = history.entries.iter().map(|entry| entry.slot).collect();
    assert!(slots.is_sorted_by(|a, b| a >= b), "newest first: {slots:?}");

    // Each transition goes on where the one before it ended, except where the device was closed.
    let all: Vec<_> = history.entries.iter().rev().flat_map(|entry| &entry.events).collect();
    for pair in all.windows(2) {
        assert_eq!(pair[0].to, pair[1].from, "{pair:?}");
        let closed = pair[0].kind == Tag::CloseDevice.byte();
        assert!(closed || pair[1].sequence > pair[0].sequence, "{pair:?}");
    }

    // The forged lines are in the log, and another program's.
    let provisioned = &life.noted[1].signature;
    let logs = ledger.logs(&provisioned.parse().unwrap()).await.unwrap();
    assert_eq!(logs.iter().filter(|line| line.contains("nProgram data: ")).count(), 2, "{logs:?}");
    let log = events::read(&program, &logs);
    assert!(log.complete && log.events.iter().all(|event| event.sequence != 77));

    // Page by page it is the same, and a limit keeps the newest.
    for page in [1, 2, 3] {
        assert_eq!(ledger.history_in_pages(&key, 100, page, 1_000).await.unwrap(), history);
    }
    let few = ledger.history(&key, 2).await.unwrap();
    assert!(few.truncated);
    assert_eq!(few.entries, history.entries[..2]);
    let bounded = ledger.history_in_pages(&key, 100, 2, 4).await.unwrap();
    assert!(bounded.truncated && history.entries.starts_with(&bounded.entries));
    let nothing = ledger.history(&world.key("nobody"), 10).await.unwrap();
    assert!(nothing.entries.is_empty() && !nothing.truncated);
    world.localnet.stop().await;
}

/// A log that the ledger cut off is said to be, and what is missing from it is not made up.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_cut_off_is_said_to_be() {
    let world = World::start().await;
    world.registry().await;
    // A memo leaves four lines, some 240 bytes in all: 45 of them are more than the ledger keeps.
    let memo = Instruction { program_id: MEMO, accounts: vec![], data: b"memo".to_vec() };
    let mut instructions = vec![memo; 45];
    instructions.push(world.create_device("a1", 1));
    world.by_owner(instructions).await.unwrap();
    let history = world.sender.ledger().history(&world.key("a1"), 10).await.unwrap();
    let [entry] = history.entries.as_slice() else { panic!("{history:?}") };
    assert!(!entry.complete && entry.events.is_empty(), "{entry:?}");
    world.localnet.stop().await;
}
