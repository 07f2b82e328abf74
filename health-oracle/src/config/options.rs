//! Every option of the daemon, once: its key in the file, its environment variable, its flag, what it may hold, its
//! default. Parsing, the printed configuration, the example file and the page about it all follow from this table.

/// What an option may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Any text.
    Text,
    /// The address of a web server.
    Url,
    /// A key in base 58.
    Key,
    /// A file or folder.
    Path,
    /// An address with a port.
    Address,
    /// Yes or no.
    Switch,
    /// A whole number from the first to the second.
    Number(u64, u64),
    /// A share with at most four decimals: what is kept is millionths.
    Percent,
    /// One of these words.
    Choice(&'static [&'static str]),
}

impl Form {
    /// What belongs there, in words.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Text => "a text".into(),
            Self::Url => "an address that begins with http:// or https://".into(),
            Self::Key => "a key in base 58".into(),
            Self::Path => "a path".into(),
            Self::Address => "an address with a port, like 127.0.0.1:7090".into(),
            Self::Switch => "true or false".into(),
            Self::Number(least, u64::MAX) => format!("a whole number of at least {least}"),
            Self::Number(least, most) => format!("a whole number from {least} to {most}"),
            Self::Percent => "a number above 0 and at most 100, with at most four decimals".into(),
            Self::Choice(words) => words.join(" or "),
        }
    }

    /// Whether the file has it in quotes.
    #[must_use]
    pub const fn is_quoted(self) -> bool {
        match self {
            Self::Text | Self::Url | Self::Key | Self::Path | Self::Address | Self::Choice(_) => true,
            Self::Switch | Self::Number(..) | Self::Percent => false,
        }
    }
}

/// What an option is without being set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// It has to be set; the example file shows this.
    Required(&'static str),
    /// Nothing; the example file shows this, commented out.
    Nothing(&'static str),
    /// This.
    Is(&'static str),
    /// The first, or the second while `seconds` is on.
    Preset(&'static str, &'static str),
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its key in the file, with that of its table: `rules.hold_ms`.
    pub key: &'static str,
    /// Its environment variable.
    pub env: &'static str,
    /// What it may hold.
    pub form: Form,
    /// What it is without being set.
    pub default: Default,
    /// It is never printed.
    pub secret: bool,
    /// What it is for.
    pub help: &'static str,
}

impl Spec {
    /// Its flag without the dashes: the last part of the key, which says enough but for what is about ClickHouse.
    #[must_use]
    pub fn flag(&self) -> String {
        let words = if self.key.starts_with(CLICKHOUSE) { self.key } else { self.name() };
        words.replace(['_', '.'], "-")
    }

    /// Its key without that of its table.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.key.rsplit('.').next().unwrap_or(self.key)
    }

    /// Whether it is one of the rules, which can be overridden by type and network.
    #[must_use]
    pub fn is_rule(&self) -> bool {
        self.key.starts_with("rules.")
    }

    /// Its default, with `seconds` on or off.
    #[must_use]
    pub const fn default(&self, seconds: bool) -> Option<&'static str> {
        match self.default {
            Default::Required(_) | Default::Nothing(_) => None,
            Default::Is(value) => Some(value),
            Default::Preset(minutes, in_seconds) => Some(if seconds { in_seconds } else { minutes }),
        }
    }
}

/// The option of this key.
#[must_use]
pub fn find(key: &str) -> Option<&'static Spec> {
    OPTIONS.iter().find(|spec| spec.key == key)
}

/// The flag that names the configuration file; it can't be in the file itself.
pub const FILE_FLAG: &str = "config";
/// The same in the environment.
pub const FILE_ENV: &str = "CAUSEWAY_ORACLE_CONFIG";

/// What keys about a ClickHouse server begin with.
const CLICKHOUSE: &str = "clickhouse.";
/// What [`super::StoreConfig`] can be.
pub const STORES: &[&str] = &["sqlite", "clickhouse"];

const fn spec(key: &'static str, env: &'static str, form: Form, default: Default, help: &'static str) -> Spec {
    Spec { key, env, form, default, secret: false, help }
}

use self::Default::{Is, Nothing, Preset, Required};
use self::Form::{Address, Choice, Key, Number, Path, Percent, Switch, Text, Url};

/// A year in seconds, hours and ms: what is longer is a slip of the unit.
const YEAR_HOURS: u64 = 366 * 24;
const YEAR_MS: u64 = YEAR_HOURS * 3_600_000;
/// A day in seconds: a round that is further from the next is none.
const DAY_SECONDS: u64 = 86_400;
const MILLION: u64 = 1_000_000;

