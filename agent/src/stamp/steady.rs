//! A steady stream of probes between two ends, for whoever has to know what a change of the network lost: each packet
//! that was not answered in time is told with the time at which it was sent.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddrV4},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{net::UdpSocket, task::JoinHandle};

use super::{
    clock::Format,
    packet::{ErrorEstimate, Probe, Reflection},
    session::round_trip_ns,
    socket::{self, Opener, Room, Steadily, Want, unix_ns},
};

/// Losses that are told one by one; more are counted. Ten minutes of nothing at 500 a second.
pub const MAX_LOSSES: usize = 300_000;
/// Packets that go out in a row after the process stood still: what falls due in a second at 500 a second.
const CATCH_UP: u32 = 500;
/// Wait after the system refused to give a packet for a reason of its own.
const READ_PAUSE: Duration = Duration::from_millis(10);

/// What a steady prober is told.
#[derive(Clone)]
pub struct SteadySettings {
    /// Address to send from, as the answers have to find it; unspecified for the one that routing chooses.
    pub source: Ipv4Addr,
    /// The reflector.
    pub target: SocketAddrV4,
    /// Packets a second; at least 1.
    pub per_second: u32,
    /// Longest way there and back, by the kernel's time of arrival and without what the reflector held: what took longer counts
    /// as lost.
    pub patience: Duration,
    /// Longest wait for an answer to be read, which a busy machine does later than it came. Not less than the patience.
    pub wait: Duration,
    /// Makes its socket.
    pub opener: Opener,
}

/// A packet that was not answered in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Its sequence number.
    pub sequence: u32,
    /// When it was sent, in unix nanoseconds.
    pub sent_unix_ns: u64,
}

/// How it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SteadyReport {
    /// Packets sent. Each is answered, lost or still waited for.
    pub sent: u64,
    /// Answers in time.
    pub answered: u64,
    /// Packets that were not answered in time.
    pub lost: u64,
    /// Those still waited for.
    pub waiting: u64,
    /// The first [`MAX_LOSSES`] of the lost, in order.
    pub losses: Vec<Loss>,
    /// Answers to packets that had been answered.
    pub duplicates: u64,
    /// Answers to packets that are lost, because they took too long or had been given up.
    pub late: u64,
    /// Packets that are no answer to anything.
    pub foreign: u64,
    /// Of the packets sent, those that the machine could not send. They count as lost.
    pub unsent: u64,
    /// Least round trip in ns; 0 where nothing was answered, like the next.
    pub rtt_min_ns: u64,
    /// Greatest round trip in ns.
    pub rtt_max_ns: u64,
}

impl SteadyReport {
    /// How many of the losses were sent from one time to another, both in unix nanoseconds, the latter left out.
    #[must_use]
    pub fn lost_between(&self, from_unix_ns: u64, to_unix_ns: u64) -> usize {
        self.losses.iter().filter(|loss| (from_unix_ns..to_unix_ns).contains(&loss.sent_unix_ns)).count()
    }
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    stamp: u64,
    unix_ns: u64,
    at_ns: u64,
}

/// Which packets went out and what became of them. Pure.
#[derive(Debug, Default)]
struct Ledger {
    report: SteadyReport,
    waiting: BTreeMap<u32, Waiting>,
    next: u32,
    ssid: u16,
    patience_ns: u64,
    wait_ns: u64,
}

impl Ledger {
    fn send(&mut self, unix_ns: u64, at_ns: u64) -> Probe {
        let (sequence, timestamp) = (self.next, Format::Ntp.encode(unix_ns));
        self.next = self.next.wrapping_add(1);
        self.waiting.insert(sequence, Waiting { stamp: timestamp, unix_ns, at_ns });
        self.report.sent += 1;
        Probe { sequence, timestamp, estimate: ErrorEstimate::UNKNOWN, ssid: self.ssid }
    }

