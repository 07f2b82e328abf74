use std::io::Write as _;

use super::*;
use crate::config::{StoreConfig, options::Spec, show};

const PROGRAM: &str = "8qbHbw2BbbTHBW1sbeqakYXVKRQM8Ne7pLK7m6CVfeR";

struct Case {
    folder: tempfile::TempDir,
    flags: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
}

impl Case {
    /// With what has to be set, by flags.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key.json");
        keys::generate(&key).unwrap();
        let mut case = Self { folder, flags: BTreeMap::new(), environment: BTreeMap::new() };
        case.flag("rpc-url", "http://127.0.0.1:1").flag("program-id", PROGRAM).flag("key", key.to_str().unwrap());
        case
    }

    fn flag(&mut self, name: &str, value: &str) -> &mut Self {
        self.flags.insert(name.into(), value.into());
        self
    }

    fn variable(&mut self, name: &str, value: &str) -> &mut Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> String {
        use std::os::unix::fs::OpenOptionsExt;
        let path = self.folder.path().join(name);
        let _ = std::fs::remove_file(&path);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn file(&mut self, text: &str) -> &mut Self {
        let path = self.write("oracle.toml", text, 0o644);
        self.flag("config", &path)
    }

    fn resolve(&self) -> Result<(Daemon, Settings), Vec<Problem>> {
        resolve(&Sources { flags: &self.flags, environment: &|name| self.environment.get(name).cloned() })
    }

    fn config(&self) -> Config {
        self.resolve().unwrap().0.config
    }

    fn problems(&self) -> Vec<String> {
        self.resolve().unwrap_err().iter().map(ToString::to_string).collect()
    }
}

/// Everything but the key, in words.
fn words(config: &Config) -> String {
    let Config {
        name,
        rpc_url,
        program_id,
        key: _,
        http_addr: _,
        data_dir,
        store,
        round_interval,
        rules,
        overrides,
        batch,
        lookup_tables,
        priority_fee_micro_lamports,
        fee_budget_lamports_per_hour,
        limits,
        rate,
        connections,
        retention,
        webhook,
        alerts,
    } = config;
    format!(
        "{:?}",
        (
            (name, rpc_url, program_id, data_dir, store, round_interval, rules, overrides),
            (
                batch,
                lookup_tables,
                priority_fee_micro_lamports,
                fee_budget_lamports_per_hour,
                limits,
                rate,
                connections,
                retention,
                webhook,
                alerts
            )
        )
    )
}

#[test]
fn defaults_are_those_of_a_config_in_minutes_and_in_seconds() {
    let mut case = Case::new();
    let of = |preset: fn(String, Pubkey, Arc<Keypair>, PathBuf) -> Config, config: &Config| {
        words(&preset(config.rpc_url.clone(), config.program_id, config.key.clone(), "oracle-data".into()))
    };
    let config = case.config();
    assert_eq!(words(&config), of(Config::new, &config));
    case.flag("seconds", "true");
    let config = case.config();
    assert_eq!(words(&config), of(Config::localnet, &config));
}

#[test]
fn a_flag_wins_over_the_environment_that_over_the_file_that_over_the_default() {
    for spec in OPTIONS.iter().filter(|spec| matches!(spec.form, Form::Number(..)) && spec.key != "batch") {
        let Form::Number(least, _) = spec.form else { unreachable!() };
        // Large enough for every rule to agree with the others.
        let value = |n: u64| (least.max(400_000) % 1_000_000 + n).to_string();
        if !matches!(spec.form, Form::Number(_, most) if most > 500_000) || spec.name() == "bucket_ms" {
            continue;
        }
        let mut case = Case::new();
        let seen = |case: &Case| case.resolve().unwrap().1.values[spec.key].clone();
        assert_eq!(seen(&case).origin, Origin::Default);
        let (table, line) = match spec.key.rsplit_once('.') {
            Some((table, name)) => (format!("[{table}]"), format!("{name} = {}", value(1))),
            None => (String::new(), format!("{} = {}", spec.key, value(1))),
        };
        case.file(&format!("{table}\n{line}\n"));
        let path = case.folder.path().join("oracle.toml");
        assert_eq!(seen(&case), Setting { value: value(1), origin: Origin::File(path, 2) });
        case.variable(spec.env, &value(2));
        assert_eq!(seen(&case), Setting { value: value(2), origin: Origin::Environment(spec.env) });
        case.flag(&spec.flag(), &value(3));
        assert_eq!(seen(&case), Setting { value: value(3), origin: Origin::Flag(spec.flag()) });
        // An empty variable is none.
        case.flags.remove(&spec.flag());
        case.variable(spec.env, "");
        assert_eq!(seen(&case).value, value(1), "{}", spec.key);
    }
}

