//! UDP sockets that say when a packet came in, with which TTL and to which address: the edge to the kernel.

use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut},
    net::{Ipv4Addr, SocketAddrV4, UdpSocket as StdSocket},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use nix::{
    cmsg_space, libc,
    sched::{CloneFlags, setns},
    sys::{
        socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt, sockopt},
        time::TimeSpec,
    },
};
use tokio::{io::Interest, net::UdpSocket};

/// Buffer of the kernel for packets that wait, in bytes each way: a few thousand of them, for a process that has to wait
/// for its core. The kernel gives less where its own bound is lower.
const KERNEL_BUFFER_BYTES: usize = 4 << 20;
/// Longest packet that is read; what is cut off is not looked at.
const MAX_PACKET_BYTES: usize = 2_048;
/// Folder in which `ip netns` keeps network namespaces by name.
const NAMESPACES: &str = "/run/netns";

/// What a socket is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// Where it listens or sends from; port 0 for a free one.
    pub local: SocketAddrV4,
    /// Interface that every packet has to take (`SO_BINDTODEVICE`).
    pub interface: Option<String>,
}

/// Makes bound sockets. A program that has devices in network namespaces makes them there.
pub type Opener = Arc<dyn Fn(&Want) -> io::Result<StdSocket> + Send + Sync>;

/// In the namespace of the process.
#[must_use]
pub fn opener() -> Opener {
    Arc::new(open)
}

/// In a network namespace by the name that `ip netns` knows: a device's interfaces are looked for where the device is. Each
/// socket is made in the namespace that has the name by then, and stays in it.
///
/// A namespace that is not there, or that this process may not enter, is an error of each socket, and never `ENODEV`: that
/// would be an interface that is gone, and count as loss.
#[must_use]
pub fn opener_in(namespace: &str) -> Opener {
    let path: PathBuf = Path::new(NAMESPACES).join(namespace);
    Arc::new(move |want| open_in(&path, want))
}

/// On a thread of its own, which ends: no other of the process leaves its namespace.
fn open_in(namespace: &Path, want: &Want) -> io::Result<StdSocket> {
    thread::scope(|scope| {
        let inside = thread::Builder::new().name("stamp-namespace".to_owned()).spawn_scoped(scope, || {
            setns(File::open(namespace)?, CloneFlags::CLONE_NEWNET)?;
            open(want)
        })?;
        inside.join().unwrap_or_else(|_| Err(io::Error::other("a socket could not be made in the namespace")))
    })
}

/// Makes a bound socket in the network namespace of this thread; it stays there.
///
/// # Errors
/// As the system says. `ENODEV`: there is no such interface.
pub fn open(want: &Want) -> io::Result<StdSocket> {
    let socket = StdSocket::bind(SocketAddrV4::new(*want.local.ip(), want.local.port()))?;
    if let Some(interface) = &want.interface {
        setsockopt(&socket, sockopt::BindToDevice, &interface.into())?;
    }
    Ok(socket)
}

/// Prepares a socket and hands it to the current tokio runtime.
///
/// # Errors
/// As the system says.
pub fn prepare(socket: StdSocket) -> io::Result<UdpSocket> {
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)?;
    setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
    // RFC 8762 has no rule; 255 as RFC 5357 (section 4.1.2) has it, so that the far end sees how many hops there were.
    setsockopt(&socket, sockopt::Ipv4Ttl, &255)?;
    setsockopt(&socket, sockopt::RcvBuf, &KERNEL_BUFFER_BYTES)?;
    setsockopt(&socket, sockopt::SndBuf, &KERNEL_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// A packet that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Bytes of the buffer that it fills.
    pub bytes: usize,
    /// From where.
    pub source: SocketAddrV4,
    /// To which address.
    pub destination: Option<Ipv4Addr>,
    /// With which TTL.
    pub ttl: Option<u8>,
    /// Unix nanoseconds when the kernel had it, or when it was read.
    pub at_unix_ns: u64,
    /// By the kernel.
    pub by_kernel: bool,
}

/// Room for what is read, used again and again.
pub struct Room {
    packet: Vec<u8>,
    control: Vec<u8>,
}

impl Default for Room {
    fn default() -> Self {
        Self { packet: vec![0; MAX_PACKET_BYTES], control: cmsg_space!(TimeSpec, libc::c_int, libc::in_pktinfo) }
    }
}

impl Room {
    /// The bytes of a packet that was read into it last.
    #[must_use]
    pub fn of(&self, packet: &Packet) -> &[u8] {
        self.packet.get(..packet.bytes).unwrap_or_default()
    }

    /// Reads a packet if there is one.
    ///
    /// # Errors
    /// `WouldBlock` where there is none; else as the system says.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<Packet> {
        socket.try_io(Interest::READABLE, || self.read(socket.as_raw_fd()))
    }

    fn read(&mut self, fd: i32) -> io::Result<Packet> {
        let mut into = [IoSliceMut::new(&mut self.packet)];
        let message = recvmsg::<SockaddrIn>(fd, &mut into, Some(self.control.as_mut_slice()), MsgFlags::MSG_DONTWAIT)?;
        let source = message.address.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        let mut packet = Packet {
            bytes: message.bytes,
            source: SocketAddrV4::new(source.ip(), source.port()),
            destination: None,
            ttl: None,
            at_unix_ns: 0,
            by_kernel: false,
        };
        for control in message.cmsgs()? {
            match control {
                ControlMessageOwned::ScmTimestampns(at) => {
                    let (seconds, nanos) = (u64::try_from(at.tv_sec()), u64::try_from(at.tv_nsec()));
                    packet.at_unix_ns = seconds.unwrap_or(0).saturating_mul(1_000_000_000) + nanos.unwrap_or(0);
                    packet.by_kernel = true;
                }
                ControlMessageOwned::Ipv4Ttl(ttl) => packet.ttl = u8::try_from(ttl).ok(),
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    packet.destination = Some(Ipv4Addr::from_bits(u32::from_be(info.ipi_addr.s_addr)));
                }
                _ => {}
            }
        }
        if !packet.by_kernel {
            packet.at_unix_ns = unix_ns();
        }
        Ok(packet)
    }
}

/// Sends a packet from one of the machine's addresses, by whatever interface routing chooses.
///
/// # Errors
/// `WouldBlock` where the kernel's buffer is full; else as the system says.
pub fn send_from(socket: &UdpSocket, packet: &[u8], from: Option<Ipv4Addr>, to: SocketAddrV4) -> io::Result<()> {
    let of = |address: Ipv4Addr| libc::in_addr { s_addr: address.to_bits().to_be() };
    let info = from.map(|from| libc::in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: of(from),
        ipi_addr: of(Ipv4Addr::UNSPECIFIED),
    });
    let control: Vec<ControlMessage<'_>> = info.iter().map(ControlMessage::Ipv4PacketInfo).collect();
    socket.try_io(Interest::WRITABLE, || {
        let parts = [IoSlice::new(packet)];
        sendmsg(socket.as_raw_fd(), &parts, &control, MsgFlags::MSG_DONTWAIT, Some(&SockaddrIn::from(to)))?;
        Ok(())
    })
}

/// The wall clock.
#[must_use]
pub fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A clock that is never set, in ns since it was made.
#[derive(Clone, Copy, Debug)]
pub struct Steadily(Instant);

impl Steadily {
    /// From now on.
    #[must_use]
    pub fn new() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since then.
    #[must_use]
    pub fn ns(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Default for Steadily {
    fn default() -> Self {
        Self::new()
    }
}
