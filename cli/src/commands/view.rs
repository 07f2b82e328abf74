//! How records look in tables: rows of lists and the pairs of one record, with codes in place of addresses.

use std::collections::BTreeMap;

use causeway_interface::{
    Code, DesiredStatus, Key, LoopbackType, Prefix, RejectReason,
    accounts::{Contributor, Device, Exchange, Interface, Link, Location, Network},
};

use crate::output::{bandwidth, delay, or_dash, table};

/// Codes of what other records name by address.
pub type Names = BTreeMap<Key, Code>;

/// The code of an account, or its address where it is not known.
fn name(names: &Names, key: &Key) -> String {
    names.get(key).map_or_else(|| key_or_dash(key), ToString::to_string)
}

/// An address, or a dash for none.
pub fn key_or_dash(key: &Key) -> String {
    if key.is_zero() { "-".into() } else { key.to_string() }
}

fn degrees(e6: i32) -> String {
    format!("{}", f64::from(e6) / 1e6)
}

fn prefix(prefix: &Prefix) -> String {
    if prefix.is_none() { "-".into() } else { prefix.to_string() }
}

/// The one-line state of a device or link.
pub fn state(status: impl ToString, health: impl ToString, desired: DesiredStatus) -> String {
    format!("status {}, health {}, desired {desired}", status.to_string(), health.to_string())
}

/// The network.
pub fn network(network: &Network) -> Vec<(&'static str, String)> {
    let oracles: Vec<String> =
        network.oracles.iter().take(usize::from(network.oracle_count)).map(ToString::to_string).collect();
    let mut rows = vec![
        ("status", network.header.status.to_string()),
        ("authority", network.authority.to_string()),
        ("pending authority", key_or_dash(&network.pending_authority)),
        ("core ASN", network.core_asn.to_string()),
        ("burn-in, new", format!("{} slots", network.burn_in_new_slots)),
        ("burn-in, maintenance", format!("{} slots", network.burn_in_maintenance_slots)),
        ("attestations' maximum age", format!("{} slots", network.attestation_max_age_slots)),
        ("link block", prefix(&network.link_block)),
        ("loopback block", prefix(&network.loopback_block)),
        ("user block", prefix(&network.user_block)),
        ("oracles", format!("{}, quorum {}, epoch {}", network.oracle_count, network.quorum, network.oracle_epoch)),
    ];
    rows.extend(oracles.into_iter().map(|oracle| ("", oracle)));
    rows.extend([
        ("contributors", network.contributor_count.to_string()),
        ("locations", network.location_count.to_string()),
        ("exchanges", network.exchange_count.to_string()),
        ("devices", network.device_count.to_string()),
        ("links", network.link_count.to_string()),
        ("sequence", network.header.sequence.to_string()),
    ]);
    rows
}

/// Headings of [`contributor_row`].
pub const CONTRIBUTOR: &[&str] = &["code", "status", "devices", "link sides", "owner"];

/// One contributor of a list.
pub fn contributor_row(c: &Contributor) -> Vec<String> {
    vec![
        c.code.to_string(),
        c.header.status.to_string(),
        c.device_count.to_string(),
        c.link_count.to_string(),
        c.owner.to_string(),
    ]
}

/// A contributor.
pub fn contributor(c: &Contributor) -> Vec<(&'static str, String)> {
    vec![
        ("code", c.code.to_string()),
        ("status", c.header.status.to_string()),
        ("owner", c.owner.to_string()),
        ("operations key", key_or_dash(&c.operations_key)),
        ("devices", c.device_count.to_string()),
        ("link sides", c.link_count.to_string()),
        ("sequence", c.header.sequence.to_string()),
    ]
}

/// Headings of [`location_row`].
pub const LOCATION: &[&str] = &["code", "status", "name", "country", "lat", "lng", "devices"];

/// One location of a list.
pub fn location_row(l: &Location) -> Vec<String> {
    vec![
        l.code.to_string(),
        l.header.status.to_string(),
        or_dash(l.name),
        or_dash(l.country),
        degrees(l.lat_e6),
        degrees(l.lng_e6),
        l.device_count.to_string(),
    ]
}

/// A location.
pub fn location(l: &Location) -> Vec<(&'static str, String)> {
    vec![
        ("code", l.code.to_string()),
        ("status", l.header.status.to_string()),
        ("name", or_dash(l.name)),
        ("country", or_dash(l.country)),
        ("latitude", degrees(l.lat_e6)),
        ("longitude", degrees(l.lng_e6)),
        ("devices", l.device_count.to_string()),
        ("sequence", l.header.sequence.to_string()),
    ]
}

/// Headings of [`exchange_row`].
pub const EXCHANGE: &[&str] = &["code", "status", "name", "country", "lat", "lng", "community", "devices"];

/// One exchange of a list.
pub fn exchange_row(e: &Exchange) -> Vec<String> {
    vec![
        e.code.to_string(),
        e.header.status.to_string(),
        or_dash(e.name),
        or_dash(e.country),
        degrees(e.lat_e6),
        degrees(e.lng_e6),
        e.bgp_community.to_string(),
        e.device_count.to_string(),
    ]
}

/// An exchange.
pub fn exchange(e: &Exchange) -> Vec<(&'static str, String)> {
    vec![
        ("code", e.code.to_string()),
        ("status", e.header.status.to_string()),
        ("name", or_dash(e.name)),
        ("country", or_dash(e.country)),
        ("latitude", degrees(e.lat_e6)),
        ("longitude", degrees(e.lng_e6)),
        ("BGP community", e.bgp_community.to_string()),
        ("devices", e.device_count.to_string()),
        ("sequence", e.header.sequence.to_string()),
    ]
}

