//! From what runs to what shall run, as commands. Pure.
//!
//! Removals come first, each group in a context of its own that is entered from the top and left by `end`, so that no
//! command can land elsewhere than meant. A value that only changes is set in place: `no isis metric` in between would
//! send traffic over the link for a moment. A neighbour goes as a whole, and so does IS-IS on an interface.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{Path, Tree};

/// Commands that take effect with one value at a time: setting the new one replaces the old one. Those of a neighbour
/// are after its address.
const SINGLE: &[&str] = &[
    "description",
    "bandwidth",
    "isis bfd profile",
    "isis circuit-type",
    "isis csnp-interval",
    "isis hello-interval",
    "isis hello-multiplier",
    "isis metric",
    "isis network",
    "isis priority",
    "isis psnp-interval",
    "is-type",
    "lsp-gen-interval",
    "lsp-mtu",
    "lsp-refresh-interval",
    "lsp-timers",
    "max-lsp-lifetime",
    "metric-style",
    "spf-delay-ietf",
    "spf-interval",
    "bgp router-id",
    "bgp cluster-id",
    "distance bgp",
    "maximum-paths ibgp",
    "maximum-paths",
    "timers bgp",
    "transmit-interval",
    "receive-interval",
    "detect-multiplier",
];
/// The same of a neighbour.
const SINGLE_OF_NEIGHBOR: &[&str] =
    &["remote-as", "description", "ebgp-multihop", "local-as", "password", "timers connect", "timers", "update-source"];
/// Commands whose `no` does not take the value in FRR 8.4.
const BARE_NO: &[&str] = &["description"];
/// Sections that can't be removed as long as the kernel knows their object: only what they say can.
const STAYING: &[&str] = &["interface ", "vrf ", "address-family "];

/// Groups of commands; each begins at the top of the configuration and ends outside of it.
pub type Batch = Vec<Vec<String>>;

/// Makes `target` of `running`, both the managed part only. Empty when they say the same.
pub fn batch(running: &Tree, target: &Tree) -> Batch {
    let mut batch = removals(running, target);
    batch.extend(additions(running, target));
    batch
}

/// Of a batch, the commands that take addresses from interfaces, by themselves.
pub fn unaddressing(batch: &Batch) -> Batch {
    let takes = |line: &String| ["no ip address ", "no ipv6 address "].iter().any(|start| line.starts_with(start));
    let of = |group: &Vec<String>| {
        let [enter, header, commands @ ..] = group.as_slice() else { return None };
        let taken: Vec<String> = commands.iter().filter(|line| takes(line)).cloned().collect();
        (header.starts_with("interface ") && !taken.is_empty())
            .then(|| [vec![enter.clone(), header.clone()], taken, vec!["end".to_owned()]].concat())
    };
    batch.iter().filter_map(of).collect()
}

/// Makes `target` of `running`, for sections that could not be brought there line by line: `router` sections that differ go as a whole and
/// are made anew.
pub fn rebuild(running: &Tree, target: &Tree) -> Batch {
    let differing: BTreeSet<&String> = running
        .paths()
        .filter(|path| !target.contains(path))
        .chain(target.paths().filter(|path| !running.contains(path)))
        .filter_map(|path| path.first())
        .filter(|header| header.starts_with("router ") && running.contains(std::slice::from_ref(*header)))
        .collect();
    let rest = running.filtered(|path| path.first().is_some_and(|header| !differing.contains(header)));
    let mut all: Batch = differing.iter().map(|header| group(&[], vec![format!("no {header}")])).collect();
    all.extend(batch(&rest, target));
    all
}

