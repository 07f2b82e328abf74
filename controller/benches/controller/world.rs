//! A network of any size, made of the backbones in `topologies`: copies of them around the earth, each joined to the one
//! before it, until there are enough devices.

use causeway_controller::testing::SyntheticLedger;
use causeway_interface::{Key, Platform};
use ed25519_dalek::SigningKey;

/// The backbones of the Internet Topology Zoo that the repository holds.
const GRAPHS: [&str; 6] = [
    include_str!("../../../topologies/Abilene.gml"),
    include_str!("../../../topologies/AttMpls.gml"),
    include_str!("../../../topologies/Geant2012.gml"),
    include_str!("../../../topologies/UsCarrier.gml"),
    include_str!("../../../topologies/Cogentco.gml"),
    include_str!("../../../topologies/Kdl.gml"),
];
/// Degrees of longitude from one copy to the next: a number that goes around the earth without meeting itself soon.
const STEP: f64 = 37.0;
/// Links that join a copy to the one before it.
const JOINTS: usize = 2;
/// Ports for links on a device of the recipe.
const PORTS: usize = 8;

/// Nodes with longitudes, and edges by their places.
struct Graph {
    lng: Vec<f64>,
    edges: Vec<(usize, usize)>,
}

/// Reads as much of GML as these files hold: one `key value` a line.
fn graph(text: &str) -> Graph {
    let (mut ids, mut lng, mut edges) = (Vec::new(), Vec::new(), Vec::new());
    let mut source = 0;
    for line in text.lines() {
        let Some((key, value)) = line.trim().split_once(' ') else { continue };
        match (key, value.parse::<f64>()) {
            ("id", Ok(id)) => {
                ids.push(id as i64);
                lng.push(0.0);
            }
            ("Longitude", Ok(degrees)) => *lng.last_mut().unwrap() = degrees,
            ("source", Ok(id)) => source = id as i64,
            ("target", Ok(id)) => edges.push((source, id as i64)),
            _ => {}
        }
    }
    let at = |id: i64| ids.iter().position(|known| *known == id).unwrap();
    Graph { edges: edges.into_iter().map(|(a, z)| (at(a), at(z))).collect(), lng }
}

/// A ledger and what its agents need.
pub struct World {
    /// The ledger.
    pub ledger: SyntheticLedger,
    /// Codes of the devices.
    pub devices: Vec<String>,
    /// Codes of the links.
    pub links: Vec<String>,
}

/// The agent key of a device.
pub fn agent_key(device: usize) -> SigningKey {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&(device as u64 + 1).to_le_bytes());
    SigningKey::from_bytes(&seed)
}

impl World {
    /// `devices` devices in service, every second one of EOS.
    pub fn new(devices: usize) -> Self {
        let mut ledger = SyntheticLedger::new(Platform::Frr);
        let graphs = GRAPHS.map(graph);
        let (mut codes, mut links) = (Vec::new(), Vec::new());
        let mut ports: Vec<usize> = Vec::new();
        for (copy, graph) in graphs.iter().cycle().enumerate() {
            let first = codes.len();
            let count = graph.lng.len().min(devices - first);
            for lng in graph.lng.iter().take(count) {
                let degrees = (lng + copy as f64 * STEP + 180.0).rem_euclid(360.0) - 180.0;
                // Of the places only the meridian matters.
                let location = ledger.location(&format!("at{:03}", degrees as i32 + 180), 0, (degrees * 1e6) as i32);
                let code = format!("dev-{:05}", codes.len());
                let key = Key(agent_key(codes.len()).verifying_key().to_bytes());
                let device = ledger.device(&code);
                (device.location, device.agent_key) = (location, key);
                if codes.len() % 2 == 1 {
                    device.platform = Platform::Eos;
                }
                codes.push(code);
                ports.push(PORTS);
            }
            let inside = graph.edges.iter().map(|(a, z)| (first + a, first + z));
            let joints = (0..JOINTS).filter(|_| first > 0).map(|n| (first + n, first - 1 - n));
            for (a, z) in inside.chain(joints).filter(|(a, z)| a != z && *a < codes.len() && *z < codes.len()) {
                if ports[a] > 0 && ports[z] > 0 {
                    (ports[a], ports[z]) = (ports[a] - 1, ports[z] - 1);
                    let code = format!("link-{:05}", links.len());
                    ledger.link(&code, &codes[a], &codes[z]);
                    links.push(code);
                }
            }
            if codes.len() == devices {
                break;
            }
        }
        Self { ledger, devices: codes, links }
    }
}
