//! Steady probes between far ends, while the network is changed under them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    path::Path,
    process::Stdio,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use causeway_agent::stamp::Standing;
use causeway_interface::Code;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{command, network::Place};

/// Longest way of a probe there and back: what takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(1);
/// Longest wait for an answer to be read. Among 158 routers on two cores a prober read answers of its pairs a second after they had
/// come, thirty times as long as they had been on the way.
const WAIT: Duration = Duration::from_secs(3);
/// Longest wait for an end to say how it stands.
const ANSWER: Duration = Duration::from_secs(20);
/// Ends go before everything but routing: what they lose by waiting would be counted as the network's loss. Linux weighs sessions
/// where it knows them (sched(7), autogroup), and each end is one of its own; elsewhere it weighs processes.
const NICENESS: &str = "-10";
/// Says so to both.
const AHEAD: &str = "group=/proc/self/autogroup; [ ! -e $group ] || echo $1 > $group; exec nice -n \"$@\"";

/// A running end.
struct End {
    targets: Vec<Code>,
    stdin: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    // Held: dropped, it is killed.
    _child: Child,
}

impl End {
    async fn ask(&mut self, line: &str) -> anyhow::Result<Vec<Standing>> {
        let ask = async {
            self.stdin.write_all(format!("{line}\n").as_bytes()).await?;
            self.answers.next_line().await
        };
        let answer = tokio::time::timeout(ANSWER, ask).await.context("a prober does not answer")?;
        let answer = answer.context("a prober ended")?.context("a prober ended")?;
        serde_json::from_str(&answer).context("a prober's answer can't be read")
    }
}

/// The probes of all pairs.
pub struct Probes {
    /// From and to.
    pub pairs: Vec<(Code, Code)>,
    /// A second and pair.
    pub per_second: u32,
    ends: BTreeMap<Code, End>,
}

/// How every pair stands at a moment.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Unix nanoseconds.
    pub at_unix_ns: u64,
    standings: BTreeMap<(Code, Code), Standing>,
}

/// What became of the probes between two moments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Sent, all pairs together.
    pub probes: u64,
    /// Of them, lost.
    pub lost: u64,
    /// Pairs that lost any.
    pub hit: Vec<Hit>,
    /// When the last lost one was sent, in ms since the window began.
    pub last_loss_ms: Option<u64>,
}

/// What a pair lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// From and to.
    pub pair: (Code, Code),
    /// Sent.
    pub probes: u64,
    /// Of them, lost.
    pub lost: u64,
    /// Of them, those that the sender's machine did not let out.
    pub unsent: u64,
    /// Of them, those that were answered too late: they took longer than a second, or were not read for three.
    pub late: u64,
}

impl Window {
    /// Most that one pair lost.
    #[must_use]
    pub fn most_lost(&self) -> u64 {
        self.hit.iter().map(|hit| hit.lost).max().unwrap_or(0)
    }

    /// Which pairs lost what, in words; empty where nothing was lost.
    #[must_use]
    pub fn hits(&self) -> String {
        let words = |hit: &Hit| {
            let Hit { pair: (a, z), probes, lost, unsent, late } = hit;
            let more = |count: u64, what: &str| if count > 0 { format!(", {count} {what}") } else { String::new() };
            format!("{a} to {z} {lost} of {probes}{}{}", more(*unsent, "not let out"), more(*late, "answered too late"))
        };
        self.hit.iter().map(words).collect::<Vec<_>>().join("; ")
    }
}

impl Probes {
    /// Starts an end for each device of the pairs. `address` is a device's loopback.
    ///
    /// # Errors
    /// An end does not start.
    pub async fn start(
        program: &Path,
        pairs: Vec<(Code, Code)>,
        per_second: u32,
        place: impl Fn(Code) -> Option<Place>,
        address: impl Fn(Code) -> Option<Ipv4Addr>,
    ) -> anyhow::Result<Self> {
        let devices: BTreeSet<Code> = pairs.iter().flat_map(|(a, z)| [*a, *z]).collect();
        let mut ends = BTreeMap::new();
        for device in devices {
            let targets: Vec<Code> = pairs.iter().filter(|(a, _)| *a == device).map(|(_, z)| *z).collect();
            let (place, own) = place(device).zip(address(device)).context("a device without a loopback")?;
            let mut command = Command::new("setsid");
            command.args(["sh", "-c", AHEAD, "sh", NICENESS, "ip", "netns", "exec", &place.namespace]).arg(program);
            command.args(["--per-second", &per_second.to_string(), "--address", &own.to_string()]);
            command.args(["--patience-ms", &PATIENCE.as_millis().to_string()]);
            command.args(["--wait-ms", &WAIT.as_millis().to_string()]);
            for target in &targets {
                let far = address(*target).context("a device without a loopback")?;
                command.args(["--target", &far.to_string()]);
            }
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command::spawn(command)?;
            let (stdin, stdout) = child.stdin.take().zip(child.stdout.take()).context("a prober without pipes")?;
            let answers = BufReader::new(stdout).lines();
            ends.insert(device, End { targets, stdin, answers, _child: child });
        }
        let mut probes = Self { pairs, per_second, ends };
        // An answer means that its reflector listens; then all begin.
        probes.ask("ready").await?;
        probes.ask("start").await?;
        Ok(probes)
    }