fn removals(running: &Tree, target: &Tree) -> Batch {
    let kept_keys: BTreeSet<(&[String], String)> = target
        .paths()
        .filter(|path| !running.contains(path))
        .filter_map(|path| path.split_last())
        .filter_map(|(line, above)| Some((above, single_key(line)?)))
        .collect();
    let mut going: Vec<(&Path, usize)> = running.placed().filter(|(path, _)| !target.contains(path)).collect();
    // From the last to the first, so that what is used goes after what uses it.
    going.sort_by_key(|(path, place)| (std::cmp::Reverse(rank(path)), std::cmp::Reverse(*place)));
    let gone: BTreeSet<&[String]> =
        going.iter().map(|(path, _)| path.as_slice()).filter(|path| goes_whole(path)).collect();
    let headers: BTreeSet<&[String]> = running.paths().filter_map(|path| Some(path.split_last()?.1)).collect();
    let swept = Swept { before: Hooks::of(running), after: Hooks::of(target) };
    let mut groups: Vec<(Path, Vec<String>)> = Vec::new();
    for (path, _) in &going {
        let Some((line, above)) = path.split_last() else { continue };
        let under_gone = (1..path.len()).any(|depth| gone.contains(path.split_at(depth).0));
        let replaced = single_key(line).is_some_and(|key| kept_keys.contains(&(above, key)));
        // The lines of a section that stays go one by one.
        let emptied = headers.contains(path.as_slice()) && !goes_whole(path);
        if under_gone || replaced || emptied || swept.takes(path) {
            continue;
        }
        let command = removal(line, swept.whole_neighbor(path));
        match groups.last_mut() {
            Some((last, commands)) if last.as_slice() == above && !above.is_empty() => commands.push(command),
            _ => groups.push((above.to_vec(), vec![command])),
        }
    }
    groups.into_iter().map(|(above, commands)| group(&above, commands)).collect()
}

fn additions(running: &Tree, target: &Tree) -> Batch {
    let mut coming: Vec<(&Path, usize)> = target.placed().filter(|(path, _)| !running.contains(path)).collect();
    coming.sort_by_key(|(path, place)| (rank(path), *place));
    let headers: BTreeSet<&[String]> = coming.iter().filter_map(|(path, _)| Some(path.split_last()?.1)).collect();
    // Lines of one section may stand apart from each other; each section is entered once.
    let mut order: Vec<Path> = Vec::new();
    let mut sections: BTreeMap<Path, Vec<String>> = BTreeMap::new();
    for (path, _) in &coming {
        let Some((line, above)) = path.split_last() else { continue };
        // A header that comes with lines is made by entering it.
        if headers.contains(path.as_slice()) {
            continue;
        }
        // A line that opens a section is left alone in its group.
        let own = if is_steady(above) { above.to_vec() } else { [above, std::slice::from_ref(line)].concat() };
        sections
            .entry(own.clone())
            .or_insert_with(|| {
                order.push(own);
                Vec::new()
            })
            .push(line.clone());
    }
    order
        .into_iter()
        .filter_map(|own| {
            let commands = sections.remove(&own)?;
            let above = if is_steady(&own) { own } else { own.split_last()?.1.to_vec() };
            Some(group(&above, commands))
        })
        .collect()
}

/// Sections in which no line opens another one, but for headers that have lines.
fn is_steady(above: &[String]) -> bool {
    let of = |line: &String| {
        ["interface ", "router isis ", "router bgp ", "address-family "].iter().any(|s| line.starts_with(s))
    };
    above.last().is_some_and(of)
}

fn group(above: &[String], commands: Vec<String>) -> Vec<String> {
    let mut all = vec!["configure terminal".to_owned()];
    all.extend(above.iter().cloned());
    all.extend(commands);
    all.push("end".to_owned());
    all
}

/// What has to be there before what, as isisd wants wide metrics before a metric that needs them, and BGP the rest.
fn rank(path: &[String]) -> u8 {
    match path.first().map_or("", String::as_str) {
        header if header.starts_with("vrf ") => 0,
        header if header.starts_with("router isis") => 2,
        header if header.starts_with("interface ") => 3,
        header if header.starts_with("router bgp") => 4,
        _ => 1,
    }
}

fn goes_whole(path: &[String]) -> bool {
    path.last().is_some_and(|line| !STAYING.iter().any(|start| line.starts_with(start)))
}

