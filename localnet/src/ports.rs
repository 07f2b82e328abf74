//! Ports for one validator, so that any number run side by side.
//!
//! The range below the kernel's ephemeral ports is cut into blocks. A block is held by listening on its last port:
//! the kernel gives that to one process only and takes it back when the process ends, however it ends.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use crate::error::LocalnetError;

/// First port of the first block.
const FIRST: u16 = 20_000;
/// Ports of one block: the validator wants 26 at least, plus gossip, RPC, pubsub and the one that holds the block.
const BLOCK: u16 = 64;
/// Blocks: up to port 31 999, below the usual first ephemeral port 32 768.
const BLOCKS: u16 = 187;
/// Ports of a block that the validator chooses from.
const RANGE: u16 = 48;

/// Ports that are this process's.
#[derive(Debug)]
pub struct Ports {
    /// Gossip.
    pub gossip: u16,
    /// What the validator chooses its other ports from: first and one past the last.
    pub range: (u16, u16),
    /// JSON RPC; pubsub is the next one.
    pub rpc: u16,
    /// Holds the block.
    _held: TcpListener,
}

impl Ports {
    /// Holds a free block, beginning to look at block `start` modulo the number of blocks.
    ///
    /// # Errors
    /// No block is free, or the RPC port that was asked for, or the next one, is taken.
    pub fn hold(rpc: Option<u16>, start: u16) -> Result<Self, LocalnetError> {
        if let Some(port) = rpc {
            let pubsub = port.checked_add(1).ok_or(LocalnetError::PortInUse { port })?;
            if let Some(port) = [port, pubsub].into_iter().find(|p| *p == 0 || !is_free(*p)) {
                return Err(LocalnetError::PortInUse { port });
            }
        }
        let blocks = (0..BLOCKS).map(|n| FIRST + BLOCK * ((start % BLOCKS + n) % BLOCKS));
        for first in blocks {
            let Ok(held) = TcpListener::bind((Ipv4Addr::LOCALHOST, first + BLOCK - 1)) else { continue };
            let own_rpc = first + 1 + RANGE;
            if (first..own_rpc + 2).all(is_free) {
                let range = (first + 1, first + 1 + RANGE);
                return Ok(Self { gossip: first, range, rpc: rpc.unwrap_or(own_rpc), _held: held });
            }
        }
        Err(LocalnetError::NoPorts { first: FIRST, last: FIRST + BLOCK * BLOCKS - 1 })
    }
}

/// Whether nothing uses the port, on any address, by either protocol. RPC listens on every address.
fn is_free(port: u16) -> bool {
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(any).is_ok() && TcpListener::bind(local).is_ok() && UdpSocket::bind(any).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_holders_never_share_a_port() {
        let held: Vec<Ports> = (0..8).map(|_| Ports::hold(None, 7).unwrap()).collect();
        let mut firsts: Vec<u16> = held.iter().map(|p| p.gossip).collect();
        firsts.sort_unstable();
        firsts.dedup();
        assert_eq!(firsts.len(), held.len());
        for ports in &held {
            assert!(ports.gossip < ports.range.0 && ports.range.1 <= ports.rpc && ports.rpc + 1 < ports.gossip + BLOCK);
        }
    }

    #[test]
    fn a_taken_port_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        match Ports::hold(Some(port), 0) {
            Err(LocalnetError::PortInUse { port: named }) => assert_eq!(named, port),
            other => panic!("{other:?}"),
        }
    }
}
