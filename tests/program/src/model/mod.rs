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

/// Commands of one sequence.
pub const LENGTH: usize = 800;
/// Times that a failing sequence is run again to cut it down.
const CUTS: usize = 400;

/// A sequence in which program and model differ.
#[derive(Debug)]
pub struct Counterexample {
    pub seed: u64,
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
        let Self { seed, first, commands, difference, model } = self;
        writeln!(f, "seed {seed}: {first}\ncut down to {} commands:", commands.len())?;
        for (step, command) in commands.iter().enumerate() {
            writeln!(f, "{step:4} {command:?}")?;
        }
        write!(f, "after the last: {difference}\nthe model then: {model}")
    }
}

/// Runs the sequence of a seed and adds to what has been reached.
///
/// # Errors
/// Program and model differ.
pub fn run(seed: u64, reached: &mut Reached) -> Result<(), Box<Counterexample>> {
    let mut runner = Runner::new();
    let mut generator = Generator::new(seed);
    let mut commands = Vec::new();
    for _ in 0..LENGTH {
        let command = generator.next(&runner.model);
        commands.push(command.clone());
        if let Err(first) = runner.step(&command) {
            return Err(Box::new(cut_down(seed, first, commands)));
        }
    }
    if let Err(first) = runner.check_all() {
        return Err(Box::new(cut_down(seed, first, commands)));
    }
    reached.add(runner.reached);
    Ok(())
}

/// Runs given commands: what differs, after how many, and the model then.
fn replay(commands: &[Command]) -> Option<(usize, String, String)> {
    let mut runner = Runner::new();
    for (step, command) in commands.iter().enumerate() {
        if let Err(difference) = runner.step(command) {
            return Some((step + 1, difference, format!("{:?}", runner.model)));
        }
    }
    let difference = runner.check_all().err()?;
    Some((commands.len(), difference, format!("{:?}", runner.model)))
}

/// Leaves out runs of commands, long ones first, as long as something still differs.
fn cut_down(seed: u64, first: String, mut commands: Vec<Command>) -> Counterexample {
    let mut found = replay(&commands);
    let mut tries = 0;
    let mut size = commands.len() / 2;
    while size > 0 && tries < CUTS {
        let mut at = 0;
        while at < commands.len() && tries < CUTS {
            let mut fewer = commands.clone();
            fewer.drain(at..(at + size).min(commands.len()));
            tries += 1;
            match replay(&fewer) {
                Some(still) => {
                    fewer.truncate(still.0);
                    commands = fewer;
                    found = Some(still);
                }
                None => at += size,
            }
        }
        size /= 2;
    }
    let lost = || (0, "gone when run again".to_owned(), String::new());
    let (_, difference, model) = found.unwrap_or_else(lost);
    Counterexample { seed, first, commands, difference, model }
}
