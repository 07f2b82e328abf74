//! Makes a site out of a topology file in GML, such as those of the Internet Topology Zoo.
//!
//! Pure: text in, a [`Site`] and a list of everything that had to be assumed out; the same text and options give the same
//! site. Such files say who is linked with whom, often where and sometimes how fast; owners, types, addresses, ports and
//! delays are assumed. A site that comes out passes [`Site::check`], every device can fulfil its type's shape with its
//! links, and with two contributors or more there are DZX links, unless the file's parts are not linked.
//!
//! It fails on text that is not GML, on files without a link, and on more devices or links than the address space of a
//! lab holds.

mod assemble;
mod codes;
mod country;
mod geo;
pub mod gml;
mod graph;
mod notes;
mod place;
mod regions;
mod speed;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use causeway_interface::{Code, Key, Label, Platform};

pub use self::{
    graph::{MAX_DEVICES, MAX_LINKS, MAX_LINKS_OF_DEVICE},
    notes::{Assumption, AssumptionKind},
};
use crate::site::Site;

/// Keys of one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceKeys {
    /// Agent's key.
    pub agent: Key,
    /// Telemetry key.
    pub telemetry: Key,
}

/// Gives the keys of the device of this code.
pub type KeysFor = Box<dyn Fn(&Code) -> DeviceKeys>;

/// What an import is told.
pub struct ImportOptions {
    /// Name of the site; without one, the file's.
    pub name: Option<Label>,
    /// How many contributors share the devices.
    pub contributors: usize,
    /// Operating system of all devices.
    pub platform: Platform,
    /// Gives each device its keys; without it they stay empty.
    pub keys: Option<KeysFor>,
    /// Owner's key by the contributor's code (`contributor-1` and so on); those that aren't here stay empty.
    pub owners: BTreeMap<Code, Key>,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self { name: None, contributors: 4, platform: Platform::Frr, keys: None, owners: BTreeMap::new() }
    }
}

/// A site and what was assumed for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The site.
    pub site: Site,
    /// What was assumed, in the order of the kinds.
    pub assumptions: Vec<Assumption>,
}

/// Why a file gives no site.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// Not GML.
    #[error("the file is not GML")]
    Gml(#[from] gml::GmlError),
    /// No `graph [ ... ]`.
    #[error("the file holds no graph: GML with `graph [ node [ ... ] edge [ ... ] ]` is expected")]
    NoGraph,
    /// No link.
    #[error("the file holds no link between two different nodes, so that there is nothing to put into service")]
    NoLinks,
    /// Too many devices.
    #[error("the file makes {devices} devices; at most {MAX_DEVICES} get addresses from 198.18.0.0/15")]
    TooManyDevices {
        /// How many.
        devices: usize,
    },
    /// Too many links.
    #[error("the file makes {links} links; at most {MAX_LINKS} are taken")]
    TooManyLinks {
        /// How many.
        links: usize,
    },
    /// No contributor was asked for.
    #[error("at least one contributor has to hold the devices, 0 were asked for")]
    NoContributors,
    /// What came out is refused by the site's own checks: a defect of the import.
    #[error("the import made a site that doesn't pass its checks; please report the file")]
    Refused(#[from] crate::site::SiteError),
}

/// Makes a site out of a GML file's text.
///
/// # Errors
/// Text that is not GML, files without links, too many of something.
pub fn site_from_gml(text: &str, options: &ImportOptions) -> Result<Imported, ImportError> {
    if options.contributors == 0 {
        return Err(ImportError::NoContributors);
    }
    let mut notes = notes::Notes::default();
    let graph = graph::read(&gml::parse(text)?, &mut notes)?;
    let places = place::all(&graph, &mut notes);
    let site = assemble::site(&graph, &places, options, &mut notes);
    site.check()?;
    Ok(Imported { site, assumptions: notes.into_list() })
}
