//! Asking a person before something is done.

use std::io::{BufRead, Write};

use crate::failure::{self, Exit, Failure};

/// Asks on stderr and reads the answer from stdin.
///
/// # Errors
/// The answer is anything but `yes`; `refused` says what was not done.
pub fn yes(question: &str, refused: &str) -> Result<(), Failure> {
    eprint!("{question} Only `yes` is taken as yes: ");
    // The answer decides, not whether the question could be shown.
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    match std::io::stdin().lock().read_line(&mut answer) {
        Ok(_) if answer.trim() == "yes" => Ok(()),
        Ok(_) | Err(_) => {
            if answer.is_empty() {
                eprintln!();
            }
            Err(Failure::new(failure::NOT_CONFIRMED, Exit::Refused, refused))
        }
    }
}
