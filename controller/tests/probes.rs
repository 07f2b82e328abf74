//! What the controller renders and asks to be probed, in the agents' simulated network: a target answers exactly while
//! packets find a way.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use causeway_agent::{
    driver::{Driver, ProbeKind, Target},
    sim::{Fabric, Family as Simulated, Fault, Port},
};
use causeway_controller::{
    probes::ProbePlanner,
    render::{Family, render_device},
    testing::{SyntheticLedger, code},
    topology::Topology,
};
use causeway_interface::{DeviceStatus, LinkStatus};
use causeway_wire::telemetry;

const DELAY: Duration = Duration::from_millis(4);
const REVERT: Duration = Duration::from_secs(60);
const PROBES: u32 = 5;

/// The ring, and a device before users on one link to it.
fn ledger(family: Family) -> SyntheticLedger {
    let mut ledger = SyntheticLedger::ring(family);
    ledger.device("new").header.status = DeviceStatus::LinkProvisioning;
    ledger.link("fra-new", "fra", "new");
    ledger
}

/// Routers and wires as registered, each running its rendered text.
async fn network(ledger: &SyntheticLedger, family: Family, simulated: Simulated) -> Fabric {
    let (fabric, snapshot) = (Fabric::new(1), &ledger.snapshot);
    for device in snapshot.devices.values() {
        fabric.add_device(device.code.as_str(), simulated, None).unwrap();
    }
    for link in snapshot.links.values() {
        let port = |device, interface: &causeway_interface::InterfaceName| {
            Port::new(snapshot.devices[device].code.as_str(), interface.as_str())
        };
        fabric
            .add_cable(port(&link.device_a, &link.interface_a), port(&link.device_z, &link.interface_z), DELAY)
            .unwrap();
    }
    for device in snapshot.devices.values() {
        let text = render_device(snapshot, &device.code, Some(family)).unwrap().text.to_string();
        run(&fabric, device.code.as_str(), &text).await;
    }
    fabric
}

async fn run(fabric: &Fabric, device: &str, text: &str) {
    let driver = fabric.driver(device).unwrap();
    driver.load_candidate(text).await.unwrap();
    driver.commit(REVERT).await.unwrap();
    driver.confirm().await.unwrap();
}

/// Codes of the targets of `of`, and how many probes each answered.
async fn answers(ledger: &SyntheticLedger, fabric: &Fabric, of: &str) -> Vec<(String, u32)> {
    let topology = Topology::new(&ledger.snapshot);
    let plan = ProbePlanner::new(&topology).plan(&code(of));
    let qa = plan.targets.into_iter().filter(|t| t.kind == telemetry::ProbeKind::Qa as u32);
    let target = |t: causeway_wire::controller::ProbeTarget| Target {
        kind: ProbeKind::Qa,
        code: t.code,
        interface: None,
        address: t.address.parse().unwrap(),
    };
    let targets: Vec<Target> = qa.map(target).collect();
    let outcomes = fabric.driver(of).unwrap().probe(&targets, PROBES).await.unwrap();
    targets.into_iter().zip(outcomes).map(|(target, outcome)| (target.code, outcome.received)).collect()
}

fn each(codes: &[&str], received: u32) -> Vec<(String, u32)> {
    codes.iter().map(|code| ((*code).to_owned(), received)).collect()
}

#[tokio::test]
async fn qa_targets_answer_exactly_while_packets_find_a_way() {
    for (family, simulated) in [(Family::Frr, Simulated::Frr), (Family::Eos, Simulated::Eos)] {
        let mut ledger = ledger(family);
        let fabric = network(&ledger, family, simulated).await;
        let all = ["ams", "fra", "lon", "par"];
        assert_eq!(answers(&ledger, &fabric, "new").await, each(&all, PROBES), "{simulated:?}");

        let interface = |link: &str| ledger.snapshot.links[&ledger.link_key(link)].interface_z.as_str().to_owned();
        let cut = fabric.inject(Fault::LinkCut { port: Port::new("new", &interface("fra-new")) });
        assert_eq!(answers(&ledger, &fabric, "new").await, each(&all, 0), "the only way is cut");
        fabric.heal(cut);
        // One link of the ring less is another way round.
        fabric.inject(Fault::LinkCut { port: Port::new("par", &interface("fra-par")) });
        assert_eq!(answers(&ledger, &fabric, "new").await, each(&all, PROBES));

        // A hard drain takes the adjacency down, and the ledger knows: nobody is asked for.
        ledger.link_mut("fra-new").header.status = LinkStatus::HardDrained;
        for device in ["fra", "new"] {
            let text = render_device(&ledger.snapshot, &code(device), Some(family)).unwrap().text.to_string();
            run(&fabric, device, &text).await;
        }
        assert_eq!(answers(&ledger, &fabric, "new").await, each(&[], 0));
        ledger.link_mut("fra-new").header.status = LinkStatus::Activated;
        assert_eq!(answers(&ledger, &fabric, "new").await, each(&all, 0), "who asks all the same gets no answer");
    }
}
