//! What the `causeway` command says when it can't do what was asked, and how it ends.
//!
//! A failure has a stable code, a cause, a remedy and a page in `docs/errors`. Every failure ends with one of the
//! documented exit codes; scripts may rely on both.

use std::{fmt, path::Path, process::ExitCode};

use causeway_interface::ErrorCode;
use causeway_sdk::{
    Explain, LedgerError, SendError,
    explain::{self, Entry},
    keys::KeyError,
    snapshot::SnapshotError,
};

use crate::output::Report;

/// How the command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Done = 0,
    /// The program or a check refused.
    Refused = 1,
    /// The command line is wrong or incomplete.
    Usage = 2,
    /// The ledger or the controller can't be reached.
    Unreachable = 3,
    /// There is no such object.
    NotFound = 4,
    /// A file can't be read, written or understood.
    File = 5,
}

/// What `--help` says of them.
pub const EXIT_CODES: &str = "Exit codes:\n  \
    0  done\n  \
    1  refused by the program or by a check\n  \
    2  the command line is wrong or incomplete\n  \
    3  the ledger or the controller can't be reached\n  \
    4  no such object\n  \
    5  a file can't be read, written or understood\n\n\
    Results go to stdout, everything else to stderr. Every error has a code, a cause, a remedy and a page in docs/errors.";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

macro_rules! entries {
    ($($name:ident = $code:literal, $cause:literal, $remedy:literal;)+) => {
        $(
            #[doc = $cause]
            pub const $name: Entry = Entry { code: $code, cause: $cause, remedy: $remedy };
        )+
        /// Every code of the command itself.
        pub const CLI_CODES: &[Entry] = &[$($name),+];
    };
}

entries! {
    FILE_READ = "CW-FILE-READ", "A file does not exist or can't be read.", "Check the path and its permissions.";
    FILE_WRITE = "CW-FILE-WRITE", "A file or folder can't be written.", "Check the path and its permissions.";
    GML_MALFORMED = "CW-GML-MALFORMED", "A topology file can't be imported.", "Use a GML file of the Internet Topology Zoo, or one of the same form.";
    SITE_INVALID = "CW-SITE-INVALID", "A site file has problems.", "Correct each of them; nothing was sent.";
    TARGET_MISSING = "CW-TARGET-MISSING", "The command does not say which ledger it is for.", "Give `--url` and `--program-id`, or `--localnet DIR` for a local one.";
    SIGNER_MISSING = "CW-SIGNER-MISSING", "The command changes the ledger and no key file was given.", "Give `--keypair FILE`; `causeway key new FILE` makes one.";
    LOCALNET_BINARY = "CW-LOCALNET-BINARY", "The causeway-localnet binary was not found.", "Build it with `cargo build -p causeway-localnet`, or put it beside causeway or on PATH.";
    RENDER_FAILED = "CW-RENDER-FAILED", "A device's configuration can't be rendered.", "Correct the record on the ledger that is named.";
    CONTROLLER_UNREACHABLE = "CW-CONTROLLER-UNREACHABLE", "The controller does not answer.", "Check the address with `--controller` and that it runs.";
    CONTROLLER_REFUSED = "CW-CONTROLLER-REFUSED", "The controller refused the request.", "Read what it said.";
    JOB_CANCELLED = "CW-JOB-CANCELLED", "A job was cancelled; every device of it runs what it ran.", "Start another one, or `causeway job retry` it.";
    ROLLOUT_CANCELLED = "CW-JOB-ROLLOUT-CANCELLED", "A rollout was cancelled: the wave that was under way runs what it ran, those before it stay.", "Start another one for the devices that are left: `causeway rollout again` does.";
    JOB_STUCK = "CW-JOB-STUCK", "A job went back, and of some of its devices it is not known what they run.", "Go to the devices that are named now: see what they run, and bring them to one of the two configurations of the job; then `causeway job retry`, which looks again.";
    CONFIG_DRIFTED = "CW-CONFIG-DRIFTED", "A device runs something else than what is served to it: an older configuration, or one that was changed beside its agent.", "Read the difference. `causeway config show` says whether the configuration was refused or is on its way; an agent puts right by itself what somebody else changed.";
    DRIFT_UNKNOWN = "CW-CONFIG-DRIFT-UNKNOWN", "It is not known what a device runs: its agent has not said, or could not ask the device.", "Check that the agent runs, and that the device's management answers it.";
    AUDIT_CHANGED = "CW-AUDIT-CHANGED", "An entry of a controller's audit log is not what was written, or one is missing.", "Somebody who has the file changed it. Keep a copy of it, find who can write to the controller's state folder, and compare with an earlier export (`causeway audit --lines`).";
    WAIT_TIMEOUT = "CW-WAIT-TIMEOUT", "The status did not follow within the time that was given.", "The change is on the ledger; `causeway health get CODE` says what is missing.";
    NOT_CONFIRMED = "CW-NOT-CONFIRMED", "What the command would do was not confirmed, and nothing was done.", "Answer `yes`, or give `--yes` where nobody can answer.";
    ENROLL_UNFINISHED = "CW-ENROLL-UNFINISHED", "Of a device's two key files one is there and the other is not: an enrolment was cut off before it told anybody of them, or a file was lost.", "`causeway key show FILE` prints the key of the one that is there, `causeway device get CODE` what the ledger has. If the ledger does not have it, remove the file and enroll again. If it does, lay the other file back, or make a new one with `causeway key new` and register that.";
    NO_SUCH_VALUE = "CW-VALUE-INVALID", "A value on the command line is not one that can be meant.", "`--help` after the verb says what it takes.";
    ORACLE_MISSING = "CW-ORACLE-MISSING", "The command asks oracles and none was named.", "Give `--oracle URL` for each, or their addresses in CAUSEWAY_ORACLE_URLS, separated by commas.";
    VERIFY_FAILED = "CW-VERIFY-FAILED", "What an oracle signed does not agree with its evidence or with the ledger.", "Read which check differs; ask the oracle's operator for its evidence, and have the authority replace the oracle if there is no explanation.";
    VERIFY_INCOMPLETE = "CW-VERIFY-INCOMPLETE", "Not everything that an oracle signed could be checked; what could be checked holds.", "Read what is missing: an oracle that does not answer, evidence past its retention, or a transaction that the node has forgotten; another node may have it.";
    RECORDING = "CW-RECORDING", "A folder does not hold what an oracle recorded, or it can't be read.", "Give the data directory of an oracle of this version, or a copy of it, with `--from`.";
    OUTPUT_FAILED = "CW-OUTPUT-FAILED", "The result can't be written.", "Check where stdout leads to.";
}