#[test]
fn a_switch_of_the_file_can_be_turned_off_again() {
    let mut case = Case::new();
    case.file("seconds = true\nno_lookup_tables = true\n");
    let config = case.config();
    assert!(config.rules == Rules::seconds() && !config.lookup_tables);
    case.flag("seconds", "false").variable("CAUSEWAY_ORACLE_NO_LOOKUP_TABLES", "false");
    let config = case.config();
    assert!(config.rules == Rules::default() && config.lookup_tables);
}

#[test]
fn every_problem_is_said_at_once() {
    let mut case = Case::new();
    case.file("nmae = \"x\"\n[rules]\nmin_share_percent = 101\n[rules.edge]\nloss_limit_ppm = 2000000\n");
    case.flag("round-seconds", "0").flag("listen", "here").flag("name", &"x".repeat(65));
    case.variable("CAUSEWAY_RPC_URL", "ignored").variable("CAUSEWAY_ORACLE_HOLD_MS", "soon");
    case.flags.remove("program-id");
    let missing = case.folder.path().join("none").to_str().unwrap().to_owned();
    case.flag("key", &missing);
    let problems = case.problems();
    let expected = [
        "oracle.toml, line 1: nmae: There is no such key.",
        "CW-ORACLE-CONFIG: --name: It is longer than 64 characters",
        "CW-ORACLE-CONFIG: program_id: It has to be set. Give --program-id, or CAUSEWAY_PROGRAM_ID, or program_id in the file.",
        "CW-KEY-MISSING: the oracle's key (--key): key file",
        "CW-ORACLE-CONFIG: --listen: It has to be an address with a port",
        "CW-ORACLE-CONFIG: --round-seconds: It has to be a whole number from 1 to 86400.",
        "oracle.toml, line 3: rules.min_share_percent: It has to be a number above 0",
        "CW-ORACLE-CONFIG: CAUSEWAY_ORACLE_HOLD_MS: It has to be a whole number",
        "oracle.toml, line 5: rules.edge.loss_limit_ppm: It has to be a whole number from 0 to 999999.",
    ];
    for expected in expected {
        assert!(problems.iter().any(|p| p.contains(expected)), "{expected}: {problems:#?}");
    }
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
}

#[test]
fn rules_that_do_not_agree_are_refused_in_every_combination() {
    let mut case = Case::new();
    case.file(&format!(
        "[rules.wan]\nmax_gap_ms = 100\n[network.\"{PROGRAM}\".rules.hybrid]\nmin_share_percent = 50.5\n"
    ));
    assert_eq!(
        case.problems(),
        [
            "CW-ORACLE-CONFIG: rules for wan: The longest gap has to be at least a bucket. Change one of the numbers that meet there."
        ]
    );
    case.file(&format!("[network.\"{PROGRAM}\".rules.hybrid]\nmin_share_percent = 50.5\n"));
    let (daemon, settings) = case.resolve().unwrap();
    let Config { rules, overrides, .. } = &daemon.config;
    let book = RuleBook::new(rules, overrides, &PROGRAM.parse().unwrap()).unwrap();
    assert_eq!((book.hybrid.min_share_ppm, book.edge.min_share_ppm), (505_000, 990_000));
    let shown = show::effective(&daemon, &settings);
    assert!(shown.contains("rules.hybrid.min_share_percent = 50.5"), "{shown}");
    assert!(shown.contains("In this network hybrid is judged by Rules {"), "{shown}");
}

