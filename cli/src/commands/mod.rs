//! What each verb does: reads what it needs, sends what the arguments mean, and returns a report.
//!
//! One file per noun. Nothing here prints results; notes to people go to stderr as they come.

mod actors;
mod apply;
mod ask;
mod audit;
mod availability;
mod config;
mod device;
mod enroll;
#[cfg(test)]
pub(crate) mod fake;
mod fund;
mod health;
mod history;
mod import;
mod interface;
mod job;
mod key;
mod link;
mod localnet;
mod meta;
mod network;
mod oracle;
mod registry;
mod rollout;
mod session;
mod sign;
mod signed;
mod topology;
mod view;
mod wait;

use crate::{
    args::{Cli, Device, Noun},
    failure::Failure,
    output::Report,
};
use session::Session;

/// Does what the command line says.
///
/// # Errors
/// See [`Failure`].
pub async fn run(cli: Cli) -> Result<Report, Failure> {
    let globals = &cli.globals;
    match cli.noun {
        Noun::Network(verb) => network::run(&Session::open(globals)?, verb).await,
        Noun::Contributor(verb) => registry::contributor(&Session::open(globals)?, verb).await,
        Noun::Location(verb) => registry::location(&Session::open(globals)?, verb).await,
        Noun::Exchange(verb) => registry::exchange(&Session::open(globals)?, verb).await,
        Noun::Device(Device::Enroll(args)) => enroll::run(&args),
        Noun::Device(verb) => device::run(&Session::open(globals)?, verb).await,
        Noun::Link(verb) => link::run(&Session::open(globals)?, verb).await,
        Noun::Health(verb) => health::run(&Session::open(globals)?, verb).await,
        Noun::Oracle(verb) => oracle::run(verb),
        Noun::Topology(verb) => topology::run(&Session::open(globals)?, verb).await,
        Noun::History(args) => history::run(&Session::open(globals)?, &args).await,
        Noun::Config(verb) => config::run(verb).await,
        Noun::Job(verb) => job::run(verb, globals).await,
        Noun::Rollout(verb) => rollout::run(verb, globals).await,
        Noun::Localnet(verb) => localnet::run(&verb, globals),
        Noun::Key(verb) => key::run(globals, &verb).await,
        Noun::Import(args) => import::run(&args),
        Noun::Apply(args) => {
            let site = apply::read(&args.file)?;
            apply::run(&Session::open(globals)?, &args, &site).await
        }
        Noun::Audit(args) => audit::run(&args).await,
        Noun::Availability(ask) => availability::run(&ask).await,
        Noun::Sign(args) => sign::run(&Session::open(globals)?, &args).await,
        Noun::Completions { shell } => meta::completions(shell),
        Noun::Man { dir } => meta::man(&dir),
    }
}