/// Why the command could not do what was asked, or that what it looked at is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Stable code.
    pub code: String,
    /// What was wrong, with the particulars.
    pub cause: String,
    /// Each of several particulars, on a line of its own.
    pub details: Vec<String>,
    /// What to do.
    pub remedy: String,
    /// How the command ends.
    pub exit: Exit,
    /// What was found all the same, for stdout.
    pub report: Option<Box<Report>>,
}

impl Failure {
    /// A failure of this kind with its particulars.
    #[must_use]
    pub fn new(entry: Entry, exit: Exit, cause: impl Into<String>) -> Self {
        let (code, remedy) = (entry.code.into(), entry.remedy.into());
        Self { code, cause: cause.into(), details: Vec::new(), remedy, exit, report: None }
    }

    /// One that explains itself.
    #[must_use]
    pub fn explained(error: &dyn Explain, exit: Exit) -> Self {
        Self {
            code: error.code(),
            cause: capitalised(&error.cause()),
            details: Vec::new(),
            remedy: error.remedy(),
            exit,
            report: None,
        }
    }

    /// With the particulars on lines of their own.
    #[must_use]
    pub fn with_details(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(details);
        self
    }

    /// With another remedy than the code's general one.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// With what was found all the same.
    #[must_use]
    pub fn with_report(self, report: Report) -> Self {
        Self { report: Some(Box::new(report)), ..self }
    }

