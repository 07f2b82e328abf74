//! What the driver is told: where the switch is, how it is proven, who we are to it, and how long it may take.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use causeway_wire::keyfile::{self, KeyError};
use reqwest::Url;

use crate::apply::ApplyLimits;

/// Path of eAPI on the switch's web server.
const PATH: &str = "/command-api";
/// Largest answer, in bytes: a configuration of 27 000 lines takes 1 MB, and at most two are asked for at once.
pub const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// Time limits of one call each, by what it does. A verb is up to four calls; [`Timeouts::apply_limits`] leaves room
/// for them, so that an error says which one was slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect, TLS included.
    pub connect: Duration,
    /// To show anything but a session and its difference.
    pub show: Duration,
    /// To enter a text into a session.
    pub load: Duration,
    /// To show a session and its difference; more than 1 MB of it takes 40 s.
    pub compare: Duration,
    /// To commit with a timer: 2.5 s for a large configuration, up to 40 s.
    pub commit: Duration,
    /// To confirm.
    pub confirm: Duration,
    /// To abort a session or take a commit back, which is a commit too.
    pub revert: Duration,
    /// To save the startup configuration.
    pub save: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            show: Duration::from_secs(10),
            load: Duration::from_secs(45),
            compare: Duration::from_secs(45),
            commit: Duration::from_secs(50),
            confirm: Duration::from_secs(50),
            revert: Duration::from_secs(50),
            save: Duration::from_secs(30),
        }
    }
}

impl Timeouts {
    /// Limits of an apply in which every verb has time for its calls.
    pub fn apply_limits(&self) -> ApplyLimits {
        let usual = ApplyLimits::default();
        let verbs = [
            // List, abort what is left over, enter the text.
            self.show + self.revert + self.load,
            // Enter a text to compare with, show, abort.
            self.load + self.compare + self.revert,
            // List, look at what runs, commit or confirm, list; the confirmation looks once more.
            self.show * 3 + self.commit,
            self.show * 3 + self.confirm,
            // List, take back, list.
            self.show * 2 + self.revert,
            self.show + self.save,
        ];
        let verb = verbs.into_iter().fold(usual.verb, Duration::max);
        // The timer has to outlast the end of the commit, the verification, and the confirmation until it is sent.
        let revert_after = usual.revert_after.max(verb + usual.verify + self.show);
        ApplyLimits { verb, load: verb, revert_after, ..usual }
    }
}

/// Where eAPI is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Over TLS.
    Https(Url),
    /// On the switch itself, over its local HTTP port.
    LocalHttp(Url),
    /// On the switch itself, over the unix socket, which needs no password.
    Socket(PathBuf),
}

impl Endpoint {
    /// Reads `https://HOST[:PORT]`, `http://127.0.0.1:8080` or `unix:/PATH`.
    ///
    /// # Errors
    /// [`EosConfigError::Endpoint`], [`EosConfigError::Clear`].
    pub fn parse(text: &str) -> Result<Self, EosConfigError> {
        let wrong = || EosConfigError::Endpoint(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() { Ok(Self::Socket(path)) } else { Err(wrong()) };
        }
        let mut url = Url::parse(text).map_err(|_| wrong())?;
        let bare = matches!(url.path(), "" | "/" | PATH) && url.query().is_none() && url.fragment().is_none();
        if !bare || url.host_str().is_none() || !url.username().is_empty() || url.password().is_some() {
            return Err(wrong());
        }
        url.set_path(PATH);
        match url.scheme() {
            "https" => Ok(Self::Https(url)),
            "http" if is_this_machine(&url) => Ok(Self::LocalHttp(url)),
            "http" => Err(EosConfigError::Clear(text.to_owned())),
            _ => Err(wrong()),
        }
    }
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// How the switch's certificate is proven.
#[derive(Clone, PartialEq, Eq)]
pub enum Proof {
    /// One of these CAs (PEM) signed it, and it is for the switch's name or address.
    Ca(Vec<u8>),
    /// It is this very certificate (PEM), whatever name is in it: what a switch makes for itself.
    Certificate(Vec<u8>),
}

/// User and password. Prints nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User; its role has to allow configuration.
    pub user: String,
    /// Password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ca(_) => "Proof::Ca",
            Self::Certificate(_) => "Proof::Certificate",
        })
    }
}

impl Credentials {
    /// Reads a file of one line, `user:password`. Only its owner may read it; a systemd credential counts as such.
    ///
    /// # Errors
    /// [`EosConfigError::SecretFile`], [`EosConfigError::SecretOpen`], [`EosConfigError::SecretContent`].
    pub fn read(path: &Path) -> Result<Self, EosConfigError> {
        let content = keyfile::read_private(path).map_err(|error| match error {
            KeyError::Missing { source, .. } => EosConfigError::SecretFile { path: path.to_owned(), source },
            KeyError::Permissions { mode, .. } => EosConfigError::SecretOpen { path: path.to_owned(), mode },
            KeyError::Malformed { .. } | KeyError::Exists { .. } | KeyError::Write { .. } => {
                EosConfigError::SecretContent(path.to_owned())
            }
        })?;
        let text = String::from_utf8(content).map_err(|_| EosConfigError::SecretContent(path.to_owned()))?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let sound = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_control());
        match line.split_once(':') {
            Some((user, password)) if sound(user) && sound(password) => {
                Ok(Self { user: user.to_owned(), password: password.to_owned() })
            }
            Some(_) | None => Err(EosConfigError::SecretContent(path.to_owned())),
        }
    }
}

