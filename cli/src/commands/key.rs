//! `causeway key`.

use std::path::Path;

use causeway_interface::Key;
use causeway_sdk::keys;
use serde::Serialize;

use super::{
    fund,
    session::{Session, public},
};
use crate::{
    args::{Globals, KeyVerb},
    failure::Failure,
    output::Report,
};

#[derive(Debug, Serialize)]
struct Shown<'a> {
    file: &'a Path,
    public_key: Key,
}

/// Does one verb. The secret half is never printed.
pub async fn run(globals: &Globals, verb: &KeyVerb) -> Result<Report, Failure> {
    let (file, key) = match verb {
        KeyVerb::New { file } => (file, keys::generate(file)?),
        KeyVerb::Show { file } => (file, keys::read(file)?),
        KeyVerb::Fund(args) => return fund::run(&Session::open(globals)?, args).await,
    };
    let public_key = public(&key);
    Report::new(public_key.to_string(), &Shown { file, public_key })
}
