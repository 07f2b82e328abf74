//! From a plan to the text that a router takes. [`render_device`] is the one way to it: the daemon serves what it
//! returns, and the CLI prints what it returns.
//!
//! Text is a function of snapshot, device, family and site snippets; it holds no generation, slot or time, so that the
//! same intent is the same bytes on every controller. Every value passes [`token::Token`] before a template sees it.
//! Templates are strict: a name that isn't there is an error, never an empty word.

pub mod compare;
pub mod eos;
pub mod frr;
pub mod site;
pub mod token;
mod view;

use std::collections::BTreeSet;

pub use causeway_interface::Platform as Family;
use causeway_interface::{Code, Key};
use causeway_sdk::{address::Addresses, snapshot::Snapshot};
use minijinja::{Environment, UndefinedBehavior};

use crate::{
    plan::{DevicePlan, PlanError, Planner},
    topology::Topology,
};
use compare::{ConfigTree, Difference};
use site::{Site, SiteError};
use token::TokenError;

/// What a family of routers can be told by text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The text sets interface MTUs. Where not, the operating system does, and the agent sees to it.
    pub sets_mtu: bool,
    /// Segment routing over MPLS.
    pub segment_routing: bool,
    /// Multicast on fabric interfaces.
    pub pim: bool,
    /// How what an earlier text set goes away.
    pub removal: Removal,
}

/// How what an earlier text set goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The text is the whole managed configuration; the driver makes the router equal to it.
    Replacement,
    /// The text is a session that first takes managed sections back to their defaults.
    Session,
}

/// One family's strategy.
pub trait DeviceFamily: Send + Sync {
    /// Which it is.
    fn family(&self) -> Family;
    /// What its text can say.
    fn capabilities(&self) -> Capabilities;
    /// The text of a plan.
    ///
    /// # Errors
    /// A value that can't be written, or a template that asks for what isn't there.
    fn render(&self, plan: &DevicePlan, site: &[String]) -> Result<String, RenderError>;
    /// What a router of this family says it runs, or a text made here, as a tree of sections.
    fn parse(&self, text: &str) -> ConfigTree;
    /// What a running configuration lacks of an intended one, and what its managed sections have beyond it.
    fn compare(&self, intended: &str, running: &str) -> Difference;
}

/// The strategy of a family.
#[must_use]
pub fn strategy(family: Family) -> &'static dyn DeviceFamily {
    match family {
        Family::Eos => &eos::Eos,
        Family::Frr => &frr::Frr,
    }
}

/// A device's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The device.
    pub device: Code,
    /// Its family.
    pub family: Family,
    /// The whole managed configuration.
    pub text: String,
    /// SHA-256 of the text.
    pub sha256: [u8; 32],
    /// Addresses of the accounts that it depends on.
    pub inputs: BTreeSet<Key>,
    /// What it configures, for the guards.
    pub extent: Extent,
}

/// How much a configuration configures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// iBGP peers, by code.
    pub peers: BTreeSet<Code>,
    /// Interfaces that carry a link.
    pub link_interfaces: BTreeSet<String>,
    /// The device takes part in routing.
    pub routing: bool,
}

impl Extent {
    fn of(plan: &DevicePlan) -> Self {
        let peers = plan.routing.iter().flat_map(|r| r.peers.iter()).map(|p| p.code);
        let links = plan.interfaces.iter().filter(|i| i.link.is_some()).map(|i| i.name.clone());
        Self {
            peers: peers.filter(|code| *code != plan.code).collect(),
            link_interfaces: links.collect(),
            routing: plan.routing.is_some(),
        }
    }
}

/// Why a device has no text.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// It has no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A value can't be written into a configuration.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A built-in template is wrong.
    #[error("the {family} template failed")]
    Template {
        /// Whose.
        family: Family,
        /// Why.
        #[source]
        source: minijinja::Error,
    },
    /// A site snippet is wrong.
    #[error(transparent)]
    Site(#[from] SiteError),
}

impl RenderError {
    /// A short name for people and scripts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Plan(error) => error.code(),
            Self::Token(_) => "value-not-writable",
            Self::Template { .. } => "template-failed",
            Self::Site(_) => "site-snippet-failed",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Plan(PlanError::NoNetwork) => {
                "Initialise the network with `causeway network init`, or check the program id and the RPC."
            }
            Self::Plan(PlanError::UnknownDevice(_)) => "`causeway device list` shows the devices that there are.",
            Self::Plan(PlanError::Device { .. } | PlanError::Link { .. }) | Self::Token(_) => {
                "Correct the record on the ledger; until then the device keeps its last good configuration."
            }
            Self::Template { .. } => "This is a defect of this build; report it with the device's record.",
            Self::Site(_) => {
                "Correct the snippet in the site folder; until then the device keeps its last good configuration."
            }
        }
    }
}

/// Renders one device of a snapshot, in `family` or else that of its platform, without site snippets.
///
/// # Errors
/// See [`RenderError`].
pub fn render_device(snapshot: &Snapshot, device: &Code, family: Option<Family>) -> Result<Rendered, RenderError> {
    render_device_at(snapshot, device, family, &Site::none())
}

/// Renders one device of a snapshot with an operator's snippets.
///
/// # Errors
/// See [`RenderError`].
pub fn render_device_at(
    snapshot: &Snapshot,
    device: &Code,
    family: Option<Family>,
    site: &Site,
) -> Result<Rendered, RenderError> {
    let topology = Topology::new(snapshot);
    Renderer::new(&topology, snapshot, family, site).render(device)
}

/// Renders many devices of one topology: the table of peers is made once.
pub struct Renderer<'t, 'a> {
    topology: &'t Topology<'a>,
    planner: Planner<'t, 'a>,
    network_key: Key,
    family: Option<Family>,
    site: &'t Site,
}

impl<'t, 'a> Renderer<'t, 'a> {
    /// Over a topology and the snapshot that it is of.
    #[must_use]
    pub fn new(topology: &'t Topology<'a>, snapshot: &Snapshot, family: Option<Family>, site: &'t Site) -> Self {
        let program_id = causeway_sdk::address::to_pubkey(&snapshot.program_id);
        let network_key = causeway_sdk::address::to_key(&Addresses::new(program_id).network());
        Self { topology, planner: Planner::new(topology), network_key, family, site }
    }

    /// The planner beneath.
    #[must_use]
    pub fn planner(&self) -> &Planner<'t, 'a> {
        &self.planner
    }

    /// Renders one device.
    ///
    /// # Errors
    /// See [`RenderError`].
    pub fn render(&self, device: &Code) -> Result<Rendered, RenderError> {
        let plan = self.planner.plan(device)?;
        // A device that has a plan is in the topology.
        let node = self.topology.devices.get(device).ok_or(PlanError::UnknownDevice(*device))?;
        let family = self.family.unwrap_or(node.record.platform);
        let snippets = self.site.lines(family, &plan)?;
        let text = strategy(family).render(&plan, &snippets)?;
        Ok(Rendered {
            device: *device,
            family,
            sha256: causeway_wire::signing::sha256(text.as_bytes()),
            text,
            inputs: self.planner.inputs(device, Some(self.network_key)),
            extent: Extent::of(&plan),
        })
    }
}

/// Renders a built-in template, strictly.
fn fill(family: Family, template: &str, view: &view::View) -> Result<String, RenderError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    let text = environment
        .render_str(template, minijinja::value::Serde(view))
        .map_err(|source| RenderError::Template { family, source })?;
    Ok(format!("{}\n", text.trim()))
}