/// Every option, in the order in which people read them.
#[rustfmt::skip]
pub const OPTIONS: &[Spec] = &[
    spec("name", "CAUSEWAY_ORACLE_NAME", Text, Is("oracle"), "Name for people, in logs and alerts."),
    spec("rpc_url", "CAUSEWAY_RPC_URL", Url, Required("https://rpc.example.net"), "RPC endpoint of the ledger."),
    spec("program_id", "CAUSEWAY_PROGRAM_ID", Key, Required("11111111111111111111111111111112"), "Address of the program."),
    spec("key", "CAUSEWAY_ORACLE_KEY", Path, Required("/etc/causeway/oracle-key.json"), "Key file of the oracle, which signs and pays: JSON as solana-keygen writes it, or PKCS#8 (PEM or DER). Readable by its owner only."),
    spec("listen", "CAUSEWAY_ORACLE_LISTEN", Address, Is("127.0.0.1:7090"), "Address for telemetry, API and metrics; port 0 for a free one."),
    spec("data_dir", "CAUSEWAY_ORACLE_DATA", Path, Is("oracle-data"), "Folder for telemetry, evidence and what alerts are out; made if missing."),
    spec("store", "CAUSEWAY_ORACLE_STORE", Choice(STORES), Is("sqlite"), "Where telemetry is kept: in a file of the data folder, or in a ClickHouse server, for a fleet."),
    spec("seconds", "CAUSEWAY_ORACLE_SECONDS", Switch, Is("false"), "Defaults that count in seconds instead of minutes: for a localnet whose agents report every second."),
    spec("round_seconds", "CAUSEWAY_ORACLE_ROUND", Number(1, DAY_SECONDS), Preset("60", "2"), "Seconds between rounds."),
    spec("retention_hours", "CAUSEWAY_ORACLE_RETENTION_HOURS", Number(1, YEAR_HOURS), Preset("72", "6"), "Hours for which telemetry and evidence are kept: at least twice the longest burn-in."),
    spec("batch", "CAUSEWAY_ORACLE_BATCH", Number(1, 56), Is("56"), "Most subjects of one attestation; fewer where no more fit a transaction."),
    spec("no_lookup_tables", "CAUSEWAY_ORACLE_NO_LOOKUP_TABLES", Switch, Is("false"), "Spell every address out in every transaction instead of keeping lookup tables, which cost a deposit."),
    spec("priority_fee", "CAUSEWAY_PRIORITY_FEE", Number(0, u64::MAX), Is("0"), "Price of a compute unit in millionths of a lamport."),
    spec("fee_budget_lamports_per_hour", "CAUSEWAY_ORACLE_FEE_BUDGET", Number(0, 1 << 50), Is("0"), "Lamports that may go to fees in an hour, 0 for no limit: beyond it renewals are held back, demotions never."),
    spec("telemetry_ahead_slots", "CAUSEWAY_ORACLE_TELEMETRY_AHEAD_SLOTS", Number(0, YEAR_MS), Is("75"), "How far telemetry may be ahead of this machine's clock, in slots of the ledger."),
    spec("telemetry_behind_slots", "CAUSEWAY_ORACLE_TELEMETRY_BEHIND_SLOTS", Number(1, YEAR_MS), Is("54000"), "How far telemetry may be behind it, in slots of the ledger."),
    spec("device_batches_per_second", "CAUSEWAY_ORACLE_DEVICE_BATCHES_PER_SECOND", Number(1, MILLION), Is("32"), "Batches that one device may send a second, in the long run."),
    spec("device_burst_batches", "CAUSEWAY_ORACLE_DEVICE_BURST_BATCHES", Number(1, MILLION), Is("1024"), "Batches that one device may send at once, after a pause."),
    spec("device_bytes_per_second", "CAUSEWAY_ORACLE_DEVICE_BYTES_PER_SECOND", Number(1, 1 << 40), Is("65536"), "Bytes that one device may send a second, in the long run, before compression."),
    spec("device_burst_bytes", "CAUSEWAY_ORACLE_DEVICE_BURST_BYTES", Number(1, 1 << 40), Is("16777216"), "Bytes that one device may send at once, after a pause."),
    spec("connections", "CAUSEWAY_ORACLE_CONNECTIONS", Number(1, MILLION), Is("16384"), "Connections at once. The process needs a file descriptor for each."),
    spec("connections_per_address", "CAUSEWAY_ORACLE_CONNECTIONS_PER_ADDRESS", Number(1, MILLION), Is("1024"), "Connections of one IPv4 address or one IPv6 /64."),
    spec("log_json", "CAUSEWAY_ORACLE_LOG_JSON", Switch, Is("false"), "Logs as JSON. RUST_LOG says what is logged; `info` without it."),
    Spec { key: "alerts.webhook", env: "CAUSEWAY_ORACLE_WEBHOOK", form: Url, default: Nothing("https://hooks.example.net/services/..."), secret: true, help: "Webhook for alerts, in Slack's format. Whoever knows it can post: better in a file of its own." },
    spec("alerts.webhook_file", "CAUSEWAY_ORACLE_WEBHOOK_FILE", Path, Nothing("/etc/causeway/oracle-webhook"), "File that holds the webhook's address, readable by its owner only."),
    spec("alerts.alert_failed_rounds", "CAUSEWAY_ORACLE_ALERT_FAILED_ROUNDS", Number(1, 10_000), Is("3"), "Rounds in a row that have to fail before that is an alert."),
    spec("alerts.alert_flap_minutes", "CAUSEWAY_ORACLE_ALERT_FLAP_MINUTES", Number(1, 10_000), Is("10"), "Minutes within which a subject that fails again is flapping: one alert, and one with a count when it was steady for as long."),
    spec("alerts.alert_balance_lamports", "CAUSEWAY_ORACLE_ALERT_BALANCE_LAMPORTS", Number(0, u64::MAX), Is("100000000"), "Balance of the oracle's key below which that is an alert, in lamports; 0 for never."),
    spec("clickhouse.url", "CAUSEWAY_ORACLE_CLICKHOUSE_URL", Url, Is("http://127.0.0.1:8123"), "HTTP interface of the ClickHouse server; https:// beyond this machine."),
    spec("clickhouse.database", "CAUSEWAY_ORACLE_CLICKHOUSE_DATABASE", Text, Is("causeway"), "Database of this oracle alone, of letters, digits and _; made if missing."),
    spec("clickhouse.user", "CAUSEWAY_ORACLE_CLICKHOUSE_USER", Text, Is("default"), "User of the server."),
    Spec { key: "clickhouse.password", env: "CAUSEWAY_ORACLE_CLICKHOUSE_PASSWORD", form: Text, default: Nothing("..."), secret: true, help: "The user's password; none without it. Better in a file of its own." },
    spec("clickhouse.password_file", "CAUSEWAY_ORACLE_CLICKHOUSE_PASSWORD_FILE", Path, Nothing("/etc/causeway/oracle-clickhouse"), "File that holds the password, readable by its owner only."),
    spec("clickhouse.timeout_seconds", "CAUSEWAY_ORACLE_CLICKHOUSE_TIMEOUT", Number(1, 3_600), Is("60"), "Longest wait for one answer of the server. A commit ends after 20 seconds whatever this says."),
    spec("rules.bucket_ms", "CAUSEWAY_ORACLE_BUCKET_MS", Number(100, 3_600_000), Preset("60000", "2000"), "Width of a bucket in ms. The same for all subjects; changing it needs a new data folder."),
    spec("rules.min_share_percent", "CAUSEWAY_ORACLE_MIN_SHARE_PERCENT", Percent, Preset("99", "80"), "Share of buckets that must hold a sample."),
    spec("rules.spare_buckets", "CAUSEWAY_ORACLE_SPARE_BUCKETS", Number(0, MILLION), Is("1"), "Buckets that may be missing whatever the share says."),
    spec("rules.max_gap_ms", "CAUSEWAY_ORACLE_MAX_GAP_MS", Number(100, YEAR_MS), Preset("300000", "8000"), "Longest stretch without a sample, in ms; cut to the network's maximum age of an attestation."),
    spec("rules.min_buckets", "CAUSEWAY_ORACLE_MIN_BUCKETS", Number(1, MILLION), Preset("3", "2"), "Buckets that must hold a sample before anything is called good."),
    spec("rules.hold_ms", "CAUSEWAY_ORACLE_HOLD_MS", Number(0, YEAR_MS), Preset("1100000", "10000"), "How long a fault is held after it ended, in ms. Shorter than the maximum age, the longest gap, a bucket, the lag and two rounds together is warned of."),
    spec("rules.lag_ms", "CAUSEWAY_ORACLE_LAG_MS", Number(0, 3_600_000), Preset("20000", "1500"), "How long after its end a bucket is looked at, in ms: the time that samples take to arrive. The same for all subjects."),
    spec("rules.settle_ms", "CAUSEWAY_ORACLE_SETTLE_MS", Number(0, YEAR_MS), Preset("120000", "2000"), "Time after a change of status in which configuration and protocols settle, in ms."),
    spec("rules.loss_limit_ppm", "CAUSEWAY_ORACLE_LOSS_LIMIT_PPM", Number(0, MILLION - 1), Is("0"), "Probes that a bucket may lose, in a million sent."),
    spec("rules.max_poll_age_ms", "CAUSEWAY_ORACLE_MAX_POLL_AGE_MS", Number(1, YEAR_MS), Preset("300000", "30000"), "Age in ms after which an agent's last poll, or its last word about its configuration, is too old."),
    spec("rules.config_grace_ms", "CAUSEWAY_ORACLE_CONFIG_GRACE_MS", Number(0, YEAR_MS), Preset("120000", "20000"), "Time after a change of status in which the configuration of before may still run, in ms."),
    spec("rules.qa_successes_min", "CAUSEWAY_ORACLE_QA_SUCCESSES_MIN", Number(1, MILLION), Is("4"), "Buckets with an answered QA probe that a new device needs."),
];
