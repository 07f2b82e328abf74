//! Questions for what runs on a device, and what its agent answered.
//!
//! A question is put by a person ([`Desk::ask`]), travels with the agent's next notice or poll ([`Desk::wanted`]), and is
//! answered once ([`Desk::answered`]). Everything is bounded: how many questions are open and for how long, how many
//! answers are kept, and how long each is. Time comes in as unix milliseconds.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use causeway_interface::Code;
use causeway_wire::controller::RunningConfig;
use tokio::sync::watch;

use crate::store::{MAX_REPORT_DIFF, MAX_REPORT_WORDS, cut};

/// How long an agent may take to answer, in milliseconds: it may be within an apply, which takes up to three minutes in
/// the worst case; who asks then asks again.
pub const OPEN_MS: u64 = 60_000;
/// Questions open at a time: a script that goes through a fleet a few hundred at once.
pub const MAX_OPEN: usize = 256;
/// Answers kept, one per device: those that somebody may still be looking at. With texts of at most a mebibyte, 64 MiB.
pub const MAX_ANSWERS: usize = 64;
/// Longest text that is kept, in bytes; agents are asked to cut theirs, this holds if they don't.
pub const MAX_TEXT: usize = 1024 * 1024;

/// Problems of one answer that are kept: an agent that is asked what is wrong names one, with every adjacency that it is of.
pub const MAX_PROBLEMS: usize = 16;

/// What an agent compared what runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Generation of the configuration.
    pub generation: u64,
    /// SHA-256 of its text.
    pub sha256: Vec<u8>,
    /// Exactly it runs.
    pub equal: bool,
    /// Unified diff from what runs to it.
    pub diff: String,
    /// The diff is cut.
    pub diff_cut: bool,
}

/// What an agent said of what runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The question.
    pub number: u64,
    /// The managed part of what runs, secrets hidden.
    pub text: String,
    /// The text is cut.
    pub text_cut: bool,
    /// Lines in which something was hidden.
    pub hidden_lines: u32,
    /// SHA-256 of the managed part as it runs.
    pub running_sha256: Vec<u8>,
    /// The comparison with the configuration that the agent took last, where there is one.
    pub compared: Option<Compared>,
    /// Error code, or empty.
    pub error_code: String,
    /// Words, or empty.
    pub message: String,
    /// What is not any more as it was before a configuration that waits for a word, in words.
    pub problems: Vec<String>,
    /// The agent's time, unix milliseconds.
    pub at_unix_ms: u64,
    /// When it arrived, unix milliseconds.
    pub received_unix_ms: u64,
}

impl Answer {
    /// Of what an agent sent, cut to what is kept.
    #[must_use]
    pub fn of(mut running: RunningConfig, received_unix_ms: u64) -> Self {
        let text_cut = cut(&mut running.text, MAX_TEXT) || running.text_cut;
        cut(&mut running.error_code, MAX_REPORT_WORDS);
        cut(&mut running.message, MAX_REPORT_WORDS);
        running.problems.truncate(MAX_PROBLEMS);
        for problem in &mut running.problems {
            cut(problem, MAX_REPORT_WORDS);
        }
        let compared = running.comparison.map(|mut comparison| {
            let diff_cut = cut(&mut comparison.diff, MAX_REPORT_DIFF) || comparison.diff_cut;
            let (generation, sha256, equal) = (comparison.generation, comparison.sha256, comparison.equal);
            Compared { generation, sha256, equal, diff: comparison.diff, diff_cut }
        });
        Self {
            number: running.wanted,
            text: running.text,
            text_cut,
            hidden_lines: running.hidden_lines,
            running_sha256: running.running_sha256,
            compared,
            error_code: running.error_code,
            message: running.message,
            problems: running.problems,
            at_unix_ms: running.at_unix_ms,
            received_unix_ms,
        }
    }
}

/// An open question.
#[derive(Clone, Copy, Debug)]
struct Question {
    number: u64,
    until_ms: u64,
}

#[derive(Debug, Default)]
struct Inner {
    last: u64,
    open: BTreeMap<Code, Question>,
    answers: BTreeMap<Code, Arc<Answer>>,
    /// Devices with an answer, the one that answered longest ago first.
    order: VecDeque<Code>,
}

/// Where questions and answers meet.
#[derive(Debug)]
pub struct Desk {
    inner: Mutex<Inner>,
    /// How many questions are open, so that who polls need not wait for anybody when there are none.
    open: AtomicUsize,
    changed: watch::Sender<u64>,
}