/// Headings of [`device_row`].
pub const DEVICE: &[&str] =
    &["code", "type", "status", "health", "desired", "contributor", "exchange", "public IP", "links"];

/// One device of a list.
pub fn device_row(names: &Names, d: &Device) -> Vec<String> {
    vec![
        d.code.to_string(),
        d.header.kind.to_string(),
        d.header.status.to_string(),
        d.header.health.to_string(),
        d.header.desired.to_string(),
        name(names, &d.contributor),
        name(names, &d.exchange),
        if d.public_ip.is_zero() { "-".into() } else { d.public_ip.to_string() },
        d.link_count.to_string(),
    ]
}

/// A device.
pub fn device(names: &Names, d: &Device) -> Vec<(&'static str, String)> {
    let dz: Vec<String> = d.dz_prefixes.iter().filter(|p| !p.is_none()).map(ToString::to_string).collect();
    let mut rows = vec![
        ("code", d.code.to_string()),
        ("type", d.header.kind.to_string()),
        ("platform", d.platform.to_string()),
        ("status", d.header.status.to_string()),
        ("health", d.header.health.to_string()),
        ("desired", d.header.desired.to_string()),
        ("contributor", name(names, &d.contributor)),
        ("location", name(names, &d.location)),
        ("exchange", name(names, &d.exchange)),
        ("public IP", if d.public_ip.is_zero() { "-".into() } else { d.public_ip.to_string() }),
        ("dz prefixes", or_dash(dz.join(" "))),
        ("agent key", key_or_dash(&d.agent_key)),
        ("telemetry key", key_or_dash(&d.telemetry_key)),
        ("management VRF", or_dash(d.management_vrf)),
        ("interfaces", d.interfaces.len().to_string()),
        ("links", format!("{}, activated: {} wan, {} dzx", d.link_count, d.activated_wan_links, d.activated_dzx_links)),
        ("users", d.user_count.to_string()),
    ];
    if d.reject_reason != RejectReason::None {
        rows.push(("rejected for", d.reject_reason.to_string()));
    }
    rows.extend([
        ("status since slot", d.header.status_since_slot.to_string()),
        ("health since slot", d.health_since_slot.to_string()),
        ("sequence", d.header.sequence.to_string()),
    ]);
    rows
}

/// A device's interfaces, in order of creation.
pub fn interfaces(links: &Names, list: &[Interface]) -> String {
    let headings = ["name", "kind", "role", "loopback", "vlan", "mtu", "bandwidth", "address", "segment", "link"];
    let dash = |number: u16| if number == 0 { "-".into() } else { number.to_string() };
    let row = |i: &Interface| {
        vec![
            i.name.to_string(),
            i.kind.to_string(),
            i.role.to_string(),
            if i.loopback == LoopbackType::None { "-".into() } else { i.loopback.to_string() },
            dash(i.vlan_id),
            i.mtu.to_string(),
            bandwidth(i.bandwidth_bps),
            prefix(&i.address),
            dash(i.node_segment),
            name(links, &i.link),
        ]
    };
    table(&headings, list.iter().map(row))
}

/// Headings of [`link_row`].
pub const LINK: &[&str] = &["code", "type", "status", "health", "desired", "side a", "side z", "bandwidth", "delay"];

fn side(names: &Names, device: &Key, interface: &causeway_interface::InterfaceName) -> String {
    format!("{}:{}", name(names, device), or_dash(interface))
}

/// One link of a list.
pub fn link_row(names: &Names, l: &Link) -> Vec<String> {
    vec![
        l.code.to_string(),
        l.header.kind.to_string(),
        l.header.status.to_string(),
        l.header.health.to_string(),
        l.header.desired.to_string(),
        side(names, &l.device_a, &l.interface_a),
        side(names, &l.device_z, &l.interface_z),
        bandwidth(l.bandwidth_bps),
        delay(l.delay_ns),
    ]
}

/// A link.
pub fn link(names: &Names, l: &Link) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("code", l.code.to_string()),
        ("type", l.header.kind.to_string()),
        ("status", l.header.status.to_string()),
        ("health", l.header.health.to_string()),
        ("desired", format!("{}; by side a {}, by side z {}", l.header.desired, l.desired_a, l.desired_z)),
        ("side a", format!("{} of {}", side(names, &l.device_a, &l.interface_a), name(names, &l.contributor_a))),
        ("side z", format!("{} of {}", side(names, &l.device_z, &l.interface_z), name(names, &l.contributor_z))),
        ("bandwidth", bandwidth(l.bandwidth_bps)),
        ("MTU", l.mtu.to_string()),
        ("delay", delay(l.delay_ns)),
        ("jitter", delay(l.jitter_ns)),
        ("delay override", delay(l.delay_override_ns)),
        ("tunnel id", if l.tunnel_id == 0 { "-".into() } else { l.tunnel_id.to_string() }),
        ("tunnel net", prefix(&l.tunnel_net)),
    ];
    if l.reject_reason != RejectReason::None {
        rows.push(("rejected for", l.reject_reason.to_string()));
    }
    rows.extend([
        ("status since slot", l.header.status_since_slot.to_string()),
        ("health since slot", l.health_since_slot.to_string()),
        ("sequence", l.header.sequence.to_string()),
    ]);
    rows
}
