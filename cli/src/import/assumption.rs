//! What an import had to assume, so that nobody takes it for what the file said.

use std::collections::BTreeMap;

use serde::Serialize;

/// What an assumption is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// The bytes are not UTF-8.
    Encoding,
    /// A node without an id, or with another's.
    NodeId,
    /// An external node.
    External,
    /// A node that is drawn as a junction of a multipoint link.
    Hyperedge,
    /// A node without links.
    Isolated,
    /// A node without a usable label.
    Label,
    /// A label that another node has too.
    LabelRepeated,
    /// A node without coordinates.
    Coordinates,
    /// A country that is missing or not known.
    Country,
    /// An edge to a node that is not there.
    Dangling,
    /// An edge from a node to itself.
    SelfLoop,
    /// Several edges between the same two nodes.
    Parallel,
    /// More edges at a node than a device can hold.
    TooManyLinks,
    /// A link without a speed.
    Speed,
    /// A speed outside what the ledger takes.
    SpeedClamped,
    /// Parts of the network that are not connected with each other.
    Disconnected,
    /// What no topology file says.
    Invented,
}

impl Topic {
    /// The heading of a list of them.
    pub fn words(self) -> &'static str {
        match self {
            Self::Encoding => "the file is not UTF-8; read as Latin-1",
            Self::NodeId => "nodes without an id of their own left out",
            Self::External => "external nodes",
            Self::Hyperedge => "junctions of multipoint links kept as devices",
            Self::Isolated => "nodes without links left out",
            Self::Label => "nodes without a label named after their id",
            Self::LabelRepeated => "repeated labels numbered",
            Self::Coordinates => "nodes without coordinates placed",
            Self::Country => "nodes without a known country left without one",
            Self::Dangling => "edges to unknown nodes left out",
            Self::SelfLoop => "edges from a node to itself left out",
            Self::Parallel => "parallel edges numbered",
            Self::TooManyLinks => "edges beyond what a device can hold left out",
            Self::Speed => "links without a readable speed",
            Self::SpeedClamped => "speeds outside 10 to 400 Gbit/s moved to the limit",
            Self::Disconnected => "parts without a path between them",
            Self::Invented => "not in any topology file",
        }
    }
}

/// One assumption.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Assumption {
    /// What it is about.
    pub topic: Topic,
    /// Of what: a node, an edge, or the whole file.
    pub subject: String,
    /// What was assumed.
    pub detail: String,
}

/// One line per topic: how many, of what, and what was assumed of the first few.
pub fn summary(assumptions: &[Assumption]) -> Vec<String> {
    /// Subjects that one line names.
    const SHOWN: usize = 4;
    let mut by_topic: BTreeMap<Topic, Vec<&Assumption>> = BTreeMap::new();
    for assumption in assumptions {
        by_topic.entry(assumption.topic).or_default().push(assumption);
    }
    let mut lines = Vec::new();
    for (topic, all) in by_topic {
        let mut shown: Vec<String> =
            all.iter().take(SHOWN).map(|a| format!("{}: {}", a.subject, a.detail)).collect();
        if all.len() > SHOWN {
            shown.push(format!("and {} more", all.len() - SHOWN));
        }
        lines.push(format!("{} ({}): {}", topic.words(), all.len(), shown.join("; ")));
    }
    lines
}
