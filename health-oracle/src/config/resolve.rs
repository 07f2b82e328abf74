//! From flags, environment and file to one configuration: a flag wins over the environment, that over the file, that
//! over the default. Everything that is wrong is found in one go. Pure but for the files that it is told to read.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use causeway_interface::Key;
use causeway_sdk::keys;
use solana_sdk::{pubkey::Pubkey, signature::Keypair};

use super::{
    Config, Daemon,
    file::{self, Content},
    options::{self, Form, OPTIONS},
    problem::Problem,
    values::{is_url, number, ppm_of_percent, set},
};
use crate::{
    alerts::Terms as AlertTerms,
    book::{Class, Overrides, Patch, RuleBook},
    criteria::coverage::Rules,
    ingest::{Limits, Rate},
    serve::{BOUNDS, Bounds},
};

/// Permission bits with which a file can be read by others than its owner.
const OTHERS_READ: u32 = 0o044;
/// Longest name: it is part of every alert.
const MAX_NAME_CHARS: usize = 64;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag.
    Flag(String),
    /// A variable.
    Environment(&'static str),
    /// A line of the file.
    File(PathBuf, usize),
    /// Nobody has set it.
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "--{flag}"),
            Self::Environment(name) => f.write_str(name),
            Self::File(path, line) => write!(f, "{}, line {line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value with where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// As text.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// A rule for a part of the subjects, for printing: its key, its value, where it comes from.
pub type Special = (String, Setting);

/// Everything that was said, before it is made a configuration.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Options by key; none that is not set and has no default.
    pub values: BTreeMap<&'static str, Setting>,
    /// What holds for a part of the subjects.
    pub special: Vec<Special>,
    overrides: Vec<file::Override>,
    file: Option<PathBuf>,
}

/// What an oracle is started with: the flags that were given, by name, and the environment.
pub struct Sources<'a> {
    /// Flags that were given, by name without dashes.
    pub flags: &'a BTreeMap<String, String>,
    /// A variable's value. One that is empty counts as not set.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
}

/// The configuration and what it came from.
///
/// # Errors
/// Everything that is wrong.
pub fn resolve(sources: &Sources<'_>) -> Result<(Daemon, Settings), Vec<Problem>> {
    let mut problems = Vec::new();
    let settings = gather(sources, &mut problems);
    let daemon = Builder { settings: &settings, problems: &mut problems }.build();
    match daemon {
        Some(daemon) if problems.is_empty() => Ok((daemon, settings)),
        Some(_) | None => Err(problems),
    }
}

fn gather(sources: &Sources<'_>, problems: &mut Vec<Problem>) -> Settings {
    let variable = |name: &str| (sources.environment)(name).filter(|value| !value.is_empty());
    let named = sources.flags.get(options::FILE_FLAG).cloned().or_else(|| variable(options::FILE_ENV));
    let path = named.map(PathBuf::from);
    let content = path.as_deref().map(|path| read(path, problems)).unwrap_or_default();
    let in_file = |line: usize| Origin::File(path.clone().unwrap_or_default(), line);
    let mut settings = Settings::default();
    for spec in OPTIONS {
        let flag = spec.flag();
        let found = sources.flags.get(&flag).map(|value| (value.clone(), Origin::Flag(flag)));
        let found = found.or_else(|| variable(spec.env).map(|value| (value, Origin::Environment(spec.env))));
        let found = found.or_else(|| content.values.get(spec.key).map(|l| (l.value.clone(), in_file(l.line))));
        if let Some((value, origin)) = found {
            settings.values.insert(spec.key, Setting { value, origin });
        }
    }
    let seconds = settings.values.get("seconds").is_some_and(|setting| setting.value == "true");
    for spec in OPTIONS {
        if let Some(value) = spec.default(seconds) {
            let default = || Setting { value: value.to_owned(), origin: Origin::Default };
            settings.values.entry(spec.key).or_insert_with(default);
        }
    }
    settings.special = content
        .overrides
        .iter()
        .map(|o| (o.key.clone(), Setting { value: o.value.value.clone(), origin: in_file(o.value.line) }))
        .collect();
    settings.overrides = content.overrides;
    settings.file = path;
    settings
}

