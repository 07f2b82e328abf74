//! What EOS shows of interfaces and IS-IS, as JSON. Pure. A table that can't be read is an error; an interface whose
//! counters are not all there is left out, because a zero would read as a fact.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::rpc::CallError;
use crate::driver::{Adjacency, InterfaceCounters};

/// Every interface with state and counters.
pub const INTERFACES: &str = "show interfaces";
/// IS-IS neighbours.
pub const NEIGHBORS: &str = "show isis neighbors";
/// IS-IS circuits.
pub const CIRCUITS: &str = "show isis interface";
/// Processors, among other things.
pub const PROCESSORS: &str = "show processes top once";
/// The routing instance that the managed IS-IS and BGP are in.
pub const VRF: &str = "default";
/// The level of the managed IS-IS.
const LEVEL: &str = "2";

/// An answer that says something else.
pub fn unreadable(what: &str) -> CallError {
    CallError::Answer(format!("{what} can not be read"))
}

/// A table that has to be there.
///
/// # Errors
/// [`CallError::Answer`].
pub fn object<'a>(value: Option<&'a Value>, what: &str) -> Result<&'a Map<String, Value>, CallError> {
    value.and_then(Value::as_object).ok_or_else(|| unreadable(what))
}

/// Reads [`INTERFACES`]: counters by name, and the names of those that have none, such as loopbacks.
///
/// # Errors
/// [`CallError::Answer`].
pub fn counters(answer: &Value) -> Result<(Vec<InterfaceCounters>, Vec<String>), CallError> {
    let listed = object(answer.get("interfaces"), "the list of interfaces")?;
    let (mut read, mut without) = (BTreeMap::new(), Vec::new());
    for (name, shown) in listed {
        match interface(name, shown) {
            Some(counters) => {
                read.insert(name, counters);
            }
            None => without.push(name.clone()),
        }
    }
    without.sort();
    Ok((read.into_values().collect(), without))
}

fn interface(name: &str, shown: &Value) -> Option<InterfaceCounters> {
    let counters = shown.get("interfaceCounters")?;
    let count = |field: &str| counters.get(field).and_then(Value::as_u64);
    Some(InterfaceCounters {
        interface: name.to_owned(),
        oper_up: shown.get("lineProtocolStatus").and_then(Value::as_str)? == "up",
        in_octets: count("inOctets")?,
        out_octets: count("outOctets")?,
        in_errors: count("totalInErrors")?,
        out_errors: count("totalOutErrors")?,
        in_discards: count("inDiscards")?,
        out_discards: count("outDiscards")?,
        carrier_transitions: count("linkStatusChanges")?,
    })
}

/// Reads [`CIRCUITS`] and [`NEIGHBORS`]: circuits of level 2 that are not passive, by interface name.
///
/// # Errors
/// [`CallError::Answer`].
pub fn adjacencies(circuits: &Value, neighbors: &Value) -> Result<Vec<Adjacency>, CallError> {
    let mut found: BTreeMap<String, Adjacency> = BTreeMap::new();
    for instance in instances(circuits)? {
        let Some(interfaces) = instance.get("interfaces") else { continue };
        for (name, shown) in object(Some(interfaces), "an IS-IS circuit list")? {
            let levels = object(shown.get("intfLevels"), "the levels of an IS-IS circuit")?;
            let Some(level) = levels.get(LEVEL) else { continue };
            let passive = level.get("passive").and_then(Value::as_bool);
            if !passive.ok_or_else(|| unreadable("whether an IS-IS circuit is passive"))? {
                let down = Adjacency { interface: name.clone(), up: false, neighbor: String::new() };
                found.insert(name.clone(), down);
            }
        }
    }
    for instance in instances(neighbors)? {
        let Some(listed) = instance.get("neighbors") else { continue };
        for (system, neighbor) in object(Some(listed), "an IS-IS neighbour list")? {
            let adjacencies = neighbor.get("adjacencies").and_then(Value::as_array);
            for one in adjacencies.ok_or_else(|| unreadable("an IS-IS neighbour"))? {
                let word = |field: &str| one.get(field).and_then(Value::as_str);
                let (Some(name), Some(state)) = (word("interfaceName"), word("state")) else {
                    return Err(unreadable("an IS-IS adjacency"));
                };
                let level_two = word("level").is_none_or(|level| level.contains(LEVEL));
                if let Some(circuit) = found.get_mut(name).filter(|_| state == "up" && level_two) {
                    circuit.up = true;
                    circuit.neighbor = word("hostname").filter(|host| !host.is_empty()).unwrap_or(system).to_owned();
                }
            }
        }
    }
    Ok(found.into_values().collect())
}

/// Reads [`PROCESSORS`]: the share of the processors' time that is not idle, in thousandths.
///
/// # Errors
/// [`CallError::Answer`].
pub fn busy_permille(answer: &Value) -> Result<u32, CallError> {
    let processors = answer.get("cpuInfo").and_then(|info| info.get("%Cpu(s)"));
    let idle = processors.and_then(|shares| shares.get("idle")).and_then(Value::as_f64);
    let percent = idle.filter(|percent| (0.0..=100.0).contains(percent));
    let percent = percent.ok_or_else(|| unreadable("the idle share of the processors"))?;
    // Between 0 and 1 000.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let idle_permille = (percent * 10.0).round() as u32;
    Ok(1_000_u32.saturating_sub(idle_permille))
}

