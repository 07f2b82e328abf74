//! Which words are due, and which of them are said now.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use causeway_interface::{Digest, Key};
use causeway_sdk::Snapshot;
use solana_sdk::{message::AddressLookupTableAccount, pubkey::Pubkey};
use tracing::{error, info, warn};

use super::Judge;
use crate::{
    chain::Chain,
    subjects::{Judged, rank_of},
    submission::{
        self, Held, Terms,
        budget::{self, Purse},
        foreign::{self, Stance},
        renewal::Share,
    },
};

/// Subjects that a warning names.
const NAMED: usize = 5;

/// A word that is due.
#[derive(Clone)]
pub(super) struct Due {
    pub judged: Arc<Judged>,
    /// Of its attestations account.
    pub address: Pubkey,
    pub reason: submission::Due,
}

/// The words that are due in a round, and the subjects whose account has no place for them yet.
#[derive(Default)]
pub(super) struct Words {
    pub due: Vec<Due>,
    pub too_small: Vec<Key>,
}

impl<C: Chain> Judge<C> {
    /// What is due, the urgent first; then what can be looked up in tables; then by kind and code, so that batches are the
    /// same whatever order things were read in, and one share's renewals are one transaction's.
    pub(super) async fn words(
        &mut self,
        snapshot: &Snapshot,
        place: usize,
        round: &[Arc<Judged>],
        terms: &Terms,
        tables: &[AddressLookupTableAccount],
    ) -> Words {
        self.recognise(snapshot, place).await;
        let listed: HashSet<&Pubkey> = tables.iter().flat_map(|table| &table.addresses).collect();
        let capacity = self.capacity(tables);
        let mut sorted: Vec<(bool, &Arc<Judged>, Pubkey)> = round
            .iter()
            .filter_map(|judged| self.addresses.get(&judged.key).map(|address| (judged, *address)))
            .map(|(judged, address)| (!listed.contains(&address), judged, address))
            .collect();
        sorted.sort_unstable_by_key(|(spelled_out, judged, _)| (*spelled_out, judged.kind, judged.code));

        let mut words = Words::default();
        let mut foreign = HashMap::new();
        let (mut news, mut yielded) = (Vec::new(), 0);
        for (rank, (_, judged, address)) in sorted.iter().enumerate() {
            let (held, own) = self.held(snapshot, &judged.key, place);
            let word = (judged.verdict.level.byte(), judged.verdict.failed_bits());
            let share = Share::new(rank, sorted.len(), capacity);
            let stranger = held.filter(|held| !own && terms.counts(held));
            if let Some(held) = stranger {
                if self.foreign.get(&judged.key) != Some(&held.slot) {
                    news.push(judged.code);
                }
                foreign.insert(judged.key, held.slot);
            }
            let due = submission::due(held, word, terms, share, |byte| rank_of(judged.kind, byte));
            let Some(reason) = due else { continue };
            if let Some(held) = stranger
                && foreign::stance(reason, terms.now.saturating_sub(held.slot), terms.max_age) == Stance::Yield
            {
                yielded += 1;
                continue;
            }
            if snapshot.attestations.get(&judged.key).is_none_or(|a| a.entries.len() <= place) {
                words.too_small.push(judged.key);
            }
            words.due.push(Due { judged: Arc::clone(judged), address: *address, reason });
        }
        if !news.is_empty() {
            let named: Vec<_> = news.iter().take(NAMED).map(ToString::to_string).collect();
            warn!(
                words = news.len(),
                yielded,
                ?named,
                "another instance speaks with this oracle's key: stop one of the two"
            );
            self.metrics.foreign_words(news.len());
        }
        self.foreign = foreign;
        // Stable: within a reason the order of above.
        words.due.sort_by_key(|due| due.reason);
        words
    }

    /// Words that one transaction carries, by these tables.
    pub(super) fn capacity(&self, tables: &[AddressLookupTableAccount]) -> usize {
        if tables.is_empty() { self.plain_capacity.min(self.settings.batch) } else { self.settings.batch }
    }

    /// This oracle's word as the ledger holds it, or will once what was sent shows; and whether this instance said it.
    fn held(&mut self, snapshot: &Snapshot, subject: &Key, place: usize) -> (Option<Held>, bool) {
        let entry = snapshot.attestations.get(subject).and_then(|a| a.entries.get(place));
        let onchain = entry.map(|e| Held { verdict: e.verdict, failed: e.failed, epoch: e.epoch, slot: e.slot });
        let own = entry.is_some_and(|e| self.roots.get(&e.evidence_root) == Some(&true));
        match self.sent.get(subject).copied() {
            Some(sent) if onchain.is_none_or(|o| o.slot < sent.slot) => (Some(sent), true),
            Some(_) => {
                self.sent.remove(subject);
                (onchain, own)
            }
            None => (onchain, own),
        }
    }

    /// Looks up which of the roots that the ledger holds were signed by this instance. What is so found to have landed
    /// without its sender's knowing is noted beside the evidence.
    async fn recognise(&mut self, snapshot: &Snapshot, place: usize) {
        let entries = snapshot.attestations.values().filter_map(|a| a.entries.get(place));
        let held: BTreeSet<Digest> = entries.filter(|e| e.slot != 0).map(|e| e.evidence_root).collect();
        self.roots.retain(|root, _| held.contains(root));
        let unknown: Vec<Digest> = held.into_iter().filter(|root| !self.roots.contains_key(root)).collect();
        if unknown.is_empty() {
            return;
        }
        let (evidence, asked) = (self.evidence.clone(), unknown.clone());
        match tokio::task::spawn_blocking(move || evidence.recognise(&asked)).await {
            Ok(Ok(own)) => self.roots.extend(unknown.into_iter().map(|root| (root, own.contains(&root)))),
            // They count as another's for now: nothing is raised over them, and nothing can be signed without the store.
            Ok(Err(error)) => error!(%error, "evidence not read"),
            Err(error) => error!(%error, "evidence not read"),
        }
    }

    /// Notes what was spent since the last call, and what a transaction costs.
    pub(super) fn settle(&mut self, now_ms: u64) {
        let paid = self.chain.paid();
        let lamports = paid.lamports.saturating_sub(self.paid.lamports);
        let transactions = paid.transactions.saturating_sub(self.paid.transactions);
        self.paid = paid;
        self.spending.note(lamports, now_ms);
        self.metrics.fees(lamports);
        if let Some(fee) = lamports.checked_div(transactions) {
            self.fee = fee;
        }
    }

    /// Leaves out what the budget does not reach for.
    pub(super) fn afford(&mut self, due: &mut Vec<Due>, capacity: usize, now_ms: u64) {
        self.settle(now_ms);
        let purse = Purse {
            per_hour: self.settings.fee_budget_lamports_per_hour,
            spent: self.spending.last_hour(now_ms),
            per_transaction: self.fee,
            capacity,
        };
        let reasons: Vec<submission::Due> = due.iter().map(|due| due.reason).collect();
        let held_back = due.len() - budget::affordable(&reasons, &purse);
        due.truncate(due.len() - held_back);
        self.metrics.held_back(held_back);
        let Purse { per_hour, spent, .. } = purse;
        match (held_back > 0, self.warned_of_budget) {
            (true, false) => {
                warn!(held_back, spent, per_hour, "the fee budget is spent: what is held back expires in the end");
            }
            (false, true) => info!(spent, per_hour, "the fee budget reaches for everything again"),
            (true, true) | (false, false) => {}
        }
        self.warned_of_budget = held_back > 0;
    }
}