fn read(path: &Path, problems: &mut Vec<Problem>) -> Content {
    let place = || path.display().to_string();
    let read = std::fs::metadata(path).and_then(|metadata| {
        let too_long = metadata.len() > file::MAX_BYTES;
        let text = if too_long { String::new() } else { std::fs::read_to_string(path)? };
        Ok((metadata.permissions().mode(), too_long, text))
    });
    let (mode, too_long, text) = match read {
        Ok(read) => read,
        Err(error) => {
            let remedy = "Check the path that --config or CAUSEWAY_ORACLE_CONFIG names.";
            problems.push(Problem::config(place(), format!("It can't be read: {error}."), remedy));
            return Content::default();
        }
    };
    if too_long {
        let cause = format!("It is longer than {} bytes.", file::MAX_BYTES);
        problems.push(Problem::config(place(), cause, "Name the configuration file."));
        return Content::default();
    }
    let (content, found) = file::parse(&text, path);
    problems.extend(found);
    let secrets = content.values.iter().filter(|(key, _)| options::find(key).is_some_and(|spec| spec.secret));
    for (key, line) in secrets {
        if mode & OTHERS_READ != 0 {
            let cause = format!("The file holds a secret, and others can read it (permissions {:03o}).", mode & 0o777);
            let remedy = "Run `chmod 600` on it, or move the secret into a file of its own and name that.";
            problems.push(Problem::config(format!("{}, line {}: {key}", place(), line.line), cause, remedy));
        }
    }
    content
}

struct Builder<'a> {
    settings: &'a Settings,
    problems: &'a mut Vec<Problem>,
}

