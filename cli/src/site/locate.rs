//! Finds the line of a path such as `devices[3].public_ip` in YAML of the usual block style.
//!
//! The YAML library keeps no places. This reads indentation only: it finds a line whose own text is the field, or says
//! nothing; it never decides what a file means. Flow style and anchors have no lines.

/// A line that begins a field or a list item.
#[derive(Debug)]
pub(super) struct Entry {
    line: usize,
    /// Path of the field, or of the list item where the line begins one.
    path: String,
}

struct Frame {
    indent: usize,
    path: String,
    /// Items seen so far, where the frame's value is a list.
    items: usize,
}

/// The paths of all lines that begin something.
pub(super) fn lines(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut frames: Vec<Frame> = Vec::new();
    for (index, raw) in text.lines().enumerate() {
        let mut rest = raw.trim_start_matches(' ');
        if rest.is_empty() || rest.starts_with(['#', '%']) || rest.starts_with("---") || rest.starts_with("...") {
            continue;
        }
        let mut indent = raw.len() - rest.len();
        loop {
            let item = rest.strip_prefix('-').filter(|r| r.is_empty() || r.starts_with(' '));
            // A list may stand at its field's own indent, so an item closes only what is deeper.
            let closes = |frame: &Frame| match item {
                Some(_) => frame.indent > indent,
                None => frame.indent >= indent,
            };
            while frames.last().is_some_and(closes) {
                frames.pop();
            }
            let Some(after) = item else { break };
            // The item of the same list before this one ends here.
            if frames.last().is_some_and(|f| f.indent == indent && f.path.ends_with(']')) {
                frames.pop();
            }
            let Some(list) = frames.last_mut() else { break };
            let path = format!("{}[{}]", list.path, list.items);
            list.items += 1;
            entries.push(Entry { line: index + 1, path: path.clone() });
            frames.push(Frame { indent, path, items: 0 });
            let content = after.trim_start_matches(' ');
            indent += 1 + (after.len() - content.len());
            rest = content;
        }
        if let Some((key, _)) = rest.split_once(':').filter(|(_, v)| v.is_empty() || v.starts_with(' ')) {
            let key = key.trim().trim_matches(['"', '\'']);
            let parent = frames.last().map_or("", |f| f.path.as_str());
            let path = if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") };
            entries.push(Entry { line: index + 1, path: path.clone() });
            frames.push(Frame { indent, path, items: 0 });
        }
    }
    entries
}

/// The line of a path, or of the nearest thing around it that begins a line.
pub(super) fn find(entries: &[Entry], path: &str) -> Option<usize> {
    let mut path = path;
    while !path.is_empty() {
        if let Some(entry) = entries.iter().find(|e| e.path == path) {
            return Some(entry.line);
        }
        path = path.rfind(['.', '[']).and_then(|end| path.get(..end))?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_fields_items_and_what_is_around_them() {
        let text = "name: x\n# note\ndevices:\n- code: a\n  interfaces:\n    - name: eth1\n      mtu: 1\n- code: b\n\nlinks:\n  \
                    - code: l\n    a:\n      device: a\n    z: {device: b}\n  -\n    code: m\n";
        let entries = lines(text);
        let cases = [
            ("name", Some(1)),
            ("devices[0].code", Some(4)),
            ("devices[0].interfaces[0].mtu", Some(7)),
            ("devices[1]", Some(8)),
            ("devices[1].public_ip", Some(8)),
            ("links[0].a.device", Some(13)),
            ("links[0].z.device", Some(14)),
            ("links[1].code", Some(16)),
            ("nothing", None),
            ("", None),
        ];
        for (path, expected) in cases {
            assert_eq!(find(&entries, path), expected, "{path}");
        }
    }
}
