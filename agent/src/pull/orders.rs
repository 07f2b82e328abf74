//! Configurations that are applied for a provisioning job, and wait for the controller's word.
//!
//! From the commit on the device's own timer is armed, whatever becomes of the agent or the controller. Only a word about
//! this very order confirms; without one the device goes back, and so it does at an agent's start. While something waits,
//! nothing else is applied but what another order brings.

use std::{future::Future, time::Instant};

use causeway_wire::controller::{ApplyResult, ConfigBundle, ConfigNotice, OrderWord};
use tracing::Instrument as _;

use super::Puller;
use crate::{
    apply::{Applying, Paused, Reached, Told},
    bundle::{Bundle, TextHash},
    core::Failure,
    driver::Driver,
    order::{Heard, Order, answer},
    state::Applied,
};

/// What the puller knows of orders.
#[derive(Default)]
pub struct Orders {
    /// The one that was taken last, whatever came of it, and the text that it was for.
    taken: Option<(Order, TextHash)>,
    /// What runs and waits under it.
    waiting: Option<Box<Paused>>,
    /// Number of the last word by which its time began anew.
    extended: u32,
}

impl Orders {
    /// What the controller is told: the last order's correlation id.
    pub fn have(&self) -> String {
        self.taken.as_ref().map(|(order, _)| order.correlation.clone()).unwrap_or_default()
    }

    /// What waits.
    pub fn paused(&self) -> Option<&Paused> {
        self.waiting.as_deref()
    }

    /// Hash of what waits.
    pub fn waiting(&self) -> Option<TextHash> {
        self.paused().map(|paused| paused.bundle().hash)
    }

    /// Number of the last word by which the time of the order that was taken last began anew; 0 for none.
    pub const fn extended(&self) -> u32 {
        self.extended
    }

    /// The correlation id under which a text was applied; empty where it was under none.
    pub fn correlation(&self, hash: TextHash) -> String {
        let taken = self.taken.as_ref().filter(|(_, of)| *of == hash);
        taken.map(|(order, _)| order.correlation.clone()).unwrap_or_default()
    }

    /// Notes the order of what is offered, also of what is refused then: it is not asked for again.
    pub fn take(&mut self, offered: &ConfigBundle, hash: TextHash) {
        if let Ok(Some(order)) = Order::of(offered) {
            self.is_under(order, hash);
        }
    }

    fn is_under(&mut self, order: Order, hash: TextHash) {
        (self.taken, self.extended) = (Some((order, hash)), 0);
    }

    /// Whether a notice is of an order that was not taken, or while one waits.
    pub fn is_news(&self, notice: &ConfigNotice) -> bool {
        self.waiting.is_some() || (!notice.order.is_empty() && notice.order != self.have())
    }

    /// Until what waits has to be told, if something does.
    pub fn overdue(&self) -> impl Future<Output = ()> + use<> {
        let until = self.waiting.as_ref().map(|paused| paused.until());
        async move {
            match until {
                Some(until) => tokio::time::sleep_until(until.into()).await,
                None => std::future::pending().await,
            }
        }
    }
}

impl<D: Driver> Puller<D> {
    /// Applies a checked configuration, under its order where it has one. None where it waits now.
    pub(super) async fn apply(&mut self, bundle: &Bundle, order: Option<&Order>) -> Option<Applying> {
        let Some(order) = order else { return Some(self.applier.apply(bundle).await) };
        let span = tracing::info_span!("order", correlation = %order.correlation);
        let (device, generation) = (self.config.device.clone(), bundle.generation.0);
        async {
            tracing::info!(%device, generation, waits = order.waits, "an order is taken");
            if !order.waits {
                return Some(self.applier.apply(bundle).await);
            }
            match self.applier.apply_waiting(bundle, order.confirm_within).await {
                Reached::Over(over) => Some(over),
                Reached::Waiting(paused) => {
                    tracing::info!(%device, generation, "it runs, verified, and waits for the controller's word");
                    self.orders.waiting = Some(paused);
                    None
                }
            }
        }
        .instrument(span)
        .await
    }

