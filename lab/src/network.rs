//! Namespaces and what joins them: a veth pair for each link, and two switches in a namespace of their own, the internet
//! and the management network. The management network also reaches this machine; nothing else of it is touched.
//!
//! Everything is named after the process. What a lab left behind that was killed goes when the next one starts.

use std::{collections::BTreeMap, fmt::Write as _, net::Ipv4Addr, path::Path};

use anyhow::{Context, bail};
use causeway_agent::frr::shadow::{RUN_DIR, sweep as sweep_checks};
use causeway_cli::site::Site;
use causeway_interface::{Code, InterfaceKind, InterfaceRole, recipe};

use crate::command::{run, run_with};

/// This machine in the management network, which is out of the shared address space (RFC 6598).
pub const HERE: Ipv4Addr = Ipv4Addr::new(100, 127, 0, 1);
/// Length of the management network's prefix.
const MANAGEMENT_LEN: u8 = 16;
/// Length of the internet's prefix, which holds every device's public address: the benchmarking range (RFC 2544).
const INTERNET_LEN: u8 = 15;
/// Devices that the management network has addresses for, with room to spare.
const MAX_DEVICES: usize = 1_000;
/// The kernel keeps one table of neighbours for all namespaces (arp(7)), and refuses more than the first of these: 1 024 unless
/// somebody said otherwise, which 158 routers fill. From the second one on it looks for what to forget whenever one is added,
/// and below the third it forgets none. Each is so many parts of the first.
const NEIGHBOURS: [(&str, usize); 3] = [
    ("/proc/sys/net/ipv4/neigh/default/gc_thresh3", 1),
    ("/proc/sys/net/ipv4/neigh/default/gc_thresh2", 2),
    ("/proc/sys/net/ipv4/neigh/default/gc_thresh1", 4),
];
/// Room for each router: itself, its links, management, the internet, and what its agent talks to.
const NEIGHBOURS_PER_DEVICE: usize = 64;
/// Routers whose routes may have real-time priority, and beside whom everything else keeps its usual pace: 25 were tried, and 158
/// were too many.
pub const MAX_HURRIED: usize = 50;
/// Real-time priority of a fault: before every daemon, for a plug does not wait for its turn.
const AT_ONCE: &str = "20";
/// Names of all labs begin so.
const PREFIX: &str = "cwlab";

/// A router's place in the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Namespace, and FRR's pathspace.
    pub namespace: String,
    /// Its address in the management network.
    pub management: Ipv4Addr,
    /// Its public address.
    pub public: Ipv4Addr,
    /// The network is so small that all its routers may install routes at once, and the ledger's clock go on, before anything
    /// else is done.
    pub hurried: bool,
    /// Interface of the management network.
    management_port: Option<String>,
    /// Interfaces to the internet; the first has the public address.
    uplinks: Vec<String>,
    /// Interfaces that users would be behind.
    user_ports: Vec<String>,
    /// Interfaces of links.
    pub fabric: Vec<String>,
}

impl Place {
    /// Every interface but the management network's and the loopback.
    pub fn ports(&self) -> impl Iterator<Item = &str> {
        self.fabric.iter().chain(&self.uplinks).chain(&self.user_ports).map(String::as_str)
    }
}

/// Where each device of a site will be. Pure.
///
/// # Errors
/// There are more devices than addresses.
pub fn places(site: &Site, run: u32) -> anyhow::Result<BTreeMap<Code, Place>> {
    if site.devices.len() > MAX_DEVICES {
        bail!("{} devices are more than the {MAX_DEVICES} that a lab has addresses for", site.devices.len());
    }
    let mut places = BTreeMap::new();
    for (number, device) in (0_u32..).zip(&site.devices) {
        let mut place = Place {
            namespace: format!("{PREFIX}{run}r{number}"),
            management: Ipv4Addr::from(u32::from(HERE) + 1 + number),
            public: Ipv4Addr::from(device.public_ip.0),
            hurried: site.devices.len() <= MAX_HURRIED,
            management_port: None,
            uplinks: Vec::new(),
            user_ports: Vec::new(),
            fabric: Vec::new(),
        };
        for index in 0..recipe::len(device.device_type) {
            let interface = recipe::interface(device.device_type, device.platform, index);
            let name = interface.name.to_string();
            match (interface.kind, interface.role) {
                (InterfaceKind::Management, _) => place.management_port = Some(name),
                (InterfaceKind::Physical, InterfaceRole::Dia) => place.uplinks.push(name),
                (InterfaceKind::Physical, InterfaceRole::Cyoa) => place.user_ports.push(name),
                // Ports of links are made with their links.
                (_, InterfaceRole::Fabric | InterfaceRole::Dia | InterfaceRole::Cyoa) => {}
            }
        }
        places.insert(device.code, place);
    }
    for end in site.links.iter().flat_map(|link| [&link.a, &link.z]) {
        if let Some(place) = places.get_mut(&end.device) {
            place.fabric.push(end.interface.to_string());
        }
    }
    Ok(places)
}

