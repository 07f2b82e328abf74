//! An account of the ledger beside what the model says of it, field by field.

use causeway_interface::{
    Code, Key, LinkType, NetworkStatus, PoolKind, Prefix, RegistryStatus,
    accounts::{
        Attestations, Contributor, Device, Exchange, LINK_FLAG_Z_ATTACHED, Link, Location, Network,
        PREFIX_TABLE_CAPACITY, Pool, PrefixTable, Record,
    },
};

use super::{
    atlas::{Place, atlas, code_of},
    command::{Registry, Subject},
    instruct::interface_name,
    rules,
    state::{self, Id, Model, Stamp, loopbacks_of, nets_of},
};

/// What differs, one line each.
pub type Differences = Vec<String>;

/// Notes where the ledger's field is not the model's.
macro_rules! same {
    ($found:ident, $($what:literal: $ledger:expr => $model:expr;)+) => {$(
        let (ledger, model) = (&$ledger, &$model);
        if ledger != model {
            $found.push(format!("{}: the ledger has {ledger:?}, the model {model:?}", $what));
        }
    )+};
}

/// Everything that differs at one place; an account that exists for one of the two only is a difference.
pub fn differences(model: &Model, place: Place, data: Option<&[u8]>) -> Differences {
    let found = match (exists(model, place), data) {
        (false, None) => Vec::new(),
        (true, None) => vec!["the ledger has no such account".into()],
        (false, Some(_)) => vec!["the model has no such account".into()],
        (true, Some(data)) => match place {
            Place::Network => network(model, &read(data)),
            Place::PrefixTable => prefix_table(model, &read(data)),
            Place::Pool(_) => pool(model, &read(data)),
            Place::Registry(Registry::Contributor(id)) => contributor(model, id, &read(data)),
            Place::Registry(Registry::Location(id)) => location(model, id, &read(data)),
            Place::Registry(Registry::Exchange(id)) => exchange(model, id, &read(data)),
            Place::Subject(Subject::Device(id)) => device(model, id, &read(data)),
            Place::Subject(Subject::Link(id)) => link(model, id, &read(data)),
            Place::Attestations(subject) => attestations(model, subject, &read(data)),
        },
    };
    found.into_iter().map(|difference| format!("{place:?}: {difference}")).collect()
}

/// A record that the program has just written: it has to be readable.
pub fn read<T: Record>(data: &[u8]) -> T {
    T::decode(data).unwrap_or_else(|error| panic!("an account that nobody can read: {error}"))
}

fn exists(model: &Model, place: Place) -> bool {
    match place {
        Place::Network | Place::PrefixTable | Place::Pool(_) => model.network.is_some(),
        Place::Registry(Registry::Contributor(id)) => model.contributors.contains_key(&id),
        Place::Registry(Registry::Location(id)) => model.locations.contains_key(&id),
        Place::Registry(Registry::Exchange(id)) => model.exchanges.contains_key(&id),
        Place::Subject(Subject::Device(id)) => model.devices.contains_key(&id),
        Place::Subject(Subject::Link(id)) => model.links.contains_key(&id),
        Place::Attestations(subject) => model.words.contains_key(&subject),
    }
}

fn stamp(found: &mut Differences, sequence: u64, status_since_slot: u64, stamp: &Stamp) {
    same! { found,
        "sequence": sequence => stamp.sequence;
        "status_since_slot": status_since_slot => stamp.status_since;
    }
}

fn named(place: Place) -> Key {
    causeway_sdk::address::to_key(&atlas().address(place))
}

