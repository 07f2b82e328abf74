//! Do the tests test anything? Faults are put into the program one at a time, each a check that is dropped; the binary
//! is built with it, and the program's tests run on that until the first one fails.
//!
//! The sources are copied, so that a fault can't stay behind in them. A fault that no test finds, that no longer
//! applies, or with which the program does not build, fails the command.

mod list;
mod suite;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, Result, bail};

use self::{
    list::Mutant,
    suite::{Suite, Verdict},
};
use crate::{
    process,
    program::{self, Route},
    progress,
    setup::{self, Need},
    workspace::{self, Workspace},
};

/// What became of a fault.
enum Fate {
    /// A test found it.
    Caught(String),
    /// No test did.
    Survived,
    /// It could not be tried.
    Invalid(String),
}

impl Fate {
    fn text(&self) -> String {
        match self {
            Self::Caught(test) => test.clone(),
            Self::Survived => "SURVIVED".to_owned(),
            Self::Invalid(why) => format!("INVALID: {why}"),
        }
    }
}

/// Tries the faults that are named, or all.
///
/// # Errors
/// The program or its tests don't build, or fail without any fault.
pub fn run(workspace: &Workspace, only: &[String], threads: usize) -> Result<ExitCode> {
    let all = list::read(&workspace.root)?;
    if let Some(unknown) = only.iter().find(|name| !all.iter().any(|mutant| mutant.name == **name)) {
        bail!("no fault is called {unknown}; {} lists them", list::FOLDER);
    }
    let chosen: Vec<&Mutant> = all.iter().filter(|m| only.is_empty() || only.contains(&m.name)).collect();
    setup::ensure(&[Need::Native, Need::Program])?;
    let scratch = Scratch::make(workspace)?;
    progress::step("building the program from a copy");
    let sound = scratch.build()??;
    let suite = Suite::build(workspace, &sound, threads)?;
    let sound = workspace::digest(&fs::read(&sound)?);

    progress::step(&format!("{} faults, one after the other (5 to 30 seconds each)", chosen.len()));
    let width = chosen.iter().map(|mutant| mutant.name.len()).max().unwrap_or_default();
    let (mut survived, mut invalid) = (Vec::new(), Vec::new());
    for mutant in &chosen {
        let started = Instant::now();
        let fate = scratch.try_out(mutant, &sound, &suite)?;
        let took = started.elapsed().as_secs();
        progress::result(&format!("{:<width$}  {:>4} s  {}", mutant.name, took, fate.text()))?;
        match fate {
            Fate::Caught(_) => {}
            Fate::Survived => survived.push(format!("{}: the program without {}", mutant.name, mutant.drops)),
            Fate::Invalid(why) => invalid.push(format!("{}: {why}", mutant.name)),
        }
    }
    for line in &survived {
        progress::failure(&format!("no test finds {line}"));
    }
    for line in &invalid {
        progress::failure(&format!("adapt {} in {}", line, list::FOLDER));
    }
    let caught = chosen.len() - survived.len() - invalid.len();
    progress::result(&format!("{caught} caught, {} survived, {} invalid", survived.len(), invalid.len()))?;
    Ok(if caught == chosen.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A copy of the sources, with a target folder that all builds share.
struct Scratch {
    programs: PathBuf,
    originals: PathBuf,
    target: PathBuf,
    route: Route,
}

impl Scratch {
    fn make(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.target.join("mutants");
        let scratch = Self {
            programs: folder.join("programs"),
            originals: workspace.root.join("programs"),
            target: folder.join("target"),
            route: Route::find()?,
        };
        // A run that was interrupted left a fault behind.
        if scratch.programs.exists() {
            fs::remove_dir_all(&scratch.programs)?;
        }
        program::copy_sources(&scratch.originals, &scratch.programs)?;
        Ok(scratch)
    }

    /// Builds the copy. The outer error is of this machine, the inner one says that the sources don't build.
    fn build(&self) -> Result<Result<PathBuf>> {
        let (command, binary) = self.route.command(&self.programs, &self.target)?;
        Ok(process::output(command).map(|_| binary))
    }

    fn try_out(&self, mutant: &Mutant, sound: &str, suite: &Suite) -> Result<Fate> {
        let read = |path: &Path| fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()));
        let source = match read(&self.originals.join(&mutant.file)) {
            Ok(source) => source,
            Err(error) => return Ok(Fate::Invalid(format!("{error:#}"))),
        };
        let faulty = match mutant.applied(&source) {
            Ok(faulty) => faulty,
            Err(error) => return Ok(Fate::Invalid(error.to_string())),
        };
        let path = self.programs.join(&mutant.file);
        fs::write(&path, faulty).with_context(|| format!("can't write {}", path.display()))?;
        let fate = self.judge(sound, suite);
        fs::write(&path, source).with_context(|| format!("can't write {}", path.display()))?;
        fate
    }

    fn judge(&self, sound: &str, suite: &Suite) -> Result<Fate> {
        let binary = match self.build()? {
            Ok(binary) => binary,
            Err(error) => return Ok(Fate::Invalid(format!("it does not build: {}", first_error(&error)))),
        };
        if workspace::digest(&fs::read(&binary)?) == sound {
            return Ok(Fate::Invalid("the binary is the same with it".to_owned()));
        }
        Ok(match suite.run(&binary)? {
            Verdict::Caught(test) => Fate::Caught(test),
            Verdict::Passed => Fate::Survived,
        })
    }
}

/// The compiler's first error, out of all that it said.
fn first_error(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let line = text.lines().find(|line| line.starts_with("error")).unwrap_or(&text);
    line.to_owned()
}
