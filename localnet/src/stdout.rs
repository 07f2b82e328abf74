//! Keeping stdout for results: the validator prints its progress there and can't be told not to.

use std::{
    fs::File,
    io,
    os::{fd::AsFd, unix::process::CommandExt},
    process::{Command, Stdio},
};

/// Tells the second run of the executable from the first.
const VARIABLE: &str = "CAUSEWAY_LOCALNET_STDOUT";

/// Gives back the real stdout as a file, while everything that is printed goes nowhere: it is the validator's count of
/// its first slots.
///
/// Replaces the process by a second run of the same executable with the same arguments and the same process id, whose
/// stdin is the first one's stdout. So it has to come first in `main`, and stdin is lost.
///
/// # Errors
/// The executable can't be run again, or a stream is closed.
pub fn detach() -> io::Result<File> {
    if std::env::var_os(VARIABLE).is_some() {
        return io::stdin().as_fd().try_clone_to_owned().map(File::from);
    }
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let error = Command::new(std::env::current_exe()?)
        .arg0(name)
        .args(arguments)
        .env(VARIABLE, "1")
        .stdin(Stdio::from(io::stdout().as_fd().try_clone_to_owned()?))
        .stdout(Stdio::null())
        .exec();
    Err(error)
}
