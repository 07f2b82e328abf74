//! Debian packages: which are installed, and installing the others.

use std::{collections::BTreeSet, io::IsTerminal, process::Stdio};

use anyhow::{Context, Result, bail};

use crate::{process, progress};

/// How long apt-get waits for another package manager to finish, in seconds: an unattended upgrade takes minutes.
const LOCK_TIMEOUT_SECONDS: u32 = 300;

/// Installs without starting any service: a package may bring a daemon, and only its command is wanted here.
const INSTALL: &str = r#"
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' > "$policy" && chmod 755 "$policy"
fi
apt-get -qq -y -o DPkg::Lock::Timeout="$1" -o Dpkg::Use-Pty=0 install --no-install-recommends $2 1>&2
"#;

/// The package manager during one command.
#[derive(Default)]
pub struct Apt {
    updated: bool,
}

impl Apt {
    /// Sees to it that these packages are installed.
    ///
    /// # Errors
    /// Some are missing, and there is no apt-get, no right to use it, or it fails.
    pub fn ensure(&mut self, packages: &[&str]) -> Result<()> {
        if packages.is_empty() {
            return Ok(());
        }
        let list = |packages: &[&str]| packages.join(" ");
        if !process::in_path("dpkg-query") || !process::in_path("apt-get") {
            progress::note(&format!(
                "no Debian packages here: make sure yourself that there is what they call {}",
                list(packages)
            ));
            return Ok(());
        }
        let installed = installed(packages)?;
        let missing: Vec<&str> = packages.iter().copied().filter(|p| !installed.contains(*p)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        progress::step(&format!("installing with apt-get: {}", list(&missing)));
        let privilege = Privilege::find().with_context(|| {
            format!("missing packages; as root, run: apt-get update && apt-get install {}", list(&missing))
        })?;
        if !self.updated {
            let timeout = format!("DPkg::Lock::Timeout={LOCK_TIMEOUT_SECONDS}");
            privilege.run(&["apt-get", "-qq", "-o", &timeout, "update"], "apt-get update")?;
            self.updated = true;
        }
        let timeout = LOCK_TIMEOUT_SECONDS.to_string();
        privilege.run(&["sh", "-ec", INSTALL, "sh", &timeout, &list(&missing)], "apt-get install")?;
        let installed = self::installed(packages)?;
        match packages.iter().find(|p| !installed.contains(**p)) {
            Some(package) => bail!("apt-get installed everything but {package}"),
            None => Ok(()),
        }
    }
}

fn installed(packages: &[&str]) -> Result<BTreeSet<String>> {
    let mut query = process::plain("dpkg-query");
    // Unknown packages are its error, and to us just not installed.
    query.args(["--show", "--showformat", "${Package} ${db:Status-Status}\n"]).args(packages);
    let answer = query.stdin(Stdio::null()).stderr(Stdio::null()).output().context("can't run dpkg-query")?;
    Ok(installed_in(&String::from_utf8_lossy(&answer.stdout)))
}

fn installed_in(answer: &str) -> BTreeSet<String> {
    answer.lines().filter_map(|line| line.strip_suffix(" installed")).map(str::to_owned).collect()
}

enum Privilege {
    Root,
    Sudo { may_ask: bool },
}

impl Privilege {
    fn find() -> Result<Self> {
        let mut id = process::plain("id");
        id.arg("-u");
        if process::output(id)?.trim() == "0" {
            return Ok(Self::Root);
        }
        let may_ask = std::io::stdin().is_terminal();
        let mut sudo = process::plain("sudo");
        sudo.args(["-n", "true"]);
        if process::in_path("sudo") && (may_ask || process::succeeds(sudo)) {
            return Ok(Self::Sudo { may_ask });
        }
        bail!("neither root nor sudo without a password")
    }

    /// Runs a command quietly; what it printed is shown when it fails.
    fn run(&self, arguments: &[&str], what: &str) -> Result<()> {
        let mut command = match self {
            Self::Root => process::plain("env"),
            Self::Sudo { may_ask } => {
                let mut sudo = process::plain("sudo");
                if !may_ask {
                    sudo.arg("-n");
                }
                sudo.arg("env");
                sudo
            }
        };
        command.args(["DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8"]).args(arguments);
        command.stdin(if matches!(self, Self::Sudo { may_ask: true }) { Stdio::inherit() } else { Stdio::null() });
        let output = command.output().with_context(|| format!("can't run {what}"))?;
        if output.status.success() {
            return Ok(());
        }
        bail!(
            "{what} failed:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr).trim_end()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fully_installed_packages_count() {
        let answer = "frr installed\nzstd config-files\ncmake half-configured\nclang not-installed\n";
        assert_eq!(installed_in(answer).into_iter().collect::<Vec<_>>(), ["frr"]);
    }
}
