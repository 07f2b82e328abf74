//! What is made from the command line itself: completions and manual pages.

use std::path::Path;

use clap::CommandFactory;

use crate::{args::Cli, failure::Failure, output::Report};

/// Completions for a shell.
pub fn completions(shell: clap_complete::Shell) -> Result<Report, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "causeway", &mut script);
    Ok(Report::text(String::from_utf8_lossy(&script)))
}

/// A manual page for every verb.
pub fn man(dir: &Path) -> Result<Report, Failure> {
    let failed = |error: std::io::Error| Failure::write(dir, &error);
    std::fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), dir).map_err(failed)?;
    Ok(Report::text(dir.join("causeway.1").display().to_string()))
}
