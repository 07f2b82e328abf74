//! The ledger as it changes: a subscription for speed, a full read on a period for truth.
//!
//! Guarantees: every published snapshot is complete and was built before it replaced the last one; its slot never
//! goes back; within one reconcile period of the node answering again, the snapshot is what the ledger holds,
//! whatever notifications were lost, doubled or reordered. Between two full reads a snapshot holds at least what the
//! last one held, with newer account states as they were announced; closed accounts leave with the next full read.
//!
//! When the node can't be read the last snapshot stays, with the error and its age beside it. It is never cleared.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use causeway_interface::Key;
use futures::StreamExt;
use serde_json::json;
use solana_client::{
    nonblocking::pubsub_client::PubsubClient,
    rpc_config::RpcProgramAccountsConfig,
    rpc_response::{Response, RpcKeyedAccount},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior},
};

use crate::{
    client::{Ledger, account_data},
    error::LedgerError,
    snapshot::Snapshot,
};

/// Notifications waiting to be applied. When more come at once, the rest are dropped and the next full read, which is
/// then made at once, has them.
const QUEUE: usize = 4_096;
/// First and longest pause before subscribing again.
const RESUBSCRIBE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));
/// Longest wait for a subscription to be made.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(10);

/// How to watch.
#[derive(Clone, Copy, Debug)]
pub struct WatchConfig {
    /// Time between two full reads.
    pub reconcile_every: Duration,
    /// Time for which notifications are gathered before a new snapshot is published.
    pub gather: Duration,
}

impl Default for WatchConfig {
    fn default() -> Self {
        Self { reconcile_every: Duration::from_secs(10), gather: Duration::from_millis(100) }
    }
}

/// What is known of the ledger, and how well.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// The last snapshot; none before the first full read.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Counts the snapshots, the first is 1.
    pub version: u64,
    /// When the last full read ended well.
    pub reconciled: Option<Instant>,
    /// Full reads that failed since then.
    pub failures: u32,
    /// What the last one said.
    pub last_error: Option<Arc<str>>,
    /// Whether a subscription is up.
    pub subscribed: bool,
}

impl Watched {
    /// Time since the last full read that ended well; none before the first.
    #[must_use]
    pub fn staleness(&self) -> Option<Duration> {
        self.reconciled.map(|at| at.elapsed())
    }
}

/// What makes one snapshot the next, told before the snapshot is made: for whoever keeps up with small changes without looking
/// at everything. Full reads are not told; a reader that misses a version takes the snapshot instead.
#[derive(Clone, Debug)]
pub struct Update {
    /// Version of the snapshot that this leads to, from the one before it.
    pub version: u64,
    /// Its slot.
    pub slot: u64,
    /// Accounts and their bytes, oldest first.
    pub accounts: Vec<(Key, Vec<u8>)>,
}

/// Watches one deployment until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    receiver: watch::Receiver<Watched>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Watcher {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// One account as announced.
struct Notice {
    slot: u64,
    address: Key,
    data: Vec<u8>,
}

/// What the subscription says to the keeper.
enum Message {
    Subscribed(bool),
    Changed(Notice),
    /// Notifications may have been lost.
    Lost,
}

impl Watcher {
    /// Starts watching; `websocket_url` as in `ws://127.0.0.1:8900`. Needs a tokio runtime.
    #[must_use]
    pub fn start(ledger: Ledger, websocket_url: &str, config: WatchConfig) -> Self {
        Self::start_telling(ledger, websocket_url, config, None)
    }

    /// The same, and tells each update as well; one that the reader has no room for is not told.
    #[must_use]
    pub fn start_telling(
        ledger: Ledger,
        websocket_url: &str,
        config: WatchConfig,
        updates: Option<mpsc::Sender<Update>>,
    ) -> Self {
        let (sender, receiver) = watch::channel(Watched::default());
        let (messages, inbox) = mpsc::channel(QUEUE);
        let subscription = tokio::spawn(subscribe(ledger.clone(), websocket_url.to_owned(), messages));
        let keeper = tokio::spawn(keep(ledger, config, inbox, sender, updates));
        Self { receiver, tasks: [subscription, keeper] }
    }

