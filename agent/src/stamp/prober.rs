//! Probes many targets at once: one socket, and one more for each interface that probes have to take.
//!
//! Packets of a round go out evenly, target after target, and again from the first; so that a burst on one link loses
//! one packet of many targets and not many of one. A round ends when every packet is answered, or the patience with the
//! last is over and what came in time has had time to be read.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{Ipv4Addr, SocketAddrV4},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nix::libc;
use tokio::{net::UdpSocket, sync::Notify, task::JoinHandle};

use super::{
    PORT,
    packet::Reflection,
    session::{Arrival, Book, Path},
    socket::{self, Opener, Room, Steadily, Want, unix_ns},
};
use crate::driver::{DriverError, ProbeOutcome, Target};

/// Packets a second at most, all targets together: 20 000 targets with ten probes each are through in five seconds.
const MAX_PACKETS_PER_S: u64 = 40_000;
/// Packets that go out before others of the process have their turn: what falls due in a few ms at the highest pace.
const AT_ONCE: usize = 128;
/// Longest wait for room in the kernel's buffer.
const SEND_PATIENCE: Duration = Duration::from_millis(100);
/// Wait after the system refused to give a packet for a reason of its own.
const READ_PAUSE: Duration = Duration::from_millis(10);
/// Packets in one round at most: the largest plan with a hundred probes each, 100 MB.
const MAX_ROUND_PACKETS: usize = 2_000_000;

/// What a prober is told.
#[derive(Clone)]
pub struct ProberSettings {
    /// Address to send from where a target names no interface; unspecified for the one that routing chooses.
    pub source: Ipv4Addr,
    /// Port of the reflectors.
    pub port: u16,
    /// Time between the packets to one target; longer where there are too many targets for it.
    pub gap: Duration,
    /// Longest that an answer may be on its way, by the kernel's word for when it came. What takes longer counts as lost.
    pub patience: Duration,
    /// Longest wait beyond that for what came in time to be read, which a busy machine does later.
    pub grace: Duration,
    /// Makes sockets.
    pub opener: Opener,
}

impl Default for ProberSettings {
    /// Ten packets in half a second, which a sample every ten seconds has room for; the longest way around the world and
    /// back takes a third of a second.
    fn default() -> Self {
        Self {
            source: Ipv4Addr::UNSPECIFIED,
            port: PORT,
            gap: Duration::from_millis(50),
            patience: Duration::from_secs(1),
            grace: Duration::from_secs(1),
            opener: socket::opener(),
        }
    }
}

/// What a prober did since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets sent.
    pub sent: u64,
    /// Answers that counted.
    pub answered: u64,
    /// Answers to packets that had been answered.
    pub duplicates: u64,
    /// Answers after their time.
    pub late: u64,
    /// Packets that are no answer to anything.
    pub foreign: u64,
    /// Packets that the machine could not send, for want of room or of a right; they are in no outcome.
    pub unsent: u64,
}

/// Socket and reader of one interface, or of none.
struct Lane {
    number: u32,
    socket: Arc<UdpSocket>,
    reader: JoinHandle<()>,
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// What the readers of all lanes share.
struct Desk {
    book: Mutex<(Book, Counts)>,
    clock: Steadily,
    port: u16,
    /// The last open packet was answered.
    complete: Notify,
}

impl Desk {
    fn book(&self) -> MutexGuard<'_, (Book, Counts)> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Probes targets by STAMP. One round at a time: a second waits for the first.
pub struct Prober {
    settings: ProberSettings,
    desk: Arc<Desk>,
    lanes: tokio::sync::Mutex<Lanes>,
}

#[derive(Default)]
struct Lanes {
    open: BTreeMap<Option<String>, Lane>,
    next: u32,
}

/// Where a target's packets go.
#[derive(Clone)]
enum Way {
    Open(u32, Arc<UdpSocket>),
    /// There is no such interface: what would go over it is lost.
    Gone,
    /// No socket, for a reason of this machine: nothing is measured.
    Shut,
}

impl Prober {
    /// Has no socket yet.
    #[must_use]
    pub fn new(settings: ProberSettings) -> Self {
        let book = Mutex::new((Book::new(rand::random()), Counts::default()));
        let (clock, port) = (Steadily::new(), settings.port);
        let desk = Arc::new(Desk { book, clock, port, complete: Notify::new() });
        Self { settings, desk, lanes: tokio::sync::Mutex::default() }
    }