#[test]
fn a_webhook_comes_from_a_file_that_nobody_else_reads_and_is_never_shown() {
    let mut case = Case::new();
    let secret = "https://hooks.example.net/very/secret";
    let open = case.write("open", secret, 0o644);
    case.flag("webhook-file", &open);
    assert!(case.problems()[0].starts_with("CW-KEY-PERMISSIONS: --webhook-file: "));
    let empty = case.write("empty", "\n", 0o600);
    case.flag("webhook-file", &empty);
    assert!(case.problems()[0].contains("The file does not hold an address that begins with http"));
    let closed = case.write("closed", &format!("{secret}\n"), 0o600);
    case.flag("webhook-file", &closed);
    let (daemon, settings) = case.resolve().unwrap();
    assert_eq!(daemon.config.webhook.as_deref(), Some(secret));
    assert!(!format!("{daemon:?}").contains("secret"));
    assert!(!show::effective(&daemon, &settings).contains("secret"));
    // An address of a weaker source does not win over a file of a stronger one; one of the same does.
    case.variable("CAUSEWAY_ORACLE_WEBHOOK", "https://other.example.net");
    assert_eq!(case.config().webhook.as_deref(), Some(secret));
    case.flag("webhook", "https://third.example.net/x");
    let (daemon, settings) = case.resolve().unwrap();
    assert_eq!(daemon.config.webhook.as_deref(), Some("https://third.example.net/x"));
    assert!(show::effective(&daemon, &settings).contains("alerts.webhook = \"(hidden)\""));
    // In the configuration file itself, only if nobody else reads that.
    case.flags.remove("webhook");
    case.flags.remove("webhook-file");
    case.environment.clear();
    case.file(&format!("[alerts]\nwebhook = \"{secret}\"\n"));
    assert!(case.problems()[0].contains("The file holds a secret, and others can read it (permissions 644)"));
    assert!(!case.problems()[0].contains("very/secret"));
}

#[test]
fn a_clickhouse_server_is_asked_for_by_name_and_its_password_is_never_shown() {
    let mut case = Case::new();
    assert!(matches!(case.config().store, StoreConfig::Sqlite));
    case.file("store = \"clickhouse\"\n[clickhouse]\nurl = \"http://10.0.0.7:8123\"\nuser = \"causeway\"\n");
    let secret = case.write("password", "hunter2\n", 0o600);
    case.flag("clickhouse-password-file", &secret).variable("CAUSEWAY_ORACLE_CLICKHOUSE_TIMEOUT", "7");
    let (daemon, settings) = case.resolve().unwrap();
    let StoreConfig::ClickHouse(found) = &daemon.config.store else { panic!("{:?}", daemon.config.store) };
    assert_eq!((found.url.as_str(), found.user.as_str()), ("http://10.0.0.7:8123", "causeway"));
    assert_eq!((found.password.as_str(), found.database.as_str()), ("hunter2", "causeway"));
    assert_eq!((found.timeout, found.patience), (Duration::from_secs(7), Duration::from_secs(20)));
    case.flags.remove("clickhouse-password-file");
    case.variable("CAUSEWAY_ORACLE_CLICKHOUSE_PASSWORD", "hunter3");
    let (other, settings_of_other) = case.resolve().unwrap();
    for (daemon, settings) in [(daemon, settings), (other, settings_of_other)] {
        let shown = format!("{daemon:?}{}", show::effective(&daemon, &settings));
        assert!(!shown.contains("hunter") && shown.contains("store = \"clickhouse\""), "{shown}");
    }

    let open = case.write("open", "hunter2\n", 0o644);
    case.flag("store", "postgres").flag("clickhouse-password-file", &open).flag("clickhouse-url", "10.0.0.7");
    let problems = case.problems();
    for expected in [
        "CW-ORACLE-CONFIG: --store: It has to be sqlite or clickhouse.",
        "CW-ORACLE-CONFIG: --clickhouse-url: It has to be an address that begins with http:// or https://.",
        "CW-KEY-PERMISSIONS: --clickhouse-password-file: ",
    ] {
        assert!(problems.iter().any(|problem| problem.starts_with(expected)), "{expected}: {problems:#?}");
    }
    let mut case = Case::new();
    case.flag("clickhouse-database", "a;b").flag("clickhouse-password", "a\nb");
    assert!(
        case.problems()[0].contains("clickhouse: The ClickHouse settings can't be used: "),
        "{:?}",
        case.problems()
    );
}

#[test]
fn a_file_that_is_missing_or_far_too_long_is_a_problem() {
    let mut case = Case::new();
    case.variable("CAUSEWAY_ORACLE_CONFIG", "/no/such/file.toml");
    assert!(case.problems()[0].starts_with("CW-ORACLE-CONFIG: /no/such/file.toml: It can't be read"));
    case.file(&"#".repeat(usize::try_from(file::MAX_BYTES).unwrap() + 1));
    assert!(case.problems()[0].contains("It is longer than"));
}

