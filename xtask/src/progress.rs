//! What a person reads while a command works (stderr), and what a command is asked for (stdout).

use std::io::{self, Write};

/// One line about what happens now. A closed stderr is no reason to stop.
pub fn step(text: &str) {
    let _ = writeln!(io::stderr(), "==> {text}");
}

/// A line that belongs to the step before.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "    {text}");
}

/// Why a command ends without what it was asked for.
pub fn failure(text: &str) {
    let _ = writeln!(io::stderr(), "error: {text}");
}

/// A line of output. A closed pipe is a normal end.
///
/// # Errors
/// Any other failure to write.
pub fn result(text: &str) -> io::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Seconds as people say them.
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        _ => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}
