//! An operator's own lines (NTP, DNS, ACLs), added at the end of every device's text without touching code.
//!
//! `DIR/frr/*.conf` and `DIR/eos/*.conf`, read once at start in the order of their names. They are strict templates
//! over `device` (`code`, `router_id`), so that a line can name the device. What they say is the operator's
//! responsibility; that they say only printable lines, and none that opens or undoes a section which Causeway manages, is
//! checked. A router's command line takes the beginning of a word for the word, as `rou is 1` for `router isis 1`, so every
//! beginning is refused, also one that the router would call ambiguous.

use std::{fs, io, path::Path};

use causeway_interface::Platform;
use minijinja::{Environment, context};

use super::strict;
use crate::plan::DevicePlan;

/// Largest snippet: far beyond any list of servers, far below a mistake such as a disk image.
const MAX_SNIPPET_BYTES: u64 = 256 * 1024;

/// Words that open the sections that are Causeway's. Another word follows the last of each.
const MANAGED: [&[&str]; 4] = [&["interface"], &["router", "isis"], &["router", "bgp"], &["hostname"]];
/// Words before the name of a list, which is Causeway's where it begins with [`OUR_LISTS`].
const LIST: [&str; 2] = ["ip", "access-list"];
/// Begins the names of Causeway's lists.
const OUR_LISTS: &str = "CAUSEWAY-";
/// What takes a section away, or back to its defaults, when it comes before its opener.
const UNDOING: [&str; 2] = ["no", "default"];
/// What leaves the configuration.
const LEAVING: &str = "end";

/// What goes wrong with snippets.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// A folder or file can't be read.
    #[error("site snippet {path} can't be read")]
    Read {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is too large.
    #[error("site snippet {path} is larger than {MAX_SNIPPET_BYTES} bytes")]
    TooLarge {
        /// Which.
        path: String,
    },
    /// A template is wrong or asks for what isn't there.
    #[error("site snippet {path} can't be rendered: {source}")]
    Template {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: minijinja::Error,
    },
    /// A line that may not be there.
    #[error("site snippet {path}: the line {line:?} opens a managed section or has control characters")]
    Line {
        /// Which file.
        path: String,
        /// Which line.
        line: String,
    },
}

/// Snippets of both families, compiled.
#[derive(Clone, Debug)]
pub struct Site {
    /// By path.
    templates: Environment<'static>,
    snippets: Vec<Snippet>,
}

impl Default for Site {
    fn default() -> Self {
        Self { templates: strict(), snippets: Vec::new() }
    }
}

#[derive(Clone, Debug)]
struct Snippet {
    family: Platform,
    path: String,
}

impl Site {
    /// No snippets.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads a folder. A family's folder that isn't there has no snippets.
    ///
    /// # Errors
    /// The folder isn't there, a file can't be read or is too large, or it is no template.
    pub fn read(dir: &Path) -> Result<Self, SiteError> {
        let read = |path: &Path, source| SiteError::Read { path: path.display().to_string(), source };
        fs::metadata(dir).map_err(|e| read(dir, e))?;
        let mut site = Self::default();
        for family in Platform::ALL {
            let dir = dir.join(family.name());
            let entries = match fs::read_dir(&dir) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(read(&dir, error)),
            };
            let mut paths = Vec::new();
            for entry in entries {
                let path = entry.map_err(|e| read(&dir, e))?.path();
                if path.extension().is_some_and(|e| e == "conf") {
                    paths.push(path);
                }
            }
            paths.sort();
            for path in paths {
                let size = fs::metadata(&path).map_err(|e| read(&path, e))?.len();
                if size > MAX_SNIPPET_BYTES {
                    return Err(SiteError::TooLarge { path: path.display().to_string() });
                }
                let template = fs::read_to_string(&path).map_err(|e| read(&path, e))?;
                let path = path.display().to_string();
                site.templates
                    .add_template_owned(path.clone(), template)
                    .map_err(|source| SiteError::Template { path: path.clone(), source })?;
                site.snippets.push(Snippet { family: *family, path });
            }
        }
        Ok(site)
    }

    /// The lines for one device.
    ///
    /// # Errors
    /// A template that is wrong, or a line that may not be there.
    pub fn lines(&self, family: Platform, plan: &DevicePlan) -> Result<Vec<String>, SiteError> {
        let mut lines = Vec::new();
        for snippet in self.snippets.iter().filter(|s| s.family == family) {
            let router_id = plan.routing.as_ref().map(|r| r.router_id.to_string());
            let device = context! { code => plan.code.to_string(), router_id => router_id };
            let text = self
                .templates
                .get_template(&snippet.path)
                .and_then(|template| template.render(context! { device => device }))
                .map_err(|source| SiteError::Template { path: snippet.path.clone(), source })?;
            for line in text.lines().map(str::trim_end).filter(|l| !l.is_empty()) {
                if !may_be_there(line) {
                    return Err(SiteError::Line { path: snippet.path.clone(), line: line.to_string() });
                }
                lines.push(line.to_string());
            }
        }
        Ok(lines)
    }
}

fn may_be_there(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let undone = words.split_first().filter(|(first, _)| UNDOING.iter().any(|word| means(first, word)));
    let said = undone.map_or(words.as_slice(), |(_, rest)| rest);
    let opens =
        |opener: &[&str]| said.len() >= opener.len() && said.iter().zip(opener).all(|(said, word)| means(said, word));
    let our_list = opens(&LIST) && said.iter().skip(LIST.len()).any(|name| name.starts_with(OUR_LISTS));
    let leaves = words.len() == 1 && words.first().is_some_and(|word| means(word, LEAVING));
    !(leaves || our_list || MANAGED.iter().any(|opener| opens(opener)) || line.chars().any(char::is_control))
}

/// Whether a command line may take what was said for a word. FRR heeds capitals, EOS does not.
fn means(said: &str, word: &str) -> bool {
    word.get(..said.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_word_is_the_word() {
        for (said, word, expected) in [
            ("rou", "router", true),
            ("r", "router", true),
            ("ROUTER", "router", true),
            ("routers", "router", false),
            ("ip", "interface", false),
            ("é", "router", false),
        ] {
            assert_eq!(means(said, word), expected, "{said}");
        }
    }
}
