//! The CLI inside a configuration session: which lines there are, where they may stand, and what they do. A line is
//! tried where it stands and then in the sections around, as on a switch.

use ipnet::Ipv4Net;

use super::tree::Tree;

/// What eAPI says of a command that failed: its code and the words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    pub code: i64,
    pub words: String,
}

pub const INVALID: i64 = 1002;
pub const FAILED: i64 = 1000;

impl Complaint {
    pub fn failed(words: impl Into<String>) -> Self {
        Self { code: FAILED, words: words.into() }
    }

    fn invalid(words: &[&str], at: usize) -> Self {
        let words = match words.get(at) {
            Some(word) => format!("Invalid input (at token {at}: '{word}')"),
            None => format!("Incomplete command (at token {at}: '')"),
        };
        Self { code: INVALID, words }
    }
}

/// What a line does.
enum Does {
    /// It is kept, and shown.
    Keep,
    /// It is the default, and not shown; it takes back the statement named.
    Default(&'static str),
    /// It begins a section with rules of its own.
    Enter(&'static str),
}
use Does::{Default as Back, Enter, Keep};

/// Sections' rules. In a form `{k:..}` is part of what makes two statements the same, `{v:..}` is a value of one.
const RULES: &[(&str, &str, Does)] = &[
    ("", "hostname {v:word}", Keep),
    ("", "ip routing", Keep),
    ("", "mpls ip", Keep),
    ("", "ntp server {k:word}", Keep),
    ("", "ip name-server {k:text}", Keep),
    ("", "logging {k:text}", Keep),
    ("", "username {k:word} {v:text}", Keep),
    ("", "ip route {k:prefix} {v:word}", Keep),
    ("", "vrf instance {k:word}", Enter("vrf")),
    ("", "management api http-commands", Enter("management")),
    ("management", "no shutdown", Keep),
    ("", "ip access-list {k:word}", Enter("access-list")),
    ("access-list", "{k:number} {v:text}", Keep),
    ("", "system control-plane", Enter("control-plane")),
    ("control-plane", "ip access-group {v:word} in", Keep),
    ("", "interface {k:interface}", Enter("interface")),
    ("", "router isis {k:word}", Enter("isis")),
    ("", "router bgp {k:number}", Enter("bgp")),
    ("interface", "description {v:text}", Keep),
    ("interface", "mtu {v:number}", Keep),
    ("interface", "no switchport", Keep),
    ("interface", "switchport", Back("no switchport")),
    ("interface", "encapsulation dot1q vlan {v:number}", Keep),
    ("interface", "vrf {v:word}", Keep),
    ("interface", "ip address {v:prefix}", Keep),
    ("interface", "pim ipv4 sparse-mode", Keep),
    ("interface", "node-segment ipv4 index {v:number}", Keep),
    ("interface", "ip access-group {v:word} in", Keep),
    ("interface", "shutdown", Keep),
    ("interface", "isis enable {v:word}", Keep),
    ("interface", "isis circuit-type {v:word}", Keep),
    ("interface", "isis hello-interval {v:number}", Keep),
    ("interface", "isis metric {v:number}", Keep),
    ("interface", "isis passive", Keep),
    ("interface", "isis hello padding", Back("isis hello padding")),
    ("interface", "isis network point-to-point", Keep),
    ("interface", "isis bfd", Keep),
    ("interface", "bfd interval {v:number} min-rx {v:number} multiplier {v:number}", Keep),
    ("isis", "net {v:word}", Keep),
    ("isis", "is-type {v:word}", Keep),
    ("isis", "router-id ipv4 {v:address}", Keep),
    ("isis", "log-adjacency-changes", Keep),
    ("isis", "set-overload-bit", Keep),
    ("isis", "spf-interval {v:text}", Keep),
    ("isis", "timers {k:text}", Keep),
    ("isis", "address-family ipv4 unicast", Enter("isis-family")),
    ("isis-family", "bfd all-interfaces", Keep),
    ("isis", "segment-routing mpls", Enter("segment-routing")),
    ("segment-routing", "no shutdown", Keep),
    ("segment-routing", "shutdown", Back("no shutdown")),
    ("bgp", "router-id {v:address}", Keep),
    ("bgp", "bgp cluster-id {v:address}", Keep),
    ("bgp", "no bgp default ipv4-unicast", Keep),
    ("bgp", "bgp route-reflector preserve-attributes always", Keep),
    ("bgp", "timers bgp {v:number} {v:number}", Keep),
    ("bgp", "distance bgp {v:number} {v:number} {v:number}", Keep),
    ("bgp", "neighbor {k:address} remote-as {v:number}", Keep),
    ("bgp", "neighbor {k:address} next-hop-self", Keep),
    ("bgp", "neighbor {k:address} update-source {v:interface}", Keep),
    ("bgp", "neighbor {k:address} description {v:text}", Keep),
    ("bgp", "neighbor {k:address} timers {v:number} {v:number}", Keep),
    ("bgp", "neighbor {k:address} send-community", Keep),
    ("bgp", "neighbor {k:address} route-reflector-client", Keep),
    ("bgp", "neighbor {k:address} shutdown", Keep),
    ("bgp", "neighbor {k:address} bfd", Keep),
    ("bgp", "address-family {k:word}", Enter("bgp-family")),
    ("bgp-family", "neighbor {k:address} activate", Keep),
    ("bgp-family", "neighbor {k:address} next-hop-self", Keep),
    ("bgp-family", "neighbor {k:address} route-reflector-client", Keep),
];

/// Where the next line stands: headers of the open sections, and the rules of each.
#[derive(Clone, Debug, Default)]
pub struct Place(Vec<(String, &'static str)>);

impl Place {
    fn path(&self, depth: usize) -> Vec<String> {
        self.0.iter().take(depth).map(|(header, _)| header.clone()).collect()
    }

    fn rules(&self, depth: usize) -> &'static str {
        depth.checked_sub(1).and_then(|last| self.0.get(last)).map_or("", |(_, rules)| rules)
    }
}

/// Enters one line.
pub fn enter(tree: &mut Tree, place: &mut Place, line: &str) -> Result<(), Complaint> {
    let words: Vec<&str> = line.split_whitespace().collect();
    if let ["default", "interface", name] = words.as_slice() {
        let name = full(name).ok_or_else(|| Complaint::invalid(&words, 2))?;
        reset(tree, &name);
        place.0.clear();
        return Ok(());
    }
    let mut furthest = 0;
    for depth in (0..=place.0.len()).rev() {
        for (_, form, does) in RULES.iter().filter(|(rules, ..)| *rules == place.rules(depth)) {
            match read(form, &words) {
                Ok((key, line)) => {
                    place.0.truncate(depth);
                    return act(tree, place, does, key, line);
                }
                Err(at) => furthest = furthest.max(at),
            }
        }
        if let ["no", rest @ ..] = words.as_slice() {
            let known = RULES.iter().filter(|(rules, ..)| *rules == place.rules(depth));
            if let Some(key) = known.filter_map(|(_, form, _)| start(form, rest)).next() {
                place.0.truncate(depth);
                take_back(tree.at(&place.path(depth)), &key);
                return Ok(());
            }
        }
    }
    Err(Complaint::invalid(&words, furthest))
}

fn act(tree: &mut Tree, place: &mut Place, does: &Does, key: String, line: String) -> Result<(), Complaint> {
    let path = place.path(place.0.len());
    match does {
        Keep => {
            check(tree, &path, &line)?;
            let section = tree.at(&path);
            if line.starts_with("vrf ") && section.lines.get("vrf") != Some(&line) {
                section.lines.remove("ip address");
            }
            section.lines.insert(key, line);
        }
        Back(other) => {
            tree.at(&path).lines.remove(*other);
        }
        Enter(rules) => {
            if line.starts_with("router bgp ") {
                let other = tree.sections.keys().find(|header| header.starts_with("router bgp ") && **header != line);
                if let Some(other) = other {
                    return Err(Complaint::failed(format!("BGP is already running as {other}")));
                }
            }
            place.0.push((line, rules));
            tree.at(&place.path(place.0.len()));
        }
    }
    Ok(())
}

/// What a switch refuses although the line is well formed.
fn check(tree: &Tree, path: &[String], line: &str) -> Result<(), Complaint> {
    let [interface] = path else { return Ok(()) };
    if line.starts_with("encapsulation ") && !interface.contains('.') {
        return Err(Complaint::failed("not a subinterface"));
    }
    let Some(new) = line.strip_prefix("ip address ").and_then(|prefix| prefix.parse::<Ipv4Net>().ok()) else {
        return Ok(());
    };
    let vrf = |section: &Tree| section.lines.get("vrf").cloned();
    let here = tree.sections.get(interface).and_then(vrf);
    for (other, section) in tree.sections.iter().filter(|(other, section)| *other != interface && vrf(section) == here)
    {
        let address = section.lines.get("ip address").and_then(|line| line.rsplit(' ').next()?.parse::<Ipv4Net>().ok());
        if address.is_some_and(|address| address.contains(&new) || new.contains(&address)) {
            return Err(Complaint::failed(format!("Subnet {new} overlaps with that of {other}")));
        }
    }
    Ok(())
}

fn take_back(section: &mut Tree, key: &str) {
    let under = |found: &str| found == key || found.strip_prefix(key).is_some_and(|rest| rest.starts_with(' '));
    section.lines.retain(|found, _| !under(found));
    let gone: Vec<String> = section.sections.keys().filter(|header| under(header)).cloned().collect();
    for header in gone {
        match header.strip_prefix("interface ") {
            Some(name) => reset(section, name),
            None => {
                section.sections.remove(&header);
            }
        }
    }
}

/// A port stays, with nothing in it; anything else goes.
fn reset(tree: &mut Tree, name: &str) {
    let header = format!("interface {name}");
    tree.sections.remove(&header);
    if (name.starts_with("Ethernet") || name.starts_with("Management")) && !name.contains('.') {
        tree.sections.insert(header, Tree::default());
    }
}

/// Matches a whole line: its key and how it is shown, or the first word that doesn't fit.
fn read(form: &str, words: &[&str]) -> Result<(String, String), usize> {
    let (mut key, mut line) = (Vec::new(), Vec::new());
    let mut rest = words.iter().enumerate();
    for part in form.split(' ') {
        let Some((at, word)) = rest.next() else { return Err(words.len()) };
        let Some((is_key, kind)) = hole(part) else {
            if part != *word {
                return Err(at);
            }
            key.push((*word).to_owned());
            line.push((*word).to_owned());
            continue;
        };
        let value = if kind == "text" {
            let text: Vec<&str> = words.get(at..).unwrap_or_default().to_vec();
            rest.by_ref().for_each(drop);
            text.join(" ")
        } else {
            value(kind, word).ok_or(at)?
        };
        if is_key {
            key.push(value.clone());
        }
        line.push(value);
    }
    match rest.next() {
        Some((at, _)) => Err(at),
        None => Ok((key.join(" "), line.join(" "))),
    }
}

/// Matches the beginning of a line that is taken back: its key, as far as the words go.
fn start(form: &str, words: &[&str]) -> Option<String> {
    let mut key = Vec::new();
    let mut parts = form.split(' ');
    for word in words {
        let part = parts.next()?;
        match hole(part) {
            Some((_, "text")) => break,
            Some((true, kind)) => key.push(value(kind, word)?),
            Some((false, _)) => {}
            None if part == *word => key.push((*word).to_owned()),
            None => return None,
        }
    }
    (!key.is_empty()).then(|| key.join(" "))
}

fn hole(part: &str) -> Option<(bool, &str)> {
    let (kind, what) = part.strip_prefix('{')?.strip_suffix('}')?.split_once(':')?;
    Some((kind == "k", what))
}

fn value(kind: &str, word: &str) -> Option<String> {
    match kind {
        "address" => word.parse::<std::net::Ipv4Addr>().ok().map(|a| a.to_string()),
        "prefix" => word.parse::<Ipv4Net>().ok().map(|p| p.to_string()),
        "number" => word.parse::<u32>().ok().map(|n| n.to_string()),
        "interface" => full(word),
        _ => Some(word.to_owned()),
    }
}

fn full(name: &str) -> Option<String> {
    let at = name.find(|c: char| c.is_ascii_digit())?;
    let (stem, number) = name.split_at(at);
    let stems = ["Ethernet", "Loopback", "Management", "Port-Channel", "Tunnel", "Vlan"];
    let full = stems.iter().find(|full| full.to_ascii_lowercase().starts_with(&stem.to_ascii_lowercase()))?;
    (stem.len() > 1).then(|| format!("{full}{number}"))
}
