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
pub mod timers;
pub mod token;
mod view;

use std::{collections::BTreeSet, sync::Arc};

pub use causeway_interface::Platform as Family;
use causeway_interface::{Code, Key};
use causeway_sdk::{address::Addresses, snapshot::Snapshot};
use minijinja::{Environment, UndefinedBehavior};

use crate::{
    backbone::Backbone,
    plan::{DevicePlan, PlanError, Planner, Routing},
    topology::Topology,
};
use compare::{ConfigTree, Difference};
use site::{Site, SiteError};
use timers::{TIMERS, Timers};
use token::TokenError;
use view::{Loopbacks, Neighbors, View};

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
    /// The template of its text up to the section of BGP, and that of this section.
    fn templates(&self) -> [&'static str; 2];
    /// What follows the site's lines at the end.
    fn tail(&self) -> &'static str;
    /// How it names loopbacks.
    fn loopbacks(&self) -> Loopbacks;
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
    /// The section of BGP, for the next text of this device; none without routing.
    pub section: Option<Arc<Section>>,
}

/// The section of BGP: a reflector's is nearly all of its text, and no link changes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    family: Family,
    code: Code,
    routing: Routing,
    /// Names of the two routing loopbacks.
    loopbacks: [String; 2],
    text: String,
}

/// How much a configuration configures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Devices that it holds iBGP sessions with.
    pub peers: BTreeSet<Code>,
    /// Other devices whose routes it learns, over those sessions.
    pub reach: usize,
    /// Routes of devices that it holds no session with come from a reflector.
    pub by_reflection: bool,
    /// Interfaces that carry a link.
    pub link_interfaces: BTreeSet<String>,
    /// The device takes part in routing.
    pub routing: bool,
}

impl Extent {
    fn of(plan: &DevicePlan) -> Self {
        let links = plan.interfaces.iter().filter(|i| i.link.is_some()).map(|i| i.name.clone()).collect();
        let Some(routing) = &plan.routing else { return Self { link_interfaces: links, ..Self::default() } };
        let sessions = &routing.sessions;
        let peers = sessions.peers.iter().chain(sessions.clients.iter()).map(|p| p.code);
        let peers: BTreeSet<Code> = peers.filter(|code| *code != plan.code).collect();
        let reach = sessions.reach.0.saturating_sub(1);
        Self { by_reflection: peers.len() < reach, peers, reach, link_interfaces: links, routing: true }
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
    Renderer::new(None, Site::none()).render_of(snapshot, device, family)
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
    Renderer::new(None, site.clone()).render_of(snapshot, device, family)
}

/// Address of the network's account.
#[must_use]
pub fn network_key(program_id: &Key) -> Key {
    causeway_sdk::address::to_key(&Addresses::new(causeway_sdk::address::to_pubkey(program_id)).network())
}

/// The templates, compiled once, and how they are used. A controller makes one when it starts.
#[derive(Clone, Debug)]
pub struct Renderer {
    templates: Environment<'static>,
    family: Option<Family>,
    site: Site,
    timers: Timers,
}

impl Default for Renderer {
    fn default() -> Self {
        Self::new(None, Site::none())
    }
}

impl Renderer {
    /// In `family` or else that of each device's platform, with these snippets.
    #[must_use]
    pub fn new(family: Option<Family>, site: Site) -> Self {
        let mut templates = strict();
        for family in [Family::Eos, Family::Frr] {
            // One that can't be compiled is missing, and every attempt to render with it says so; tests render both.
            let [head, section] = strategy(family).templates();
            let _ = templates.add_template(family.name(), head);
            let _ = templates.add_template(section_name(family), section);
        }
        Self { templates, family, site, timers: TIMERS }
    }

    /// With another interval of BFD, in ms; within [`timers::BFD_INTERVALS_MS`].
    #[must_use]
    pub fn with_bfd_interval(self, milliseconds: u16) -> Self {
        Self { timers: self.timers.with_bfd_interval(milliseconds), ..self }
    }

    /// The text of a plan. `before` is the section of the text before it, which is taken over where it is still right.
    ///
    /// # Errors
    /// A value that can't be written, or a template or snippet that fails.
    pub fn render(
        &self,
        plan: &DevicePlan,
        inputs: BTreeSet<Key>,
        before: Option<&Arc<Section>>,
    ) -> Result<Rendered, RenderError> {
        self.render_as(plan, self.family.unwrap_or(plan.platform), inputs, before)
    }

    /// One device of a snapshot, in `family` or else this renderer's choice.
    ///
    /// # Errors
    /// See [`RenderError`].
    pub fn render_of(
        &self,
        snapshot: &Snapshot,
        device: &Code,
        family: Option<Family>,
    ) -> Result<Rendered, RenderError> {
        let topology = Topology::new(snapshot);
        let backbone = Backbone::new(&topology);
        let planner = Planner::new(&topology, &backbone);
        let plan = planner.plan(device)?;
        let family = family.or(self.family).unwrap_or(plan.platform);
        self.render_as(&plan, family, planner.inputs(device, Some(network_key(&snapshot.program_id))), None)
    }

    fn render_as(
        &self,
        plan: &DevicePlan,
        family: Family,
        inputs: BTreeSet<Key>,
        before: Option<&Arc<Section>>,
    ) -> Result<Rendered, RenderError> {
        let snippets = self.site.lines(family, plan)?;
        let head = self.fill(family, family.name(), &View::new(plan, strategy(family).loopbacks(), self.timers)?)?;
        let section = plan.routing.as_ref().map(|routing| self.section(plan, routing, family, before)).transpose()?;
        let mut text = head;
        for part in section.iter().map(|s| s.text.as_str()).chain(snippets.iter().map(String::as_str)) {
            text.push_str(part);
            text.push('\n');
        }
        text.push_str(strategy(family).tail());
        Ok(Rendered {
            device: plan.code,
            family,
            sha256: causeway_wire::signing::sha256(text.as_bytes()),
            text,
            inputs,
            extent: Extent::of(plan),
            section,
        })
    }

    fn section(
        &self,
        plan: &DevicePlan,
        routing: &Routing,
        family: Family,
        before: Option<&Arc<Section>>,
    ) -> Result<Arc<Section>, RenderError> {
        let loopbacks = view::loopback_names(plan);
        if let Some(known) = before
            && (known.family, known.code) == (family, plan.code)
            && known.routing == *routing
            && known.loopbacks == loopbacks
        {
            return Ok(Arc::clone(known));
        }
        let text = self.fill(family, section_name(family), &Neighbors::new(plan, routing, &loopbacks)?)?;
        let text = text.trim_end().to_string();
        Ok(Arc::new(Section { family, code: plan.code, routing: routing.clone(), loopbacks, text }))
    }

    /// Fills a template; what it gives ends with one line's end.
    fn fill(&self, family: Family, name: &str, view: &impl serde::Serialize) -> Result<String, RenderError> {
        let text = self
            .templates
            .get_template(name)
            .and_then(|template| template.render(minijinja::value::Serde(view)))
            .map_err(|source| RenderError::Template { family, source })?;
        Ok(format!("{}\n", text.trim()))
    }
}

const fn section_name(family: Family) -> &'static str {
    match family {
        Family::Eos => "eos-bgp",
        Family::Frr => "frr-bgp",
    }
}

/// Templates in which a name that isn't there is an error, and nothing is escaped: every value is a token already.
fn strict() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment
}