impl Desk {
    /// Nothing asked yet. Numbers go on from `first`, so that those of two processes differ.
    #[must_use]
    pub fn new(first: u64) -> Self {
        let inner = Inner { last: first, ..Inner::default() };
        Self { inner: Mutex::new(inner), open: AtomicUsize::new(0), changed: watch::channel(0).0 }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks; who asks about a device that is being asked joins in. None where too many questions are open.
    pub fn ask(&self, device: Code, now_ms: u64) -> Option<u64> {
        let mut inner = self.inner();
        inner.open.retain(|_, question| question.until_ms > now_ms);
        let number = match inner.open.get(&device) {
            Some(question) => Some(question.number),
            None if inner.open.len() >= MAX_OPEN => None,
            None => {
                inner.last += 1;
                let number = inner.last;
                inner.open.insert(device, Question { number, until_ms: now_ms.saturating_add(OPEN_MS) });
                Some(number)
            }
        };
        self.open.store(inner.open.len(), Ordering::Release);
        number
    }

    /// The open question about a device; 0 for none.
    #[must_use]
    pub fn wanted(&self, device: &Code, now_ms: u64) -> u64 {
        if self.open.load(Ordering::Acquire) == 0 {
            return 0;
        }
        self.inner()
            .open
            .get(device)
            .filter(|question| question.until_ms > now_ms)
            .map_or(0, |question| question.number)
    }

    /// Takes an answer; whether it was asked for.
    #[must_use]
    pub fn answered(&self, device: Code, answer: Answer) -> bool {
        let mut inner = self.inner();
        if inner.open.get(&device).is_none_or(|question| question.number != answer.number) {
            return false;
        }
        inner.open.remove(&device);
        self.open.store(inner.open.len(), Ordering::Release);
        inner.order.retain(|known| *known != device);
        inner.order.push_back(device);
        inner.answers.insert(device, Arc::new(answer));
        if inner.order.len() > MAX_ANSWERS
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.answers.remove(&oldest);
        }
        drop(inner);
        self.changed.send_modify(|version| *version += 1);
        true
    }

    /// The last answer about a device.
    #[must_use]
    pub fn answer(&self, device: &Code) -> Option<Arc<Answer>> {
        self.inner().answers.get(device).cloned()
    }

    /// Counts up with every answer.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(n: usize) -> Code {
        format!("d{n}").parse().unwrap()
    }

    fn answer(number: u64) -> Answer {
        Answer { number, ..Answer::default() }
    }

    #[test]
    fn a_question_is_joined_answered_once_and_over_in_time() {
        let desk = Desk::new(100);
        assert_eq!(desk.wanted(&code(1), 0), 0);
        let number = desk.ask(code(1), 0).unwrap();
        assert_eq!(
            (desk.ask(code(1), 5), desk.wanted(&code(1), 5), desk.wanted(&code(2), 5)),
            (Some(number), number, 0)
        );
        assert!(!desk.answered(code(1), answer(number + 1)), "of another question");
        assert!(!desk.answered(code(2), answer(number)), "of another device");
        assert!(desk.answered(code(1), answer(number)) && !desk.answered(code(1), answer(number)));
        assert_eq!(desk.answer(&code(1)).map(|a| a.number), Some(number));
        let next = desk.ask(code(1), 10).unwrap();
        assert!(next > number);
        assert_eq!((desk.wanted(&code(1), OPEN_MS + 9), desk.wanted(&code(1), OPEN_MS + 10)), (next, 0));
        assert_eq!(desk.answer(&code(1)).map(|a| a.number), Some(number), "kept until there is a newer one");
    }

    #[test]
    fn questions_answers_and_their_length_are_bounded() {
        let desk = Desk::new(0);
        assert!((0..MAX_OPEN).all(|n| desk.ask(code(n), 0).is_some()));
        assert_eq!(desk.ask(code(MAX_OPEN), 0), None);
        for n in 0..MAX_OPEN {
            let number = desk.wanted(&code(n), 1);
            assert!(desk.answered(code(n), answer(number)));
        }
        assert_eq!(desk.inner().answers.len(), MAX_ANSWERS);
        assert!(desk.answer(&code(0)).is_none() && desk.answer(&code(MAX_OPEN - 1)).is_some());
        let long = RunningConfig { text: "é".repeat(MAX_TEXT), ..RunningConfig::default() };
        let kept = Answer::of(long, 0);
        assert!(kept.text.len() <= MAX_TEXT && kept.text_cut);
        let problems = vec!["x".repeat(MAX_REPORT_WORDS + 1); MAX_PROBLEMS + 1];
        let kept = Answer::of(RunningConfig { problems, ..RunningConfig::default() }, 0).problems;
        assert!(kept.len() == MAX_PROBLEMS && kept.iter().all(|problem| problem.len() <= MAX_REPORT_WORDS));
    }
}