/// The network while it stands.
pub struct Network {
    run: u32,
    hub: String,
    namespaces: Vec<String>,
}

impl Network {
    /// Makes everything.
    ///
    /// # Errors
    /// A namespace or an interface can't be made, or another lab is running.
    pub async fn build(site: &Site, places: &BTreeMap<Code, Place>, run_id: u32) -> anyhow::Result<Self> {
        sweep().await?;
        let hub = format!("{PREFIX}{run_id}hub");
        let namespaces = places.values().map(|p| p.namespace.clone()).chain([hub.clone()]).collect();
        let network = Self { run: run_id, hub, namespaces };
        network.make(site, places).await?;
        Ok(network)
    }

    async fn make(&self, site: &Site, places: &BTreeMap<Code, Place>) -> anyhow::Result<()> {
        room_for_neighbours(places.len() * NEIGHBOURS_PER_DEVICE).context("no room for so many neighbours")?;
        let made: String = self.namespaces.iter().map(|name| format!("netns add {name}\n")).collect();
        run_with("ip", &["-batch", "-"], &made).await.context("no network namespaces; a lab needs root")?;
        for namespace in &self.namespaces {
            settings(namespace).await?;
        }
        let plan = self.plan(site, places);
        run_with("ip", &["-batch", "-"], &plan.cables).await.context("the cables can't be laid")?;
        for (namespace, lines) in &plan.inside {
            run_with("ip", &["-n", namespace, "-batch", "-"], lines).await?;
        }
        let own = self.own_port();
        run("ip", &["addr", "add", &format!("{HERE}/{MANAGEMENT_LEN}"), "dev", &own]).await?;
        run("ip", &["link", "set", &own, "up"]).await?;
        Ok(())
    }

    /// Name of this machine's interface in the management network.
    fn own_port(&self) -> String {
        format!("{PREFIX}{}", self.run)
    }

    /// Lines for `ip -batch`: what is made between namespaces, and what is set inside of each.
    fn plan(&self, site: &Site, places: &BTreeMap<Code, Place>) -> Plan {
        let hub = &self.hub;
        let mut plan = Plan::default();
        plan.cables.push_str(&format!("link add {} type veth peer name here netns {hub}\n", self.own_port()));
        let bridges = ["management", "internet", "users"];
        let mut switch: String = bridges
            .iter()
            .map(|name| format!("link add {name} type bridge forward_delay 0\nlink set {name} up\n"))
            .collect();
        switch.push_str("link set here master management\nlink set here up\n");
        for (number, place) in places.values().enumerate() {
            let namespace = &place.namespace;
            let mut inside = String::from("link set lo up\n");
            let management = (place.management, MANAGEMENT_LEN);
            let management = place.management_port.iter().map(|p| (p, "management", Some(management)));
            let public = |n: usize| (n == 0).then_some((place.public, INTERNET_LEN));
            let uplinks = place.uplinks.iter().enumerate().map(|(n, p)| (p, "internet", public(n)));
            let users = place.user_ports.iter().map(|p| (p, "users", None));
            for (index, (port, bridge, address)) in management.chain(uplinks).chain(users).enumerate() {
                let far = format!("p{index}x{number}");
                let _ =
                    writeln!(plan.cables, "link add {port} netns {namespace} type veth peer name {far} netns {hub}");
                let _ = writeln!(switch, "link set {far} master {bridge}\nlink set {far} up");
                if let Some((address, len)) = address {
                    let _ = writeln!(inside, "addr add {address}/{len} dev {port}");
                }
                let _ = writeln!(inside, "link set {port} up");
            }
            for port in &place.fabric {
                let _ = writeln!(inside, "link set {port} up");
            }
            plan.inside.push((namespace.clone(), inside));
        }
        for link in &site.links {
            let (Some(a), Some(z)) = (places.get(&link.a.device), places.get(&link.z.device)) else { continue };
            let (ours, theirs) = (link.a.interface, link.z.interface);
            let (a, z) = (&a.namespace, &z.namespace);
            let _ = writeln!(plan.cables, "link add {ours} netns {a} type veth peer name {theirs} netns {z}");
        }
        // Last, so that no router sees a switch that is not there yet.
        plan.inside.insert(0, (hub.clone(), switch));
        plan
    }

    /// Takes everything away, with every process in it.
    pub async fn remove(self) {
        remove_run(&self.run.to_string()).await;
    }
}

/// Takes away what a run has made, however far it came.
pub async fn remove_run(run_id: &str) {
    let listed = run("ip", &["netns", "list"]).await.unwrap_or_default();
    for (name, _) in labs(&listed).filter(|(_, of)| *of == run_id) {
        remove(name).await;
    }
    let _ = run("ip", &["link", "delete", &format!("{PREFIX}{run_id}")]).await;
    // Of agents that were killed in the middle of a check; its daemons are in namespaces of their own.
    let _ = tokio::task::spawn_blocking(|| sweep_checks(Path::new(RUN_DIR))).await;
}

