//! What statements do to the model, where both families mean the same.

use std::net::Ipv4Addr;

use super::{
    BgpConfig, DEFAULT_METRIC, InterfaceConfig, IsisConfig, IsisInterface, Level, Neighbor,
    grammar::{Args, Draft, Node},
};

/// What every action answers: a reason, when the router would refuse the statement.
pub type Outcome = Result<(), String>;

pub fn keep(draft: &mut Draft, args: &Args) -> Outcome {
    draft.keep(args.unset);
    Ok(())
}

/// A statement that is the default or has no state, in either form.
pub fn ignore(_: &mut Draft, _: &Args) -> Outcome {
    Ok(())
}

pub fn hostname(draft: &mut Draft, args: &Args) -> Outcome {
    draft.config.hostname = (!args.unset).then(|| args.word(0).to_owned());
    Ok(())
}

/// The interface that the draft stands in.
pub fn with_interface(draft: &mut Draft, change: impl FnOnce(&mut InterfaceConfig)) -> Outcome {
    let Node::Interface(name) = draft.node().clone() else {
        return Err("not in an interface".to_owned());
    };
    change(draft.config.interfaces.entry(name).or_default());
    Ok(())
}

pub fn with_circuit(draft: &mut Draft, change: impl FnOnce(&mut IsisInterface)) -> Outcome {
    with_interface(draft, |interface| change(&mut interface.isis))
}

pub fn address(draft: &mut Draft, args: &Args) -> Outcome {
    let prefix = args.prefix(0);
    let host = prefix.addr();
    if host.is_unspecified() || host.is_multicast() || host.is_broadcast() {
        return Err(format!("{host} can not be an interface's address"));
    }
    if prefix.prefix_len() < 31 && (host == prefix.network() || host == prefix.broadcast()) {
        return Err(format!("{prefix} is the network itself, not a host in it"));
    }
    with_interface(draft, |interface| {
        if args.unset {
            interface.addresses.remove(&prefix);
        } else {
            interface.addresses.insert(prefix);
        }
    })
}

pub fn no_addresses(draft: &mut Draft, _: &Args) -> Outcome {
    with_interface(draft, |interface| interface.addresses.clear())
}

pub fn shutdown(draft: &mut Draft, args: &Args) -> Outcome {
    with_interface(draft, |interface| interface.shutdown = !args.unset)
}

pub fn isis_enable(draft: &mut Draft, args: &Args) -> Outcome {
    let tag = (!args.unset).then(|| args.word(0).to_owned());
    with_circuit(draft, |circuit| circuit.enabled = tag)
}

pub fn isis_metric(draft: &mut Draft, args: &Args) -> Outcome {
    let metric = if args.unset { DEFAULT_METRIC } else { args.number(0) };
    with_circuit(draft, |circuit| circuit.metric = metric)
}

pub fn isis_passive(draft: &mut Draft, args: &Args) -> Outcome {
    with_circuit(draft, |circuit| circuit.passive = !args.unset)
}

pub fn isis_point_to_point(draft: &mut Draft, args: &Args) -> Outcome {
    with_circuit(draft, |circuit| circuit.point_to_point = !args.unset)
}

pub fn isis_broadcast(draft: &mut Draft, _: &Args) -> Outcome {
    with_circuit(draft, |circuit| circuit.point_to_point = false)
}

pub fn isis_hello_interval(draft: &mut Draft, args: &Args) -> Outcome {
    let seconds = if args.unset { IsisInterface::default().hello_interval_s } else { args.number(0) };
    with_circuit(draft, |circuit| circuit.hello_interval_s = seconds)
}

pub fn isis_hello_padding(draft: &mut Draft, args: &Args) -> Outcome {
    with_circuit(draft, |circuit| circuit.hello_padding = !args.unset)
}

pub fn circuit_level(draft: &mut Draft, level: Option<Level>) -> Outcome {
    with_circuit(draft, |circuit| circuit.level = level)
}

/// Enters the IS-IS instance, which there is one of.
pub fn router_isis(draft: &mut Draft, args: &Args, level: Level, wide: bool) -> Outcome {
    let tag = args.word(0);
    if args.unset {
        if draft.config.isis.as_ref().is_some_and(|isis| isis.tag == tag) {
            draft.config.isis = None;
        }
        draft.forget("isis / ");
        return Ok(());
    }
    match &draft.config.isis {
        Some(isis) if isis.tag != tag => return Err(format!("IS-IS instance {} exists already", isis.tag)),
        Some(_) => {}
        None => {
            draft.config.isis = Some(IsisConfig { tag: tag.to_owned(), net: None, overload: false, level, wide });
        }
    }
    draft.enter(Node::Isis);
    Ok(())
}