/// IS-IS instances of the default VRF; none where IS-IS does not run.
fn instances(answer: &Value) -> Result<Vec<&Value>, CallError> {
    let vrfs = object(answer.get("vrfs"), "what runs of IS-IS")?;
    let Some(vrf) = vrfs.get(VRF) else { return Ok(Vec::new()) };
    Ok(object(vrf.get("isisInstances"), "the list of IS-IS instances")?.values().collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown() -> Value {
        json!({"lineProtocolStatus": "up", "interfaceStatus": "connected", "interfaceCounters": {
            "inOctets": 10, "outOctets": 20, "totalInErrors": 1, "totalOutErrors": 2, "inDiscards": 3,
            "outDiscards": 4, "linkStatusChanges": 5}})
    }

    #[test]
    fn counters_are_read_and_an_interface_without_all_of_them_is_left_out() {
        let mut answer = json!({"interfaces": {"Ethernet1": shown(), "Loopback0": {"lineProtocolStatus": "up"}}});
        for field in [
            "inOctets",
            "outOctets",
            "totalInErrors",
            "totalOutErrors",
            "inDiscards",
            "outDiscards",
            "linkStatusChanges",
        ] {
            for (suffix, value) in [("a", json!(null)), ("b", json!(-1)), ("c", json!("7"))] {
                let mut broken = shown();
                broken["interfaceCounters"][field] = value;
                answer["interfaces"][format!("Ethernet9{field}{suffix}")] = broken;
            }
        }
        let (read, without) = counters(&answer).unwrap();
        let expected = InterfaceCounters {
            interface: "Ethernet1".into(),
            oper_up: true,
            in_octets: 10,
            out_octets: 20,
            in_errors: 1,
            out_errors: 2,
            in_discards: 3,
            out_discards: 4,
            carrier_transitions: 5,
        };
        assert_eq!(read, [expected]);
        assert_eq!(without.len(), 22);
        assert!(counters(&json!({})).is_err());
        assert!(counters(&json!({"interfaces": []})).is_err());
    }

    #[test]
    fn what_is_not_idle_is_busy_and_no_share_is_an_error() {
        let shown = |idle: Value| json!({"cpuInfo": {"%Cpu(s)": {"user": 3.1, "idle": idle}}});
        for (idle, busy) in [(json!(87.5), 125), (json!(100), 0), (json!(0.0), 1_000), (json!(99.96), 0)] {
            assert_eq!(busy_permille(&shown(idle)), Ok(busy));
        }
        for broken in [shown(json!(-1)), shown(json!(100.1)), shown(json!("87.5")), shown(json!(null)), json!({})] {
            assert!(busy_permille(&broken).is_err(), "{broken}");
        }
    }

    fn isis(key: &str, inner: Value) -> Value {
        json!({"vrfs": {"default": {"isisInstances": {"1": {key: inner}}}}})
    }

    #[test]
    fn circuits_are_up_where_a_level_2_neighbour_is() {
        let circuits = isis(
            "interfaces",
            json!({
            "Ethernet1": {"enabled": true, "intfLevels": {"2": {"passive": false}}},
            "Ethernet2": {"enabled": true, "intfLevels": {"2": {"passive": false}}},
            "Ethernet3": {"enabled": true, "intfLevels": {"2": {"passive": true}}},
            "Ethernet4": {"enabled": true, "intfLevels": {"1": {"passive": false}}},
            "Loopback255": {"enabled": true, "intfLevels": {"2": {"passive": true}}}}),
        );
        let neighbors = isis(
            "neighbors",
            json!({
            "c612.0001.0000": {"adjacencies": [{"hostname": "lon", "interfaceName": "Ethernet1", "state": "up", "level": "level-2"}]},
            "c612.0002.0000": {"adjacencies": [
                {"hostname": "par", "interfaceName": "Ethernet2", "state": "init", "level": "level-2"},
                {"hostname": "par", "interfaceName": "Ethernet2", "state": "up", "level": "level-1"}]}}),
        );
        let found = adjacencies(&circuits, &neighbors).unwrap();
        let found: Vec<_> = found.iter().map(|a| (a.interface.as_str(), a.up, a.neighbor.as_str())).collect();
        assert_eq!(found, [("Ethernet1", true, "lon"), ("Ethernet2", false, "")]);
    }

    #[test]
    fn no_isis_is_no_circuit_and_a_foreign_answer_is_an_error() {
        let none = json!({"vrfs": {}});
        assert_eq!(adjacencies(&none, &none), Ok(Vec::new()));
        let broken = isis("interfaces", json!({"Ethernet1": {"intfLevels": {"2": {}}}}));
        assert!(adjacencies(&broken, &none).is_err());
        assert!(adjacencies(&json!({}), &none).is_err());
        assert!(adjacencies(&none, &isis("neighbors", json!({"a": {"adjacencies": [{}]}}))).is_err());
    }
}
