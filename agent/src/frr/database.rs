//! What IS-IS knows of the network: the link-state database of level 2, asked of isisd and made a network of.
//!
//! It is asked in words, router by router: FRR 8.4's JSON repeats its keys, so that one neighbour of each router is left of it, and
//! its words name a router by its host name, which several may share. The answer to a question for one is its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use ipnet::Ipv4Net;

use crate::{
    driver::DriverError,
    stops::{Link, MAX_ROUTERS, Network, Router},
};

/// Whom isisd is asked about at once.
const AT_ONCE: usize = 64;
/// A neighbour at this metric is for other purposes than routes (RFC 5305, 3).
const NOT_FOR_ROUTES: u32 = 16_777_215;
/// How long a word holds (ISO 10589, 7.3.21, MaxAge), which no text of ours changes.
const LIFETIME_S: u32 = 1_200;
/// Where the words of level 2 begin, and those of another level.
const LEVELS: [&str; 2] = ["IS-IS Level-2 link-state database", "link-state database"];

/// System id and number of a pseudonode, 0 for the router itself, as FRR writes them: `c612.0001.0000.00`.
pub type NodeId = String;

/// What a router says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// It asks not to be crossed.
    pub overloaded: bool,
    /// How long its word holds if it does not say it again, in seconds.
    pub holds_s: u32,
    /// Neighbours, with metrics; one that is reached by two links is there twice.
    pub neighbors: Vec<(NodeId, u32)>,
    /// Addresses and networks.
    pub prefixes: BTreeSet<Ipv4Net>,
}

/// Everybody's words, as far as they are connected with this router.
#[derive(Clone, Debug)]
pub struct Database {
    own: NodeId,
    said: BTreeMap<NodeId, Said>,
}

impl Database {
    /// Asks for it, beginning with this router and those whose host names are known. `ask` answers commands in order.
    ///
    /// # Errors
    /// Of `ask`; [`DriverError::Unreachable`] where an answer makes no sense or there is no end of routers.
    pub fn read(mut ask: impl FnMut(&[String]) -> Result<Vec<String>, DriverError>) -> Result<Self, DriverError> {
        let first = ask(&["show isis summary json".to_owned(), "show isis hostname".to_owned()])?;
        let [summary, names] = first.as_slice() else { return Err(senseless("two questions", &first.len())) };
        let own = own(summary).ok_or_else(|| senseless("show isis summary json", summary))?;
        let mut said: BTreeMap<NodeId, Said> = BTreeMap::new();
        let mut asked: BTreeSet<NodeId> = BTreeSet::new();
        let mut open: BTreeSet<(NodeId, u8)> =
            names.split_whitespace().filter(|w| is_system(w)).map(first_of).collect();
        open.insert(first_of(&own));
        while !open.is_empty() {
            let now: Vec<(NodeId, u8)> = open.iter().take(AT_ONCE).cloned().collect();
            open.retain(|one| !now.contains(one));
            asked.extend(now.iter().map(|(node, _)| node.clone()));
            if asked.len() > MAX_ROUTERS {
                return Err(DriverError::Unreachable(format!("IS-IS knows of more than {MAX_ROUTERS} routers")));
            }
            let questions: Vec<String> =
                now.iter().map(|(node, part)| format!("show isis database detail {node}-{part:02x}")).collect();
            let answers = ask(&questions)?;
            if answers.len() != questions.len() {
                return Err(senseless("as many questions", &answers.len()));
            }
            for ((node, part), words) in now.into_iter().zip(answers) {
                let Some(part_said) = parse(&words).map_err(|line| senseless("show isis database", &line))? else {
                    continue;
                };
                let unknown = part_said.neighbors.iter().map(|(neighbor, _)| neighbor);
                open.extend(unknown.filter(|neighbor| !asked.contains(*neighbor)).map(|n| (n.clone(), 0)));
                // What doesn't fit one packet goes on in the next.
                open.extend(part.checked_add(1).map(|next| (node.clone(), next)));
                let whole = said.entry(node).or_default();
                if part == 0 {
                    (whole.overloaded, whole.holds_s) = (part_said.overloaded, part_said.holds_s);
                }
                whole.neighbors.extend(part_said.neighbors);
                whole.prefixes.extend(part_said.prefixes);
            }
        }
        Ok(Self { own: first_of(&own).0, said })
    }

