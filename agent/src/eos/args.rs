//! The driver's options on the command line.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::config::{Credentials, Endpoint, EosConfig, EosConfigError, Proof, Timeouts};

/// Options of `--driver eos`.
#[derive(Clone, Debug, clap::Args)]
pub struct EosArgs {
    /// EOS only: eAPI of the switch: https://HOST[:PORT], or on the switch itself http://127.0.0.1:8080 or unix:/PATH
    #[arg(long, env = "CAUSEWAY_EOS_URL", value_name = "URL")]
    pub eos_url: Option<String>,
    /// EOS only: file with the CA (PEM) that signed the switch's certificate
    #[arg(long, env = "CAUSEWAY_EOS_CA", value_name = "FILE")]
    pub eos_ca: Option<PathBuf>,
    /// EOS only: file with the switch's own certificate (PEM), when no CA signed it
    #[arg(long, env = "CAUSEWAY_EOS_CERTIFICATE", value_name = "FILE")]
    pub eos_certificate: Option<PathBuf>,
    /// EOS only: file of one line, user:password, that nobody else can read
    #[arg(long, env = "CAUSEWAY_EOS_CREDENTIALS", value_name = "FILE")]
    pub eos_credentials: Option<PathBuf>,
    /// EOS only: seconds in which the switch has to show something
    #[arg(long, env = "CAUSEWAY_EOS_SHOW_S", value_name = "S", default_value_t = Timeouts::default().show.as_secs())]
    pub eos_show_s: u64,
    /// EOS only: seconds in which it has to take a text into a session
    #[arg(long, env = "CAUSEWAY_EOS_LOAD_S", value_name = "S", default_value_t = Timeouts::default().load.as_secs())]
    pub eos_load_s: u64,
    /// EOS only: seconds in which it has to show a session and its difference
    #[arg(long, env = "CAUSEWAY_EOS_COMPARE_S", value_name = "S", default_value_t = Timeouts::default().compare.as_secs())]
    pub eos_compare_s: u64,
    /// EOS only: seconds in which it has to commit, confirm or revert
    #[arg(long, env = "CAUSEWAY_EOS_COMMIT_S", value_name = "S", default_value_t = Timeouts::default().commit.as_secs())]
    pub eos_commit_s: u64,
    /// EOS only: seconds in which it has to save its startup configuration
    #[arg(long, env = "CAUSEWAY_EOS_SAVE_S", value_name = "S", default_value_t = Timeouts::default().save.as_secs())]
    pub eos_save_s: u64,
}

impl EosArgs {
    /// Reads the files that the options name.
    ///
    /// # Errors
    /// [`EosConfigError`].
    pub fn config(&self, state_dir: &Path, device: &str) -> Result<EosConfig, EosConfigError> {
        let url = self.eos_url.as_deref().ok_or(EosConfigError::Missing("--eos-url"))?;
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|error| EosConfigError::Pem(format!("{}: {error}", path.display())))
        };
        let proof = match (&self.eos_ca, &self.eos_certificate) {
            (Some(_), Some(_)) => return Err(EosConfigError::TwoProofs),
            (Some(path), None) => Some(Proof::Ca(read(path)?)),
            (None, Some(path)) => Some(Proof::Certificate(read(path)?)),
            (None, None) => None,
        };
        let seconds = |s: u64, option| {
            if s == 0 { Err(EosConfigError::Zero(option)) } else { Ok(Duration::from_secs(s)) }
        };
        let commit = seconds(self.eos_commit_s, "--eos-commit-s")?;
        Ok(EosConfig {
            proof,
            credentials: self.eos_credentials.as_deref().map(Credentials::read).transpose()?,
            timeouts: Timeouts {
                show: seconds(self.eos_show_s, "--eos-show-s")?,
                load: seconds(self.eos_load_s, "--eos-load-s")?,
                compare: seconds(self.eos_compare_s, "--eos-compare-s")?,
                commit,
                confirm: commit,
                revert: commit,
                save: seconds(self.eos_save_s, "--eos-save-s")?,
                ..Timeouts::default()
            },
            ..EosConfig::new(Endpoint::parse(url)?, state_dir.join(format!("{device}.eos.json")))
        })
    }
}
