//! EOS configuration text, read as far as the driver has to: lines to enter, names of interfaces, top-level sections, and
//! where an adjacency is wanted. Pure. Whether a line is right is for the switch to say.

use std::collections::BTreeSet;

use crate::driver::DriverError;

/// Longest line in bytes: longer ones are no configuration.
const MAX_LINE_BYTES: usize = 2_048;
/// Longest text in bytes, as a controller's message can carry.
const MAX_TEXT_BYTES: usize = 4 * 1024 * 1024;
/// Fewest letters of an interface's stem that EOS takes for it.
const MIN_STEM: usize = 2;
/// Digits of the largest port, unit or VLAN number.
const MAX_DIGITS: usize = 5;

/// Words that leave a session, commit it, or act at once on the switch. A text has none of them; the CLI would take
/// some of them cut short, so a beginning counts too.
const NEVER: &[&str] = &[
    "abort",
    "bash",
    "clear",
    "commit",
    "configure",
    "copy",
    "delete",
    "disable",
    "enable",
    "end",
    "erase",
    "exit",
    "format",
    "install",
    "quit",
    "reload",
    "rollback",
    "show",
    "ssh",
    "watch",
    "write",
];

/// A line to enter, and its place in the text, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// As the switch gets it, without its indent.
    pub command: String,
    /// Line in the text; none where the driver added it.
    pub place: Option<usize>,
}

/// The lines of a text that say something. Comments and empty lines are left out.
///
/// # Errors
/// [`DriverError::Refused`] with the line: a text that must not be entered.
pub fn lines(text: &str) -> Result<Vec<Line>, DriverError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(DriverError::Refused(format!("{} bytes are more than {MAX_TEXT_BYTES}", text.len())));
    }
    let mut lines = Vec::new();
    for (index, raw) in text.lines().enumerate() {
        let command = raw.trim();
        if command.is_empty() || command.starts_with('!') {
            continue;
        }
        if let Some(reason) = unfit(command) {
            return Err(DriverError::Refused(refusal(index + 1, command, reason)));
        }
        lines.push(Line { command: command.to_owned(), place: Some(index + 1) });
    }
    if lines.is_empty() {
        return Err(DriverError::Refused("there is nothing in it: a switch is never emptied blindly".to_owned()));
    }
    Ok(lines)
}

/// Why a line is never entered; nothing for one that the switch is to judge.
pub fn unfit(command: &str) -> Option<&'static str> {
    if command.len() > MAX_LINE_BYTES {
        return Some("longer than any line of a configuration");
    }
    if command.chars().any(char::is_control) {
        return Some("a control character");
    }
    let first = command.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    let leaves = |never: &&&str| first.len() >= MIN_STEM && never.starts_with(&first);
    NEVER.iter().find(leaves).map(|_| "a command to the switch, not a line of configuration")
}

/// One refused line, for people.
pub fn refusal(place: usize, command: &str, reason: &str) -> String {
    /// Longest piece of the line that is repeated, in characters.
    const MAX_QUOTED: usize = 120;
    let quoted: String = command.chars().take(MAX_QUOTED).collect();
    format!("line {place}: {reason}: {quoted:?}")
}

