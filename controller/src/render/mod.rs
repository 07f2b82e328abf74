//! From a plan to the text that a router takes. [`render_device`] is the one way to it: the daemon serves what it
//! returns, and the CLI prints what it returns.
//!
//! Text is a function of snapshot, device, family and site snippets; it holds no generation, slot or time, so that the
//! same intent is the same bytes on every controller. Every value passes [`token::Token`] before a template sees it.
//! Templates are strict: a name that isn't there is an error, never an empty word.

pub mod eos;
mod extent;
pub mod frr;
pub mod site;
mod text;
pub mod timers;
pub mod token;
mod view;

use std::sync::Arc;

pub use causeway_interface::Platform as Family;
use causeway_interface::{Code, Key};
use causeway_sdk::{address::Addresses, snapshot::Snapshot};
pub use extent::Extent;
use minijinja::{Environment, UndefinedBehavior};
pub use text::{Lead, Text};

use crate::{
    backbone::Backbone,
    codes,
    plan::{DevicePlan, PlanError, Planner},
    topology::Topology,
};
use site::{Site, SiteError};
use text::Bgp;
use timers::{TIMERS, Timers};
use token::TokenError;
use view::{Manner, Neighbors, View};

/// The templates of a family, in the order of its text.
#[derive(Clone, Copy, Debug)]
pub struct Templates {
    /// What comes first and says nothing of any link.
    pub head: &'static str,
    /// The section of BGP.
    pub bgp: &'static str,
    /// Interfaces and IS-IS.
    pub body: &'static str,
}

/// One family's strategy.
pub trait DeviceFamily: Send + Sync {
    /// Which it is.
    fn family(&self) -> Family;
    /// The templates of its text.
    fn templates(&self) -> Templates;
    /// What follows the site's lines at the end.
    fn tail(&self) -> &'static str;
    /// How it says what every family says.
    fn manner(&self) -> Manner;
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
    pub text: Text,
    /// SHA-256 of the text.
    pub sha256: [u8; 32],
    /// What it configures, for the guards.
    pub extent: Extent,
}

impl Rendered {
    /// The beginning of the text, for the next text of this device.
    #[must_use]
    pub const fn lead(&self) -> &Arc<Lead> {
        self.text.lead()
    }
}

