//! What the demo is told.

use std::path::PathBuf;

use anyhow::Context;
use causeway_interface::Platform;
use clap::Parser;

/// The default topology.
const ABILENE: &str = include_str!("../../topologies/Abilene.gml");

/// From a topology file to every device and link in service, on this machine.
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo xtask demo", version)]
pub struct Args {
    /// Topology Zoo file (GML) to build; Abilene where none is given.
    #[arg(long, value_name = "FILE")]
    pub topology: Option<PathBuf>,
    /// Operating system of every router, which decides the form of the configurations.
    #[arg(long, default_value = "frr", value_parser = ["frr", "eos"])]
    family: String,
    /// Oracles; the quorum is the smallest that is allowed for them.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=7))]
    pub oracles: u8,
    /// End after the summary instead of staying up.
    #[arg(long)]
    pub exit_when_done: bool,
    /// Print one JSON object as the last line of stdout, and the story to stderr.
    #[arg(long)]
    pub json: bool,
}

impl Args {
    /// The operating system that was asked for.
    pub fn platform(&self) -> Platform {
        // The parser allows these two.
        if self.family == "eos" { Platform::Eos } else { Platform::Frr }
    }

    /// Name and text of the topology.
    pub fn topology_text(&self) -> anyhow::Result<(String, String)> {
        let Some(path) = &self.topology else { return Ok(("Abilene".into(), ABILENE.into())) };
        let bytes = std::fs::read(path).with_context(|| {
            format!(
                "the topology file {} can't be read; give a GML file, such as topologies/Geant2012.gml",
                path.display()
            )
        })?;
        let (text, _) = causeway_cli::import::gml::decode(&bytes);
        let name = path.file_stem().map_or_else(|| "topology".into(), |n| n.to_string_lossy().into_owned());
        Ok((name, text))
    }
}
