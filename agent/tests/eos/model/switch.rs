//! The switch behind the model: what runs, what it starts with, sessions, the commit timer, and what it shows.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use similar::TextDiff;

use super::{
    cli::{self, Complaint, INVALID, Place},
    routing::{self, Family, Speaker},
    tree::Tree,
};

/// Ports that the model has.
const PORTS: u32 = 32;
/// Sessions that can be open at once, as on a switch that nobody has told otherwise.
pub const MAX_OPEN: usize = 5;

/// How a release lists the commit timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Until 4.31: a state of the session.
    InTheSession,
    /// From 4.32 on: a name beside the sessions.
    BesideTheSessions,
}

/// A neighbour's port on the other end of a cable.
#[derive(Clone, Debug)]
pub struct Wire {
    pub host: &'static str,
    pub system_id: &'static str,
    /// An adjacency needs the same MTU on both ends.
    pub mtu: u32,
}

#[derive(Clone, Debug)]
struct Session {
    state: State,
    candidate: Tree,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Pending,
    /// Being carried out; ready at the moment.
    Committing {
        ready: Instant,
        timer: Option<Duration>,
    },
    Timed,
    Completed,
}

struct Timer {
    session: String,
    ends: Instant,
    /// What runs again when it goes off.
    before: Tree,
}

/// One switch.
pub struct Switch {
    running: Tree,
    startup: Tree,
    sessions: BTreeMap<String, Session>,
    timer: Option<Timer>,
    /// How long a second of the switch's timers takes here.
    second: Duration,
    dialect: Dialect,
    /// User that holds the configuration lock.
    pub locked_by: Option<String>,
    pub wires: BTreeMap<String, Wire>,
    /// Who speaks BGP behind the neighbours of IS-IS, by loopback.
    pub speakers: BTreeMap<Ipv4Addr, Speaker>,
    /// Share of the processors' time that is idle, in percent.
    pub idle_percent: f64,
    /// Octets of every port.
    pub octets: u64,
    /// Timers that went off.
    pub reverted: usize,
}

