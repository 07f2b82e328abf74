//! The transition tables, from the same functions that the program obeys.

use causeway_interface::{
    DeviceStatus, LinkStatus,
    lifecycle::{AnyCondition, Outcome, Role, Rule, device, link},
};
use serde::Serialize;

/// One transition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// `device` or `link`.
    pub subject: &'static str,
    /// Status before; none for a creation.
    pub from: Option<&'static str>,
    /// Status after; `closed` when the account is gone.
    pub to: &'static str,
    /// What happens.
    pub event: &'static str,
    /// Conditions, all of which have to hold.
    pub when: String,
    /// Who may ask for it.
    pub by: String,
}

/// Every transition of both machines, in order of status and event.
pub fn all() -> Vec<Row> {
    let mut rows = of_device();
    rows.extend(of_link());
    rows
}

/// The device's transitions.
pub fn of_device() -> Vec<Row> {
    let mut rows = Vec::new();
    for from in before(DeviceStatus::ALL) {
        for event in device::Event::ALL {
            let rules = device::rules(from, event);
            rows.extend(rules.iter().map(|rule| {
                row(
                    "device",
                    from.map(DeviceStatus::name),
                    event.name(),
                    rule,
                    DeviceStatus::name,
                    device::Condition::words,
                )
            }));
        }
    }
    rows
}

/// The link's transitions.
pub fn of_link() -> Vec<Row> {
    let mut rows = Vec::new();
    for from in before(LinkStatus::ALL) {
        for event in link::Event::ALL {
            let rules = link::rules(from, event);
            rows.extend(rules.iter().map(|rule| {
                row("link", from.map(LinkStatus::name), event.name(), rule, LinkStatus::name, link::Condition::words)
            }));
        }
    }
    rows
}

/// No status yet, then each.
fn before<S: Copy>(all: &'static [S]) -> impl Iterator<Item = Option<S>> {
    std::iter::once(None).chain(all.iter().copied().map(Some))
}

fn row<S: Copy, C: AnyCondition>(
    subject: &'static str,
    from: Option<&'static str>,
    event: &'static str,
    rule: &Rule<S, C>,
    status: fn(S) -> &'static str,
    words: fn(C) -> &'static str,
) -> Row {
    let to = match rule.then {
        Outcome::To(to) => status(to),
        Outcome::Closed => "closed",
    };
    let when: Vec<_> = rule.chosen_by.iter().chain(rule.when.iter()).map(words).collect();
    let by: Vec<_> = rule.by.iter().map(Role::name).collect();
    Row { subject, from, to, event, when: when.join(", "), by: by.join(", ") }
}

/// The rows for people: one line each, in columns.
pub fn table(rows: &[Row]) -> String {
    let mut cells = vec![["subject", "from", "event", "to", "by", "when"].map(str::to_owned)];
    for row in rows {
        let from = row.from.unwrap_or("(none)");
        cells.push([row.subject, from, row.event, row.to, &row.by, &row.when].map(str::to_owned));
    }
    let width = |column: usize| cells.iter().map(|c| c[column].len()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..5).map(width).collect();
    let line = |cells: &[String; 6]| {
        let columns = cells.iter().zip(widths.iter().chain([&0]));
        let padded: Vec<String> = columns.map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    cells.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_documented_form() {
        let creation = of_device().into_iter().next().unwrap();
        assert_eq!(
            serde_json::to_string(&creation).unwrap(),
            "{\"subject\":\"device\",\"from\":null,\"to\":\"pending\",\"event\":\"create\",\"when\":\"network not paused, \
             contributor, location and exchange activated\",\"by\":\"contributor\"}"
        );
    }

    #[test]
    fn every_status_can_be_reached_and_left() {
        let rows = all();
        for (subject, names) in [
            ("device", DeviceStatus::ALL.iter().map(|s| s.name()).collect::<Vec<_>>()),
            ("link", LinkStatus::ALL.iter().map(|s| s.name()).collect()),
        ] {
            for name in names {
                assert!(rows.iter().any(|r| r.subject == subject && r.to == name), "nothing leads to {subject} {name}");
                assert!(
                    rows.iter().any(|r| r.subject == subject && r.from == Some(name)),
                    "{subject} {name} has no way out"
                );
            }
        }
    }

    #[test]
    fn the_only_way_into_first_service_is_advance() {
        for row in all().iter().filter(|r| r.to == "activated") {
            assert_eq!((row.event, row.by.as_str()), ("advance", "anyone"));
        }
    }
}