#[test]
fn shares_are_read_without_rounding() {
    let cases = [("99", 990_000), ("99.5", 995_000), ("0.0001", 1), ("100", 1_000_000), ("100.0", 1_000_000)];
    for (text, ppm) in cases {
        assert_eq!(ppm_of_percent(text), Some(ppm), "{text}");
    }
    for text in ["", "0", "0.0", "100.0001", "99.00001", "-1", "+1", "1e1", ".5", "5.", "99,5", "4294967296"] {
        assert_eq!(ppm_of_percent(text), None, "{text}");
    }
}

#[test]
fn options_are_named_once_and_every_rule_is_one() {
    let names: [Vec<String>; 3] = [
        OPTIONS.iter().map(|spec| spec.key.to_owned()).collect(),
        OPTIONS.iter().map(Spec::flag).collect(),
        OPTIONS.iter().map(|spec| spec.env.to_owned()).collect(),
    ];
    for names in names {
        let different: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), OPTIONS.len(), "{names:?}");
    }
    for spec in OPTIONS {
        assert!(spec.help.ends_with('.') && !spec.help.contains('|'), "{}", spec.key);
    }
    let rules = serde_json::to_value(Rules::default()).unwrap();
    for field in rules.as_object().unwrap().keys() {
        let key = format!("rules.{}", field.replace("min_share_ppm", "min_share_percent"));
        let spec = options::find(&key).unwrap_or_else(|| panic!("no option for {field}"));
        let value = if spec.form == Form::Percent { "90" } else { "1000" };
        let common = matches!(field.as_str(), "bucket_ms" | "lag_ms");
        assert_eq!(set(&mut Patch::default(), spec, value), !common, "{field}");
    }
}

/// Compares a committed file with what the code says it is. `CAUSEWAY_REWRITE_GOLDEN=1` writes it.
pub(crate) fn committed(path: &str, expected: impl Fn(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let expected = expected(&found);
    if found == expected {
        return;
    }
    if std::env::var_os("CAUSEWAY_REWRITE_GOLDEN").is_some_and(|v| v == "1") {
        std::fs::write(&path, expected).unwrap();
    } else {
        panic!("{} is not what the code says; run the tests with CAUSEWAY_REWRITE_GOLDEN=1", path.display());
    }
}

/// The page with the part between two marks replaced.
pub(crate) fn part(page: &str, name: &str, content: &str) -> String {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("no part {name}"));
    let (_, after) = rest.split_once(&end).unwrap();
    format!("{before}{begin}\n{content}\n{end}{after}")
}

#[test]
fn the_example_file_names_every_option_and_equals_the_defaults() {
    committed("oracle.example.toml", |_| show::example());
    let mut case = Case::new();
    let plain = case.config();
    let example = show::example();
    case.file(&example);
    assert_eq!(words(&case.config()), words(&plain));
    // The same with everything that has a default uncommented; then with all there is.
    let without = |spec: &Spec| matches!(spec.default, options::Default::Nothing(_));
    let uncommented = |all: bool| {
        let line =
            |line: &str| match line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_alphabetic())) {
                Some(rest) if all || !OPTIONS.iter().any(|spec| without(spec) && rest.starts_with(spec.name())) => {
                    rest.to_owned()
                }
                Some(_) | None => line.to_owned(),
            };
        example.lines().map(line).collect::<Vec<_>>().join("\n")
    };
    case.file(&uncommented(false));
    assert_eq!(words(&case.config()), words(&plain));
    let (_, settings) = case.resolve().unwrap();
    let by_flag = ["rpc_url", "program_id", "key"];
    for spec in OPTIONS.iter().filter(|spec| !without(spec) && !by_flag.contains(&spec.key)) {
        assert!(matches!(settings.values[spec.key].origin, Origin::File(..)), "{}", spec.key);
    }
    let (content, problems) = file::parse(&uncommented(true), Path::new("x"));
    assert_eq!((problems, content.values.len()), (vec![], OPTIONS.len()));
}

#[test]
fn the_page_lists_every_option() {
    committed("../docs/oracle.md", |page| part(page, "options", &show::table()));
}