    /// The network, with names of its routers' places. Only a link that both ends tell of is one (ISO 10589, 7.2.6).
    pub fn network(&self) -> (Network, Vec<&NodeId>) {
        let names: Vec<&NodeId> = self.said.keys().collect();
        let place = |name: &NodeId| names.binary_search(&name).ok();
        let tells = |from: &NodeId, to: &NodeId| {
            self.said.get(from).is_some_and(|said| said.neighbors.iter().any(|(name, _)| name == to))
        };
        let routers = self
            .said
            .iter()
            .map(|(name, said)| Router { is_destination: name.ends_with(".00"), overloaded: said.overloaded });
        let links = self.said.iter().flat_map(|(name, said)| {
            let for_routes = said.neighbors.iter().filter(|(_, metric)| *metric < NOT_FOR_ROUTES);
            let both = for_routes.filter(move |(neighbor, _)| tells(neighbor, name));
            both.filter_map(move |(neighbor, metric)| {
                Some(Link { from: place(name)?, to: place(neighbor)?, metric: *metric })
            })
        });
        (Network::new(routers.collect(), links), names)
    }

    /// How many there are, and how many others have said something within so many seconds: something new, or, about every quarter of an hour,
    /// the same again.
    pub fn spoke_within(&self, seconds: u32) -> (usize, usize) {
        let young = |said: &Said| (LIFETIME_S.saturating_sub(seconds)..=LIFETIME_S).contains(&said.holds_s);
        let others = self.said.iter().filter(|(name, said)| **name != self.own && young(said));
        (self.said.len(), others.count())
    }

    /// Place of the link that this router has on an interface with an address and a metric. None where no neighbour there tells of
    /// the same network.
    pub fn link_at(&self, network: &Network, names: &[&NodeId], address: Ipv4Net, metric: u32) -> Option<usize> {
        let subnet = address.trunc();
        let is_there = |place: usize| {
            let said = names.get(place).and_then(|name| self.said.get(*name));
            said.is_some_and(|said| said.prefixes.contains(&subnet))
        };
        let own = names.binary_search(&&self.own).ok()?;
        network.links.iter().position(|link| link.from == own && link.metric == metric && is_there(link.to))
    }

    /// Hosts that this router has to have a route to.
    pub fn hosts(&self) -> BTreeSet<Ipv4Addr> {
        let (network, names) = self.network();
        let Ok(own) = names.binary_search(&&self.own) else { return BTreeSet::new() };
        let said = network.reached_from(own).into_iter().filter_map(|place| self.said.get(*names.get(place)?));
        let hosts = said.flat_map(|said| said.prefixes.iter().filter(|prefix| prefix.prefix_len() == 32));
        let ours = self.said.get(&self.own);
        hosts.filter(|host| ours.is_none_or(|said| !said.prefixes.contains(host))).map(Ipv4Net::addr).collect()
    }
}

fn senseless(what: &str, answer: &dyn std::fmt::Display) -> DriverError {
    let answer = super::run::quoted(&answer.to_string());
    DriverError::Unreachable(format!("isisd's answer to {what} makes no sense: {answer}"))
}

fn own(summary: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(summary).ok()?;
    value.get("system-id")?.as_str().filter(|id| is_system(id)).map(str::to_owned)
}

/// Three groups of four hexadecimal digits.
fn is_system(word: &str) -> bool {
    let mut groups = word.split('.');
    let sound = |group: &str| group.len() == 4 && group.bytes().all(|b| b.is_ascii_hexdigit());
    groups.by_ref().take(3).filter(|group| sound(group)).count() == 3 && groups.next().is_none()
}