fn network(model: &Model, ledger: &Network) -> Differences {
    let mut found = Vec::new();
    let net = model.net();
    let keys = |actors: &[u8]| actors.iter().map(|actor| atlas().ledger_key(Some(*actor))).collect::<Vec<_>>();
    let (set, rest) = ledger.oracles.split_at(usize::from(ledger.oracle_count));
    stamp(&mut found, ledger.header.sequence, ledger.header.status_since_slot, &net.stamp);
    same! { found,
        "paused": (ledger.header.status == NetworkStatus::Paused) => net.paused;
        "authority": ledger.authority => atlas().ledger_key(Some(net.authority));
        "pending_authority": ledger.pending_authority => atlas().ledger_key(net.pending);
        "oracle_epoch": ledger.oracle_epoch => net.epoch;
        "quorum": ledger.quorum => net.quorum;
        "oracles": set.to_vec() => keys(&net.oracles);
        "places after the last oracle": rest.iter().all(Key::is_zero) => true;
        "core_asn": ledger.core_asn => net.core_asn;
        "burn_in_new_slots": ledger.burn_in_new_slots => net.burn_in_new;
        "burn_in_maintenance_slots": ledger.burn_in_maintenance_slots => net.burn_in_maintenance;
        "attestation_max_age_slots": ledger.attestation_max_age_slots => net.max_age;
        "link_block": ledger.link_block => net.link_block;
        "loopback_block": ledger.loopback_block => net.loopback_block;
        "user_block": ledger.user_block => net.user_block;
        "contributor_count": ledger.contributor_count as usize => model.contributors.len();
        "location_count": ledger.location_count as usize => model.locations.len();
        "exchange_count": ledger.exchange_count as usize => model.exchanges.len();
        "device_count": ledger.device_count as usize => model.devices.len();
        "link_count": ledger.link_count as usize => model.links.len();
    }
    found
}

fn prefix_table(model: &Model, ledger: &PrefixTable) -> Differences {
    let mut found = Vec::new();
    let used: Vec<_> = ledger.ranges.iter().take(ledger.used as usize).map(|r| (r.first, r.last)).collect();
    let rest = ledger.ranges.iter().skip(ledger.used as usize).all(|r| (r.first, r.last) == (0, 0));
    same! { found,
        "ranges": used => model.prefixes();
        "ranges after the last are zero": rest => true;
        "room": ledger.ranges.len() => PREFIX_TABLE_CAPACITY + model.net().table_grown;
    }
    found
}

fn pool(model: &Model, ledger: &Pool) -> Differences {
    let mut found = Vec::new();
    let net = model.net();
    let (values, used): (Vec<u32>, _) = match ledger.header.kind {
        PoolKind::LinkNet => (nets_of(&net.link_block).collect(), model.nets()),
        PoolKind::Loopback => (loopbacks_of(&net.loopback_block).collect(), model.loopbacks()),
        PoolKind::LinkId => ((1..=65_535).collect(), model.tunnel_ids()),
        PoolKind::NodeSegment => ((1..=16_383).collect(), model.segments()),
    };
    let set = |index: usize| ledger.words[index / 64] >> (index % 64) & 1 == 1;
    let bits = ledger.words.len() * 64;
    let taken: Vec<_> = (0..values.len().min(bits)).filter(|n| set(*n)).map(|n| values[n]).collect();
    same! { found,
        "values handed out": taken => used.iter().copied().collect::<Vec<_>>();
        "allocated": ledger.allocated as usize => used.len();
        "capacity": ledger.capacity as usize => values.len();
        "bits past the capacity are set": (values.len()..bits).all(set) => true;
    }
    found
}

fn contributor(model: &Model, id: Id, ledger: &Contributor) -> Differences {
    let mut found = Vec::new();
    let own = &model.contributors[&id];
    stamp(&mut found, ledger.header.sequence, ledger.header.status_since_slot, &own.stamp);
    same! { found,
        "code": ledger.code => code_of('c', id);
        "suspended": (ledger.header.status == RegistryStatus::Suspended) => own.suspended;
        "owner": ledger.owner => atlas().ledger_key(Some(own.owner));
        "operations_key": ledger.operations_key => atlas().ledger_key(own.operations);
        "device_count": ledger.device_count as usize => model.devices_by(|d| d.contributor == id);
        "link_count": ledger.link_count as usize => model.sides_of(id);
    }
    found
}

