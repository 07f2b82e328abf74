//! What an import had to assume, gathered by kind so that a thousand links without a speed are one sentence.

use std::collections::BTreeMap;

use serde::Serialize;

/// Longest name of a node in an assumption, in characters: files are hostile, terminals are narrow.
const SHOWN_CHARS: usize = 40;
/// How many of the things that one assumption is about are named in its sentence; the list itself is complete.
const SHOWN_SUBJECTS: usize = 5;

macro_rules! kinds {
    ($($(#[$meta:meta])* $name:ident $text:literal;)+) => {
        /// What kind of thing was assumed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum AssumptionKind {
            $($(#[$meta])* $name,)+
        }

        impl AssumptionKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The sentence, without the things that it is about.
            pub fn sentence(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

kinds! {
    /// A node without an id can be no link's end.
    NodeWithoutId "nodes without an id were left out";
    /// The first of several nodes of one id stands.
    RepeatedId "ids that repeat: the first node of each stands, the others were left out";
    /// An edge whose end is no node.
    UnknownEnd "edges to nodes that the file doesn't have were left out";
    /// An edge from a node to itself.
    SelfLoop "edges from a node to itself were left out";
    /// Other networks' nodes.
    ExternalLeftOut "nodes marked external (Internal 0) belong to other networks and were left out with their edges";
    /// Other networks' nodes where nothing else is linked.
    ExternalKept "nodes marked external (Internal 0) were kept, as no link remains without them";
    /// More edges at a node than a device has ports.
    TooManyAtDevice "edges beyond the ports that one device can have were left out";
    /// Nodes without edges.
    Isolated "nodes without a link were left out: a device without one can't go into service";
    /// A node that stands for a link of many ends.
    Hyperedge "nodes that stand for a link of many ends (hyperedge 1) became devices";
    /// No name.
    NoLabel "nodes without a name got a code from their id";
    /// The same name again.
    RepeatedLabel "names that repeat: codes were numbered";
    /// Coordinates that are not on the globe.
    BadCoordinates "coordinates that are not on the globe were ignored";
    /// Coordinates from the neighbours.
    PlacedByNeighbours "no coordinates: placed in the middle of their neighbours";
    /// Coordinates from the whole file.
    PlacedAtCentre "no coordinates and no neighbour with any: placed in the middle of all nodes";
    /// No coordinates in the whole file.
    PlacedOnCircle "no node of the file has coordinates: placed on a circle around 0, 0, so that delays mean nothing";
    /// A country that is not known by name.
    UnknownCountry "no country, or none that is known by this name: left empty";
    /// No speed.
    NoSpeed "no speed given: 10 Gbit/s";
    /// Too slow for the ledger.
    SpeedRaised "slower than the ledger takes: raised to 10 Gbit/s";
    /// Too fast for the ledger.
    SpeedLowered "faster than the ledger takes: lowered to 400 Gbit/s";
    /// Several edges between the same two nodes.
    Parallel "parallel links got numbered codes";
    /// Ports beyond the recipe's.
    MorePorts "more links than a new device of this type has ports: further ports were declared";
    /// Fewer contributors than asked for.
    FewerContributors "fewer contributors than asked for: each needs a device";
    /// Nothing says who owns what.
    Contributors "contributors hold regions of about equal size, numbered from the south-west";
    /// Nothing says what a device is for.
    DeviceTypes "device types follow from the links: edge with DZX links only, transit from three links on, else hybrid";
    /// Nothing says how long the fibres are.
    Delays "delays are those of fibre 1.3 times as long as the great circle, at least 10 us; jitter is 10 us";
    /// Nothing gives addresses.
    Addresses "public addresses come from 198.18.0.0/16 and one /29 for each device's users from 198.19.0.0/16";
}

/// One thing that an import assumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assumption {
    /// Kind.
    pub kind: AssumptionKind,
    /// What it is about, codes where there are any, in the order of the file; empty for the whole file.
    pub subjects: Vec<String>,
}

impl std::fmt::Display for Assumption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind.sentence())?;
        let shown: Vec<&str> = self.subjects.iter().take(SHOWN_SUBJECTS).map(String::as_str).collect();
        if !shown.is_empty() {
            write!(f, " ({}): {}", self.subjects.len(), shown.join(", "))?;
        }
        match self.subjects.len().saturating_sub(SHOWN_SUBJECTS) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// Assumptions as they are made.
#[derive(Debug, Default)]
pub(super) struct Notes(BTreeMap<AssumptionKind, Vec<String>>);

impl Notes {
    /// About the whole file.
    pub(super) fn say(&mut self, kind: AssumptionKind) {
        self.0.entry(kind).or_default();
    }

    /// About one thing.
    pub(super) fn about(&mut self, kind: AssumptionKind, subject: &str) {
        self.0.entry(kind).or_default().push(printable(subject));
    }

    /// All of them, in the order of the kinds.
    pub(super) fn into_list(self) -> Vec<Assumption> {
        self.0.into_iter().map(|(kind, subjects)| Assumption { kind, subjects }).collect()
    }
}

fn printable(text: &str) -> String {
    let mut chars = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut out: String = chars.by_ref().take(SHOWN_CHARS).collect();
    if chars.next().is_some() {
        out.push('…');
    }
    out
}