/// A system id and a pseudonode's number.
fn is_node(word: &str) -> bool {
    word.rsplit_once('.').is_some_and(|(system, number)| {
        is_system(system) && number.len() == 2 && number.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

/// The first packet in which a router speaks for itself.
fn first_of(system: &(impl AsRef<str> + ?Sized)) -> (NodeId, u8) {
    (format!("{}.00", system.as_ref()), 0)
}

/// What one packet says, from `show isis database detail ID`; nothing where there is none, or it is dead.
///
/// # Errors
/// The line that makes no sense.
fn parse(words: &str) -> Result<Option<Said>, String> {
    let mut said = None;
    let (mut level_2, mut heads) = (false, false);
    for line in words.lines() {
        if line.contains(LEVELS[1]) {
            (level_2, heads) = (line.contains(LEVELS[0]), false);
            continue;
        }
        if !level_2 || line.trim().is_empty() {
            continue;
        }
        if line.starts_with("LSP ID") {
            heads = true;
        } else if !line.starts_with(' ') {
            if heads && !line.trim_end().ends_with("LSPs") {
                said = head(line)?.map(|(overloaded, holds_s)| Said { overloaded, holds_s, ..Said::default() });
            }
        } else if let Some(said) = &mut said {
            let bad = || line.to_owned();
            if let Some(rest) = line.trim().strip_prefix("Extended Reachability: ") {
                let (node, metric) = numbered(rest).ok_or_else(bad)?;
                said.neighbors.push((Some(node).filter(|n| is_node(n)).ok_or_else(bad)?.to_owned(), metric));
            } else if let Some(rest) = line.trim().strip_prefix("Extended IP Reachability: ") {
                let (prefix, _) = numbered(rest).ok_or_else(bad)?;
                said.prefixes.insert(prefix.parse::<Ipv4Net>().map_err(|_| bad())?.trunc());
            }
        }
    }
    Ok(said)
}

/// Of `NAME.00-00 * 112 0x00000003 0x1831 1142 0/0/0`, the last of the three bits and for how long it holds; nothing of one that is only
/// there to say that it is gone.
fn head(line: &str) -> Result<Option<(bool, u32)>, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [.., lives, bits] = words.as_slice() else { return Err(line.to_owned()) };
    let overloaded = match bits.split('/').collect::<Vec<_>>().as_slice() {
        [_, _, "0"] => false,
        [_, _, "1"] => true,
        _ => return Err(line.to_owned()),
    };
    // A dead one's age is in brackets.
    let holds_s = lives.parse().ok().filter(|seconds| *seconds > 0);
    Ok(holds_s.map(|holds_s| (overloaded, holds_s)))
}

/// `WORD (Metric: NUMBER)`, whatever follows.
fn numbered(text: &str) -> Option<(&str, u32)> {
    let (word, rest) = text.split_once(" (Metric: ")?;
    let (number, _) = rest.split_once(')')?;
    Some((word, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shape of FRR 8.4.4's answers: three routers in a triangle, each named the same.
    fn fake_isisd(commands: &[String]) -> Result<Vec<String>, DriverError> {
        let words = |number: u8| {
            let reach = |other: u8| {
                let subnet = number + other;
                format!(
                    "  Extended Reachability: c612.000{other}.0000.00 (Metric: {number}0{other})\n  \
                     Extended IP Reachability: 10.0.{subnet}.0/31 (Metric: {number}0{other})\n"
                )
            };
            let others: String = (1..=3).filter(|other| *other != number).map(reach).collect();
            let bits = if number == 3 { "0/0/1" } else { "0/0/0" };
            let own = if number == 1 { '*' } else { ' ' };
            format!(
                "Area 1:\nIS-IS Level-2 link-state database:\nLSP ID                  PduLen  SeqNumber   Chksum  Holdtime  ATT/P/OL\n\
                 vm.00-00             {own}    112   0x00000003  0x1831    1142    {bits}\n  Protocols Supported: IPv4\n  Hostname: vm\n{others}  \
                 IPv4 Interface Address: 198.18.0.{number}\n  Extended IP Reachability: 198.18.0.{number}/32 (Metric: 10)\n\n"
            )
        };
        let answer = |command: &String| {
            match command.as_str() {
            "show isis summary json" => r#"{"vrf":"default","system-id":"c612.0001.0000"}"#.to_owned(),
            // Nobody but the second is named.
            "show isis hostname" => {
                "vrf     : default\nLevel  System ID      Dynamic Hostname\n2      c612.0002.0000 vm             \n     * c612.0001.0000 vm\n".to_owned()
            }
            asked => {
                let number = asked.strip_prefix("show isis database detail c612.000").and_then(|rest| rest.strip_suffix(".0000.00-00"));
                number.map_or_else(|| "Area 1:\n".to_owned(), |number| words(number.parse().unwrap()))
            }
        }
        };
        Ok(commands.iter().map(answer).collect())
    }

    #[test]
    fn routers_that_share_a_name_are_told_apart_and_one_without_a_name_is_found() {
        let database = Database::read(fake_isisd).unwrap();
        let (network, names) = database.network();
        assert_eq!(names, ["c612.0001.0000.00", "c612.0002.0000.00", "c612.0003.0000.00"]);
        let links: Vec<(usize, usize, u32)> = network.links.iter().map(|l| (l.from, l.to, l.metric)).collect();
        assert_eq!(links, [(0, 1, 102), (0, 2, 103), (1, 0, 201), (1, 2, 203), (2, 0, 301), (2, 1, 302)]);
        assert_eq!(network.routers.iter().map(|r| r.overloaded).collect::<Vec<_>>(), [false, false, true]);
        assert_eq!(database.hosts(), BTreeSet::from([Ipv4Addr::new(198, 18, 0, 2), Ipv4Addr::new(198, 18, 0, 3)]));
    }

    #[test]
    fn a_link_is_known_by_the_network_that_both_ends_tell_of() {
        let database = Database::read(fake_isisd).unwrap();
        let (network, names) = database.network();
        let at = |address: &str, metric| database.link_at(&network, &names, address.parse().unwrap(), metric);
        assert_eq!(at("10.0.3.1/31", 102), Some(0));
        assert_eq!(at("10.0.4.0/31", 103), Some(1));
        assert_eq!(at("10.0.3.1/31", 103), None, "another metric");
        assert_eq!(at("10.9.9.0/31", 102), None, "nobody is there");
    }

    #[test]
    fn who_spoke_just_now_is_told_by_how_long_it_holds() {
        let database = |holds: &'static str| {
            let words = |commands: &[String]| {
                let mut answers = fake_isisd(commands)?;
                for answer in answers.iter_mut().filter(|answer| answer.contains("198.18.0.3/32")) {
                    *answer = answer.replace("1142", holds);
                }
                Ok(answers)
            };
            Database::read(words).unwrap()
        };
        assert_eq!(database("1198").spoke_within(5), (3, 1));
        assert_eq!(database("1194").spoke_within(5), (3, 0));
        assert_eq!(database("65000").spoke_within(5), (3, 0), "of another lifetime nothing is known");
        assert_eq!(database("1194").spoke_within(60), (3, 2), "itself not counted");
    }

    #[test]
    fn a_link_that_one_end_only_tells_of_is_none() {
        let database = Database::read(|commands| {
            let mut answers = fake_isisd(commands)?;
            for answer in answers.iter_mut().filter(|answer| answer.contains("198.18.0.3/32")) {
                *answer = answer.replace("  Extended Reachability: c612.0001.0000.00 (Metric: 301)\n", "");
            }
            Ok(answers)
        });
        let links = database.unwrap().network().0.links;
        assert_eq!(links.len(), 4, "{links:?}");
    }

    #[test]
    fn what_goes_on_in_a_second_packet_is_read_and_a_dead_one_says_nothing() {
        let database = Database::read(|commands| {
            let mut answers = fake_isisd(commands)?;
            for (command, answer) in commands.iter().zip(&mut answers) {
                if command.ends_with("c612.0002.0000.00-01") {
                    *answer = "IS-IS Level-2 link-state database:\nLSP ID x\nvm.00-01 30 0x1 0x1 900 0/0/0\n  \
                               Extended IP Reachability: 198.18.9.9/32 (Metric: 10)\n"
                        .to_owned();
                } else if command.ends_with("c612.0003.0000.00-00") {
                    *answer = answer.replace("  1142  ", "  (1142)  ");
                }
            }
            Ok(answers)
        });
        let hosts = database.unwrap().hosts();
        assert_eq!(hosts, BTreeSet::from([Ipv4Addr::new(198, 18, 0, 2), Ipv4Addr::new(198, 18, 9, 9)]));
    }

    #[test]
    fn level_1_and_what_makes_no_sense_are_not_taken() {
        assert_eq!(parse(""), Ok(None));
        let one = "IS-IS Level-1 link-state database:\nLSP ID x\nvm.00-00 30 0x1 0x1 900 0/0/1\n";
        assert_eq!(parse(one), Ok(None));
        let level_2 = one.replace("Level-1", "Level-2");
        assert_eq!(parse(&level_2), Ok(Some(Said { overloaded: true, holds_s: 900, ..Said::default() })));
        for line in [
            "  Extended Reachability: c612.0001.0000.00\n",
            "  Extended Reachability: vm.00 (Metric: 3)\n",
            "  Extended Reachability: c612.0001.0000.00 (Metric: -3)\n",
            "  Extended IP Reachability: 10.0.0.0/33 (Metric: 3)\n",
        ] {
            assert!(parse(&format!("{level_2}{line}")).is_err(), "{line}");
        }
        assert!(parse(&level_2.replace("0/0/1", "0/0")).is_err());
        let refused = Database::read(|commands| Ok(vec![String::new(); commands.len()]));
        assert!(matches!(refused, Err(DriverError::Unreachable(_))));
    }
}
