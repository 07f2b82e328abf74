//! Switches that the controller pushes to over eAPI: where they are, how they are proven, and who it is to them.
//!
//! A file in TOML with a table for each device:
//!
//! ```toml
//! [ams-1]
//! url = "https://ams-1.example"
//! certificate = "/etc/causeway/ams-1.pem"      # or `ca`
//! credentials = "/etc/causeway/ams-1.secret"   # one line, user:password, readable by its owner only
//! ```
//!
//! It holds no secret itself. What is wrong is found before anything starts, all of it at once.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use causeway_agent::eos::{EosArgs, EosConfig, EosConfigError, EosDriver, NoProber, Timeouts};
use causeway_interface::Code;
use causeway_jobs::{adapter::driver::DriverAdapter, spec::Transport};
use toml_edit::{Document, Item, Value};

/// Longest file, in bytes: ten thousand switches take two thirds of it.
const MAX_BYTES: u64 = 2 << 20;
/// Keys of a table.
const KEYS: [&str; 4] = ["url", "ca", "certificate", "credentials"];

/// By device.
pub type Targets = BTreeMap<Code, EosConfig>;

/// One thing that is wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Where: the file, with a line where there is one.
    pub place: String,
    /// What, without a full stop.
    pub cause: String,
}

/// Why a switch can't be pushed to.
#[derive(Debug, thiserror::Error)]
#[error("{device} can't be pushed to over eAPI")]
pub struct Unusable {
    /// Which.
    pub device: Code,
    /// Why not.
    #[source]
    pub source: EosConfigError,
}

/// Reads the file and everything that it names. What the driver has to remember of a switch is kept in `state`.
///
/// # Errors
/// Everything that is wrong.
pub fn read(path: &Path, state: &Path) -> Result<Targets, Vec<Wrong>> {
    let whole = |cause: String| vec![Wrong { place: path.display().to_string(), cause }];
    let length = fs::metadata(path).map(|metadata| metadata.len());
    if length.as_ref().is_ok_and(|length| *length > MAX_BYTES) {
        return Err(whole(format!("it is longer than {MAX_BYTES} bytes")));
    }
    let text =
        length.and_then(|_| fs::read_to_string(path)).map_err(|error| whole(format!("can't be read: {error}")))?;
    parse(&text, state).map_err(|wrong| {
        let placed =
            |(line, cause): (usize, String)| Wrong { place: format!("{}, line {line}", path.display()), cause };
        wrong.into_iter().map(placed).collect()
    })
}

/// The same of its text; what is wrong with the number of its line.
fn parse(text: &str, state: &Path) -> Result<Targets, Vec<(usize, String)>> {
    let line_at = |start: usize| 1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count();
    let document = Document::parse(text).map_err(|error| {
        let line = line_at(error.span().map_or(0, |span| span.start));
        vec![(line, format!("it is not TOML: {}", error.message().trim().replace('\n', "; ")))]
    })?;
    let (mut targets, mut wrong) = (Targets::new(), Vec::new());
    for (name, item) in document.as_table() {
        let key = document.as_table().get_key_value(name).and_then(|(key, _)| key.span());
        let line = line_at(key.or_else(|| item.span()).map_or(0, |span| span.start));
        match target(name, item, state) {
            Ok((device, config)) => drop(targets.insert(device, config)),
            Err(cause) => wrong.push((line, format!("{name}: {cause}"))),
        }
    }
    if wrong.is_empty() { Ok(targets) } else { Err(wrong) }
}

fn target(name: &str, item: &Item, state: &Path) -> Result<(Code, EosConfig), String> {
    let device: Code = name.parse().map_err(|_| "is not a device's code".to_owned())?;
    let table = item.as_table_like().ok_or("is not a table: [CODE], and the device's keys below it")?;
    if let Some((key, _)) = table.iter().find(|(key, _)| !KEYS.contains(key)) {
        return Err(format!("there is no key {key:?}; there are {}", KEYS.join(", ")));
    }
    let said = |key: &str| match table.get(key).map(|item| item.as_value()) {
        None => Ok(None),
        Some(Some(Value::String(text))) => Ok(Some(text.value().clone())),
        Some(_) => Err(format!("{key} is not a text in quotes")),
    };
    let path = |key: &str| Ok::<_, String>(said(key)?.map(PathBuf::from));
    let url = said("url")?.ok_or("has no url")?;
    let usual = Timeouts::default();
    let asked = EosArgs {
        eos_url: Some(url),
        eos_ca: path("ca")?,
        eos_certificate: path("certificate")?,
        eos_credentials: path("credentials")?,
        eos_show_s: usual.show.as_secs(),
        eos_load_s: usual.load.as_secs(),
        eos_compare_s: usual.compare.as_secs(),
        eos_commit_s: usual.commit.as_secs(),
        eos_save_s: usual.save.as_secs(),
    };
    // A driver connects nothing when it is made, and says what can't work.
    let config = asked.config(state, name).and_then(|config| EosDriver::new(&config, NoProber).map(|_| config));
    config.map(|config| (device, config)).map_err(|error| with_cause(&error))
}

