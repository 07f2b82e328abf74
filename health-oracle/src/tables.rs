//! Keeps the oracle's lookup tables beside the rounds: no round waits for it, and nothing depends on it.
//!
//! Made only when a round says that its subjects don't fit a plain transaction. A failure is said, counted and tried
//! again later; what could be used before goes on being used. Tables stay when the oracle stops and are found again
//! when it starts.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use causeway_sdk::{
    lookup::{LookupError, LookupTables, Memory},
    send::{Paid, Sender},
};
use solana_sdk::{message::AddressLookupTableAccount, pubkey::Pubkey, signature::Keypair};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::timeout,
};
use tracing::{info, warn};

use crate::{metrics::Metrics, secret};

/// The list of the oracle's tables within its folder.
const FILE_NAME: &str = "lookup-tables.json";
/// Time between two looks at tables that are as wanted: how soon one that is to be closed is closed.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// Time between two tries after a failure: a key without money or a node without answers is not asked more often.
const RETRY_EVERY: Duration = Duration::from_secs(60);
/// Longest time for one upkeep. Eight tables of 256 addresses take some twenty transactions in seventeen steps; a step
/// that is stuck for longer than its transactions live is given up and tried again.
const UPKEEP_LIMIT: Duration = Duration::from_secs(300);

type Tables = Arc<Vec<AddressLookupTableAccount>>;

/// The tables as rounds see them. Dropping it ends the upkeep.
#[derive(Debug)]
pub struct Keeper {
    wanted: watch::Sender<BTreeSet<Pubkey>>,
    usable: watch::Sender<Tables>,
    doubt: Arc<Notify>,
    sender: Sender,
    task: JoinHandle<()>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Keeper {
    /// Begins the upkeep of the tables of `key`, which are remembered in `folder`; `sender` is used for nothing else.
    pub fn start(sender: Sender, key: Arc<Keypair>, folder: &Path, metrics: Metrics) -> Self {
        let (wanted, wishes) = watch::channel(BTreeSet::new());
        let (usable, doubt) = (watch::Sender::new(Tables::default()), Arc::new(Notify::new()));
        let memory = Memory::open(&folder.join(FILE_NAME)).unwrap_or_else(|error| {
            warn!(%error, "lookup tables are not remembered over a restart");
            Memory::volatile()
        });
        let upkeep = Upkeep {
            tables: LookupTables::new(sender.clone(), key, memory),
            found: false,
            sender: sender.clone(),
            metrics,
            usable: usable.clone(),
        };
        let task = tokio::spawn(upkeep.run(wishes, doubt.clone()));
        Self { wanted, usable, doubt, sender, task }
    }

    /// What transactions can look up now.
    pub fn usable(&self) -> Tables {
        self.usable.borrow().clone()
    }

    /// What the upkeep has cost in fees; deposits come back.
    pub fn paid(&self) -> Paid {
        self.sender.paid()
    }

    /// Asks that these be in the tables.
    pub fn want(&self, addresses: BTreeSet<Pubkey>) {
        self.wanted.send_if_modified(|wanted| {
            let other = *wanted != addresses;
            if other {
                *wanted = addresses;
            }
            other
        });
    }

    /// Says that the tables are not what they were believed to be: none is used until they have been read again.
    pub fn doubt(&self) {
        self.usable.send_replace(Tables::default());
        self.doubt.notify_one();
    }
}

struct Upkeep {
    tables: LookupTables,
    found: bool,
    sender: Sender,
    metrics: Metrics,
    usable: watch::Sender<Tables>,
}

impl Upkeep {
    async fn run(mut self, mut wishes: watch::Receiver<BTreeSet<Pubkey>>, doubt: Arc<Notify>) {
        // A small network needs no tables; whoever needs none has none.
        while wishes.borrow_and_update().is_empty() {
            if wishes.changed().await.is_err() {
                return;
            }
        }
        loop {
            let wanted = wishes.borrow_and_update().clone();
            let again = if self.keep(&wanted).await { LOOK_EVERY } else { RETRY_EVERY };
            tokio::select! {
                changed = wishes.changed() => if changed.is_err() { return },
                () = doubt.notified() => {}
                () = tokio::time::sleep(again) => {}
            }
        }
    }

