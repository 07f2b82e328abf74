//! The program beside a simple model of it: thousands of random commands, and after each the two have to agree.
//!
//! A sequence is a seed. Its commands go to the built binary in the virtual machine and to the model ([`rules`]), which
//! predicts whether each is accepted and what the ledger holds then, or with which code it is refused. What has to hold
//! whatever happens is checked from the ledger alone ([`invariants`]). A sequence that fails is cut down to the
//! commands that it takes, and shown with its seed.
//!
//! What it does not do: malformed bytes, swapped account types and missing signatures are [`crate::drill`]'s.

pub mod atlas;
pub mod changes;
pub mod command;
pub mod compare;
pub mod generate;
pub mod instruct;
pub mod invariants;
pub mod rng;
pub mod rules;
pub mod runner;
pub mod state;

use command::Command;
use generate::Generator;
use runner::{Reached, Runner};
use state::{Flaw, Model};

/// Commands of one sequence.
pub const LENGTH: usize = 800;
/// Times that a failing sequence is run again to cut it down: each takes at most as long as the sequence did.
pub const CUTS: usize = 400;

/// A sequence in which program and model differ.
#[derive(Debug)]
pub struct Counterexample {
    pub seed: u64,
    /// The command, counted from 1, after which it was found first.
    pub step: usize,
    /// The difference that was found first.
    pub first: String,
    /// What is left of the commands.
    pub commands: Vec<Command>,
    /// The difference at the end of what is left.
    pub difference: String,
    /// The model at that point.
    pub model: String,
}

impl std::fmt::Display for Counterexample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seed, step, first, commands, difference, model } = self;
        writeln!(f, "seed {seed}, command {step}: {first}\ncut down to {} commands:", commands.len())?;
        for (step, command) in commands.iter().enumerate() {
            writeln!(f, "{step:4} {command:?}")?;
        }
        write!(f, "after the last: {difference}\nthe model then: {model}")
    }
}

/// Runs the sequence of a seed, with a flaw in the model or none, and says what has been reached. If it fails, it is
/// cut down in so many further runs.
///
/// # Errors
/// Program and model differ.
pub fn run(seed: u64, flaw: Option<Flaw>, cuts: usize) -> Result<Reached, Box<Counterexample>> {
    let mut runner = Runner::new(flaw);
    let mut generator = Generator::new(seed);
    // All commands, and those that were accepted: what is refused changes nothing, so the others should do.
    let (mut commands, mut telling) = (Vec::new(), Vec::new());
    for _ in 0..LENGTH {
        let command = generator.next(&runner.model);
        commands.push(command.clone());
        match runner.step(&command) {
            Ok(true) => telling.push(command),
            Ok(false) => {}
            Err(first) => {
                telling.push(command);
                let step = commands.len();
                return Err(Box::new(cut_down(Found { seed, flaw, step, first }, commands, telling, cuts)));
            }
        }
    }
    if let Err(first) = runner.check_all() {
        let step = commands.len();
        return Err(Box::new(cut_down(Found { seed, flaw, step, first }, commands, telling, cuts)));
    }
    Ok(runner.reached)
}

/// Runs the sequence of a seed up to where the model is as wanted, if it ever is.
///
/// # Panics
/// Program and model differ.
pub fn run_until(seed: u64, wanted: impl Fn(&Model) -> bool) -> Option<Runner> {
    let mut runner = Runner::new(None);
    let mut generator = Generator::new(seed);
    for _ in 0..LENGTH {
        if wanted(&runner.model) {
            return Some(runner);
        }
        let command = generator.next(&runner.model);
        runner.step(&command).unwrap_or_else(|difference| panic!("seed {seed}: {difference}"));
    }
    None
}

/// Where given commands end.
struct End {
    step: usize,
    difference: String,
    model: String,
}

/// Runs given commands, to where program and model differ.
fn replay(commands: &[Command], flaw: Option<Flaw>) -> Option<End> {
    let mut runner = Runner::new(flaw);
    let failed = commands.iter().zip(1..).find_map(|(command, step)| Some((step, runner.step(command).err()?)));
    let (step, difference) = failed.or_else(|| Some((commands.len(), runner.check_all().err()?)))?;
    Some(End { step, difference, model: format!("{:?}", runner.model) })
}

/// What a difference is about: a refusal, lamports, or which kind of account.
fn kind_of(difference: &str) -> Option<&str> {
    difference.split([' ', '(']).next()
}

/// Where a sequence failed.
struct Found {
    seed: u64,
    flaw: Option<Flaw>,
    step: usize,
    first: String,
}

/// Leaves out what was refused and then runs of commands, long ones first, as long as the same still differs.
fn cut_down(found: Found, all: Vec<Command>, telling: Vec<Command>, mut cuts: usize) -> Counterexample {
    let Found { seed, flaw, step, first } = found;
    let same = |end: &End| kind_of(&end.difference) == kind_of(&first);
    let (mut commands, mut end) = match replay(&telling, flaw).filter(same) {
        Some(end) => (telling, Some(end)),
        None => {
            let end = replay(&all, flaw);
            (all, end)
        }
    };
    let mut size = commands.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < commands.len() && cuts > 0 {
            cuts -= 1;
            let mut fewer = commands.clone();
            fewer.drain(at..(at + size).min(commands.len()));
            match replay(&fewer, flaw).filter(same) {
                Some(still) => {
                    fewer.truncate(still.step);
                    (commands, end) = (fewer, Some(still));
                }
                None => at += size,
            }
        }
        size /= 2;
    }
    let gone = || End { step: 0, difference: "gone when run again".to_owned(), model: String::new() };
    let End { difference, model, .. } = end.unwrap_or_else(gone);
    Counterexample { seed, step, first, commands, difference, model }
}