    fn arrived(&mut self, packet: &Reflection, received_unix_ns: u64, now_ns: u64) {
        self.expire(now_ns);
        if packet.ssid != self.ssid || packet.sender_sequence >= self.next {
            self.report.foreign += 1;
            return;
        }
        let Some(sent) = self.waiting.get(&packet.sender_sequence) else {
            let is = |loss: &Loss| loss.sequence.cmp(&packet.sender_sequence);
            let late = self.report.losses.binary_search_by(is).is_ok();
            *if late { &mut self.report.late } else { &mut self.report.duplicates } += 1;
            return;
        };
        if sent.stamp != packet.sender_timestamp {
            self.report.foreign += 1;
            return;
        }
        let elapsed_ns = now_ns.saturating_sub(sent.at_ns);
        let rtt_ns = round_trip_ns(sent.unix_ns, received_unix_ns, elapsed_ns, packet.residence_ns());
        if rtt_ns > self.patience_ns {
            let loss = Loss { sequence: packet.sender_sequence, sent_unix_ns: sent.unix_ns };
            self.waiting.remove(&loss.sequence);
            self.lose(loss);
            self.report.late += 1;
            return;
        }
        let report = &mut self.report;
        report.rtt_min_ns = if report.answered == 0 { rtt_ns } else { report.rtt_min_ns.min(rtt_ns) };
        report.rtt_max_ns = report.rtt_max_ns.max(rtt_ns);
        report.answered += 1;
        self.waiting.remove(&packet.sender_sequence);
    }

    /// Gives up what has waited too long.
    fn expire(&mut self, now_ns: u64) {
        while let Some(first) = self.waiting.first_entry() {
            if now_ns.saturating_sub(first.get().at_ns) <= self.wait_ns {
                break;
            }
            let (sequence, sent) = first.remove_entry();
            self.lose(Loss { sequence, sent_unix_ns: sent.unix_ns });
        }
    }

    fn lose(&mut self, loss: Loss) {
        self.report.lost += 1;
        let losses = &mut self.report.losses;
        if losses.len() < MAX_LOSSES {
            // One that took too long is known before an older one is given up.
            losses.insert(losses.partition_point(|known| known.sequence < loss.sequence), loss);
        }
    }
}

struct Desk {
    ledger: Mutex<Ledger>,
    clock: Steadily,
}

impl Desk {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A steady prober of one pair; dropped, it stops.
pub struct Steady {
    desk: Arc<Desk>,
    wait: Duration,
    sender: JoinHandle<()>,
    reader: JoinHandle<()>,
}

impl Steady {
    /// Starts on the current tokio runtime.
    ///
    /// # Errors
    /// Its socket can't be made.
    pub fn start(settings: SteadySettings) -> io::Result<Self> {
        let want = Want { local: SocketAddrV4::new(settings.source, 0), interface: None };
        let socket = Arc::new(socket::prepare((settings.opener)(&want)?)?);
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let wait = settings.wait.max(settings.patience);
        let ledger = Ledger {
            ssid: rand::random::<u16>().max(1),
            patience_ns: ns(settings.patience),
            wait_ns: ns(wait),
            ..Ledger::default()
        };
        let desk = Arc::new(Desk { ledger: Mutex::new(ledger), clock: Steadily::new() });
        let sender = tokio::spawn(send(socket.clone(), desk.clone(), settings.target, settings.per_second));
        let reader = tokio::spawn(read(socket, desk.clone(), settings.target));
        Ok(Self { desk, wait, sender, reader })
    }

    /// How it stands.
    #[must_use]
    pub fn report(&self) -> SteadyReport {
        let now_ns = self.desk.clock.ns();
        let mut ledger = self.desk.ledger();
        ledger.expire(now_ns);
        SteadyReport { waiting: ledger.waiting.len() as u64, ..ledger.report.clone() }
    }

