//! Runs the search for as long as it is told, prints its figures, and writes what it found.
//!
//! `causeway-fuzz-program SECONDS CORPUS ARTIFACTS [SEED]`: begins with the inputs of the folder `CORPUS` and puts the
//! smallest of each new end there; inputs that break a promise go to `ARTIFACTS`.
#![allow(clippy::expect_used, reason = "a tool of the tests: a surprise ends it")]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use causeway_fuzz::{
    corpus,
    program::{Case, Outcome, Stage, search::Search, seeds, stage::tag},
};

/// Steps between two looks at the clock.
const STEPS: u32 = 256;
/// How often the figures so far are printed.
const REPORT: Duration = Duration::from_secs(30);
/// Findings after which there is no point in going on.
const MAX_FINDINGS: usize = 50;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [seconds, corpus, artifacts, rest @ ..] = arguments.as_slice() else {
        eprintln!("usage: causeway-fuzz-program SECONDS CORPUS ARTIFACTS [SEED]");
        return ExitCode::from(2);
    };
    let seconds = seconds.parse().expect("a number of seconds");
    let seed = rest.first().map_or(1, |seed| seed.parse().expect("a number as seed"));
    let (corpus, artifacts) = (PathBuf::from(corpus), PathBuf::from(artifacts));

    let stage = Stage::new();
    let begin = seeds::all(&stage).into_iter().map(|(_, case)| case);
    let committed = corpus::read(&corpus).into_iter().map(|(_, bytes)| Case::read(&bytes));
    let mut search = Search::new(stage, seed, begin.chain(committed).collect::<Vec<_>>());
    let (started, mut told) = (Instant::now(), Instant::now());
    while started.elapsed() < Duration::from_secs(seconds) && search.findings.len() < MAX_FINDINGS {
        for _ in 0..STEPS {
            search.step();
        }
        if told.elapsed() >= REPORT {
            told = Instant::now();
            println!("{}", figures(&search, started.elapsed()));
        }
    }
    println!("{}", figures(&search, started.elapsed()));
    let ends = write_smallest(&mut search, &corpus);
    println!("instructions and outcomes met: {ends}");
    write_findings(&search, &artifacts);
    if search.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn figures(search: &Search, elapsed: Duration) -> String {
    let per_second = search.executions as f64 / elapsed.as_secs_f64().max(1.0);
    format!(
        "executions {} · {per_second:.0} per second · kept {} · findings {} · {} s",
        search.executions,
        search.kept(),
        search.findings.len(),
        elapsed.as_secs()
    )
}

fn write_smallest(search: &mut Search, folder: &Path) -> usize {
    let smallest = search.smallest();
    for ((_, outcome), case) in &smallest {
        let tag = tag(case).map_or("unknown", |tag| tag.name());
        let name = match outcome {
            Outcome::Done => format!("{tag}-done"),
            Outcome::SystemRefused => format!("{tag}-system"),
            Outcome::Refused(code) => format!("{tag}-{}", code.code()),
        };
        std::fs::write(folder.join(name), case.write()).expect("an input is written");
    }
    smallest.len()
}

fn write_findings(search: &Search, folder: &Path) {
    let mut told = BTreeSet::new();
    for (number, (case, finding)) in search.findings.iter().enumerate() {
        let path = folder.join(format!("program-{number}"));
        std::fs::write(&path, case.write()).expect("a finding is written");
        if told.insert(finding.lines().next().unwrap_or_default()) {
            println!("{}: {finding}", path.display());
        }
    }
}