/// An error with what it comes from. None of these repeats what is in a file of secrets.
fn with_cause(error: &EosConfigError) -> String {
    let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{source}")
}

/// The way to these switches.
///
/// # Errors
/// One of them can't work.
pub fn adapter(targets: &Targets) -> Result<DriverAdapter<EosDriver>, Unusable> {
    let mut drivers = BTreeMap::new();
    for (device, config) in targets {
        let driver = EosDriver::new(config, NoProber).map_err(|source| Unusable { device: *device, source })?;
        drivers.insert(*device, Arc::new(driver));
    }
    Ok(DriverAdapter::new(Transport::EapiPush, drivers))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const SECRET: &str = "hunter2-and-more";

    /// A folder with a certificate, and user and password in a file of this mode.
    fn folder(mode: u32) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/tests/fixtures");
        fs::copy(fixtures.join("test-only-server.pem"), folder.path().join("sw.pem")).unwrap();
        let secret = folder.path().join("sw.secret");
        fs::write(&secret, format!("causeway:{SECRET}\n")).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
        folder
    }

    fn of(folder: &Path, text: &str) -> Result<Targets, Vec<Wrong>> {
        let path = folder.join("eapi.toml");
        fs::write(&path, text.replace("DIR", &folder.display().to_string())).unwrap();
        read(&path, &folder.join("state"))
    }

    const GOOD: &str =
        "[ams-1]\nurl = \"https://ams-1.example\"\ncertificate = \"DIR/sw.pem\"\ncredentials = \"DIR/sw.secret\"\n";

    #[test]
    fn switches_are_read_with_their_files_and_no_secret_is_ever_shown() {
        let folder = folder(0o600);
        let text = format!("{GOOD}\n# by the socket of this very machine\n[ams_2]\nurl = \"unix:/run/api.sock\"\n");
        let targets = of(folder.path(), &text).unwrap();
        let names: Vec<&str> = targets.keys().map(Code::as_str).collect();
        assert_eq!(names, ["ams-1", "ams_2"]);
        let shown = format!("{targets:?}");
        assert!(shown.contains("ams-1.example") && !shown.contains(SECRET), "{shown}");
        let first = targets.values().next().unwrap();
        assert_eq!(first.credentials.as_ref().unwrap().password, SECRET);
        assert!(first.managed_file.starts_with(folder.path().join("state")));
        assert!(adapter(&targets).is_ok());
        assert!(of(folder.path(), "").unwrap().is_empty());
    }

    #[test]
    fn everything_that_is_wrong_is_named_with_its_line_and_without_secrets() {
        let open = folder(0o644);
        let wrong = of(
            open.path(),
            &format!(
                "{GOOD}[b]\nurl = \"http://192.0.2.1\"\n[c]\nurl = 7\n[d]\nurl = \"https://d\"\npassword = \"{SECRET}\"\n\
                 [e]\n[f]\nurl = \"https://f\"\n[\"no code\"]\nurl = \"unix:/x\"\n"
            ),
        )
        .unwrap_err();
        let told: Vec<String> = wrong.iter().map(|wrong| format!("{}: {}", wrong.place, wrong.cause)).collect();
        for (line, words) in [
            (1, "ams-1: "),
            (1, "can be read by others (mode 644)"),
            (5, "would send the password in the clear"),
            (7, "url is not a text in quotes"),
            (9, "there is no key \"password\""),
            (12, "has no url"),
            (13, "needs the CA or the certificate"),
            (15, "is not a device's code"),
        ] {
            let place = format!("eapi.toml, line {line}: ");
            assert!(told.iter().any(|told| told.contains(&place) && told.contains(words)), "{line} {words}: {told:#?}");
        }
        assert!(!told.join("\n").contains(SECRET), "{told:#?}");
        for (text, words) in [("[a\n", "is not TOML"), ("a = 1\n", "is not a table")] {
            let wrong = of(open.path(), text).unwrap_err();
            assert!(wrong.len() == 1 && wrong[0].cause.contains(words), "{wrong:?}");
        }
        assert!(read(&open.path().join("none"), open.path()).unwrap_err()[0].cause.contains("can't be read"));
    }
}