    /// Sends no more, waits for what is on the way, and says how it ended: nothing is still waited for.
    pub async fn stop(self) -> SteadyReport {
        self.sender.abort();
        let until = tokio::time::Instant::now() + self.wait;
        let mut report = self.report();
        while report.waiting > 0 && tokio::time::Instant::now() < until {
            tokio::time::sleep(READ_PAUSE).await;
            report = self.report();
        }
        self.desk.ledger().expire(u64::MAX);
        self.report()
    }
}

impl Drop for Steady {
    fn drop(&mut self) {
        self.sender.abort();
        self.reader.abort();
    }
}

async fn send(socket: Arc<UdpSocket>, desk: Arc<Desk>, target: SocketAddrV4, per_second: u32) {
    let step = Duration::from_secs(1) / per_second.max(1);
    let mut due = tokio::time::Instant::now();
    loop {
        tokio::time::sleep_until(due).await;
        let probe = desk.ledger().send(unix_ns(), desk.clock.ns());
        // A packet that can't leave the machine is one that the network lost, to whoever sent it.
        if socket.send_to(&probe.encode(), target).await.is_err() {
            desk.ledger().report.unsent += 1;
        }
        due = (due + step).max(tokio::time::Instant::now().checked_sub(step * CATCH_UP).unwrap_or(due));
    }
}

async fn read(socket: Arc<UdpSocket>, desk: Arc<Desk>, target: SocketAddrV4) {
    let mut room = Room::default();
    loop {
        if socket.readable().await.is_err() {
            tokio::time::sleep(READ_PAUSE).await;
        }
        match room.receive(&socket) {
            Ok(packet) => {
                let now_ns = desk.clock.ns();
                let reflection = Reflection::decode(room.of(&packet)).ok().filter(|_| packet.source == target);
                let mut ledger = desk.ledger();
                match reflection {
                    Some(reflection) => ledger.arrived(&reflection, packet.at_unix_ns, now_ns),
                    None => ledger.report.foreign += 1,
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => tokio::time::sleep(READ_PAUSE).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamp::reflect::{Arrived, answer};

    fn reflected(probe: &Probe) -> Reflection {
        let packet = probe.encode();
        let source = "10.0.0.1:40000".parse().unwrap();
        let arrived = Arrived { packet: &packet, source, destination: None, ttl: None, at_unix_ns: 50 };
        Reflection::decode(&answer(probe, &arrived, 60)).unwrap()
    }

    #[test]
    fn each_packet_is_answered_lost_or_waited_for_and_each_loss_has_its_time() {
        let mut ledger = Ledger { ssid: 5, patience_ns: 100, wait_ns: 100, ..Ledger::default() };
        let probes: Vec<Probe> = (0..6).map(|n| ledger.send(1_000 + n, n * 10)).collect();
        ledger.arrived(&reflected(&probes[1]), 1_030, 40);
        ledger.arrived(&reflected(&probes[1]), 1_030, 41);
        ledger.arrived(&Reflection { ssid: 6, ..reflected(&probes[2]) }, 1_030, 42);
        ledger.arrived(&Reflection { sender_timestamp: 0, ..reflected(&probes[2]) }, 1_030, 42);
        ledger.arrived(&Reflection { sender_sequence: 6, ..reflected(&probes[2]) }, 1_030, 42);
        // At 121 the first three have waited longer than 100; the second was answered.
        ledger.arrived(&reflected(&probes[2]), 1_030, 121);
        let report = ledger.report.clone();
        assert_eq!((report.sent, report.answered, report.lost, ledger.waiting.len()), (6, 1, 2, 3));
        assert_eq!((report.duplicates, report.foreign, report.late), (1, 3, 1));
        let losses: Vec<_> = report.losses.iter().map(|loss| (loss.sequence, loss.sent_unix_ns)).collect();
        assert_eq!(losses, [(0, 1_000), (2, 1_002)]);
        assert_eq!((report.lost_between(0, 1_002), report.lost_between(1_002, 1_003)), (1, 1));
        assert_eq!((report.rtt_min_ns, report.rtt_max_ns), (19, 19));
    }

    #[test]
    fn what_the_network_had_in_time_is_answered_however_late_it_is_read() {
        let mut ledger = Ledger { ssid: 5, patience_ns: 100, wait_ns: 1_000, ..Ledger::default() };
        let probes: Vec<Probe> = (0..4).map(|n| ledger.send(1_000 + n, n)).collect();
        // Held by the reflector for 10, and in the kernel at 1 090: read at 900 all the same.
        ledger.arrived(&reflected(&probes[0]), 1_090, 900);
        // In the kernel too late: known at once, and before an older one is given up.
        ledger.arrived(&reflected(&probes[3]), 1_200, 901);
        assert_eq!((ledger.report.answered, ledger.report.rtt_max_ns), (1, 80));
        assert_eq!((ledger.report.lost, ledger.report.late, ledger.waiting.len()), (1, 1, 2));
        ledger.arrived(&reflected(&probes[2]), 1_050, 1_002);
        ledger.arrived(&reflected(&probes[1]), 1_050, 1_002);
        let losses: Vec<u32> = ledger.report.losses.iter().map(|loss| loss.sequence).collect();
        assert_eq!((losses, ledger.report.late), (vec![1, 3], 2), "one that was given up");
        assert_eq!((ledger.report.answered, ledger.waiting.len()), (2, 0));
    }
}