impl Builder<'_> {
    fn build(&mut self) -> Option<Daemon> {
        // Each is read before any is missed, so that everything that is wrong is found.
        let (name, rpc_url) = (self.name(), self.url("rpc_url"));
        let program_id = self.parsed::<Pubkey>("program_id");
        let key = self.key();
        let http_addr = self.parsed::<SocketAddr>("listen");
        let data_dir = self.text("data_dir").map(PathBuf::from);
        let store = self.store();
        let seconds = |builder: &mut Self, key: &str, unit: u64| {
            builder.number(key).map(|number| Duration::from_secs(number.saturating_mul(unit)))
        };
        let round_interval = seconds(self, "round_seconds", 1);
        let retention = seconds(self, "retention_hours", 3_600);
        let batch = self.number("batch").and_then(|batch| usize::try_from(batch).ok());
        let fee = self.number("priority_fee");
        let budget = self.number("fee_budget_lamports_per_hour");
        let (ahead, behind) = (self.number("telemetry_ahead_slots"), self.number("telemetry_behind_slots"));
        let rate = self.rate();
        let connections = self.connections();
        let (no_tables, log_json) = (self.switch("no_lookup_tables"), self.switch("log_json"));
        self.switch("seconds");
        let webhook = self.webhook();
        let alerts = self.alerts();
        let rules = self.rules();
        let overrides = self.overrides();
        if let (Some(rules), Some(program)) = (&rules, program_id) {
            let program = Key(program.to_bytes());
            for error in RuleBook::new(rules, &overrides, &program).err().into_iter().flatten() {
                let remedy = "Change one of the numbers that meet there.";
                self.problems.push(Problem::config(format!("rules {}", error.place), sentence(error.why), remedy));
            }
        }
        let config = Config {
            name: name?,
            rpc_url: rpc_url?,
            program_id: program_id?,
            key: key?,
            http_addr: http_addr?,
            data_dir: data_dir?,
            store: store?,
            round_interval: round_interval?,
            rules: rules?,
            overrides,
            batch: batch?,
            lookup_tables: !no_tables?,
            priority_fee_micro_lamports: fee?,
            fee_budget_lamports_per_hour: budget?,
            limits: Limits { ahead_slots: ahead?, behind_slots: behind? },
            rate: rate?,
            connections: connections?,
            retention: retention?,
            webhook: webhook.ok()?,
            alerts: alerts?,
        };
        Some(Daemon { config, log_json: log_json? })
    }

    fn rate(&mut self) -> Option<Rate> {
        let (batches, burst) = (self.number("device_batches_per_second"), self.number("device_burst_batches"));
        let (bytes, burst_bytes) = (self.number("device_bytes_per_second"), self.number("device_burst_bytes"));
        Some(Rate { batches_per_s: batches?, burst_batches: burst?, bytes_per_s: bytes?, burst_bytes: burst_bytes? })
    }

    fn connections(&mut self) -> Option<Bounds> {
        let (all, per_address) = (self.number("connections"), self.number("connections_per_address"));
        let count = |number: u64| usize::try_from(number).ok();
        Some(Bounds { connections: count(all?)?, per_address: count(per_address?)?, ..BOUNDS })
    }

    fn text(&mut self, key: &str) -> Option<String> {
        match self.settings.values.get(key) {
            Some(setting) if !setting.value.is_empty() => Some(setting.value.clone()),
            Some(_) | None => {
                if let Some(spec) = options::find(key) {
                    let cause = "It has to be set.";
                    let remedy = format!("Give --{}, or {}, or {key} in the file.", spec.flag(), spec.env);
                    self.problems.push(Problem::config(key, cause, remedy));
                }
                None
            }
        }
    }

    fn place(&self, key: &str) -> String {
        let origin = self.settings.values.get(key).map_or(&Origin::Default, |setting| &setting.origin);
        match origin {
            Origin::Default => key.to_owned(),
            Origin::Flag(_) | Origin::Environment(_) => origin.to_string(),
            Origin::File(..) => format!("{origin}: {key}"),
        }
    }

    fn wrong(&mut self, key: &str) {
        if let Some(spec) = options::find(key) {
            let cause = format!("It has to be {}.", spec.form.words());
            self.problems.push(Problem::config(self.place(key), cause, "Mend the value."));
        }
    }

    fn checked<T>(&mut self, key: &str, read: impl Fn(&str, Form) -> Option<T>) -> Option<T> {
        let value = self.text(key)?;
        let found = options::find(key).and_then(|spec| read(&value, spec.form));
        if found.is_none() {
            self.wrong(key);
        }
        found
    }

    fn parsed<T: std::str::FromStr>(&mut self, key: &str) -> Option<T> {
        self.checked(key, |value, _| value.parse().ok())
    }

    fn number(&mut self, key: &str) -> Option<u64> {
        self.checked(key, number)
    }

    fn switch(&mut self, key: &str) -> Option<bool> {
        self.parsed(key)
    }

    fn url(&mut self, key: &str) -> Option<String> {
        self.checked(key, |value, _| is_url(value).then(|| value.to_owned()))
    }

    fn name(&mut self) -> Option<String> {
        let name = self.text("name")?;
        if name.chars().count() <= MAX_NAME_CHARS && !name.chars().any(char::is_control) {
            return Some(name);
        }
        let cause = format!("It is longer than {MAX_NAME_CHARS} characters or holds one that can't be printed.");
        self.problems.push(Problem::config(self.place("name"), cause, "Choose a short name."));
        None
    }

    fn key(&mut self) -> Option<Arc<Keypair>> {
        let path = self.text("key")?;
        match keys::read(Path::new(&path)) {
            Ok(key) => Some(Arc::new(key)),
            Err(error) => {
                self.problems.push(Problem::secret(format!("the oracle's key ({})", self.place("key")), &error));
                None
            }
        }
    }

    fn alerts(&mut self) -> Option<AlertTerms> {
        let rounds = self.number("alerts.alert_failed_rounds");
        let minutes = self.number("alerts.alert_flap_minutes");
        let lamports = self.number("alerts.alert_balance_lamports");
        Some(AlertTerms {
            failed_rounds: u32::try_from(rounds?).ok()?,
            flap_ms: minutes?.saturating_mul(60_000),
            balance_lamports: lamports?,
        })
    }

    fn rules(&mut self) -> Option<Rules> {
        let bucket_ms = self.number("rules.bucket_ms");
        let share = self.checked("rules.min_share_percent", |value, _| ppm_of_percent(value));
        let (spare, gap) = (self.number("rules.spare_buckets"), self.number("rules.max_gap_ms"));
        let (least, hold) = (self.number("rules.min_buckets"), self.number("rules.hold_ms"));
        let (lag, settle) = (self.number("rules.lag_ms"), self.number("rules.settle_ms"));
        let loss = self.number("rules.loss_limit_ppm");
        let (poll, grace) = (self.number("rules.max_poll_age_ms"), self.number("rules.config_grace_ms"));
        let qa = self.number("rules.qa_successes_min");
        Some(Rules {
            bucket_ms: bucket_ms?,
            min_share_ppm: share?,
            spare_buckets: spare?,
            max_gap_ms: gap?,
            min_buckets: least?,
            hold_ms: hold?,
            lag_ms: lag?,
            settle_ms: settle?,
            loss_limit_ppm: u32::try_from(loss?).ok()?,
            max_poll_age_ms: poll?,
            config_grace_ms: grace?,
            qa_successes_min: u32::try_from(qa?).ok()?,
        })
    }

    fn overrides(&mut self) -> Overrides {
        let mut overrides = Overrides::default();
        for special in &self.settings.overrides {
            let types: &mut BTreeMap<Class, Patch> = match special.network {
                Some(network) => &mut overrides.networks.entry(network).or_default().types,
                None => &mut overrides.types,
            };
            let patch = match (special.class, special.network) {
                (Some(class), _) => types.entry(class).or_default(),
                (None, Some(network)) => &mut overrides.networks.entry(network).or_default().all,
                // What is for all subjects of all networks is an option and not an override.
                (None, None) => continue,
            };
            if !set(patch, special.spec, &special.value.value) {
                let path = self.settings.file.clone().unwrap_or_default();
                let place = format!("{}, line {}: {}", path.display(), special.value.line, special.key);
                let cause = format!("It has to be {}.", special.spec.form.words());
                self.problems.push(Problem::config(place, cause, "Mend the value."));
            }
        }
        overrides
    }
}

fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

#[path = "resolve_outside.rs"]
mod outside;

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
#[cfg(test)]
pub(crate) use tests::{committed, part};
