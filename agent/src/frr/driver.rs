//! The agent's verbs on a real FRR. Each runs on a thread of its own; one that the caller gave up goes on to its own limit
//! there, and the next that changes anything waits for it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use similar::TextDiff;

use super::{
    device::{Candidate, Device, WentBack},
    engine::{self, Goal},
    links::{self, Kernel},
    observe, processors, scope,
    shadow::{self, Shadow, ShadowOptions},
    stale,
    tree::{Path as TreePath, Tree},
    values::{self, Known},
    vtysh::{Instance, Vtysh},
    watchdog::{Kennel, this_program},
};
use crate::{
    apply::ApplyLimits,
    bundle::TextHash,
    driver::{
        Adjacency, Comparison, Cpu, Driver, DriverError, InterfaceCounters, ProbeOutcome, Reach, Session, Target,
    },
    probing::{NoProber, Prober},
};

/// Texts whose form in FRR is remembered: the one that runs, the one that comes, and one to return to.
const KNOWN_TEXTS: usize = 3;
/// Longest wait of a comparison for its turn in finding a text's form in FRR; well within a verb.
const COMPARE_TURN_WITHIN: Duration = Duration::from_secs(40);
/// What the way back takes where only metrics change: a process, and a command for each. Fifty went back in 0.36 s.
const METRICS_BACK: Duration = Duration::from_millis(200);
/// The same for each metric.
const METRIC_BACK: Duration = Duration::from_millis(10);
/// Lines around a difference.
const DIFF_CONTEXT: usize = 3;

/// How to reach one FRR.
#[derive(Clone, Debug)]
pub struct FrrOptions {
    /// Name of the instance, as `-N` takes it; the machine's own without.
    pub pathspace: Option<String>,
    /// Network namespace by the name that `ip netns` knows; this process's own without.
    pub netns: Option<String>,
    /// `vtysh`.
    pub vtysh: PathBuf,
    /// Folder with FRR's daemons.
    pub daemons: PathBuf,
    /// Folder for sockets of checks.
    pub run_dir: PathBuf,
    /// What must outlive the agent is in this folder, in a file named after the device.
    pub state_dir: PathBuf,
    /// Device code.
    pub device: String,
    /// The most that one verb may take: what a commit waits for on its way to a text stays well within it.
    pub verb: Duration,
    /// A program that is a watchdog when its first argument says so; this one without.
    pub watchdog: Option<PathBuf>,
}

impl FrrOptions {
    /// Debian's paths, the machine's own instance.
    pub fn new(device: &str, state_dir: &Path) -> Self {
        Self {
            pathspace: None,
            netns: None,
            vtysh: PathBuf::from("/usr/bin/vtysh"),
            daemons: PathBuf::from("/usr/lib/frr"),
            run_dir: PathBuf::from(shadow::RUN_DIR),
            state_dir: state_dir.to_owned(),
            device: device.to_owned(),
            verb: ApplyLimits::default().verb,
            watchdog: None,
        }
    }
}

#[derive(Default)]
struct Held {
    candidate: Option<Arc<Candidate>>,
    known: VecDeque<(TextHash, Arc<Known>)>,
}

struct Inner {
    device: Device,
    verb: Duration,
    shadows: ShadowOptions,
    kennel: Kennel,
    held: Mutex<Held>,
}

/// One FRR in this network namespace.
pub struct FrrDriver<P = NoProber> {
    inner: Arc<Inner>,
    prober: P,
}

impl<P: Prober> FrrDriver<P> {
    /// For an instance. A commit that an earlier process left open is guarded from now on, before anyone is asked anything.
    ///
    /// # Errors
    /// [`DriverError::State`]: the options, the state file, or no watchdog can be started.
    pub fn open(options: &FrrOptions, prober: P) -> Result<Self, DriverError> {
        let instance = match &options.pathspace {
            None => Instance::Machine,
            Some(name) => Instance::pathspace(name).map_err(DriverError::State)?,
        };
        fs::create_dir_all(&options.state_dir)
            .map_err(|e| DriverError::State(format!("{} can not be made: {e}", options.state_dir.display())))?;
        let state_dir = fs::canonicalize(&options.state_dir)
            .map_err(|e| DriverError::State(format!("{} can not be used: {e}", options.state_dir.display())))?;
        shadow::sweep(&options.run_dir);
        let memory = state_dir.join(format!("{}.frr.json", options.device));
        let device = Device::new(Vtysh::new(&options.vtysh, instance), Kernel::new(options.netns.as_deref())?, &memory);
        let kennel = Kennel {
            program: options.watchdog.clone().unwrap_or_else(this_program),
            pathspace: options.pathspace.clone(),
        };
        if let Some(pending) = device.memory.read()?.pending {
            tracing::warn!(device = %options.device, "a commit awaits confirmation since before this start");
            if let Err(error) = kennel.start(&device, pending.id) {
                // Its predecessor may still watch, and holds the lock.
                tracing::warn!(device = %options.device, %error, "no second watchdog");
            }
        }
        let shadows = ShadowOptions {
            daemons: options.daemons.clone(),
            vtysh: options.vtysh.clone(),
            run_dir: options.run_dir.clone(),
        };
        let inner = Inner { device, verb: options.verb, shadows, kennel, held: Mutex::default() };
        Ok(Self { inner: Arc::new(inner), prober })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&Inner) -> Result<T, DriverError> + Send + 'static,
    ) -> Result<T, DriverError> {
        let inner = self.inner.clone();
        match tokio::task::spawn_blocking(move || verb(&inner)).await {
            Ok(result) => result,
            Err(error) => Err(DriverError::Unreachable(format!("the driver failed: {error}"))),
        }
    }
}

