//! Connections that come, as far as the server is told, from other addresses than this machine's own.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};

pub struct Elsewhere {
    listener: TcpListener,
    /// Where it really is.
    pub address: SocketAddr,
    from: Vec<IpAddr>,
    accepted: usize,
}

impl Elsewhere {
    /// The connections come from these addresses, one after the other, and then from the first again.
    pub async fn bind<'a>(from: impl IntoIterator<Item = &'a str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let from = from.into_iter().map(|from| from.parse().unwrap()).collect();
        Self { listener, address, from, accepted: 0 }
    }
}

impl Listener for Elsewhere {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        let (stream, from) = Listener::accept(&mut self.listener).await;
        let claimed = self.from[self.accepted % self.from.len()];
        self.accepted += 1;
        (stream, SocketAddr::new(claimed, from.port()))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