fn location(model: &Model, id: Id, ledger: &Location) -> Differences {
    let mut found = Vec::new();
    let own = &model.locations[&id];
    place_code(&mut found, &ledger.code, id);
    stamp(&mut found, ledger.header.sequence, ledger.header.status_since_slot, &own.stamp);
    same! { found,
        "suspended": (ledger.header.status == RegistryStatus::Suspended) => own.suspended;
        "country": ledger.country => own.country;
        "lat_e6": ledger.lat_e6 => own.lat_e6;
        "lng_e6": ledger.lng_e6 => own.lng_e6;
        "device_count": ledger.device_count as usize => model.devices_by(|d| d.location == id);
    }
    found
}

fn exchange(model: &Model, id: Id, ledger: &Exchange) -> Differences {
    let mut found = Vec::new();
    let own = &model.exchanges[&id];
    place_code(&mut found, &ledger.code, id);
    stamp(&mut found, ledger.header.sequence, ledger.header.status_since_slot, &own.stamp);
    same! { found,
        "suspended": (ledger.header.status == RegistryStatus::Suspended) => own.suspended;
        "country": ledger.country => own.country;
        "lat_e6": ledger.lat_e6 => own.lat_e6;
        "lng_e6": ledger.lng_e6 => own.lng_e6;
        "bgp_community": ledger.bgp_community => own.community;
        "device_count": ledger.device_count as usize => model.devices_by(|d| d.exchange == id);
    }
    found
}

fn place_code(found: &mut Differences, code: &Code, id: Id) {
    same! { found, "code": *code => code_of('p', id); }
}

fn device(model: &Model, id: Id, ledger: &Device) -> Differences {
    let mut found = Vec::new();
    let own = &model.devices[&id];
    stamp(&mut found, ledger.header.sequence, ledger.header.status_since_slot, &own.stamp);
    let prefixes = ledger.dz_prefixes.iter().take(usize::from(ledger.dz_prefix_count)).copied().collect::<Vec<_>>();
    same! { found,
        "code": ledger.code => code_of('d', id);
        "status": ledger.header.status => own.status;
        "health": ledger.header.health => own.health;
        "health_since_slot": ledger.health_since_slot => own.health_since;
        "desired": ledger.header.desired => own.desired;
        "type": ledger.header.kind => own.device_type;
        "platform": ledger.platform => own.platform;
        "suspended_from": ledger.suspended_from => own.suspended_from;
        "reject_reason": ledger.reject_reason => own.reject_reason;
        "contributor": ledger.contributor => named(Place::Registry(Registry::Contributor(own.contributor)));
        "location": ledger.location => named(Place::Registry(Registry::Location(own.location)));
        "exchange": ledger.exchange => named(Place::Registry(Registry::Exchange(own.exchange)));
        "public_ip": ledger.public_ip.to_u32() => own.public_ip;
        "dz_prefixes": prefixes => own.prefixes;
        "agent_key": ledger.agent_key => Key([own.agent_key; 32]);
        "telemetry_key": ledger.telemetry_key => Key([own.telemetry_key; 32]);
        "link_count": ledger.link_count as usize => model.links_of(id);
        "activated_wan_links": ledger.activated_wan_links as usize => model.activated_links_of(id, LinkType::Wan);
        "activated_dzx_links": ledger.activated_dzx_links as usize => model.activated_links_of(id, LinkType::Dzx);
        "user_count": ledger.user_count => 0;
        "number of interfaces": ledger.interfaces.len() => own.ports.len();
    }
    for (ledger, own) in ledger.interfaces.iter().zip(&own.ports) {
        let mut inner = Vec::new();
        let given = &own.given;
        let link = own.link.map_or(Key::ZERO, |link| named(Place::Subject(Subject::Link(link))));
        same! { inner,
            "name": ledger.name => interface_name(&given.name);
            "kind": ledger.kind => given.kind;
            "role": ledger.role => given.role;
            "loopback": ledger.loopback => given.loopback;
            "vlan_id": ledger.vlan_id => given.vlan;
            "mtu": ledger.mtu => given.mtu;
            "bandwidth_bps": ledger.bandwidth_bps => given.bandwidth_bps;
            "address": ledger.address => given.address;
            "node_segment": ledger.node_segment => own.segment;
            "link": ledger.link => link;
        }
        found.extend(inner.into_iter().map(|difference| format!("interface {}: {difference}", given.name)));
    }
    found
}

