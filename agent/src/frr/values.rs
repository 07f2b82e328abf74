//! Changes that need no rehearsal, because FRR's own grammar says what comes of them. Pure.
//!
//! There is one: the metric of IS-IS on interfaces that have one, which is what drains and measured delays change all day.
//! `isis metric N` is set in place, takes every number of its range under wide metrics whatever else runs, shows as it was
//! said unless it is the default, and is taken back by saying the old number. So a text that differs from a known one by such
//! numbers only is taken as that one was, and shows as that one does but for the numbers.

use std::collections::BTreeMap;

use super::tree::{Path, Tree};

/// What says an interface's metric.
pub(super) const METRIC: &str = "isis metric ";
/// Numbers that it takes under wide metrics (RFC 5305, 3.7, and FRR's own range).
const METRICS: std::ops::RangeInclusive<u32> = 1..=16_777_215;
/// What it is unless it is said, and what FRR doesn't show.
pub(super) const DEFAULT_METRIC: u32 = 10;
/// Where wide metrics are said.
const WIDE: [&str; 2] = ["router isis 1", "metric-style wide"];

/// A text whose form in FRR is known.
#[derive(Clone, Debug)]
pub struct Known {
    /// As it was said.
    pub text: Tree,
    /// As FRR shows it.
    pub shown: Tree,
}

/// How FRR shows a text that differs from a known one by metrics only, and how many; nothing for any other text.
pub fn metrics_only(known: &Known, text: &Tree) -> Option<(Tree, usize)> {
    if !text.contains(&WIDE.map(str::to_owned)) {
        return None;
    }
    let old = metrics(known.text.paths().filter(|path| !text.contains(path)))?;
    let new = metrics(text.paths().filter(|path| !known.text.contains(path)))?;
    if old.is_empty() || !old.keys().eq(new.keys()) || new.values().any(|metric| *metric == DEFAULT_METRIC) {
        return None;
    }
    let line = |metric: &u32| format!("{METRIC}{metric}");
    for (header, metric) in &old {
        let mut shown = known.shown.section(header).filter(|shown| shown.starts_with(METRIC.trim_end()));
        if shown.next() != Some(line(metric).as_str()) || shown.next().is_some() {
            return None;
        }
    }
    let renumbered = known.shown.placed().map(|(path, place)| {
        let found = match path.as_slice() {
            [header, last] if last.starts_with(METRIC) => new.get(header).map(|m| vec![header.clone(), line(m)]),
            _ => None,
        };
        (place, found.unwrap_or_else(|| path.clone()))
    });
    let mut lines: Vec<(usize, Path)> = renumbered.collect();
    lines.sort_unstable_by_key(|(place, _)| *place);
    Some((lines.into_iter().map(|(_, path)| path).collect(), new.len()))
}

/// Metrics by interface header; nothing where another line is among them, or a number that FRR would say differently.
fn metrics<'a>(paths: impl Iterator<Item = &'a Path>) -> Option<BTreeMap<String, u32>> {
    let mut metrics = BTreeMap::new();
    for path in paths {
        let [header, line] = path.as_slice() else { return None };
        let digits = line.strip_prefix(METRIC)?;
        let metric: u32 = digits.parse().ok().filter(|metric| METRICS.contains(metric))?;
        let once = metrics.insert(header.clone(), metric).is_none();
        if !once || !header.starts_with("interface ") || digits != metric.to_string() {
            return None;
        }
    }
    Some(metrics)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "router isis 1\n metric-style wide\ninterface a\n ip router isis 1\n isis metric 4000\n\
                        interface b\n ip router isis 1\n isis metric 70\ninterface lo\n isis passive\n";
    /// FRR leaves the default out.
    const SHOWN: &str = "interface a\n ip router isis 1\n isis metric 4000\ninterface b\n ip router isis 1\n isis metric 70\n\
                         interface lo\n isis passive\nrouter isis 1\n";

    fn shown(text: &str) -> Option<String> {
        let known = Known { text: Tree::parse(TEXT), shown: Tree::parse(SHOWN) };
        metrics_only(&known, &Tree::parse(text)).map(|(tree, _)| tree.text())
    }

    #[test]
    fn another_metric_shows_as_it_is_said() {
        let drained = TEXT.replace("4000", "1000000");
        assert_eq!(shown(&drained), Some(Tree::parse(&SHOWN.replace("4000", "1000000")).text()));
        let both = drained.replace(" 70", " 71");
        assert_eq!(shown(&both), Some(Tree::parse(&SHOWN.replace("4000", "1000000").replace(" 70", " 71")).text()));
    }

    #[test]
    fn any_other_change_is_rehearsed() {
        for other in [
            TEXT.to_owned(),
            TEXT.replace(" metric-style wide\n", " is-type level-2-only\n").replace("4000", "5000"),
            TEXT.replace("4000", "10"),
            TEXT.replace("4000", "0"),
            TEXT.replace("4000", "16777216"),
            TEXT.replace("4000", "04001"),
            TEXT.replace("4000", "level-2 5000"),
            TEXT.replace(" isis metric 4000\n", ""),
            TEXT.replace(" isis metric 4000\n", " isis metric 4000\n isis metric 5000\n"),
            TEXT.replace("4000", "5000").replace("isis passive", "description x"),
            TEXT.replace("interface a", "interface c"),
            TEXT.replace("4000", "5000") + "ip route 1.0.0.0/8 2.2.2.2\n",
            String::new(),
        ] {
            assert_eq!(shown(&other), None, "{other}");
        }
        let odd = Known { text: Tree::parse(TEXT), shown: Tree::parse(&SHOWN.replace(" isis metric 4000\n", "")) };
        assert!(
            metrics_only(&odd, &Tree::parse(&TEXT.replace("4000", "5000"))).is_none(),
            "it showed otherwise before"
        );
    }
}