pub fn with_isis(draft: &mut Draft, change: impl FnOnce(&mut IsisConfig)) -> Outcome {
    match &mut draft.config.isis {
        Some(isis) => {
            change(isis);
            Ok(())
        }
        None => Err("no IS-IS instance".to_owned()),
    }
}

pub fn net(draft: &mut Draft, args: &Args) -> Outcome {
    let net = args.word(0);
    if !is_net(net) {
        return Err(format!("{net:?} is not a network entity title"));
    }
    with_isis(draft, |isis| isis.net = (!args.unset).then(|| net.to_ascii_lowercase()))
}

/// An area of 1 to 13 bytes beginning with one byte, a system id of three groups of two bytes, selector 00.
fn is_net(text: &str) -> bool {
    let groups: Vec<&str> = text.split('.').collect();
    let hex = |group: &str, len: usize| group.len() == len && group.bytes().all(|b| b.is_ascii_hexdigit());
    match groups.as_slice() {
        [afi, area @ .., a, b, c, "00"] if area.len() <= 6 => {
            hex(afi, 2) && area.iter().chain([a, b, c]).all(|group| hex(group, 4))
        }
        _ => false,
    }
}

pub fn overload(draft: &mut Draft, args: &Args) -> Outcome {
    with_isis(draft, |isis| isis.overload = !args.unset)
}

pub fn router_bgp(draft: &mut Draft, args: &Args) -> Outcome {
    let asn = args.number(0);
    if args.unset {
        if draft.config.bgp.as_ref().is_some_and(|bgp| bgp.asn == asn) {
            draft.config.bgp = None;
        }
        draft.forget("bgp / ");
        return Ok(());
    }
    match &draft.config.bgp {
        Some(bgp) if bgp.asn != asn => return Err(format!("BGP runs already with AS {}", bgp.asn)),
        Some(_) => {}
        None => draft.config.bgp = Some(BgpConfig { asn, ..BgpConfig::default() }),
    }
    draft.enter(Node::Bgp);
    Ok(())
}

pub fn no_router_bgp(draft: &mut Draft, _: &Args) -> Outcome {
    draft.config.bgp = None;
    draft.forget("bgp / ");
    Ok(())
}

pub fn with_bgp<T>(draft: &mut Draft, change: impl FnOnce(&mut BgpConfig) -> Result<T, String>) -> Result<T, String> {
    draft.config.bgp.as_mut().ok_or_else(|| "BGP does not run".to_owned()).and_then(change)
}

pub fn router_id(draft: &mut Draft, args: &Args) -> Outcome {
    let id = (!args.unset).then(|| args.address(0));
    with_bgp(draft, |bgp| {
        bgp.router_id = id;
        Ok(())
    })
}

/// Changes a peer that has to exist.
pub fn with_peer(draft: &mut Draft, peer: Ipv4Addr, change: impl FnOnce(&mut Neighbor)) -> Outcome {
    with_bgp(draft, |bgp| match bgp.neighbors.get_mut(&peer) {
        Some(neighbor) => {
            change(neighbor);
            Ok(())
        }
        None => Err(format!("neighbor {peer} has no remote-as or peer group yet")),
    })
}

/// Removes a peer and what was kept of it. A peer that isn't there is no error.
pub fn no_peer(draft: &mut Draft, args: &Args) -> Outcome {
    let peer = args.address(0);
    with_bgp(draft, |bgp| {
        bgp.neighbors.remove(&peer);
        Ok(())
    })?;
    draft.forget(&format!("neighbor {peer} "));
    draft.forget(&format!("no neighbor {peer} "));
    for family in ["ipv4 unicast", "ipv4", "ipv4 vpn", "vpn-ipv4"] {
        draft.forget(&format!("bgp-family {family} / neighbor {peer} "));
        draft.forget(&format!("bgp-family {family} / no neighbor {peer} "));
    }
    Ok(())
}

pub fn peer_activate(draft: &mut Draft, args: &Args) -> Outcome {
    let Node::BgpFamily(family) = draft.node().clone() else {
        return Err("not in an address family".to_owned());
    };
    with_peer(draft, args.address(0), |neighbor| {
        if args.unset {
            neighbor.families.remove(&family);
        } else {
            neighbor.families.insert(family);
        }
    })
}

/// Keeps a statement about a peer that has to exist.
pub fn keep_peer(draft: &mut Draft, args: &Args) -> Outcome {
    with_peer(draft, args.address(0), |_| {})?;
    draft.keep(args.unset);
    Ok(())
}