fn link(model: &Model, id: Id, ledger: &Link) -> Differences {
    let mut found = Vec::new();
    let own = &model.links[&id];
    let [device_a, device_z] = own.devices.map(|device| named(Place::Subject(Subject::Device(device))));
    let [side_a, side_z] = own.contributors.map(|side| named(Place::Registry(Registry::Contributor(side))));
    let tunnel_net = own.tunnel_net.map_or(Prefix::NONE, |net| Prefix::new(net, 31));
    let figures = &own.figures;
    stamp(&mut found, ledger.header.sequence, ledger.header.status_since_slot, &own.stamp);
    same! { found,
        "code": ledger.code => code_of('k', id);
        "status": ledger.header.status => own.status;
        "health": ledger.header.health => own.health;
        "health_since_slot": ledger.health_since_slot => own.health_since;
        "desired": ledger.header.desired => own.wanted();
        "desired by each side": [ledger.desired_a, ledger.desired_z] => own.desired;
        "type": ledger.header.kind => own.link_type;
        "flags": ledger.header.flags => if own.attached { LINK_FLAG_Z_ATTACHED } else { 0 };
        "suspended_from": ledger.suspended_from => own.suspended_from;
        "reject_reason": ledger.reject_reason => own.reject_reason;
        "devices": [ledger.device_a, ledger.device_z] => [device_a, device_z];
        "contributors": [ledger.contributor_a, ledger.contributor_z] => [side_a, side_z];
        "interface_a": ledger.interface_a => interface_name(&own.ports[0]);
        "interface_z": ledger.interface_z => interface_name(&own.ports[1]);
        "bandwidth_bps": ledger.bandwidth_bps => figures.bandwidth_bps;
        "mtu": ledger.mtu => figures.mtu;
        "delay_ns": ledger.delay_ns => figures.delay_ns;
        "jitter_ns": ledger.jitter_ns => figures.jitter_ns;
        "delay_override_ns": ledger.delay_override_ns => figures.delay_override_ns;
        "tunnel_id": ledger.tunnel_id => own.tunnel_id;
        "tunnel_net": ledger.tunnel_net => tunnel_net;
    }
    found
}

fn attestations(model: &Model, subject: Subject, ledger: &Attestations) -> Differences {
    let mut found = Vec::new();
    let own = &model.words[&subject];
    stamp(&mut found, ledger.header.sequence, ledger.header.status_since_slot, &own.stamp);
    same! { found,
        "subject": ledger.subject => named(Place::Subject(subject));
        "number of entries": ledger.entries.len() => own.places.len();
    }
    for (place, (entry, said)) in ledger.entries.iter().zip(&own.places).enumerate() {
        let mut inner = Vec::new();
        let last = said.last();
        let since = [1, 2].map(|level| rules::since(said, level).unwrap_or(0));
        same! { inner,
            "verdict": entry.verdict => last.map_or(0, |word| word.verdict);
            "epoch": entry.epoch => last.map_or(0, |word| word.epoch);
            "slot": entry.slot => last.map_or(0, |word: &state::Word| word.slot);
            "since": entry.since => since;
            "window": [entry.window_start_slot, entry.window_end_slot] => last.map_or([0; 2], |word| word.window);
        }
        found.extend(inner.into_iter().map(|difference| format!("entry {place}: {difference}")));
    }
    found
}