    /// Nothing of this name is there.
    #[must_use]
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(explain::NOT_FOUND, Exit::NotFound, format!("No {what}."))
    }

    /// A file that can't be read.
    #[must_use]
    pub fn read(path: &Path, error: &std::io::Error) -> Self {
        Self::new(FILE_READ, Exit::File, format!("{} can't be read: {error}.", path.display()))
    }

    /// A file that can't be written.
    #[must_use]
    pub fn write(path: &Path, error: &std::io::Error) -> Self {
        Self::new(FILE_WRITE, Exit::File, format!("{} can't be written: {error}.", path.display()))
    }

    /// The page that says more, within the repository.
    #[must_use]
    pub fn page(&self) -> String {
        let number = self.code.strip_prefix("CW-").and_then(|rest| rest.parse::<u32>().ok());
        match number.and_then(ErrorCode::from_code) {
            Some(error) => format!("docs/errors/{}-{}.md", error.code(), kebab(error.name())),
            None => format!("docs/errors/{}.md", self.code.to_lowercase()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error {}: {}", self.code, self.cause)?;
        for detail in &self.details {
            writeln!(f, "    {detail}")?;
        }
        writeln!(f, "  remedy: {}", self.remedy)?;
        write!(f, "  page: {}", self.page())
    }
}

impl std::error::Error for Failure {}

/// A variant's name as its page is called: `InterfaceNotFound` is `interface-not-found`.
fn kebab(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// With a capital, unless the first word is an address.
fn capitalised(text: &str) -> String {
    let first_word = text.split_whitespace().next().unwrap_or_default();
    let is_word = first_word.chars().all(|c| c.is_ascii_lowercase());
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if is_word => first.to_uppercase().chain(letters).collect(),
        _ => text.to_owned(),
    }
}

fn of_ledger(error: &LedgerError) -> Exit {
    match error {
        LedgerError::Unreachable { .. }
        | LedgerError::Timeout { .. }
        | LedgerError::Refused { .. }
        | LedgerError::Behind { .. }
        | LedgerError::Malformed { .. } => Exit::Unreachable,
        LedgerError::NotFound { .. } | LedgerError::NetworkMissing { .. } => Exit::NotFound,
        LedgerError::Undecodable { .. } => Exit::Refused,
    }
}

/// How a command ends whose transaction did not take effect.
#[must_use]
pub fn of_send(error: &SendError) -> Exit {
    match error {
        SendError::Ledger(error) => of_ledger(error),
        SendError::Unconfirmed { .. } | SendError::Expired { .. } => Exit::Unreachable,
        SendError::Program { .. }
        | SendError::Transaction { .. }
        | SendError::Unfunded { .. }
        | SendError::SignerMissing { .. }
        | SendError::TooLarge { .. } => Exit::Refused,
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Self::explained(&error, of_ledger(&error))
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        let mut failure = Self::explained(&error, of_send(&error));
        if let SendError::Program { tag: Some(tag), .. } = &error {
            failure.cause = format!("{} ({tag} was refused)", failure.cause.trim_end_matches('.')) + ".";
        }
        failure
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::explained(&error, Exit::File)
    }
}

impl From<SnapshotError> for Failure {
    fn from(error: SnapshotError) -> Self {
        Self::explained(&error, Exit::File)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_named_as_the_documentation_names_them() {
        let page = |code: &str| Failure { code: code.into(), ..Failure::not_found("x") }.page();
        assert_eq!(page("CW-2013"), "docs/errors/2013-interface-not-found.md");
        assert_eq!(page("CW-RPC-UNREACHABLE"), "docs/errors/cw-rpc-unreachable.md");
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for error in ErrorCode::ALL {
            let page = page(&Explain::code(error));
            assert!(docs.join(&page).exists(), "{page}");
        }
    }

    #[test]
    fn a_failure_says_code_cause_remedy_and_page() {
        let failure = Failure::not_found("device x").with_details(["one".into(), "two".into()]);
        let lines: Vec<String> = failure.to_string().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[0], "error CW-NOT-FOUND: No device x.");
        assert_eq!((lines[1].as_str(), lines[2].as_str()), ("    one", "    two"));
        assert!(lines[3].starts_with("  remedy: ") && lines[4].starts_with("  page: docs/errors/"));
    }

    #[test]
    fn only_words_get_a_capital() {
        assert_eq!(capitalised("no answer."), "No answer.");
        assert_eq!(capitalised("http://x refused."), "http://x refused.");
        assert_eq!(capitalised(""), "");
    }
}