/// What to do about a record that nothing more can be said of.
const CORRECT: &str = "Correct the record on the ledger.";

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
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Plan(PlanError::NoNetwork) => {
                "Initialise the network with `causeway network init`, or check the program id and the RPC."
            }
            Self::Plan(PlanError::UnknownDevice(_)) => "`causeway device list` shows the devices that there are.",
            Self::Plan(PlanError::Device { fault, .. } | PlanError::Link { fault, .. }) => {
                codes::of(fault.code()).map_or(CORRECT, |entry| entry.remedy)
            }
            Self::Token(_) => CORRECT,
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
            let Templates { head, bgp, body } = strategy(family).templates();
            for (part, template) in [(Part::Head, head), (Part::Bgp, bgp), (Part::Body, body)] {
                let _ = templates.add_template(part.name(family), template);
            }
        }
        Self { templates, family, site, timers: TIMERS }
    }

    /// With another interval of BFD, in ms; within [`timers::BFD_INTERVALS_MS`].
    #[must_use]
    pub fn with_bfd_interval(self, milliseconds: u16) -> Self {
        Self { timers: self.timers.with_bfd_interval(milliseconds), ..self }
    }

    /// What it takes every device for, if not for what its platform says.
    #[must_use]
    pub const fn family(&self) -> Option<Family> {
        self.family
    }

    /// The text of a plan. `before` is the beginning of the text before it, which is taken over where it is still right.
    ///
    /// # Errors
    /// A value that can't be written, or a template or snippet that fails.
    pub fn render(&self, plan: &DevicePlan, before: Option<&Arc<Lead>>) -> Result<Rendered, RenderError> {
        self.render_as(plan, self.family.unwrap_or(plan.platform), before)
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
        let family = family.or(self.family);
        let topology = Topology::of(snapshot, family);
        let backbone = Backbone::new(&topology);
        let planner = Planner::new(&topology, &backbone);
        let plan = planner.plan(device)?;
        let family = family.unwrap_or(plan.platform);
        self.render_as(&plan, family, None)
    }

    fn render_as(
        &self,
        plan: &DevicePlan,
        family: Family,
        before: Option<&Arc<Lead>>,
    ) -> Result<Rendered, RenderError> {
        let snippets = self.site.lines(family, plan)?;
        let view = View::new(plan, strategy(family).manner(), self.timers)?;
        let lead = self.lead(plan, family, &view, before)?;
        let mut rest = self.fill(family, Part::Body, &view)?;
        for line in &snippets {
            rest.push_str(line);
            rest.push('\n');
        }
        rest.push_str(strategy(family).tail());
        let text = Text::new(lead, &rest);
        Ok(Rendered { device: plan.code, family, sha256: text.sha256(), text, extent: Extent::of(plan) })
    }

    fn lead(
        &self,
        plan: &DevicePlan,
        family: Family,
        view: &View,
        before: Option<&Arc<Lead>>,
    ) -> Result<Arc<Lead>, RenderError> {
        let head = self.fill(family, Part::Head, view)?;
        let loopbacks = view::loopback_names(plan);
        let bgp = plan.routing.as_ref().map(Bgp::of);
        if let Some(known) = before
            && (known.family, known.code) == (family, plan.code)
            && known.bgp == bgp
            && known.loopbacks == loopbacks
            && known.head == head
        {
            return Ok(Arc::clone(known));
        }
        let neighbors = plan.routing.as_ref().map(|routing| Neighbors::new(plan, routing, &loopbacks)).transpose()?;
        let section = neighbors.map(|neighbors| self.fill(family, Part::Bgp, &neighbors)).transpose()?;
        Ok(Arc::new(Lead::new((family, plan.code), bgp, loopbacks, head, &section.unwrap_or_default())))
    }

    /// Fills a template; what it gives ends with its last line's end, and is nothing where it says nothing.
    fn fill(&self, family: Family, part: Part, view: &impl serde::Serialize) -> Result<String, RenderError> {
        let text = self
            .templates
            .get_template(part.name(family))
            .and_then(|template| template.render(minijinja::value::Serde(view)))
            .map_err(|source| RenderError::Template { family, source })?;
        let said = text.trim();
        Ok(if said.is_empty() { String::new() } else { format!("{said}\n") })
    }
}

/// A part of a text.
#[derive(Clone, Copy, Debug)]
enum Part {
    Head,
    Bgp,
    Body,
}

impl Part {
    /// Name of its template.
    const fn name(self, family: Family) -> &'static str {
        match (self, family) {
            (Self::Head, Family::Eos) => "eos-head",
            (Self::Bgp, Family::Eos) => "eos-bgp",
            (Self::Body, Family::Eos) => "eos",
            (Self::Head, Family::Frr) => "frr-head",
            (Self::Bgp, Family::Frr) => "frr-bgp",
            (Self::Body, Family::Frr) => "frr",
        }
    }
}

/// Templates in which a name that isn't there is an error, and nothing is escaped: every value is a token already.
fn strict() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::UserSessions,
        testing::{SyntheticLedger, code},
    };

    /// The ledger has no users (rfcs/0019); what would be said of one is said here, so that a hard drain is ready for them.
    #[test]
    fn a_hard_drain_would_shut_every_user_and_a_soft_one_none() {
        for (family, told) in
            [(Family::Frr, " neighbor 10.9.9.9 shutdown\n"), (Family::Eos, "   neighbor 10.9.9.9 shutdown\n")]
        {
            let ledger = SyntheticLedger::ring(family);
            let topology = Topology::new(&ledger.snapshot);
            let backbone = Backbone::new(&topology);
            let mut plan = Planner::new(&topology, &backbone).plan(&code("ams")).unwrap();
            for (users, shut) in [(UserSessions::Open, false), (UserSessions::Shut, true)] {
                plan.routing.as_mut().unwrap().users = users;
                let routing = plan.routing.as_ref().unwrap();
                let mut neighbors = Neighbors::new(&plan, routing, &view::loopback_names(&plan)).unwrap();
                neighbors.add_user("10.9.9.9", 65_001).unwrap();
                let text = Renderer::default().fill(family, Part::Bgp, &neighbors).unwrap();
                assert!(text.contains("neighbor 10.9.9.9 remote-as 65001\n"), "{text}");
                assert_eq!(text.matches(told).count(), usize::from(shut), "{text}");
                assert_eq!(text.matches("shutdown").count(), usize::from(shut), "no iBGP session goes: {text}");
            }
        }
    }
}
