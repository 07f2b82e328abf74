//! What the lab is told.

use std::path::PathBuf;

use anyhow::Context;
use causeway_controller::render::timers::BFD_INTERVALS_MS;
use clap::{Parser, ValueEnum};

use crate::network::MAX_HURRIED;

/// Intervals of BFD that the controller takes.
const BFD_MS: std::ops::RangeInclusive<i64> = *BFD_INTERVALS_MS.start() as i64..=*BFD_INTERVALS_MS.end() as i64;
/// Probes a second of each pair, where nothing is said.
const PER_SECOND: u32 = 510;
/// The same in a large network.
const PER_SECOND_AFAR: u32 = 100;
/// The default topology.
const ATT_MPLS: &str = include_str!("../../topologies/AttMpls.gml");

/// From a topology file to every device and link in service on real routers, and then maintenance and faults under a
/// steady probe.
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo xtask lab", version)]
pub struct Args {
    /// Topology Zoo file (GML) to build; AttMpls, 25 devices, where none is given
    #[arg(long, value_name = "FILE")]
    pub topology: Option<PathBuf>,
    /// Oracles; the quorum is the smallest that is allowed for them
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=7))]
    pub oracles: u8,
    /// What is done once everything is in service, separated by commas; where nothing is said the first eight, and only the
    /// link's maintenance above 50 devices
    #[arg(long, value_enum, value_delimiter = ',')]
    steps: Option<Vec<Step>>,
    /// Pairs of far ends that probe each other all the time
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub pairs: u16,
    /// Probes a second of each pair; where nothing is said 510, and 100 above 50 devices, whose ends are far from each other
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    per_second: Option<u32>,
    /// Milliseconds between BFD packets on links; where nothing is said, as few as the machine can send for so many links.
    /// A machine with other work needs more: three that come late are a link that is lost
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u16).range(BFD_MS))]
    pub bfd_interval_ms: Option<u16>,
    /// End after the summary instead of staying up
    #[arg(long)]
    pub exit_when_done: bool,
    /// Print one JSON object as the last line of stdout, and the story to stderr
    #[arg(long)]
    pub json: bool,
    /// The agents' program
    #[arg(long, env = "CAUSEWAY_AGENT_PROGRAM", hide = true)]
    pub agent: PathBuf,
    /// The probers' program
    #[arg(long, env = "CAUSEWAY_STEADY_PROGRAM", hide = true)]
    pub steady: PathBuf,
}

/// Something that is done to the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// Nothing
    None,
    /// The busiest link: soft drain, hard drain, and back
    LinkMaintenance,
    /// The busiest device: drain and back
    DeviceMaintenance,
    /// A link's delay is changed, twenty times: from the ledger to the routers
    Changes,
    /// The busiest link loses its light, and gets it back
    LinkCut,
    /// The busiest link loses all packets without any end seeing it, and gets better
    LinkSilent,
    /// The busiest device loses its power, and gets it back
    RouterCrash,
    /// The controller is killed and started again
    ControllerRestart,
    /// Every agent is killed and started again
    AgentRestart,
    /// Interfaces are changed on the ledger, and jobs start by themselves: a dry run, and one that commits
    Automatic,
    /// A change of every router at once: refused, unverified, silent, and well
    NetworkChange,
}

impl Step {
    /// What is done where nothing is said, in this order. Steps of jobs change who provisions the routers, and are asked for.
    const USUAL: [Self; 8] = [
        Self::LinkMaintenance,
        Self::DeviceMaintenance,
        Self::Changes,
        Self::ControllerRestart,
        Self::AgentRestart,
        Self::LinkCut,
        Self::LinkSilent,
        Self::RouterCrash,
    ];
    /// The same in a large network, where each step takes many minutes of a machine that is busy with all of its routers.
    const AFAR: [Self; 1] = [Self::LinkMaintenance];
}

impl Args {
    /// What is done in a network of so many devices, in the order asked for.
    #[must_use]
    pub fn steps(&self, devices: usize) -> Vec<Step> {
        let usual = if devices <= MAX_HURRIED { Step::USUAL.as_slice() } else { Step::AFAR.as_slice() };
        let steps = self.steps.as_deref().unwrap_or(usual);
        steps.iter().copied().filter(|step| *step != Step::None).collect()
    }

    /// Probes a second of each pair, in a network of so many devices. Each is forwarded by every router on its way there and back:
    /// 25 routers forward 40 000 packets a second at the usual rate, and 158, some forty hops apart, would forward 350 000.
    #[must_use]
    pub fn per_second(&self, devices: usize) -> u32 {
        let usual = if devices <= MAX_HURRIED { PER_SECOND } else { PER_SECOND_AFAR };
        self.per_second.unwrap_or(usual)
    }

    /// Name and text of the topology.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn topology_text(&self) -> anyhow::Result<(String, String)> {
        let Some(path) = &self.topology else { return Ok(("AttMpls".into(), ATT_MPLS.into())) };
        let bytes = std::fs::read(path).with_context(|| {
            let path = path.display();
            format!("the topology file {path} can't be read; give a GML file, such as topologies/AttMpls.gml")
        })?;
        let (text, _) = causeway_cli::import::gml::decode(&bytes);
        let name = path.file_stem().map_or_else(|| "topology".into(), |n| n.to_string_lossy().into_owned());
        Ok((name, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_network_is_given_less_to_do_unless_somebody_asks() {
        let steps = |said: &[&str], devices| {
            let program = ["lab", "--agent", "a", "--steady", "s"];
            Args::try_parse_from(program.iter().chain(said)).unwrap().steps(devices)
        };
        assert_eq!(steps(&[], 25), Step::USUAL);
        assert_eq!(steps(&[], 158), [Step::LinkMaintenance]);
        assert_eq!(steps(&["--steps", "link-cut,changes"], 158), [Step::LinkCut, Step::Changes]);
        assert!(steps(&["--steps", "none"], 25).is_empty());
    }
}