    /// Whether to go on with what is offered. An order is done once, whatever came of it: trying again is its job's to say.
    /// While something waits, the same under another order goes on waiting under that; another text under an order takes
    /// its place; anything else is not taken.
    pub(super) async fn make_way(&mut self, hash: TextHash, order: Option<&Order>) -> bool {
        if order.is_some_and(|order| order.correlation == self.orders.have()) {
            return false;
        }
        let Some(waiting) = self.orders.waiting() else { return true };
        match order {
            None => false,
            Some(order) if order.waits && waiting == hash => {
                self.orders.is_under(order.clone(), hash);
                self.say_waiting().await;
                false
            }
            Some(order) => {
                let words = format!("order {} took its place", order.correlation);
                self.end_waiting(Told::GoBack(Failure::new("WITHDRAWN", words))).await;
                true
            }
        }
    }

    /// Reports that something waits.
    pub(super) async fn say_waiting(&mut self) {
        let Some(paused) = &self.orders.waiting else { return };
        let tried = Applied { generation: paused.bundle().generation, sha256: paused.bundle().hash };
        let (diff, words, took) = (paused.diff().to_owned(), paused.warnings().join("; "), paused.took());
        let running = self.applier.running_hash().await.ok();
        self.report_as(tried, ApplyResult::Waiting, (String::new(), words), &diff, took, running);
    }

    /// Does what the controller says of what waits; a word that is not for it changes nothing.
    pub(super) async fn hear(&mut self, word: &OrderWord) {
        let (Some((order, _)), Some(hash)) = (&self.orders.taken, self.orders.waiting()) else { return };
        let config = &self.config;
        let (keys, device) = (&config.controller_keys, config.device.as_str());
        let told = match answer(word, &config.program_id, device, keys, &order.correlation, hash) {
            Some(Heard::Confirm) => Told::Confirm,
            Some(Heard::Extend(number)) => return self.extend(number).await,
            Some(Heard::Withdraw) => {
                Told::GoBack(Failure::new("WITHDRAWN", "the controller took it back before it was confirmed"))
            }
            None => {
                tracing::debug!(%device, correlation = %word.correlation, "a word that is not for what waits");
                return;
            }
        };
        self.end_waiting(told).await;
    }

    /// Lets the time of what waits begin anew, once for each number, and says so at once: others wait for it.
    async fn extend(&mut self, number: u32) {
        if number <= self.orders.extended {
            return;
        }
        let Some(paused) = &mut self.orders.waiting else { return };
        let device = self.config.device.as_str();
        match self.applier.extend(paused).await {
            Ok(()) => {
                tracing::info!(%device, number, correlation = %self.orders.have(), "the time to confirm counts anew");
                self.orders.extended = number;
                self.say_waiting().await;
            }
            // Said again with the next poll; until then, and if it stays so, the time is the one that it was armed with.
            Err(failure) => self.note_failure(&failure),
        }
    }

    /// Goes back if no word came in time; the device does so by itself at the same moment.
    pub(super) async fn end_overdue(&mut self) {
        let overdue = self.orders.waiting.as_ref().is_some_and(|paused| Instant::now() >= paused.until());
        if overdue {
            let failure = Failure::new("NOT_CONFIRMED", "no word of the controller came within the time of its order");
            self.end_waiting(Told::GoBack(failure)).await;
        }
    }

    async fn end_waiting(&mut self, told: Told) {
        let Some(paused) = self.orders.waiting.take() else { return };
        let tried = Applied { generation: paused.bundle().generation, sha256: paused.bundle().hash };
        let span = tracing::info_span!("order", correlation = %self.orders.correlation(tried.sha256));
        async {
            let ended = self.applier.told(*paused, told).await;
            self.after(tried, &ended).await;
        }
        .instrument(span)
        .await;
    }
}
