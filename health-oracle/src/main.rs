//! The health oracle as a daemon.

use std::{collections::BTreeMap, process::ExitCode};

use causeway_health_oracle::{
    Oracle,
    config::{
        Config, Daemon,
        options::{FILE_ENV, FILE_FLAG, Form, OPTIONS, Spec},
        resolve::{Sources, resolve},
        show,
    },
};
use clap::{Arg, ArgAction, ArgMatches, Command};
use tracing::info;
use tracing_subscriber::EnvFilter;

/// A round makes and gives back some hundred thousand small pieces, and a batch a few hundred (rfcs/0026).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit code for a configuration that can't be used: a supervisor need not try again.
const MISCONFIGURED: u8 = 2;
const CHECK: &str = "check-config";

fn command() -> Command {
    let file = Arg::new(FILE_FLAG)
        .long(FILE_FLAG)
        .value_name("FILE")
        .help(format!("Configuration file in TOML; health-oracle/oracle.example.toml has every key [env: {FILE_ENV}]"));
    let check = Arg::new(CHECK).long(CHECK).action(ArgAction::SetTrue).help(
        "Print the configuration in force with the origin of each value, and exit: 0 if it can be used, 2 if not",
    );
    Command::new("causeway-health-oracle")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Judges devices and links by signed telemetry and attests what it finds on the ledger.")
        .after_help("A flag wins over its environment variable, that over the file, that over the default.")
        // Of a flag that is given twice the last counts: a wrapper's own flags can be overridden.
        .args_override_self(true)
        .arg(file)
        .arg(check)
        .args(OPTIONS.iter().map(argument))
}

fn argument(spec: &Spec) -> Arg {
    let mut help = format!("{} [env: {}]", spec.help.trim_end_matches('.'), spec.env);
    if let Some(default) = spec.default(false) {
        help.push_str(&format!(" [default: {default}"));
        if let Some(seconds) = spec.default(true).filter(|seconds| *seconds != default) {
            help.push_str(&format!(", or {seconds} with --seconds"));
        }
        help.push(']');
    }
    // clap wants names that live as long as the process; there are as many as options.
    let flag: &'static str = spec.flag().leak();
    let argument = Arg::new(spec.key).long(flag).help(help);
    match spec.form {
        // `--seconds`, and `--seconds=false` against a file.
        Form::Switch => argument.value_name("BOOL").num_args(0..=1).require_equals(true).default_missing_value("true"),
        Form::Path => argument.value_name("PATH"),
        Form::Number(..) | Form::Percent => argument.value_name("N"),
        Form::Text => argument.value_name("TEXT"),
        Form::Url => argument.value_name("URL"),
        Form::Key => argument.value_name("KEY"),
        Form::Address => argument.value_name("ADDRESS"),
        Form::Choice(_) => argument.value_name("WORD"),
    }
}

/// Flags that were given, by name.
fn given(matches: &ArgMatches) -> BTreeMap<String, String> {
    let names = OPTIONS.iter().map(|spec| (spec.key, spec.flag()));
    names
        .chain([(FILE_FLAG, FILE_FLAG.to_owned())])
        .filter_map(|(id, flag)| matches.get_one::<String>(id).map(|value| (flag, value.clone())))
        .collect()
}

fn main() -> ExitCode {
    let matches = command().get_matches();
    let environment = |name: &str| std::env::var(name).ok();
    let resolved = resolve(&Sources { flags: &given(&matches), environment: &environment });
    let (Daemon { config, log_json }, settings) = match resolved {
        Ok(resolved) => resolved,
        Err(problems) => {
            for problem in problems {
                eprintln!("error: {problem}");
            }
            return ExitCode::from(MISCONFIGURED);
        }
    };
    if matches.get_flag(CHECK) {
        print!("{}", show::effective(&Daemon { config, log_json }, &settings));
        return ExitCode::SUCCESS;
    }
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if log_json {
        logs.json().init();
    } else {
        logs.init();
    }
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(config: Config) -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut oracle = Oracle::start(config).await?;
    let ended = tokio::select! {
        _ = terminate.recv() => None,
        _ = tokio::signal::ctrl_c() => None,
        part = oracle.ended() => Some(part),
    };
    info!("stopping");
    oracle.shutdown().await;
    match ended {
        None => Ok(()),
        Some(part) => anyhow::bail!("{part} ended unexpectedly; the log says why"),
    }
}