    /// What it did.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.desk.book().1
    }

    /// Sends `count` probes to every target; one outcome each, in order. No answer is an outcome and no error. A packet
    /// that has no way out of the machine is sent and lost; one that the machine has no room for is not sent.
    ///
    /// # Errors
    /// [`DriverError::State`]: more packets than a round may have.
    pub async fn probe(&self, targets: &[Target], count: u32) -> Result<Vec<ProbeOutcome>, DriverError> {
        let per_target = usize::try_from(count).unwrap_or(usize::MAX);
        if targets.len().saturating_mul(per_target) > MAX_ROUND_PACKETS {
            let why = format!("{} targets with {count} probes each are too many at once", targets.len());
            return Err(DriverError::State(why));
        }
        let mut lanes = self.lanes.lock().await;
        let ways = self.ways(&mut lanes, targets);
        let way = |target: &Target| ways.get(&target.interface).cloned().unwrap_or(Way::Shut);
        let ways: Vec<Way> = targets.iter().map(way).collect();
        let path = |(target, way): (&Target, &Way)| Path {
            lane: if let Way::Open(number, _) = way { *number } else { u32::MAX },
            address: target.address,
        };
        let paths: Vec<Path> = targets.iter().zip(&ways).map(path).collect();
        let patience = self.settings.patience;
        self.desk.book().0.begin(&paths, per_target, u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX));
        let step = step(targets.len(), self.settings.gap);
        let mut pace = Pace::new(step);
        for sequence in 0..count {
            for (target, (path, way)) in paths.iter().zip(&ways).enumerate() {
                pace.next().await;
                self.send(target, sequence, path.address, way).await;
            }
        }
        // Whoever is told that the last was answered asks again how it stands.
        let answered = async {
            while self.desk.book().0.open() > 0 {
                self.desk.complete.notified().await;
            }
        };
        let _ = tokio::time::timeout(patience + self.settings.grace, answered).await;
        Ok(self.desk.book().0.outcomes())
    }

    async fn send(&self, target: usize, sequence: u32, address: Ipv4Addr, way: &Way) {
        let socket = match way {
            Way::Open(_, socket) => socket,
            Way::Gone => {
                let mut desk = self.desk.book();
                desk.0.send(target, sequence, unix_ns(), self.desk.clock.ns());
                desk.1.sent += 1;
                return;
            }
            Way::Shut => {
                self.desk.book().1.unsent += 1;
                return;
            }
        };
        let to = SocketAddrV4::new(address, self.settings.port);
        let probe = self.desk.book().0.send(target, sequence, unix_ns(), self.desk.clock.ns());
        let Some(probe) = probe else { return };
        let sent = tokio::time::timeout(SEND_PATIENCE, socket.send_to(&probe.encode(), to)).await;
        let mut desk = self.desk.book();
        match sent {
            Ok(Ok(_)) => desk.1.sent += 1,
            Ok(Err(error)) if is_of_the_path(&error) => desk.1.sent += 1,
            Ok(Err(_)) | Err(_) => {
                desk.0.unsend(target, sequence);
                desk.1.unsent += 1;
            }
        }
    }

    /// A way for each interface that is asked for. Sockets that are no longer needed, or whose interface is gone or is
    /// another one of the same name, are closed.
    fn ways(&self, lanes: &mut Lanes, targets: &[Target]) -> BTreeMap<Option<String>, Way> {
        let wanted: BTreeSet<Option<String>> = targets.iter().map(|target| target.interface.clone()).collect();
        lanes.open.retain(|interface, lane| wanted.contains(interface) && is_bound(&lane.socket, interface.as_deref()));
        let mut ways = BTreeMap::new();
        for interface in wanted {
            let way = match lanes.open.get(&interface) {
                Some(lane) => Way::Open(lane.number, lane.socket.clone()),
                None => match self.open(lanes.next, interface.clone()) {
                    Ok(lane) => {
                        lanes.next = lanes.next.wrapping_add(1) % u32::MAX;
                        let way = Way::Open(lane.number, lane.socket.clone());
                        lanes.open.insert(interface.clone(), lane);
                        way
                    }
                    Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Way::Gone,
                    Err(error) => {
                        let interface = interface.as_deref().unwrap_or("any");
                        tracing::warn!(interface, %error, "no socket for probes: nothing is measured there");
                        Way::Shut
                    }
                },
            };
            ways.insert(interface, way);
        }
        ways
    }