/// An interface's name as EOS says it: `eth30.200` is `Ethernet30.200`. None for what is no interface of EOS.
pub fn full_name(name: &str) -> Option<String> {
    let (stem, numbers) = name.split_at_checked(name.find(|c: char| c.is_ascii_digit())?)?;
    let (port, unit) = numbers.split_once('.').map_or((numbers, None), |(port, unit)| (port, Some(unit)));
    let digits = |text: &str| (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let stems = ["Ethernet", "Loopback", "Management", "Port-Channel", "Tunnel", "Vlan", "Vxlan"];
    let full = stems.into_iter().find(|full| full.get(..stem.len()).is_some_and(|s| s.eq_ignore_ascii_case(stem)))?;
    let sound = stem.len() >= MIN_STEM && port.split('/').all(digits) && unit.is_none_or(digits);
    sound.then(|| format!("{full}{numbers}"))
}

/// The command that takes an interface back to nothing: a port stays and is set back, anything else goes. None for the
/// management interface, which is never taken back: it may carry the session.
pub fn removal(interface: &str) -> Option<String> {
    let port = interface.starts_with("Ethernet") && !interface.contains('.');
    match interface {
        name if name.starts_with("Management") => None,
        name if port => Some(format!("default interface {name}")),
        name => Some(format!("no interface {name}")),
    }
}

/// Top-level sections and lines, each as the key by which it is the same one in another text: with one host name and one
/// BGP instance on a switch, their values don't count.
pub fn headers(text: &str) -> BTreeSet<String> {
    let top = text.lines().filter(|line| !line.starts_with(char::is_whitespace)).map(str::trim_end);
    let says = |line: &&str| !line.is_empty() && !line.starts_with('!') && *line != "end";
    let undoes = |line: &&str| line.starts_with("no ") || line.starts_with("default ");
    top.filter(says).filter(|line| !undoes(line)).map(key).collect()
}

fn key(header: &str) -> String {
    let words: Vec<&str> = header.split_whitespace().collect();
    match words.as_slice() {
        ["hostname", ..] => "hostname".to_owned(),
        ["router", "bgp", ..] => "router bgp".to_owned(),
        ["interface", name] => format!("interface {}", full_name(name).unwrap_or_else(|| (*name).to_owned())),
        all => all.join(" "),
    }
}

/// The interface that a header begins.
pub fn interface_of(header: &str) -> Option<&str> {
    header.strip_prefix("interface ")
}

/// A text that makes a switch run again what it told of itself. What it tells is entered on top of what it runs by then, so
/// every section that it names is taken back first; a text that takes sections back itself is whole already.
pub fn again(told: &str) -> String {
    let top = |line: &&str| !line.starts_with(char::is_whitespace);
    if told.lines().filter(top).any(|line| line.starts_with("no ") || line.starts_with("default ")) {
        return told.to_owned();
    }
    // Causeway's on every switch, also where there were none.
    let mut removals: BTreeSet<String> = ["no router bgp", "no router isis 1"].map(str::to_owned).into();
    for header in headers(told) {
        match interface_of(&header) {
            Some(interface) => removals.extend(removal(interface)),
            None if header.starts_with("ip access-list ") => drop(removals.insert(format!("no {header}"))),
            None => {}
        }
    }
    removals.into_iter().map(|line| line + "\n").chain([told.to_owned()]).collect()
}

/// The part of a whole configuration that some sections make up, without comments, in the configuration's order.
pub fn part(configuration: &str, belongs: impl Fn(&str) -> bool) -> String {
    let mut kept = String::new();
    let mut inside = false;
    for line in configuration.lines().map(str::trim_end) {
        let words = line.trim_start();
        if words.is_empty() || words.starts_with('!') || line == "end" {
            continue;
        }
        if words.len() == line.len() {
            inside = belongs(&key(line));
        }
        if inside {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// Whether a difference, as EOS shows it, changes nothing.
pub fn is_empty_diff(diff: &str) -> bool {
    let changes = |line: &str| line.starts_with(['+', '-']) && !line.starts_with("+++ ") && !line.starts_with("--- ");
    !diff.lines().any(changes)
}

/// A difference without the secrets that stand in it or around it: it goes to people and into a log.
pub fn without_secrets(diff: &str) -> String {
    /// Words after which a line of EOS holds a secret, plain or hashed.
    const BEFORE_SECRETS: [&str; 7] = ["secret", "password", "key", "community", "md5", "auth", "sha512"];
    let mut shown = String::with_capacity(diff.len());
    for line in diff.lines() {
        let is_secret = |word: &str| BEFORE_SECRETS.contains(&word.trim_start_matches(['+', '-']));
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.iter().position(|word| is_secret(word)) {
            // The first word of a description says nothing of what follows.
            Some(at) if words.iter().all(|word| *word != "description") => {
                let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
                let before: Vec<&str> = words.iter().take(at + 1).copied().collect();
                shown.push_str(&format!("{indent}{} <hidden>", before.join(" ")));
            }
            Some(_) | None => shown.push_str(line),
        }
        shown.push('\n');
    }
    shown
}

/// What a text says of one interface's IS-IS.
#[derive(Default)]
struct Circuit {
    enabled: bool,
    addressed: bool,
    passive: bool,
    shut: bool,
    level_one_only: bool,
}

/// Interfaces on which a text wants a level-2 adjacency: enabled, addressed, up and not passive.
pub fn wanted_adjacencies(text: &str) -> BTreeSet<String> {
    let mut circuits: Vec<(String, Circuit)> = Vec::new();
    let mut open = false;
    for raw in text.lines() {
        let words: Vec<&str> = raw.split_whitespace().collect();
        if !raw.starts_with(char::is_whitespace) {
            open = false;
            if let ["interface", name] = words.as_slice() {
                // A name of an unknown kind is the switch's to judge, and stands as it is said.
                let full = full_name(name).unwrap_or_else(|| (*name).to_owned());
                circuits.push((full, Circuit::default()));
                open = true;
            }
            continue;
        }
        let Some((_, circuit)) = circuits.last_mut().filter(|_| open) else { continue };
        match words.as_slice() {
            ["isis", "enable", _] => circuit.enabled = true,
            ["no", "isis", "enable"] => circuit.enabled = false,
            ["isis", "passive" | "passive-interface"] => circuit.passive = true,
            ["no", "isis", "passive" | "passive-interface"] => circuit.passive = false,
            ["isis", "circuit-type", level] => circuit.level_one_only = *level == "level-1",
            ["ip", "address", ..] => circuit.addressed = true,
            ["no", "ip", "address", ..] => circuit.addressed = false,
            ["shutdown"] => circuit.shut = true,
            ["no", "shutdown"] => circuit.shut = false,
            _ => {}
        }
    }
    let wants = |name: &str, c: &Circuit| {
        c.enabled && c.addressed && !c.passive && !c.shut && !c.level_one_only && !name.starts_with("Loopback")
    };
    circuits.into_iter().filter(|(name, circuit)| wants(name, circuit)).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_places_and_comments_are_left_out() {
        let found = lines("!\nhostname a\n\ninterface Ethernet1\n   mtu 9000\n!\n").unwrap();
        let places: Vec<_> = found.iter().map(|line| (line.place, line.command.as_str())).collect();
        assert_eq!(places, [(Some(2), "hostname a"), (Some(4), "interface Ethernet1"), (Some(5), "mtu 9000")]);
    }

    #[test]
    fn a_line_that_leaves_the_session_or_acts_at_once_is_refused() {
        for line in [
            "end",
            "exit",
            "commit",
            "commi",
            "   abort",
            "COPY running-config startup-config",
            "write memory",
            "bash rm",
            "configure",
            "rollback clean-config",
            "reload",
            "en",
        ] {
            let refused = lines(&format!("hostname a\n{line}\n"));
            assert!(
                matches!(&refused, Err(DriverError::Refused(why)) if why.contains("line 2")),
                "{line}: {refused:?}"
            );
        }
        for line in ["no shutdown", "ip routing", "description end", "mpls ip", "enforce x", "endpoint y"] {
            assert!(lines(line).is_ok(), "{line}");
        }
        assert!(lines("!\n\n").is_err());
        assert!(lines("hostname a\u{7}b").is_err());
        assert!(lines(&"x".repeat(MAX_LINE_BYTES + 1)).is_err());
    }

    #[test]
    fn what_a_switch_told_takes_back_what_it_names_first_and_once() {
        let told = "hostname a\ninterface Ethernet1\n   mtu 9000\n   no switchport\ninterface Loopback255\n\
                    interface Management1\nip access-list X\n   10 permit ip any any\nrouter isis 1\n   net 49\n";
        let whole = again(told);
        assert_eq!(
            whole,
            format!(
                "default interface Ethernet1\nno interface Loopback255\nno ip access-list X\nno router bgp\n\
                 no router isis 1\n{told}"
            )
        );
        assert_eq!(again(&whole), whole);
        assert_eq!(headers(&whole), headers(told));
    }

    #[test]
    fn names_are_made_full() {
        for (short, full) in [
            ("eth30.200", Some("Ethernet30.200")),
            ("Et1/1", Some("Ethernet1/1")),
            ("Port-Channel1.100", Some("Port-Channel1.100")),
            ("lo255", Some("Loopback255")),
            ("ma1", Some("Management1")),
            ("e1", None),
            ("Ethernet", None),
            ("swp1", None),
            ("Ethernet1.", None),
            ("Ethernet123456", None),
        ] {
            assert_eq!(full_name(short).as_deref(), full, "{short}");
        }
    }

    #[test]
    fn the_managed_part_leaves_out_comments_and_others() {
        let whole = "! Command: show running-config\n!\nhostname a\n!\nntp server 1.1.1.1\n!\ninterface Ethernet1\n   mtu 9000\n!\ninterface Ethernet2\n   mtu 1500\n!\nend\n";
        let ours = headers("no router bgp\nhostname b\ninterface et1\n   mtu 1\n");
        assert_eq!(part(whole, |header| ours.contains(header)), "hostname a\ninterface Ethernet1\n   mtu 9000\n");
    }

    #[test]
    fn adjacencies_are_wanted_where_a_circuit_is_enabled_addressed_up_and_not_passive() {
        let text = "interface et1\n   ip address 1.1.1.0/31\n   isis enable 1\n   no isis passive\n\
                    interface Ethernet2\n   ip address 1.1.1.2/31\n   isis enable 1\n   isis passive\n\
                    interface Ethernet3\n   isis enable 1\n\
                    interface Ethernet4\n   ip address 1.1.1.4/31\n   isis enable 1\n   shutdown\n\
                    interface Ethernet5\n   ip address 1.1.1.6/31\n   isis enable 1\n   isis circuit-type level-1\n\
                    interface Loopback255\n   ip address 1.1.1.8/32\n   isis enable 1\n\
                    router isis 1\n   isis enable 1\n";
        assert_eq!(wanted_adjacencies(text), BTreeSet::from(["Ethernet1".to_owned()]));
    }

    #[test]
    fn a_difference_is_empty_where_no_line_comes_or_goes() {
        assert!(is_empty_diff(""));
        assert!(is_empty_diff("--- system:/running-config\n+++ session:/a-session-config\n"));
        assert!(!is_empty_diff("--- system:/running-config\n+++ session:/a\n@@ -1 +1 @@\n-   mtu 1\n"));
        assert!(!is_empty_diff("+interface Ethernet1\n"));
    }

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let diff = " username op secret sha512 $6$abc\n+   neighbor 1.1.1.1 password 7 xyz\n-hostname a\n description key account\n";
        let shown = without_secrets(diff);
        assert_eq!(
            shown,
            " username op secret <hidden>\n+ neighbor 1.1.1.1 password <hidden>\n-hostname a\n description key account\n"
        );
    }

    #[test]
    fn removal_sets_ports_back_and_spares_the_management_interface() {
        assert_eq!(removal("Ethernet1/1").as_deref(), Some("default interface Ethernet1/1"));
        assert_eq!(removal("Ethernet1.100").as_deref(), Some("no interface Ethernet1.100"));
        assert_eq!(removal("Loopback9").as_deref(), Some("no interface Loopback9"));
        assert_eq!(removal("Management1"), None);
    }
}