    /// Whether the tables are as wanted.
    async fn keep(&mut self, wanted: &BTreeSet<Pubkey>) -> bool {
        let before = self.sender.transactions();
        let outcome = timeout(UPKEEP_LIMIT, self.try_keep(wanted)).await;
        self.metrics.transactions_landed("lookup", self.sender.transactions().saturating_sub(before));
        let usable = self.tables.usable();
        let addresses = usable.iter().map(|table| table.addresses.len()).sum();
        self.metrics.lookup_tables(usable.len(), addresses);
        self.usable.send_replace(Arc::new(usable));
        match outcome {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => {
                // A provider's key may be part of the address that an error names.
                let shown =
                    |error: &dyn std::error::Error| secret::hide(&error.to_string(), &self.sender.ledger().url());
                let cause = std::error::Error::source(&error).map(shown);
                warn!(
                    error = shown(&error),
                    cause, "lookup tables are not as wanted; attesting in plain transactions meanwhile"
                );
            }
            Err(_) => warn!("the upkeep of lookup tables takes too long; it is tried again"),
        }
        self.metrics.lookup_failed();
        false
    }

    async fn try_keep(&mut self, wanted: &BTreeSet<Pubkey>) -> Result<(), LookupError> {
        if !self.found {
            self.tables.find().await?;
            self.found = true;
        }
        let before: usize = self.tables.tables().iter().map(|table| table.addresses.len()).sum();
        let left_out = self.tables.ensure(wanted).await?;
        let after: usize = self.tables.tables().iter().map(|table| table.addresses.len()).sum();
        if after != before {
            info!(tables = self.tables.tables().len(), addresses = after, "lookup tables");
        }
        if !left_out.is_empty() {
            warn!(addresses = left_out.len(), "no lookup table has place for some addresses; they are spelled out");
        }
        self.tables.retire(wanted).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_sdk::Ledger;

    fn keeper(folder: &Path, metrics: &Metrics) -> Keeper {
        // Port 1 of the loopback: nothing listens there.
        let ledger = Ledger::new("http://127.0.0.1:1", Pubkey::new_from_array([1; 32]));
        Keeper::start(Sender::new(ledger), Arc::new(Keypair::new()), folder, metrics.clone())
    }

    async fn failed(metrics: &Metrics) {
        let failures = |text: &str| text.lines().any(|l| l == "causeway_oracle_lookup_failures_total 1");
        for _ in 0..200 {
            if failures(&metrics.text()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{}", metrics.text());
    }

    #[tokio::test]
    async fn a_ledger_that_does_not_answer_is_counted_and_nothing_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Metrics::default();
        let keeper = keeper(folder.path(), &metrics);
        keeper.want([Pubkey::new_from_array([2; 32])].into());
        failed(&metrics).await;
        assert!(keeper.usable().is_empty());
        keeper.doubt();
        assert!(keeper.usable().is_empty());
    }

    #[tokio::test]
    async fn a_damaged_list_is_left_alone_and_stops_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE_NAME);
        std::fs::write(&file, "damaged").unwrap();
        let metrics = Metrics::default();
        let keeper = keeper(folder.path(), &metrics);
        keeper.want([Pubkey::new_from_array([2; 32])].into());
        failed(&metrics).await;
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "damaged");
    }

    #[tokio::test]
    async fn who_wants_no_tables_asks_the_ledger_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Metrics::default();
        let keeper = keeper(folder.path(), &metrics);
        keeper.want(BTreeSet::new());
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(metrics.text().contains("causeway_oracle_lookup_failures_total 0"), "{}", metrics.text());
        assert!(!folder.path().join(FILE_NAME).exists());
    }
}