    async fn ask(&mut self, line: &str) -> anyhow::Result<BTreeMap<(Code, Code), Standing>> {
        let mut all = BTreeMap::new();
        for (device, end) in &mut self.ends {
            let standings = end.ask(line).await?;
            all.extend(end.targets.iter().zip(standings).map(|(target, standing)| ((*device, *target), standing)));
        }
        Ok(all)
    }

    /// How they stand.
    ///
    /// # Errors
    /// An end is gone.
    pub async fn moment(&mut self) -> anyhow::Result<Moment> {
        let at_unix_ns = unix_ns();
        Ok(Moment { at_unix_ns, standings: self.ask("report").await? })
    }

    /// What was sent since a moment and what became of it; waits until nothing of it is on the way.
    ///
    /// # Errors
    /// An end is gone.
    pub async fn since(&mut self, from: &Moment) -> anyhow::Result<Window> {
        let to = self.moment().await?;
        tokio::time::sleep(WAIT + Duration::from_millis(100)).await;
        let known = self.moment().await?;
        Ok(window(from, &to, &known))
    }
}

/// Pure. `known` is how it stands when everything that was sent before `to` is answered or lost.
fn window(from: &Moment, to: &Moment, known: &Moment) -> Window {
    let mut window = Window::default();
    for (pair, end) in &to.standings {
        let since = |of: fn(&Standing) -> u64| of(end).saturating_sub(from.standings.get(pair).map_or(0, of));
        let probes = since(|s| s.sent);
        window.probes += probes;
        let losses = known.standings.get(pair).map(|s| s.losses_unix_ns.as_slice()).unwrap_or_default();
        let lost: Vec<u64> =
            losses.iter().copied().filter(|at| (from.at_unix_ns..to.at_unix_ns).contains(at)).collect();
        if let Some(last) = lost.last() {
            let lost = lost.len() as u64;
            window.lost += lost;
            window.hit.push(Hit { pair: *pair, probes, lost, unsent: since(|s| s.unsent), late: since(|s| s.late) });
            window.last_loss_ms = window.last_loss_ms.max(Some((last - from.at_unix_ns) / 1_000_000));
        }
    }
    window
}

fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(at_unix_ns: u64, standings: [(u64, &[u64]); 2]) -> Moment {
        let pair = |n: usize| (format!("a{n}").parse().unwrap(), "z".parse().unwrap());
        let standing = |(sent, losses): (u64, &[u64])| Standing {
            sent,
            lost: losses.len() as u64,
            unsent: 0,
            late: 0,
            losses_unix_ns: losses.to_vec(),
        };
        Moment {
            at_unix_ns,
            standings: standings.into_iter().enumerate().map(|(n, s)| (pair(n), standing(s))).collect(),
        }
    }

    #[test]
    fn a_window_holds_what_was_sent_in_it_whenever_its_loss_was_known() {
        let (from, to) =
            (moment(1_000_000, [(10, &[900_000]), (10, &[])]), moment(9_000_000, [(20, &[900_000]), (21, &[])]));
        let known = moment(19_000_000, [(30, &[900_000, 2_000_000, 8_500_000, 9_500_000]), (31, &[])]);
        let first = ("a0".parse().unwrap(), "z".parse().unwrap());
        let hit = vec![Hit { pair: first, probes: 10, lost: 2, unsent: 0, late: 0 }];
        let expected = Window { probes: 21, lost: 2, hit, last_loss_ms: Some(7) };
        assert_eq!(window(&from, &to, &known), expected);
        assert_eq!((expected.most_lost(), expected.hits().as_str()), (2, "a0 to z 2 of 10"));
        let quiet = window(&from, &to, &moment(19_000_000, [(30, &[900_000]), (31, &[])]));
        assert_eq!(quiet, Window { probes: 21, ..Window::default() });
        assert_eq!((quiet.most_lost(), quiet.hits().as_str()), (0, ""));
    }
}