    /// What is known now; `changed().await` on it waits for news.
    #[must_use]
    pub fn receiver(&self) -> watch::Receiver<Watched> {
        self.receiver.clone()
    }

    /// Waits for a snapshot of at least `slot`.
    ///
    /// Returns none when watching has ended. Bounded by the caller.
    pub async fn wait_for_slot(&self, slot: u64) -> Option<Arc<Snapshot>> {
        let mut receiver = self.receiver.clone();
        let reached = |w: &Watched| w.snapshot.as_ref().is_some_and(|s| s.slot >= slot);
        let watched = receiver.wait_for(reached).await.ok()?;
        watched.snapshot.clone()
    }
}

/// The snapshot that is being kept, and the slot of each account that was announced since the last full read.
#[derive(Default)]
struct Keeper {
    snapshot: Option<Arc<Snapshot>>,
    version: u64,
    announced: BTreeMap<Key, u64>,
}

impl Keeper {
    /// Applies notices; whether anything changed.
    #[cfg(test)]
    fn apply(&mut self, notices: Vec<Notice>) -> bool {
        let update = self.update(notices);
        if let Some(update) = &update {
            self.put(update);
        }
        update.is_some()
    }

    /// What notices lead to, which [`Keeper::put`] has to be given next; none when nothing is newer than what is there.
    fn update(&mut self, notices: Vec<Notice>) -> Option<Update> {
        let current = self.snapshot.as_ref()?;
        let base = current.slot;
        let mut slot = base;
        let mut accounts = Vec::with_capacity(notices.len());
        for notice in notices {
            let known = self.announced.get(&notice.address).copied().unwrap_or(0);
            // A full read at its slot already has what was announced up to then.
            if notice.slot < known || known == 0 && notice.slot <= base {
                continue;
            }
            self.announced.insert(notice.address, notice.slot);
            slot = slot.max(notice.slot);
            accounts.push((notice.address, notice.data));
        }
        (!accounts.is_empty()).then_some(Update { version: self.version + 1, slot, accounts })
    }

    fn put(&mut self, update: &Update) {
        let Some(current) = &mut self.snapshot else { return };
        let snapshot = Arc::make_mut(current);
        for (address, data) in &update.accounts {
            snapshot.put(*address, data);
        }
        snapshot.slot = update.slot;
        self.version = update.version;
    }

    /// Puts a full read in place of everything.
    fn replace(&mut self, snapshot: Snapshot) {
        self.announced.clear();
        self.version += 1;
        self.snapshot = Some(Arc::new(snapshot));
    }
}

async fn keep(
    ledger: Ledger,
    config: WatchConfig,
    mut inbox: mpsc::Receiver<Message>,
    published: watch::Sender<Watched>,
    updates: Option<mpsc::Sender<Update>>,
) {
    let mut keeper = Keeper::default();
    let mut period = tokio::time::interval(config.reconcile_every);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = period.tick() => reconcile(&ledger, &mut keeper, &published).await,
            message = inbox.recv() => {
                let Some(first) = message else { return };
                tokio::time::sleep(config.gather).await;
                let mut notices = Vec::new();
                let mut lost = false;
                let mut next = Some(first);
                while let Some(message) = next {
                    match message {
                        Message::Changed(notice) => notices.push(notice),
                        Message::Lost => lost = true,
                        Message::Subscribed(subscribed) => {
                            // What happened while there was no subscription was not announced.
                            lost |= subscribed && keeper.snapshot.is_some();
                            published.send_modify(|w| w.subscribed = subscribed);
                        }
                    }
                    // At most one queue's worth, so that a flood can't keep the period from its turn.
                    next = if notices.len() < QUEUE { inbox.try_recv().ok() } else { None };
                }
                if let Some(slot) = notices.iter().map(|n| n.slot).max() {
                    ledger.saw_slot(slot);
                }
                if let Some(update) = keeper.update(notices) {
                    if let Some(updates) = &updates {
                        // Without room the reader sees a gap and takes the snapshot.
                        let _ = updates.try_send(update.clone());
                    }
                    keeper.put(&update);
                    published.send_modify(|w| {
                        w.snapshot = keeper.snapshot.clone();
                        w.version = keeper.version;
                    });
                }
                if lost {
                    reconcile(&ledger, &mut keeper, &published).await;
                    period.reset();
                }
            }
        }
    }
}