impl Inner {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn load(&self, text: &str) -> Result<(), DriverError> {
        self.held().candidate = None;
        let tree = Tree::of_text(text)?;
        let running = engine::running_with(&self.device.vtysh, &tree)?.tree;
        let links = links::plan(&tree, &self.device.kernel.read()?)?;
        let owned = self.device.memory.read()?.ours();
        let shadow::Rehearsed { target, running, way_back } = match self.foretold(&tree, &running, &owned) {
            Some(foretold) => foretold,
            None => shadow::rehearse(&self.shadows, &tree, &running, &owned)?,
        };
        let candidate = Candidate { text: tree, target, running, way_back, links };
        let mut held = self.held();
        held.remember(text, Known { text: candidate.text.clone(), shown: candidate.target.clone() });
        held.candidate = Some(Arc::new(candidate));
        Ok(())
    }

    /// A text that differs from what runs by numbers only, of which it is known what comes.
    fn foretold(&self, text: &Tree, running: &Tree, owned: &BTreeSet<TreePath>) -> Option<shadow::Rehearsed> {
        let all: Vec<Arc<Known>> = self.held().known.iter().map(|(_, known)| known.clone()).collect();
        // Of several that differ by numbers only, the one that runs.
        let found = all.iter().find_map(|known| {
            let now = Goal { target: &known.shown, owned }.managed(running);
            let runs = now.says_the_same(&known.shown);
            let (target, metrics) = values::metrics_only(known, text).filter(|_| runs)?;
            Some((now, target, metrics))
        });
        let (running, target, metrics) = found?;
        let way_back = METRICS_BACK + METRIC_BACK * u32::try_from(metrics).unwrap_or(u32::MAX);
        Some(shadow::Rehearsed { target, running, way_back })
    }

    /// The text as FRR shows it.
    fn canonical(&self, text: &str, tree: &Tree) -> Result<Arc<Known>, DriverError> {
        if let Some(known) = self.held().known(text) {
            return Ok(known);
        }
        let shown = Shadow::start(&self.shadows, &[tree], COMPARE_TURN_WITHIN)?.canonical(tree)?;
        Ok(self.held().remember(text, Known { text: tree.clone(), shown }))
    }

    fn compare(&self, text: &str) -> Result<Comparison, DriverError> {
        let tree = Tree::of_text(text)?;
        let known = self.canonical(text, &tree)?;
        let target = &known.shown;
        let running = engine::running_with(&self.device.vtysh, target)?.tree;
        let owned = self.device.memory.read()?.ours();
        let now = Goal { target, owned: &owned }.managed(&running);
        let changes = links::plan(&tree, &self.device.kernel.read()?)?;
        if now.says_the_same(target) && changes.is_empty() {
            return Ok(Comparison { equal: true, diff: String::new() });
        }
        let (from, to) = (now.text(), target.text());
        let mut diff = TextDiff::from_lines(&from, &to)
            .unified_diff()
            .context_radius(DIFF_CONTEXT)
            .header("running", "intended")
            .to_string();
        for change in &changes {
            diff.push_str(&change.words());
            diff.push('\n');
        }
        Ok(Comparison { equal: false, diff })
    }

    fn stale_for(&self) -> Result<BTreeMap<String, Duration>, DriverError> {
        let candidate = self.held().candidate.clone();
        let candidate = candidate.ok_or_else(|| DriverError::State("there is no candidate".to_owned()))?;
        Ok(stale::stale_for(&candidate.running, &candidate.target, &candidate.links))
    }

    fn commit(&self, revert_after: Duration) -> Result<(), DriverError> {
        let candidate = self.held().candidate.take();
        let candidate = candidate.ok_or_else(|| DriverError::State("there is no candidate".to_owned()))?;
        self.device.commit(&candidate, revert_after, self.verb, |commit| self.kennel.start(&self.device, commit))
    }
}

impl Held {
    fn known(&self, text: &str) -> Option<Arc<Known>> {
        let hash = TextHash::of(text);
        self.known.iter().find(|(of, _)| *of == hash).map(|(_, known)| known.clone())
    }

