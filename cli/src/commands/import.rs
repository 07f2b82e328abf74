//! `causeway import`: a topology file becomes a site file; what had to be assumed is listed on stderr.

use std::{io::ErrorKind, path::Path};

use causeway_interface::Key;
use causeway_sdk::keys;
use serde::Serialize;

use super::session::public;
use crate::{
    args::{Import, Source},
    failure::{self, Exit, Failure},
    import::{Assumption, ImportError, ImportOptions, Imported, gml, site_from_gml},
    keyring::KeyRing,
    output::Report,
    site::Site,
};

/// What an import made, for scripts.
#[derive(Debug, Serialize)]
struct Made<'a> {
    out: &'a Path,
    contributors: usize,
    locations: usize,
    exchanges: usize,
    devices: usize,
    links: usize,
    assumptions: &'a [Assumption],
}

/// Imports one file.
pub fn run(args: &Import) -> Result<Report, Failure> {
    match args.from {
        Source::Gml => {}
    }
    let bytes = std::fs::read(&args.file).map_err(|e| Failure::read(&args.file, &e))?;
    let (text, _) = gml::decode(&bytes);
    let options =
        ImportOptions { contributors: args.contributors, platform: args.platform, ..ImportOptions::default() };
    let Imported { mut site, assumptions } = site_from_gml(&text, &options).map_err(|e| refused(&args.file, e))?;
    if let Some(dir) = &args.keys {
        fill(&mut site, dir)?;
    }
    for assumption in &assumptions {
        eprintln!("assumed: {assumption}");
    }
    let yaml = site.to_yaml().map_err(|error| {
        Failure::new(failure::OUTPUT_FAILED, Exit::Refused, format!("The site has no YAML form: {error}."))
    })?;
    let Some(out) = &args.out else { return Ok(Report::text(yaml)) };
    std::fs::write(out, yaml).map_err(|e| Failure::write(out, &e))?;
    let made = Made {
        out,
        contributors: site.contributors.len(),
        locations: site.locations.len(),
        exchanges: site.exchanges.len(),
        devices: site.devices.len(),
        links: site.links.len(),
        assumptions: &assumptions,
    };
    let text = format!(
        "{}: {} contributors, {} locations, {} exchanges, {} devices, {} links",
        out.display(),
        made.contributors,
        made.locations,
        made.exchanges,
        made.devices,
        made.links
    );
    Report::new(text, &made)
}

fn refused(file: &Path, error: ImportError) -> Failure {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        words = format!("{words}: {inner}");
        source = inner.source();
    }
    let exit = match &error {
        ImportError::NoContributors => Exit::Usage,
        ImportError::Gml(_)
        | ImportError::NoGraph
        | ImportError::NoLinks
        | ImportError::TooManyDevices { .. }
        | ImportError::TooManyLinks { .. }
        | ImportError::Refused(_) => Exit::File,
    };
    let entry = if exit == Exit::Usage { failure::NO_SUCH_VALUE } else { failure::GML_MALFORMED };
    let details = match error {
        ImportError::Refused(site) => site.0.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    Failure::new(entry, exit, format!("{} can't be imported: {words}.", file.display())).with_details(details)
}

/// Gives every device and contributor the keys of its files, making those that are missing.
fn fill(site: &mut Site, dir: &Path) -> Result<(), Failure> {
    for device in &mut site.devices {
        let of = |what: &str| read_or_make(&dir.join(format!("{}.{what}.json", device.code)));
        (device.agent_key, device.telemetry_key) = (of("agent")?, of("telemetry")?);
    }
    for contributor in &mut site.contributors {
        contributor.owner = read_or_make(&KeyRing::owner_file(dir, &contributor.code))?;
    }
    Ok(())
}

fn read_or_make(path: &Path) -> Result<Key, Failure> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(|e| Failure::write(dir, &e))?;
    }
    match std::fs::metadata(path) {
        Ok(_) => Ok(public(&keys::read(path)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(public(&keys::generate(path)?)),
        Err(error) => Err(Failure::read(path, &error)),
    }
}
