//! Those who wish a network ill: an oracle that says what it likes, and somebody who can't wait.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use causeway_health_oracle::Kind;
use causeway_interface::{
    Code, DeviceHealth, Digest, LinkHealth,
    instruction::{ANY_SEQUENCE, Verdict},
};
use causeway_sdk::{DeviceRefs, Instructions, Ledger, LinkRefs, Sender, Snapshot, Submission, Window};
use solana_client::rpc_config::RpcSendTransactionConfig;
use solana_sdk::{
    instruction::Instruction,
    signature::{Keypair, Signature},
    signer::Signer,
    transaction::Transaction,
};
use tokio::{sync::watch, task::JoinHandle};

/// Time between the words of a liar.
const EVERY: Duration = Duration::from_secs(1);
/// Compute units that any `Attest` of six subjects stays below.
const UNITS: u32 = 100_000;
/// Slots that a liar claims to have looked at.
const CLAIMED_SLOTS: u64 = 100;
/// Time between two looks for a new blockhash: there is one in each slot of 100 ms.
const BLOCKHASH_EVERY: Duration = Duration::from_millis(40);

/// What a liar says of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// The best level that there is.
    AlwaysGood,
    /// Impaired.
    AlwaysBad,
}

/// An oracle of the set that looks at nothing and says the same of every device and link, each second.
pub struct FakeLiar {
    lie: watch::Sender<Lie>,
    task: JoinHandle<()>,
}

impl Drop for FakeLiar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeLiar {
    pub fn start(sender: Sender, key: Arc<Keypair>, lie: Lie) -> Self {
        let (told, heard) = watch::channel(lie);
        let task = tokio::spawn(async move {
            let build = Instructions::new(sender.ledger().addresses().program_id);
            let mut ticks = tokio::time::interval(EVERY);
            loop {
                ticks.tick().await;
                let Ok(snapshot) = sender.ledger().snapshot().await else { continue };
                let lie = *heard.borrow();
                let attest = attest(&build, &snapshot, &key, lie);
                // Not awaited: a liar does not wait for anything.
                let sender = sender.clone();
                let submission = Submission::new(vec![attest], &key).with_compute_units(UNITS);
                tokio::spawn(async move { sender.send(submission).await });
            }
        });
        Self { lie: told, task }
    }

    /// From the next word on.
    pub fn says(&self, lie: Lie) {
        self.lie.send_replace(lie);
    }
}

fn attest(build: &Instructions, snapshot: &Snapshot, key: &Keypair, lie: Lie) -> Instruction {
    let (device, link) = match lie {
        Lie::AlwaysGood => (DeviceHealth::ReadyForUsers.byte(), LinkHealth::ReadyForService.byte()),
        Lie::AlwaysBad => (DeviceHealth::Impaired.byte(), LinkHealth::Impaired.byte()),
    };
    let word = |verdict| Verdict { verdict, failed: 0 };
    let devices = snapshot.devices.keys().map(|key| (*key, word(device)));
    let words: Vec<_> = devices.chain(snapshot.links.keys().map(|key| (*key, word(link)))).collect();
    let window = Window {
        epoch: snapshot.network.as_ref().unwrap().oracle_epoch,
        start_slot: snapshot.slot.saturating_sub(CLAIMED_SLOTS),
        end_slot: snapshot.slot,
        evidence_root: Digest([0xee; 32]),
    };
    build.attest(&key.pubkey(), window, &words)
}

/// Signatures of what was sent, by the subject that it advances.
type Sent = BTreeMap<(Kind, Code), Vec<Signature>>;

/// Sends an `Advance` of every subject in every slot, as anyone may, so that what can move moves in the first slot in which
/// it can.
pub struct FakeImpatient {
    sent: Arc<Mutex<Sent>>,
    task: JoinHandle<()>,
}

impl Drop for FakeImpatient {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeImpatient {
    pub fn start(ledger: Ledger, key: Arc<Keypair>) -> Self {
        let sent = Arc::new(Mutex::new(Sent::new()));
        let noted = sent.clone();
        let task = tokio::spawn(async move {
            let snapshot = ledger.snapshot().await.unwrap();
            let advances = advances(&snapshot, &key);
            let config = RpcSendTransactionConfig { skip_preflight: true, max_retries: Some(0), ..Default::default() };
            let mut last = None;
            loop {
                tokio::time::sleep(BLOCKHASH_EVERY).await;
                let Ok(blockhash) = ledger.rpc().get_latest_blockhash().await else { continue };
                // A signature of its own in each slot: the same blockhash would make the same transaction.
                if last.replace(blockhash) == Some(blockhash) {
                    continue;
                }
                for (subject, instruction) in &advances {
                    let payer = key.pubkey();
                    let signed = Transaction::new_signed_with_payer(
                        std::slice::from_ref(instruction),
                        Some(&payer),
                        &[&*key],
                        blockhash,
                    );
                    if let Ok(signature) = ledger.rpc().send_transaction_with_config(&signed, config).await {
                        noted.lock().unwrap().entry(*subject).or_default().push(signature);
                    }
                }
            }
        });
        Self { sent, task }
    }

    /// What was sent for a subject.
    pub fn sent(&self, subject: &(Kind, Code)) -> Vec<Signature> {
        self.sent.lock().unwrap().get(subject).cloned().unwrap_or_default()
    }
}

fn advances(snapshot: &Snapshot, key: &Keypair) -> Vec<((Kind, Code), Instruction)> {
    let addresses = snapshot.addresses();
    let build = Instructions::new(addresses.program_id);
    let payer = key.pubkey();
    let devices = snapshot.devices.values().map(|device| {
        let refs = DeviceRefs::of(&addresses, device);
        ((Kind::Device, device.code), build.advance_device(&payer, &refs, ANY_SEQUENCE))
    });
    let links = snapshot.links.values().map(|link| {
        let refs = LinkRefs::of(&addresses, &snapshot.link_context(link).unwrap());
        ((Kind::Link, link.code), build.advance_link(&payer, &refs, ANY_SEQUENCE))
    });
    devices.chain(links).collect()
}