/// Namespaces of labs, each with the process that it is named after.
fn labs(listed: &str) -> impl Iterator<Item = (&str, &str)> {
    listed.lines().filter_map(|line| {
        let name = line.split_whitespace().next()?;
        let rest = name.strip_prefix(PREFIX)?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        Some((name, rest.split_at(digits).0))
    })
}

#[derive(Default)]
struct Plan {
    cables: String,
    inside: Vec<(String, String)>,
}

/// Raises the kernel's limits where they are lower. They stay so: they are limits and no reservation, and nobody knows who else
/// has come to need them. In a container they are the machine's, and not to be seen: a small lab does without.
fn room_for_neighbours(wanted: usize) -> anyhow::Result<()> {
    for (path, parts) in NEIGHBOURS.iter().filter(|(path, _)| Path::new(path).exists()) {
        let limit: usize = std::fs::read_to_string(path).context(*path)?.trim().parse().context(*path)?;
        if limit < wanted / parts {
            std::fs::write(path, (wanted / parts).to_string()).context(*path)?;
        }
    }
    Ok(())
}

/// What a router's kernel has to do: forward, and take packets by whatever way they come. Nothing of the lab speaks IPv6.
async fn settings(namespace: &str) -> anyhow::Result<()> {
    let script = "cd /proc/sys/net && echo 1 > ipv4/ip_forward && echo 0 > ipv4/conf/all/rp_filter && \
                  echo 0 > ipv4/conf/default/rp_filter && echo 1 > ipv6/conf/all/disable_ipv6 && \
                  echo 1 > ipv6/conf/default/disable_ipv6";
    run("ip", &["netns", "exec", namespace, "sh", "-c", script]).await.map(drop)
}

/// Sets an interface of a router up or down.
///
/// # Errors
/// There is no such interface.
pub async fn set_port(place: &Place, port: &str, up: bool) -> anyhow::Result<()> {
    let state = if up { "up" } else { "down" };
    run("ip", &["-n", &place.namespace, "link", "set", port, state]).await.map(drop)
}

/// Both ends of a link that loses every packet although both see its light, or one that is well again. It is one moment at
/// both ends, for BFD counts from the later one: on a busy machine two calls are as far apart as they wait for their turns.
///
/// # Errors
/// There is no such interface.
pub async fn set_silent(ends: [(&Place, &str); 2], silent: bool) -> anyhow::Result<()> {
    const BOTH: &str = r#"tc -n "$1" qdisc replace dev "$2" root $5 & a=$!
        tc -n "$3" qdisc replace dev "$4" root $5 & b=$!
        wait $a && wait $b"#;
    // A queue with room for nothing: the kernel has no other way that needs no further module.
    let queue = if silent { "bfifo limit 1" } else { "pfifo limit 1000" };
    let [(a, at_a), (z, at_z)] = ends;
    let both = ["--rr", AT_ONCE, "sh", "-c", BOTH, "sh", &a.namespace, at_a, &z.namespace, at_z, queue];
    run("chrt", &both).await.map(drop)
}

/// Every port goes dark and the kernel forgets what routing gave it, as it does without power. What the operator set stays.
///
/// # Errors
/// There is no such interface.
pub async fn power_off(place: &Place) -> anyhow::Result<()> {
    let mut lines: String = place.ports().map(|port| format!("link set {port} down\n")).collect();
    for port in place.fabric.iter().map(String::as_str).chain(["lo"]) {
        let _ = writeln!(lines, "addr flush dev {port} scope global");
    }
    run_with("ip", &["-n", &place.namespace, "-batch", "-"], &lines).await.map(drop)
}

/// The ports' light comes back.
///
/// # Errors
/// There is no such interface.
pub async fn power_on(place: &Place) -> anyhow::Result<()> {
    let lines: String = place.ports().map(|port| format!("link set {port} up\n")).collect();
    run_with("ip", &["-n", &place.namespace, "-batch", "-"], &lines).await.map(drop)
}

async fn remove(namespace: &str) {
    if let Ok(pids) = run("ip", &["netns", "pids", namespace]).await {
        for pid in pids.split_whitespace() {
            let _ = run("kill", &["-KILL", pid]).await;
        }
    }
    let _ = run("ip", &["netns", "delete", namespace]).await;
    for folder in ["/var/run/frr", "/etc/frr"] {
        let _ = std::fs::remove_dir_all(Path::new(folder).join(namespace));
    }
}

/// Removes what a lab left that is no longer there.
///
/// # Errors
/// Another lab is running: its addresses are needed.
async fn sweep() -> anyhow::Result<()> {
    let listed = run("ip", &["netns", "list"]).await.context("iproute2 is needed")?;
    let own = std::process::id().to_string();
    let left: std::collections::BTreeSet<&str> = labs(&listed).map(|(_, of)| of).filter(|of| *of != own).collect();
    for process in left {
        let runs = std::fs::read_link(format!("/proc/{process}/exe"));
        if runs.is_ok_and(|path| path.to_string_lossy().contains("causeway-lab")) {
            bail!("another lab runs on this machine (process {process}), and there can be one at a time: end it first");
        }
        remove_run(process).await;
    }
    Ok(())
}