    fn open(&self, number: u32, interface: Option<String>) -> io::Result<Lane> {
        // Over one link the interface's own address is the one that the far end can answer over the same link.
        let source = if interface.is_some() { Ipv4Addr::UNSPECIFIED } else { self.settings.source };
        let want = Want { local: SocketAddrV4::new(source, 0), interface };
        let socket = Arc::new(socket::prepare((self.settings.opener)(&want)?)?);
        let reader = tokio::spawn(read(socket.clone(), number, self.desk.clone()));
        Ok(Lane { number, socket, reader })
    }
}

/// Whether an error of sending says something of the path: then the packet is lost as it would be on the way.
fn is_of_the_path(error: &io::Error) -> bool {
    let of_path = [
        libc::ENETUNREACH,
        libc::EHOSTUNREACH,
        libc::ENETDOWN,
        libc::EHOSTDOWN,
        libc::ENODEV,
        libc::ENXIO,
        libc::ECONNREFUSED,
        libc::EADDRNOTAVAIL,
    ];
    error.raw_os_error().is_some_and(|code| of_path.contains(&code))
}

/// Whether a socket is still bound to the interface that has this name now.
fn is_bound(socket: &UdpSocket, interface: Option<&str>) -> bool {
    let Some(interface) = interface else { return true };
    // The kernel gives the name of the interface that it is bound to; none where that one is gone.
    let name = socket.device().ok().flatten();
    name.is_some_and(|name| name.strip_suffix(b"\0").unwrap_or(&name) == interface.as_bytes())
}

/// Time from one packet to the next, of whatever target.
fn step(targets: usize, gap: Duration) -> Duration {
    let targets = u32::try_from(targets).unwrap_or(u32::MAX).max(1);
    (gap / targets).max(Duration::from_nanos(1_000_000_000 / MAX_PACKETS_PER_S))
}

/// When the next packet is due. What could not go in time goes at once, [`AT_ONCE`] in a row: a process that stood still
/// has a round that is late, and no fewer packets.
struct Pace {
    step: Duration,
    due: tokio::time::Instant,
    row: usize,
}

impl Pace {
    fn new(step: Duration) -> Self {
        Self { step, due: tokio::time::Instant::now(), row: 0 }
    }

    async fn next(&mut self) {
        if self.due > tokio::time::Instant::now() {
            tokio::time::sleep_until(self.due).await;
            self.row = 0;
        } else {
            self.row += 1;
            if self.row >= AT_ONCE {
                self.row = 0;
                tokio::task::yield_now().await;
            }
        }
        self.due += self.step;
    }
}

async fn read(socket: Arc<UdpSocket>, lane: u32, desk: Arc<Desk>) {
    let mut room = Room::default();
    loop {
        if socket.readable().await.is_err() {
            tokio::time::sleep(READ_PAUSE).await;
        }
        for _ in 0..AT_ONCE {
            let packet = match room.receive(&socket) {
                Ok(packet) => packet,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    tokio::time::sleep(READ_PAUSE).await;
                    continue;
                }
            };
            let now_ns = desk.clock.ns();
            let reflection = Reflection::decode(room.of(&packet)).ok().filter(|_| packet.source.port() == desk.port);
            let mut book = desk.book();
            let path = Path { lane, address: *packet.source.ip() };
            let arrival = match &reflection {
                Some(reflection) => book.0.arrived(path, reflection, packet.at_unix_ns, now_ns),
                None => Arrival::Foreign,
            };
            match arrival {
                Arrival::Counted => book.1.answered += 1,
                Arrival::Duplicate => book.1.duplicates += 1,
                Arrival::Late => book.1.late += 1,
                Arrival::Foreign => book.1.foreign += 1,
            }
            if arrival == Arrival::Counted && book.0.open() == 0 {
                desk.complete.notify_one();
            }
        }
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_round_is_paced_by_what_the_machine_can_and_a_small_one_by_the_gap() {
        let gap = Duration::from_millis(50);
        assert_eq!(step(0, gap), gap);
        assert_eq!(step(1, gap), gap);
        assert_eq!(step(100, gap), gap / 100);
        assert_eq!(step(20_000, gap), Duration::from_micros(25));
        assert!(step(20_000, gap) * 200_000 <= Duration::from_secs(5));
    }
}
