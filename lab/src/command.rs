//! Programs of the system that the lab calls: bounded, and with what they said when they fail.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, bail};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
};

/// Longest that one call may take; starting a daemon on a machine that starts hundreds is the longest.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a program and returns what it printed.
///
/// # Errors
/// It is not there, fails, or takes too long.
pub async fn run(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    run_with(program, arguments, "").await
}

/// The same with lines for its standard input.
///
/// # Errors
/// As [`run`].
pub async fn run_with(program: &str, arguments: &[&str], input: &str) -> anyhow::Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("{program} can't be run"))?;
    let all = async {
        if let Some(mut stdin) = child.stdin.take() {
            // A program that ends without reading all says why.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        child.wait_with_output().await
    };
    let said = || format!("{program} {}", arguments.join(" "));
    let output = tokio::time::timeout(LIMIT, all).await.with_context(|| format!("{}: no end in time", said()))?;
    let output = output.with_context(said)?;
    if !output.status.success() {
        bail!("{}: {}", said(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A program that goes on; it ends with the lab.
///
/// # Errors
/// It can't be run.
pub fn spawn(mut command: Command) -> anyhow::Result<Child> {
    command.kill_on_drop(true).spawn().context("a program of the lab can't be run")
}
