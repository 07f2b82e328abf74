//! A real server of one's own, for tests, benchmarks and trying things out: Debian's `clickhouse-server` as a child
//! process in a folder that goes with it. Needs no rights, no system service and no fixed port.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::Settings;

/// Debian's package that has the program.
pub const PACKAGE: &str = "clickhouse-server";
/// Where the package puts it, beside what is in the path.
const PROGRAMS: [&str; 3] = ["clickhouse-server", "/usr/sbin/clickhouse-server", "/usr/bin/clickhouse-server"];
/// Longest start: a second, or many on a machine that builds meanwhile.
const START: Duration = Duration::from_secs(60);
/// Between two looks whether it has started.
const LOOK: Duration = Duration::from_millis(50);
/// Starts on other ports when somebody else took one in between.
const TRIES: u32 = 5;

/// A server that ends with its owner.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    http: u16,
    tcp: u16,
    child: Option<Child>,
}

impl Server {
    /// Starts one that keeps everything in this folder.
    ///
    /// # Errors
    /// The program is not installed, or does not come up; a sentence says so.
    pub fn start(folder: &Path) -> Result<Self, String> {
        let mut problem = String::new();
        for _ in 0..TRIES {
            let (http, tcp) = free_ports().map_err(|error| format!("no free port: {error}"))?;
            configure(folder, http, tcp).map_err(|error| format!("can't write to {}: {error}", folder.display()))?;
            let mut server = Self { folder: folder.to_owned(), http, tcp, child: None };
            match server.resume() {
                Ok(()) => return Ok(server),
                Err(told) => problem = told,
            }
        }
        Err(problem)
    }

    /// Where it is.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings { pace: Duration::ZERO, ..Settings::new(format!("http://127.0.0.1:{}", self.http)) }
    }

    /// Its process, while it runs.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Ends it as a power cut would, without a word.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again on what it left, at the same address.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn resume(&mut self) -> Result<(), String> {
        self.kill();
        let log = self.folder.join("output.log");
        let output = std::fs::File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let mut missing = format!(
            "clickhouse-server is not installed; as root, run: apt-get install {PACKAGE} (this test is never skipped)"
        );
        for program in PROGRAMS {
            let again = output.try_clone().map_err(|error| error.to_string())?;
            let started = Command::new(program)
                .arg(format!("--config-file={}", self.folder.join("config.xml").display()))
                .current_dir(&self.folder)
                .stdin(Stdio::null())
                .stdout(again.try_clone().map_err(|error| error.to_string())?)
                .stderr(again)
                .spawn();
            match started {
                Ok(child) => {
                    self.child = Some(child);
                    return self.wait();
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => missing = format!("{program} can't be started: {error}"),
            }
        }
        Err(missing)
    }

    fn wait(&mut self) -> Result<(), String> {
        let until = Instant::now() + START;
        while Instant::now() < until {
            if let Some(Ok(Some(status))) = self.child.as_mut().map(Child::try_wait) {
                return Err(format!("clickhouse-server ended with {status}: {}", self.told()));
            }
            if self.answers() {
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
        self.kill();
        Err(format!("clickhouse-server does not answer after {START:?}: {}", self.told()))
    }

    fn answers(&self) -> bool {
        let client = super::http::Client::start(self.settings());
        client.and_then(|client| client.outside("SELECT 1")).is_ok()
    }

    fn told(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        let text = read("error.log") + &read("output.log");
        text.lines().take(5).collect::<Vec<_>>().join(" / ")
    }

    /// Its port for ClickHouse's own protocol.
    #[must_use]
    pub fn native_port(&self) -> u16 {
        self.tcp
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_ports() -> std::io::Result<(u16, u16)> {
    let (one, two) = (TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?);
    Ok((one.local_addr()?.port(), two.local_addr()?.port()))
}

fn configure(folder: &Path, http: u16, tcp: u16) -> std::io::Result<()> {
    for name in ["data", "tmp", "files", "schemas"] {
        std::fs::create_dir_all(folder.join(name))?;
    }
    let place = folder.display();
    // The root is called `yandex` by old servers, and still understood by new ones.
    let config = format!(
        "<yandex>
    <logger><level>warning</level><log>{place}/server.log</log><errorlog>{place}/error.log</errorlog></logger>
    <http_port>{http}</http_port><tcp_port>{tcp}</tcp_port><listen_host>127.0.0.1</listen_host>
    <path>{place}/data/</path><tmp_path>{place}/tmp/</tmp_path>
    <user_files_path>{place}/files/</user_files_path><format_schema_path>{place}/schemas/</format_schema_path>
    <users_config>{place}/users.xml</users_config>
    <default_profile>default</default_profile><default_database>default</default_database>
    <mark_cache_size>268435456</mark_cache_size><timezone>UTC</timezone>
</yandex>
"
    );
    let users = "<yandex>
    <profiles><default></default></profiles><quotas><default></default></quotas>
    <users><default>
        <password></password><networks><ip>127.0.0.1</ip></networks>
        <profile>default</profile><quota>default</quota>
    </default></users>
</yandex>
";
    std::fs::write(folder.join("config.xml"), config)?;
    std::fs::write(folder.join("users.xml"), users)
}
