//! An operator's own lines (NTP, DNS, ACLs), added at the end of every device's text without touching code.
//!
//! `DIR/frr/*.conf` and `DIR/eos/*.conf`, read once at start in the order of their names. They are strict templates
//! over `device` (`code`, `router_id`), so that a line can name the device. What they say is the operator's
//! responsibility; that they say only printable lines, and none that opens a section which Causeway manages, is checked.

use std::{fs, io, path::Path};

use causeway_interface::Platform;
use minijinja::{Environment, context};

use super::strict;
use crate::plan::DevicePlan;

/// Largest snippet: far beyond any list of servers, far below a mistake such as a disk image.
const MAX_SNIPPET_BYTES: u64 = 256 * 1024;

/// Openers of the sections that are Causeway's.
const MANAGED: [&str; 5] = ["interface ", "router isis", "router bgp", "hostname ", "ip access-list CAUSEWAY-"];

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
                let managed = MANAGED.iter().any(|m| line.trim_start().starts_with(m));
                if managed || line.chars().any(char::is_control) || line.trim() == "end" {
                    return Err(SiteError::Line { path: snippet.path.clone(), line: line.to_string() });
                }
                lines.push(line.to_string());
            }
        }
        Ok(lines)
    }
}
