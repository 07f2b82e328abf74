//! What FRR starts with: what it saved, put in the order in which it can read it.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, chown},
    path::Path,
};

use super::passage::OVERLOAD;

/// Makes of the file that FRR saved what it can start with, whole or not at all. Its owner and who may read it stay as they are.
///
/// # Errors
/// It can't be read or replaced.
pub fn put_in_order(path: &Path) -> io::Result<()> {
    let saved = fs::read_to_string(path)?;
    let startup = in_order(&saved);
    if startup == saved {
        return Ok(());
    }
    let was = fs::metadata(path)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(was.mode()).open(&beside)?;
    chown(&beside, Some(was.uid()), Some(was.gid()))?;
    // What was there before, of an agent that was killed, keeps its mode when it is opened.
    file.set_permissions(was.permissions())?;
    file.write_all(startup.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// What FRR saved, so that a router that has lost its power comes back by it: IS-IS before the interfaces, and with the overload
/// bit. The same where it is so already, or no IS-IS is in it.
///
/// FRR 8.4 writes interfaces first, and at its start refuses each whose metric is above 63, because nothing has said by then that metrics are
/// wide. The bit comes after the section's timers: before them isisd puts off for half a minute what it says of itself, as its own
/// default for the timers is.
fn in_order(saved: &str) -> String {
    let mut sections: Vec<Vec<&str>> = Vec::new();
    for line in saved.lines() {
        match sections.last_mut().filter(|_| line.starts_with(' ') || line.starts_with("exit")) {
            Some(section) => section.push(line),
            None => sections.push(vec![line]),
        }
    }
    let begins = |section: &Vec<&str>, with: &str| section.first().is_some_and(|line| line.starts_with(with));
    let Some(place) = sections.iter().position(|section| section.first().is_some_and(|l| l.trim_end() == OVERLOAD[0]))
    else {
        return saved.to_owned();
    };
    let bit = format!(" {}", OVERLOAD[1]);
    let mut isis = sections.remove(place);
    isis.retain(|line| line.trim_end() != bit);
    let end = isis.iter().rposition(|line| line.starts_with(' ')).unwrap_or(0) + 1;
    isis.insert(end, &bit);
    let first = sections.iter().position(|section| begins(section, "interface ")).unwrap_or(place);
    sections.insert(first.min(place), isis);
    let lines: Vec<&str> = sections.into_iter().flatten().collect();
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_startup_says_is_is_first_with_the_bit_at_its_end_and_loses_nothing() {
        let isis = "router isis 1\n is-type level-2-only\n net x\n";
        let links = "interface a\n ip address 10.0.3.0/31\n ip router isis 1\n isis metric 400\ninterface lo\n ip router isis 1\n";
        let saved = format!("frr version 8.4.4\n!\nvrf m\nexit-vrf\n!\n{links}exit\n!\n{isis}exit\n!\nend\n");
        let expected = format!(
            "frr version 8.4.4\n!\nvrf m\nexit-vrf\n!\n{isis} set-overload-bit\nexit\n{links}exit\n!\n!\nend\n"
        );
        assert_eq!(in_order(&saved), expected);
        assert_eq!(in_order(&expected), expected, "once");
        let drained = saved.replace(" net x\n", " set-overload-bit\n net x\n");
        assert_eq!(in_order(&drained), expected, "after the timers");
        for other in ["! nothing\n", "interface a\n ip router isis 1\n", "router isis 2\n net x\n"] {
            assert_eq!(in_order(other), other);
        }
        assert_eq!(in_order("router isis 1"), "router isis 1\n set-overload-bit\n");
    }
}