    fn remember(&mut self, text: &str, known: Known) -> Arc<Known> {
        let (hash, known) = (TextHash::of(text), Arc::new(known));
        self.known.retain(|(of, _)| *of != hash);
        self.known.push_back((hash, known.clone()));
        while self.known.len() > KNOWN_TEXTS {
            self.known.pop_front();
        }
        known
    }
}

impl<P: Prober> Driver for FrrDriver<P> {
    fn family(&self) -> &'static str {
        "frr"
    }

    async fn load_candidate(&self, text: &str) -> Result<(), DriverError> {
        let text = text.to_owned();
        self.blocking(move |inner| inner.load(&text)).await
    }

    async fn discard_candidate(&self) -> Result<(), DriverError> {
        self.inner.held().candidate = None;
        Ok(())
    }

    async fn compare(&self, text: &str) -> Result<Comparison, DriverError> {
        let text = text.to_owned();
        self.blocking(move |inner| inner.compare(&text)).await
    }

    async fn stale_for(&self) -> Result<BTreeMap<String, Duration>, DriverError> {
        self.inner.stale_for()
    }

    async fn commit(&self, revert_after: Duration) -> Result<(), DriverError> {
        self.blocking(move |inner| inner.commit(revert_after)).await
    }

    async fn confirm(&self) -> Result<(), DriverError> {
        self.blocking(|inner| inner.device.confirm()).await
    }

    async fn revert(&self) -> Result<(), DriverError> {
        self.blocking(|inner| match inner.device.go_back()? {
            WentBack::NotDue | WentBack::Done => Ok(()),
            WentBack::Unwritten(error) => Err(error),
        })
        .await
    }

    fn can_extend(&self) -> bool {
        true
    }

    async fn extend(&self, revert_after: Duration) -> Result<(), DriverError> {
        self.blocking(move |inner| inner.device.extend(revert_after)).await
    }

    async fn is_pending(&self) -> Result<bool, DriverError> {
        self.blocking(|inner| Ok(inner.device.memory.read()?.pending.is_some())).await
    }

    async fn save_startup(&self) -> Result<(), DriverError> {
        self.blocking(|inner| inner.device.save_startup()).await
    }

    async fn running_text(&self) -> Result<String, DriverError> {
        self.blocking(|inner| {
            let running = inner.device.vtysh.running()?.tree;
            let owned = inner.device.memory.read()?.ours();
            Ok(scope::managed(&running, &Tree::default(), &owned).text())
        })
        .await
    }

    async fn wanted_adjacencies(&self, text: &str) -> Result<BTreeSet<String>, DriverError> {
        Ok(observe::wanted_adjacencies(&Tree::of_text(text)?))
    }

    async fn counters(&self) -> Result<Vec<InterfaceCounters>, DriverError> {
        self.blocking(|inner| Ok(links::counters(inner.device.kernel.read()?))).await
    }

    async fn adjacencies(&self) -> Result<Vec<Adjacency>, DriverError> {
        self.blocking(|inner| inner.device.vtysh.adjacencies()).await
    }

    async fn sessions(&self) -> Result<Vec<Session>, DriverError> {
        self.blocking(|inner| observe::sessions(&inner.device.vtysh.json("bgpd", "show bgp summary json")?)).await
    }

    async fn cpu(&self) -> Result<Option<Cpu>, DriverError> {
        Ok(Some(Cpu::Time(processors::time()?)))
    }

    async fn reach(&self, text: &str) -> Result<Reach, DriverError> {
        let wanted = observe::wanted_peers(&Tree::of_text(text)?);
        if wanted.is_empty() {
            return Ok(Reach::default());
        }
        self.blocking(move |inner| {
            let summary = inner.device.vtysh.json("bgpd", "show bgp summary json")?;
            let routes = inner.device.kernel.host_routes()?;
            observe::reach(&wanted, &summary, &routes)
        })
        .await
    }

    async fn concerns(&self, text: &str) -> Result<Vec<String>, DriverError> {
        let wanted = observe::wanted_adjacencies(&Tree::of_text(text)?);
        // Who has one link is crossed by nobody.
        if wanted.len() < 2 {
            return Ok(Vec::new());
        }
        self.blocking(move |inner| {
            let still: Vec<String> = inner.device.kernel.not_forwarding()?.intersection(&wanted).cloned().collect();
            if still.is_empty() {
                return Ok(Vec::new());
            }
            let names = still.join(", ");
            Ok(vec![format!(
                "the kernel forwards nothing that comes in at {names}: set net.ipv4.ip_forward (sysctl) for good"
            )])
        })
        .await
    }

    async fn probe(&self, targets: &[Target], count: u32) -> Result<Vec<ProbeOutcome>, DriverError> {
        self.prober.probe(targets, count).await
    }
}