impl Switch {
    /// With ports and what an operator has configured.
    pub fn new(operators: &str) -> Self {
        let mut running = Tree::default();
        for port in (1..=PORTS).map(|port| format!("interface Ethernet{port}")) {
            running.sections.insert(port, Tree::default());
        }
        let mut place = Place::default();
        for line in operators.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('!')) {
            cli::enter(&mut running, &mut place, line).unwrap();
        }
        Self {
            startup: running.clone(),
            running,
            sessions: BTreeMap::new(),
            timer: None,
            second: Duration::from_secs(1),
            dialect: Dialect::BesideTheSessions,
            locked_by: None,
            wires: BTreeMap::new(),
            speakers: BTreeMap::new(),
            idle_percent: 87.5,
            octets: 1_000,
            reverted: 0,
        }
    }

    /// With seconds of another length.
    pub fn ticking(mut self, second: Duration) -> Self {
        self.second = second;
        self
    }

    /// As another release.
    pub fn listing(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// The commit timer that is armed has come to its end.
    pub fn timer_goes_off(&mut self) {
        self.timer.as_mut().expect("no timer is armed").ends = Instant::now();
        self.tick();
    }

    /// An operator types lines into the running configuration.
    pub fn operator_types(&mut self, lines: &[&str]) {
        self.tick();
        let mut place = Place::default();
        for line in lines {
            cli::enter(&mut self.running, &mut place, line).unwrap();
        }
    }

    /// Somebody else opens a session.
    pub fn operator_opens(&mut self, name: &str) {
        let session = Session { state: State::Pending, candidate: self.running.clone(), place: Place::default() };
        self.sessions.insert(name.to_owned(), session);
    }

    /// Somebody else commits a session with a timer.
    pub fn operator_commits(&mut self, name: &str, timer: Duration) {
        self.operator_opens(name);
        self.begin_commit(name, Some(timer), Duration::ZERO).unwrap();
        self.tick();
    }

    pub fn running(&mut self) -> &Tree {
        self.tick();
        &self.running
    }

    pub fn startup(&self) -> &Tree {
        &self.startup
    }

    pub fn live(&mut self) -> Vec<String> {
        self.tick();
        self.sessions.iter().filter(|(_, s)| s.state != State::Completed).map(|(name, _)| name.clone()).collect()
    }

    /// Power off and on: what was not saved is gone, and so are sessions and timers.
    pub fn reboot(&mut self) {
        self.tick();
        self.running = self.startup.clone();
        self.sessions.clear();
        self.timer = None;
        self.octets = 0;
    }

    /// Does what is due by now.
    pub fn tick(&mut self) {
        let now = Instant::now();
        let due: Vec<(String, Option<Duration>)> = self
            .sessions
            .iter()
            .filter_map(|(name, session)| match session.state {
                State::Committing { ready, timer } if ready <= now => Some((name.clone(), timer)),
                State::Committing { .. } | State::Pending | State::Timed | State::Completed => None,
            })
            .collect();
        for (name, timer) in due {
            let candidate = self.sessions[&name].candidate.clone();
            // A commit makes the whole session run, also over what changed since it was opened.
            let before = std::mem::replace(&mut self.running, candidate);
            let state = match timer {
                Some(after) => {
                    self.timer = Some(Timer { session: name.clone(), ends: now + after, before });
                    State::Timed
                }
                None => State::Completed,
            };
            self.sessions.get_mut(&name).unwrap().state = state;
        }
        if self.timer.as_ref().is_some_and(|timer| timer.ends <= now) {
            self.go_back();
            self.reverted += 1;
        }
    }

    fn go_back(&mut self) {
        if let Some(timer) = self.timer.take() {
            self.running = timer.before;
            self.sessions.remove(&timer.session);
        }
    }

    fn begin_commit(&mut self, name: &str, timer: Option<Duration>, takes: Duration) -> Result<(), Complaint> {
        if let Some(user) = &self.locked_by {
            return Err(Complaint::failed(format!("Configuration is locked by user {user}")));
        }
        if let Some(armed) = &self.timer {
            if armed.session == name && timer.is_none() {
                self.timer = None;
                self.sessions.get_mut(name).unwrap().state = State::Completed;
                return Ok(());
            }
            return Err(Complaint::failed(format!("session {} is pending commit timer", armed.session)));
        }
        // A name that the switch doesn't know opens an empty session, and commits it.
        if !self.sessions.contains_key(name) {
            self.operator_opens(name);
        }
        self.sessions.get_mut(name).unwrap().state = State::Committing { ready: Instant::now() + takes, timer };
        self.tick();
        Ok(())
    }

    fn abort(&mut self, name: &str) -> Result<(), Complaint> {
        match self.sessions.get(name).map(|session| session.state) {
            None | Some(State::Completed) => Err(Complaint::failed(format!("session {name} does not exist"))),
            Some(State::Committing { .. }) => Err(Complaint::failed(format!("session {name} is being committed"))),
            Some(State::Timed) => {
                self.go_back();
                Ok(())
            }
            Some(State::Pending) => {
                self.sessions.remove(name);
                Ok(())
            }
        }
    }

    /// Opens a session or enters it again.
    fn open(&mut self, name: &str) -> Result<(), Complaint> {
        if let Some(user) = &self.locked_by {
            return Err(Complaint::failed(format!("Configuration is locked by user {user}")));
        }
        match self.sessions.get_mut(name) {
            Some(Session { state: State::Pending, place, .. }) => {
                *place = Place::default();
                return Ok(());
            }
            Some(Session { state: State::Timed, .. }) => {
                return Err(Complaint::failed(format!("Cannot enter session {name} (pendingCommitTimer)")));
            }
            Some(_) | None => {}
        }
        let open = self.sessions.values().filter(|session| session.state == State::Pending).count();
        if open >= MAX_OPEN {
            return Err(Complaint::failed("Maximum number of pending sessions has been reached"));
        }
        self.operator_opens(name);
        Ok(())
    }

    /// Runs one command; `inside` is the session that the call is in.
    pub fn run(
        &mut self,
        command: &str,
        json: bool,
        inside: &mut Option<String>,
        takes: Duration,
    ) -> Result<Value, Complaint> {
        self.tick();
        let words: Vec<&str> = command.split_whitespace().collect();
        if let Some(name) = inside {
            let session = self.sessions.get_mut(name).unwrap();
            cli::enter(&mut session.candidate, &mut session.place, command)?;
            return Ok(shown(json, json!({}), String::new()));
        }
        let mut text = String::new();
        let mut model = json!({});
        match words.as_slice() {
            ["enable"] => {}
            ["configure", "session", name] => {
                self.open(name)?;
                *inside = Some((*name).to_owned());
            }
            ["configure", "session", name, "abort"] => self.abort(name)?,
            ["configure", "session", name, "commit"] => self.begin_commit(name, None, takes)?,
            ["configure", "session", name, "commit", "timer", time] => {
                let seconds = time.split(':').try_fold(0_u32, |all, part| Some(all * 60 + part.parse::<u32>().ok()?));
                let seconds = seconds.ok_or_else(|| Complaint { code: INVALID, words: "Invalid time".into() })?;
                self.begin_commit(name, Some(self.second * seconds), takes)?;
            }
            ["copy", "running-config", "startup-config"] | ["write", "memory"] => self.startup = self.running.clone(),
            ["show", "running-config"] => text = self.running.text(),
            ["show", "session-config", "named", name] => text = self.session(name)?.candidate.text(),
            ["show", "session-config", "named", name, "diffs"] => {
                let (old, new) = (self.running.text(), self.session(name)?.candidate.text());
                let headers = format!("session:/{name}-session-config");
                let diff = TextDiff::from_lines(&old, &new);
                text = diff.unified_diff().header("system:/running-config", &headers).to_string();
            }
            ["show", "configuration", "sessions", "detail"] => model = self.list(),
            ["show", "interfaces"] => model = self.interfaces(),
            ["show", "isis", "interface"] => model = self.circuits(),
            ["show", "isis", "neighbors"] => model = instances("neighbors", self.neighbors()),
            ["show", "ip", "bgp", "summary"] => model = self.bgp_summary(Family::Ipv4)?,
            ["show", "bgp", "vpn-ipv4", "summary"] => model = self.bgp_summary(Family::Vpn)?,
            ["show", "ip", "route", "isis"] => model = routing::routes(&self.routed()),
            ["show", "processes", "top", "once"] => {
                let busy = 100.0 - self.idle_percent;
                model = json!({"cpuInfo": {"%Cpu(s)": {"idle": self.idle_percent, "user": busy, "system": 0.0}}});
            }
            ["show", "clock"] => text = "now".to_owned(),
            _ => {
                let first = words.first().copied().unwrap_or_default();
                return Err(Complaint { code: INVALID, words: format!("Invalid input (at token 0: '{first}')") });
            }
        }
        if json && !text.is_empty() {
            return Err(Complaint { code: 1003, words: "Command cannot be used over the API in JSON".into() });
        }
        Ok(shown(json, model, text))
    }

    fn session(&self, name: &str) -> Result<&Session, Complaint> {
        self.sessions.get(name).ok_or_else(|| Complaint::failed(format!("session {name} does not exist")))
    }

    fn list(&self) -> Value {
        let state = |session: &Session| match (session.state, self.dialect) {
            (State::Pending | State::Committing { .. }, _) => "pending",
            (State::Timed, Dialect::InTheSession) => "pendingCommitTimer",
            (State::Timed | State::Completed, Dialect::BesideTheSessions) => "committed",
            (State::Completed, Dialect::InTheSession) => "completed",
        };
        let sessions: serde_json::Map<String, Value> = self
            .sessions
            .iter()
            .map(|(name, session)| (name.clone(), json!({"state": state(session), "description": "", "instances": {}})))
            .collect();
        let mut list = json!({"sessions": sessions, "maxSavedSessions": 1, "maxOpenSessions": MAX_OPEN,
            "mergeOnCommit": false, "saveToStartupConfigOnCommit": false});
        if let (Some(timer), Dialect::BesideTheSessions) = (&self.timer, self.dialect) {
            list["commitTimerSessionName"] = json!(timer.session);
            list["commitTimerExpireTime"] = json!(1.5);
        }
        list
    }

    fn interfaces(&self) -> Value {
        let mut shown = serde_json::Map::new();
        for (header, section) in &self.running.sections {
            let Some(name) = header.strip_prefix("interface ") else { continue };
            let up = if section.has("shutdown") { "down" } else { "up" };
            let mut one = json!({"name": name, "lineProtocolStatus": up, "interfaceStatus": "connected", "mtu": 1500});
            if !name.starts_with("Loopback") && !name.contains('.') {
                one["interfaceCounters"] = json!({"inOctets": self.octets, "outOctets": self.octets * 2,
                    "inUcastPkts": 7, "totalInErrors": 1, "totalOutErrors": 2, "inDiscards": 3, "outDiscards": 4,
                    "linkStatusChanges": 5, "counterRefreshTime": 1.25});
            }
            shown.insert(name.to_owned(), one);
        }
        json!({ "interfaces": shown })
    }

    /// Interfaces on which IS-IS runs.
    fn enabled(&self) -> Vec<(&str, &Tree)> {
        if self.running.get(&["router isis 1"]).is_none_or(|isis| !isis.has("net ")) {
            return Vec::new();
        }
        let interfaces =
            self.running.sections.iter().filter_map(|(header, s)| Some((header.strip_prefix("interface ")?, s)));
        interfaces.filter(|(_, section)| section.has("isis enable 1") && section.has("ip address ")).collect()
    }

    fn circuits(&self) -> Value {
        let mut shown = serde_json::Map::new();
        for (name, section) in self.enabled() {
            let passive = section.has("isis passive") || name.starts_with("Loopback");
            let level = json!({"ipv4Metric": 10, "passive": passive, "numAdjacencies": 0});
            shown.insert(
                name.to_owned(),
                json!({"enabled": true, "interfaceType": "point-to-point", "intfLevels": {"2": level}}),
            );
        }
        instances("interfaces", shown)
    }

    /// Hosts that the neighbours of IS-IS lead to, each with the interface of one of them.
    fn routed(&self) -> BTreeMap<Ipv4Addr, String> {
        let family = self.running.get(&["router isis 1", "address-family ipv4 unicast"]);
        let neighbors = self.neighbors();
        let first = neighbors.values().find_map(|shown| shown["adjacencies"][0]["interfaceName"].as_str());
        match (family, first) {
            (Some(_), Some(via)) => self.speakers.keys().map(|host| (*host, via.to_owned())).collect(),
            _ => BTreeMap::new(),
        }
    }

    fn bgp_summary(&self, family: Family) -> Result<Value, Complaint> {
        match routing::summary(&self.running, family, &self.speakers, &self.routed()) {
            Some(shown) => Ok(shown),
            // Releases differ in how they say that there is none.
            None if self.dialect == Dialect::InTheSession => Ok(json!({"vrfs": {}, "warnings": ["BGP inactive"]})),
            None => Err(Complaint::failed("BGP inactive")),
        }
    }

    fn neighbors(&self) -> serde_json::Map<String, Value> {
        let mut shown = serde_json::Map::new();
        for (name, section) in self.enabled() {
            let Some(wire) = self.wires.get(name) else { continue };
            let mtu = section.lines.get("mtu").and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(1_500);
            if section.has("isis passive")
                || !section.has("no switchport")
                || section.has("shutdown")
                || mtu != wire.mtu
            {
                continue;
            }
            let adjacency = json!({"hostname": wire.host, "circuitId": "1", "interfaceName": name, "state": "up",
                "level": "level-2", "lastHelloTime": 1, "routerIdV4": "0.0.0.0"});
            shown.insert(wire.system_id.to_owned(), json!({"adjacencies": [adjacency]}));
        }
        shown
    }
}

fn instances(key: &str, inner: serde_json::Map<String, Value>) -> Value {
    if inner.is_empty() && key == "interfaces" {
        return json!({"vrfs": {}});
    }
    json!({"vrfs": {"default": {"isisInstances": {"1": {key: inner}}}}})
}

fn shown(json: bool, model: Value, text: String) -> Value {
    if json { model } else { json!({ "output": text }) }
}