/// The first words of a command that has one value, with what they are about.
fn single_key(line: &str) -> Option<String> {
    let is = |known: &&&str, text: &str| text.strip_prefix(**known).is_some_and(|rest| rest.starts_with(' '));
    if let Some(rest) = line.strip_prefix("neighbor ") {
        let (who, what) = rest.split_once(' ')?;
        if let Some(map) = what.strip_prefix("route-map ") {
            return Some(format!("neighbor {who} route-map {}", map.split(' ').nth(1)?));
        }
        let known = SINGLE_OF_NEIGHBOR.iter().find(|known| is(known, what))?;
        return Some(format!("neighbor {who} {known}"));
    }
    SINGLE.iter().find(|known| is(known, line)).map(|known| (*known).to_owned())
}

/// Lines that others hang on: of each neighbour the first one that makes it, of each interface that IS-IS runs there.
struct Hooks<'a> {
    neighbors: BTreeMap<(&'a str, &'a str), &'a str>,
    isis: BTreeSet<&'a str>,
}

impl<'a> Hooks<'a> {
    fn of(tree: &'a Tree) -> Self {
        let mut hooks = Self { neighbors: BTreeMap::new(), isis: BTreeSet::new() };
        for path in tree.paths() {
            let [header, line] = path.as_slice() else { continue };
            if let (true, Some(who), true) = (header.starts_with("router bgp "), neighbor_of(line), is_hook(line)) {
                hooks.neighbors.entry((header, who)).or_insert(line);
            }
            if line.starts_with("ip router isis ") || line.starts_with("ipv6 router isis ") {
                hooks.isis.insert(header);
            }
        }
        hooks
    }
}

/// What goes along with something else.
struct Swept<'a> {
    before: Hooks<'a>,
    after: Hooks<'a>,
}

impl Swept<'_> {
    /// Whether another removal takes this line along.
    fn takes(&self, path: &[String]) -> bool {
        let (Some(header), Some(line)) = (path.first(), path.last()) else { return false };
        if line.starts_with("isis ") {
            return self.before.isis.contains(header.as_str()) && !self.after.isis.contains(header.as_str());
        }
        self.goes(path) && !self.whole_neighbor(path)
    }

    /// Whether this line's removal is the removal of its neighbour.
    fn whole_neighbor(&self, path: &[String]) -> bool {
        let (Some(header), Some(line)) = (path.first(), path.last()) else { return false };
        let first = || self.before.neighbors.get(&(header.as_str(), neighbor_of(line)?)).copied();
        path.len() == 2 && self.goes(path) && first() == Some(line.as_str())
    }

    /// Whether the line is about a neighbour that goes.
    fn goes(&self, path: &[String]) -> bool {
        let (Some(header), Some(line)) = (path.first(), path.last()) else { return false };
        neighbor_of(line).is_some_and(|who| {
            let key = (header.as_str(), who);
            self.before.neighbors.contains_key(&key) && !self.after.neighbors.contains_key(&key)
        })
    }
}

fn neighbor_of(line: &str) -> Option<&str> {
    line.strip_prefix("neighbor ")?.split(' ').next()
}

/// Lines that make a neighbour or a group.
fn is_hook(line: &str) -> bool {
    matches!(line.split(' ').nth(2), Some("remote-as" | "peer-group" | "interface"))
}

fn removal(line: &str, whole_neighbor: bool) -> String {
    if let Some(undone) = line.strip_prefix("no ") {
        return undone.to_owned();
    }
    if let Some(bare) = BARE_NO.iter().find(|bare| line.starts_with(&format!("{bare} "))) {
        return format!("no {bare}");
    }
    if let (true, Some(who)) = (whole_neighbor, neighbor_of(line)) {
        // A group is named by a word, a neighbour by its address or interface.
        let group = line.ends_with(" peer-group");
        return if group { format!("no neighbor {who} peer-group") } else { format!("no neighbor {who}") };
    }
    format!("no {line}")
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