/// Everything that the driver is told.
#[derive(Clone, Debug)]
pub struct EosConfig {
    /// Where the switch is.
    pub endpoint: Endpoint,
    /// How it is proven; for `https://` alone.
    pub proof: Option<Proof>,
    /// Who we are to it; not needed on the unix socket.
    pub credentials: Option<Credentials>,
    /// File in which the driver remembers which sections are Causeway's.
    pub managed_file: PathBuf,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Largest answer, in bytes.
    pub max_answer_bytes: usize,
}

impl EosConfig {
    /// For a switch, with the usual limits.
    pub fn new(endpoint: Endpoint, managed_file: PathBuf) -> Self {
        Self {
            endpoint,
            proof: None,
            credentials: None,
            managed_file,
            timeouts: Timeouts::default(),
            max_answer_bytes: MAX_ANSWER_BYTES,
        }
    }
}

/// A configuration that can't work.
#[derive(Debug, thiserror::Error)]
pub enum EosConfigError {
    /// Not an address of eAPI.
    #[error("{0:?} is not an address of eAPI: https://HOST[:PORT], http://127.0.0.1:8080 or unix:/PATH")]
    Endpoint(String),
    /// A password would be readable on the way.
    #[error("{0:?} would send the password in the clear; http:// is for the switch itself, use https://")]
    Clear(String),
    /// An option that is needed.
    #[error("{0} is needed for --driver eos")]
    Missing(&'static str),
    /// A time limit of nothing.
    #[error("{0} must not be zero")]
    Zero(&'static str),
    /// TLS without proof.
    #[error("https:// needs the CA or the certificate that the switch is proven by: the system's roots are not used")]
    NoProof,
    /// It would not be clear which counts.
    #[error("the CA and the certificate of the switch are given: one of them proves it, leave out the other")]
    TwoProofs,
    /// Proof without TLS.
    #[error("a CA or certificate has a meaning with https:// only")]
    UselessProof,
    /// No user.
    #[error("eAPI over HTTP needs a file with user and password")]
    NoCredentials,
    /// A CA or certificate that can't be used.
    #[error("the switch's CA or certificate can not be used: {0}")]
    Pem(String),
    /// IO.
    #[error("the file with user and password, {path}, can not be read")]
    SecretFile {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Others can read it.
    #[error("{path} can be read by others (mode {mode:03o}); chmod 600 it, and change the password if that is not new")]
    SecretOpen {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not `user:password`.
    #[error("{0} is not a file of one line, user:password")]
    SecretContent(PathBuf),
    /// The record can't be read.
    #[error(
        "{path} is not the driver's record of what is Causeway's; move it away only if what earlier texts set is gone"
    )]
    Managed {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// No HTTP client.
    #[error("no HTTP client can be made")]
    Http(#[from] reqwest::Error),
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn addresses_are_read_and_passwords_never_go_in_the_clear() {
        let url = |text: &str| match Endpoint::parse(text) {
            Ok(Endpoint::Https(url) | Endpoint::LocalHttp(url)) => Some(url.to_string()),
            Ok(Endpoint::Socket(path)) => Some(path.display().to_string()),
            Err(_) => None,
        };
        assert_eq!(url("https://sw1").as_deref(), Some("https://sw1/command-api"));
        assert_eq!(
            url("https://[2001:db8::1]:8443/command-api").as_deref(),
            Some("https://[2001:db8::1]:8443/command-api")
        );
        assert_eq!(url("http://127.0.0.1:8080").as_deref(), Some("http://127.0.0.1:8080/command-api"));
        assert_eq!(url("http://[::1]:8080").as_deref(), Some("http://[::1]:8080/command-api"));
        assert_eq!(url("unix:/var/run/command-api.sock").as_deref(), Some("/var/run/command-api.sock"));
        assert!(matches!(Endpoint::parse("http://10.0.0.1"), Err(EosConfigError::Clear(_))));
        for wrong in [
            "",
            "sw1",
            "ftp://sw1",
            "https://",
            "https://u:p@sw1",
            "https://sw1/other",
            "https://sw1/?a=b",
            "unix:relative",
        ] {
            assert!(matches!(Endpoint::parse(wrong), Err(EosConfigError::Endpoint(_))), "{wrong}");
        }
    }

    #[test]
    fn a_password_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let put = |content: &str, mode: u32| {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            Credentials::read(&path)
        };
        let read = put("admin:a:b c\n", 0o600).unwrap();
        assert_eq!((read.user.as_str(), read.password.as_str()), ("admin", "a:b c"));
        assert_eq!(format!("{read:?}"), "Credentials");
        // Root's own file that root's group reads is how a credential of systemd looks.
        for mode in [0o644, 0o604, 0o620, 0o666] {
            assert!(matches!(put("a:b", mode), Err(EosConfigError::SecretOpen { .. })), "{mode:o}");
        }
        for content in ["", "admin", ":b", "a:", "a:b\nc:d\n", &"x".repeat(5_000)] {
            assert!(matches!(put(content, 0o600), Err(EosConfigError::SecretContent(_))), "{content}");
        }
        assert!(matches!(Credentials::read(folder.path()), Err(EosConfigError::SecretContent(_))));
        assert!(matches!(Credentials::read(&folder.path().join("none")), Err(EosConfigError::SecretFile { .. })));
    }
}
