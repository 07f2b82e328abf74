//! An operator's own lines (NTP, DNS, ACLs), added at the end of every device's text without touching code.
//!
//! `DIR/frr/*.conf` and `DIR/eos/*.conf`, read once at start in the order of their names. They are strict templates
//! over `device` (`code`, `router_id`), so that a line can name the device. `router_id` is the address of the VPNv4
//! loopback, which a device keeps when it is taken out of routing; one that was never provisioned has none, and then a
//! snippet that asks for it is left out. Each snippet is filled in when it is read, for a device of each kind, so that what
//! can't be used is an error of the start and not of every device.
//!
//! What they say is the operator's responsibility; that they say only printable lines, and none that opens or undoes a
//! section which Causeway manages or that a switch's agent would never enter, is checked. A router's command line takes the
//! beginning of a word for the word, as `rou is 1` for `router isis 1`, so every
//! beginning is refused, also one that the router would call ambiguous.

use std::{fs, io, path::Path};

use causeway_agent::eos;
use causeway_interface::{InterfaceKind, Ip4, LoopbackType, Platform};
use minijinja::{Environment, ErrorKind, context};

use super::strict;
use crate::plan::{DevicePlan, InterfacePlan};

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
/// What a template asks for the VPNv4 loopback's address by.
const ROUTER_ID: &str = "device.router_id";
/// Devices that snippets are tried on: one that was provisioned, and one that was not.
const SAMPLES: [(&str, Option<Ip4>); 2] = [("sample", Some(Ip4([192, 0, 2, 1]))), ("sample", None)];

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
    #[error(
        "site snippet {path}: the line {line:?} opens a managed section, leaves the configuration or has control characters"
    )]
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
    /// It names the device by its VPNv4 loopback.
    asks_router_id: bool,
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
    /// The folder isn't there, a file can't be read or is too large, is no template, asks for what isn't there, or says a line
    /// that may not be there.
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
                let asks_router_id = site
                    .templates
                    .get_template(&path)
                    .is_ok_and(|template| template.undeclared_variables(true).contains(ROUTER_ID));
                site.snippets.push(Snippet { family: *family, path, asks_router_id });
            }
            for (code, router_id) in SAMPLES {
                site.lines_for(*family, code, router_id)?;
            }
        }
        Ok(site)
    }

    /// The lines for one device.
    ///
    /// # Errors
    /// A template that is wrong, or a line that may not be there.
    pub fn lines(&self, family: Platform, plan: &DevicePlan) -> Result<Vec<String>, SiteError> {
        self.lines_for(family, plan.code.as_str(), router_id(plan))
    }

    fn lines_for(&self, family: Platform, code: &str, router_id: Option<Ip4>) -> Result<Vec<String>, SiteError> {
        // Not a value that says none: a template that asks for what isn't there is to fail, and not to say so to a router.
        let device = match router_id {
            Some(address) => context! { code => code, router_id => address.to_string() },
            None => context! { code => code },
        };
        let mut lines = Vec::new();
        for snippet in self.snippets.iter().filter(|s| s.family == family) {
            let text = self
                .templates
                .get_template(&snippet.path)
                .and_then(|template| template.render(context! { device => device.clone() }));
            let text = match text {
                Err(error)
                    if router_id.is_none() && snippet.asks_router_id && error.kind() == ErrorKind::UndefinedError =>
                {
                    continue;
                }
                filled => filled.map_err(|source| SiteError::Template { path: snippet.path.clone(), source })?,
            };
            for line in text.lines().map(str::trim_end).filter(|l| !l.is_empty()) {
                if !may_be_there(family, line) {
                    return Err(SiteError::Line { path: snippet.path.clone(), line: line.to_string() });
                }
                lines.push(line.to_string());
            }
        }
        Ok(lines)
    }
}

/// The address of the VPNv4 loopback, also of a device without routing.
fn router_id(plan: &DevicePlan) -> Option<Ip4> {
    let routing = |i: &&InterfacePlan| i.kind == InterfaceKind::Loopback && i.loopback == LoopbackType::Vpnv4;
    plan.interfaces.iter().find(routing)?.address.map(|address| address.addr)
}

fn may_be_there(family: Platform, line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let undone = words.split_first().filter(|(first, _)| UNDOING.iter().any(|word| means(first, word)));
    let said = undone.map_or(words.as_slice(), |(_, rest)| rest);
    let opens =
        |opener: &[&str]| said.len() >= opener.len() && said.iter().zip(opener).all(|(said, word)| means(said, word));
    let our_list = opens(&LIST) && said.iter().skip(LIST.len()).any(|name| name.starts_with(OUR_LISTS));
    let leaves = words.len() == 1 && words.first().is_some_and(|word| means(word, LEAVING));
    // What its agent would refuse to enter, and the device's whole text with it.
    let unfit = match family {
        Platform::Eos => !line.trim_start().starts_with('!') && eos::unfit(line.trim()).is_some(),
        Platform::Frr => false,
    };
    !(leaves || unfit || our_list || MANAGED.iter().any(|opener| opens(opener)) || line.chars().any(char::is_control))
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
