//! The agents' processes: the product's own program, one in each router's namespace.

use std::{collections::BTreeMap, fs::OpenOptions, path::PathBuf, process::Stdio, time::Duration};

use anyhow::Context;
use causeway_demo::backbone::{Backbone, DeviceKeys};
use causeway_interface::Code;
use tokio::process::{Child, Command};

use crate::{command, network::Place};

/// Agents give way to routing and to what they are measured with. Each is a session of its own: Linux shares processors out
/// by session (`sched_autogroup`), and in the lab's they would wait for the ledger and for each other.
const NICENESS: &str = "5";
/// Longest wait for a killed agent to be gone.
const GONE: Duration = Duration::from_secs(10);

/// How agents are run.
pub struct Agents {
    program: PathBuf,
    /// Arguments that all share.
    common: Vec<String>,
    folder: PathBuf,
    running: BTreeMap<Code, Child>,
}

impl Agents {
    /// For a backbone; keys are written to files that only root reads.
    ///
    /// # Errors
    /// A key can't be written.
    pub fn new(program: PathBuf, backbone: &mut Backbone, sample: Duration, poll: Duration) -> anyhow::Result<Self> {
        let folder = backbone.folder().join("agents");
        for (code, DeviceKeys { agent, telemetry }) in std::mem::take(&mut backbone.device_keys) {
            let own = folder.join(code.as_str());
            std::fs::create_dir_all(&own).context("no folder for an agent")?;
            for (name, key) in [("agent", agent), ("telemetry", telemetry)] {
                causeway_wire::keyfile::write(&own.join(name), &key.to_bytes()).context("a key can't be kept")?;
            }
        }
        let mut common = vec!["--driver".to_owned(), "frr".to_owned(), "--stamp-listen".into(), "0.0.0.0:862".into()];
        let mut add = |name: &str, value: String| common.extend([format!("--{name}"), value]);
        add("program-id", backbone.program_id().to_string());
        add("controller", backbone.grpc_url());
        add("controller-key", bs58::encode(backbone.controller_key()).into_string());
        for url in backbone.oracle_urls() {
            add("oracle", url);
        }
        add("sample-ms", sample.as_millis().to_string());
        add("poll-ms", poll.as_millis().to_string());
        Ok(Self { program, common, folder, running: BTreeMap::new() })
    }

    /// Starts the agent of a device; what it logs is appended to a file beside its keys.
    ///
    /// # Errors
    /// It can't be run.
    pub fn start(&mut self, code: Code, place: &Place) -> anyhow::Result<()> {
        let own = self.folder.join(code.as_str());
        let log = OpenOptions::new().create(true).append(true).open(own.join("log")).context("no log of an agent")?;
        let mut command = Command::new("setsid");
        command.args(["nice", "-n", NICENESS, "ip", "netns", "exec", &place.namespace]);
        command.arg(&self.program).args(&self.common);
        command.args(["--device", code.as_str(), "--frr-pathspace", &place.namespace]);
        command.arg("--agent-key").arg(own.join("agent")).arg("--telemetry-key").arg(own.join("telemetry"));
        command.arg("--state-dir").arg(&own);
        command.stdin(Stdio::null()).stdout(log.try_clone().context("no log of an agent")?).stderr(log);
        self.running.insert(code, command::spawn(command)?);
        Ok(())
    }

    /// Kills the agent of a device, as a loss of power would.
    pub async fn kill(&mut self, code: Code) {
        if let Some(mut child) = self.running.remove(&code) {
            let _ = child.start_kill();
            let _ = tokio::time::timeout(GONE, child.wait()).await;
        }
    }

    /// Devices whose agents have ended by themselves.
    pub fn ended(&mut self) -> Vec<Code> {
        let ended = |child: &mut Child| matches!(child.try_wait(), Ok(Some(_)));
        self.running.iter_mut().filter_map(|(code, child)| ended(child).then_some(*code)).collect()
    }

    /// Devices whose agents run.
    pub fn devices(&self) -> Vec<Code> {
        self.running.keys().copied().collect()
    }

    /// Process ids.
    pub fn pids(&self) -> Vec<u32> {
        self.running.values().filter_map(Child::id).collect()
    }

    /// Where logs are.
    pub fn log(&self, code: Code) -> PathBuf {
        self.folder.join(code.as_str()).join("log")
    }

    /// Kills all.
    pub async fn stop(mut self) {
        for code in self.devices() {
            self.kill(code).await;
        }
    }
}