async fn reconcile(ledger: &Ledger, keeper: &mut Keeper, published: &watch::Sender<Watched>) {
    match ledger.snapshot().await {
        Ok(snapshot) => {
            let undecodable = snapshot.undecodable.len();
            if undecodable > 0 {
                tracing::warn!(slot = snapshot.slot, undecodable, "the ledger holds accounts that can't be read");
            }
            keeper.replace(snapshot);
            published.send_modify(|w| {
                w.snapshot = keeper.snapshot.clone();
                w.version = keeper.version;
                w.reconciled = Some(Instant::now());
                w.failures = 0;
                w.last_error = None;
            });
        }
        Err(error) => report(&error, published),
    }
}

fn report(error: &LedgerError, published: &watch::Sender<Watched>) {
    published.send_modify(|w| {
        w.failures = w.failures.saturating_add(1);
        w.last_error = Some(error.to_string().into());
    });
    tracing::warn!(%error, failures = published.borrow().failures, "full read failed; the last snapshot stays");
}

/// Subscribes, and again whenever the subscription ends, with a growing pause.
async fn subscribe(ledger: Ledger, url: String, messages: mpsc::Sender<Message>) {
    let (first, longest) = RESUBSCRIBE;
    let mut pause = first;
    loop {
        match listen(&ledger, &url, &messages).await {
            // It had been up: begin again with the short pause.
            Ok(()) => pause = first,
            Err(error) => {
                tracing::debug!(%error, url, "no subscription");
                pause = (pause * 2).min(longest);
            }
        }
        if messages.send(Message::Subscribed(false)).await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

async fn listen(ledger: &Ledger, url: &str, messages: &mpsc::Sender<Message>) -> Result<(), String> {
    let timeout = |_| format!("no answer within {} s", SUBSCRIBE_TIMEOUT.as_secs());
    let client = tokio::time::timeout(SUBSCRIBE_TIMEOUT, PubsubClient::new(url)).await.map_err(timeout)?;
    let client = client.map_err(|e| e.to_string())?;
    let config: RpcProgramAccountsConfig =
        serde_json::from_value(json!({ "encoding": "base64", "commitment": "confirmed" }))
            .map_err(|e| e.to_string())?;
    let program = ledger.addresses().program_id;
    let subscription = client.program_subscribe(&program, Some(config));
    let (mut stream, _unsubscribe) =
        tokio::time::timeout(SUBSCRIBE_TIMEOUT, subscription).await.map_err(timeout)?.map_err(|e| e.to_string())?;
    let _ = messages.send(Message::Subscribed(true)).await;
    while let Some(response) = stream.next().await {
        let message = notice(response).map_or(Message::Lost, Message::Changed);
        match messages.try_send(message) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                tracing::warn!("notifications come faster than they are applied; a full read follows");
                if messages.send(Message::Lost).await.is_err() {
                    break;
                }
            }
            Err(mpsc::error::TrySendError::Closed(_)) => break,
        }
    }
    Ok(())
}

fn notice(response: Response<RpcKeyedAccount>) -> Option<Notice> {
    let address = response.value.pubkey.parse().ok()?;
    let data = account_data(&response.value.account)?;
    Some(Notice { slot: response.context.slot, address, data })
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
