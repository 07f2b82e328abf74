//! A model of the controller's side of many agents: each comes for what it is offered whenever it is looked at, applies it to
//! a simulated device, judges it, waits for the word to confirm, and goes back by its own timer.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use causeway_agent::bundle::TextHash;
use causeway_interface::Code;
use causeway_jobs::{
    adapter::{
        Adapter, AdapterError, Context, Doing, Extended,
        agent_pull::{AgentPort, AgentReport, AgentView, Offer, Word},
        memory::SimulatedFleet,
    },
    spec::{JobId, Mode},
};

#[derive(Clone, Default)]
struct Told {
    offer: Option<Offer>,
    report: Option<AgentReport>,
    may_confirm: bool,
    extended: u32,
    /// No older generation is taken.
    floor: u64,
}

/// The model.
#[derive(Clone)]
pub struct ModelPort {
    fleet: SimulatedFleet,
    agents: Arc<Mutex<BTreeMap<Code, Told>>>,
}

fn context(device: &Code, confirm_within_ms: u64) -> Context {
    Context {
        job: JobId(0),
        device: *device,
        correlation: String::new(),
        mode: Mode::Replace,
        confirm_within_ms,
        waits: true,
    }
}

impl ModelPort {
    pub fn new(fleet: SimulatedFleet) -> Self {
        Self { fleet, agents: Arc::default() }
    }

    fn told(&self, device: &Code) -> Told {
        self.agents.lock().unwrap().entry(*device).or_default().clone()
    }

    fn tell<T>(&self, device: &Code, what: impl FnOnce(&mut Told) -> T) -> T {
        what(self.agents.lock().unwrap().entry(*device).or_default())
    }

    /// Applies what is offered; none while the device does not answer.
    async fn applies(&self, device: &Code, offer: &Offer) -> Option<Word> {
        let context = context(device, offer.confirm_within_ms);
        match self.fleet.commit(&context, &offer.candidate).await {
            Ok(()) => {}
            Err(AdapterError::Refused(words)) => return Some(Word::Refused(words)),
            Err(_) => return None,
        }
        let lost = self.fleet.with(device, |device| device.problems.clone()).unwrap();
        if !lost.is_empty() {
            let _ = self.fleet.abort(&context).await;
            return Some(Word::TookBack(lost.join("; ")));
        }
        if offer.waits {
            return Some(Word::Waiting);
        }
        self.fleet.confirm(&context, &offer.candidate).await.ok().map(|()| Word::Applied)
    }

    async fn comes(&self, device: &Code) {
        let told = self.told(device);
        let Some(offer) = told.offer else { return };
        let hash = offer.candidate.hash();
        let context = context(device, offer.confirm_within_ms);
        let word = match told.report.filter(|report| report.hash == hash).map(|report| report.word) {
            None => match self.applies(device, &offer).await {
                Some(word) => word,
                None => return,
            },
            Some(Word::Waiting) => {
                let runs = self.fleet.with(device, |device| device.running == offer.candidate.text).unwrap();
                match (runs, told.may_confirm) {
                    (false, _) => Word::TookBack("its timer went off".into()),
                    (true, true) if self.fleet.confirm(&context, &offer.candidate).await.is_ok() => Word::Applied,
                    (true, _) => Word::Waiting,
                }
            }
            Some(word @ (Word::Applied | Word::Refused(_) | Word::TookBack(_))) => word,
        };
        let startup_saved = word == Word::Applied && self.fleet.save(&context).await.is_ok();
        let report = AgentReport { hash, word, startup_saved, warnings: Vec::new() };
        self.tell(device, |told| {
            // Something else may have been offered meanwhile.
            if told.offer.as_ref().is_some_and(|offer| offer.candidate.hash() == hash) {
                told.floor = told.floor.max(offer.candidate.generation);
                told.report = Some(report);
            }
        });
    }
}

impl AgentPort for ModelPort {
    fn can_wait(&self) -> bool {
        true
    }

    fn view<'a>(&'a self, of: &'a Code) -> Doing<'a, AgentView> {
        Box::pin(async {
            self.comes(of).await;
            let heard = self.fleet.identify(&context(of, 0)).await;
            let running = self.fleet.with(of, |device| device.running.clone());
            let family = heard.as_ref().ok().and_then(|identity| identity.family);
            let told = self.told(of);
            Ok(AgentView { is_heard: heard.is_ok(), family, running, report: told.report, extended: told.extended })
        })
    }

    fn offer<'a>(&'a self, device: &'a Code, offer: Offer) -> Doing<'a, ()> {
        Box::pin(async {
            self.tell(device, |told| {
                assert!(offer.candidate.generation >= told.floor, "an agent would not take an older generation");
                if told.offer.as_ref().is_none_or(|known| known.candidate != offer.candidate) {
                    (told.offer, told.report, told.may_confirm) = (Some(offer), None, false);
                }
            });
            Ok(())
        })
    }

    fn problems<'a>(&'a self, device: &'a Code) -> Doing<'a, Vec<String>> {
        Box::pin(async {
            let Some(offer) = self.told(device).offer else { return Ok(Vec::new()) };
            self.fleet.problems(&context(device, 0), &offer.candidate).await
        })
    }

    fn confirm<'a>(&'a self, device: &'a Code, _: TextHash) -> Doing<'a, ()> {
        Box::pin(async {
            self.tell(device, |told| told.may_confirm = true);
            Ok(())
        })
    }

    fn extend<'a>(&'a self, device: &'a Code, hash: TextHash) -> Doing<'a, Option<u32>> {
        Box::pin(async move {
            let told = self.told(device);
            let Some(offer) = told.offer.filter(|offer| offer.candidate.hash() == hash) else { return Ok(None) };
            let number = told.extended + 1;
            let extended = self.fleet.extend(&context(device, offer.confirm_within_ms), &offer.candidate).await?;
            if extended == Extended::Anew {
                self.tell(device, |told| told.extended = number);
            }
            Ok(Some(number))
        })
    }

    fn withdraw<'a>(&'a self, device: &'a Code) -> Doing<'a, ()> {
        Box::pin(async {
            self.fleet.abort(&context(device, 0)).await?;
            self.tell(device, |told| (told.offer, told.report, told.may_confirm) = (None, None, false));
            Ok(())
        })
    }
}
