//! The session-reflector: reads probes, answers those that it may.

use std::{
    collections::BTreeMap,
    hash::RandomState,
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use tokio::{net::UdpSocket, task::JoinHandle};

use super::{
    PORT,
    limit::{Gate, Limits, UsedUp},
    reflect::{Arrived, Peers, Refusal, answer, check},
    socket::{self, Opener, Packet, Room, Steadily, Want, unix_ns},
};

/// Packets that are answered before others of the process have their turn.
const AT_ONCE: usize = 64;
/// Wait after the system refused to give a packet for a reason of its own.
const READ_PAUSE: Duration = Duration::from_millis(10);

/// What a reflector is told.
#[derive(Clone)]
pub struct ReflectorSettings {
    /// Where it listens.
    pub listen: SocketAddrV4,
    /// Whom it answers.
    pub peers: Peers,
    /// How many packets.
    pub limits: Limits,
    /// Makes its socket.
    pub opener: Opener,
}

impl Default for ReflectorSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT),
            peers: Peers::ANYBODY,
            limits: Limits::default(),
            opener: socket::opener(),
        }
    }
}

/// What a reflector did since it was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReflectorCounts {
    /// Probes that were answered.
    pub answered: u64,
    /// Packets that were not, by reason.
    pub refused: BTreeMap<Refusal, u64>,
    /// Answers that could not be sent.
    pub unsent: u64,
    /// Packets whose time of arrival was not the kernel's.
    pub without_kernel_time: u64,
}

/// A running reflector; dropped, it stops.
pub struct Reflector {
    address: SocketAddrV4,
    counts: Arc<Mutex<ReflectorCounts>>,
    peers: Arc<RwLock<Peers>>,
    task: JoinHandle<()>,
}

impl Reflector {
    /// Starts one on the current tokio runtime.
    ///
    /// # Errors
    /// Its socket can't be made: the port is taken, or below 1024 and the process may not have it.
    pub fn start(settings: ReflectorSettings) -> io::Result<Self> {
        let want = Want { local: settings.listen, interface: None };
        let socket = socket::prepare((settings.opener)(&want)?)?;
        let SocketAddr::V4(address) = socket.local_addr()? else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let counts = Arc::new(Mutex::new(ReflectorCounts::default()));
        let peers = Arc::new(RwLock::new(settings.peers));
        let worker = Worker {
            socket,
            port: address.port(),
            gate: Gate::new(settings.limits, RandomState::new()),
            clock: Steadily::new(),
            counts: counts.clone(),
            peers: peers.clone(),
        };
        Ok(Self { address, counts, peers, task: tokio::spawn(worker.run()) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// What it did.
    #[must_use]
    pub fn counts(&self) -> ReflectorCounts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers these from now on.
    pub fn set_peers(&self, peers: Peers) {
        *self.peers.write().unwrap_or_else(PoisonError::into_inner) = peers;
    }
}

impl Drop for Reflector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Worker {
    socket: UdpSocket,
    port: u16,
    gate: Gate<RandomState>,
    clock: Steadily,
    counts: Arc<Mutex<ReflectorCounts>>,
    peers: Arc<RwLock<Peers>>,
}

impl Worker {
    async fn run(mut self) {
        let mut room = Room::default();
        loop {
            if self.socket.readable().await.is_err() {
                tokio::time::sleep(READ_PAUSE).await;
            }
            for _ in 0..AT_ONCE {
                match room.receive(&self.socket) {
                    Ok(packet) => self.take(&room, &packet),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => {
                        tracing::debug!(%error, "a packet could not be read");
                        tokio::time::sleep(READ_PAUSE).await;
                    }
                }
            }
            tokio::task::yield_now().await;
        }
    }

    fn take(&mut self, room: &Room, packet: &Packet) {
        let arrived = Arrived {
            packet: room.of(packet),
            source: packet.source,
            destination: packet.destination,
            ttl: packet.ttl,
            at_unix_ns: packet.at_unix_ns,
        };
        let checked = check(&arrived, self.port, &self.peers.read().unwrap_or_else(PoisonError::into_inner));
        let admitted = checked.and_then(|probe| match self.gate.admit(*packet.source.ip(), self.clock.ns()) {
            Ok(()) => Ok(probe),
            Err(UsedUp::Source) => Err(Refusal::SourceRate),
            Err(UsedUp::Total) => Err(Refusal::TotalRate),
        });
        // From the address that was probed, so that the sender knows the answer as one to its probe. A full buffer of the
        // kernel loses the answer, as a full wire would.
        let sent = admitted.map(|probe| {
            let reply = answer(&probe, &arrived, unix_ns());
            socket::send_from(&self.socket, &reply, packet.destination, packet.source)
        });
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.without_kernel_time += u64::from(!packet.by_kernel);
        match sent {
            Ok(Ok(())) => counts.answered += 1,
            Ok(Err(_)) => counts.unsent += 1,
            Err(refusal) => *counts.refused.entry(refusal).or_default() += 1,
        }
    }
}
