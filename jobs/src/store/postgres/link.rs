//! Connections to the server: a few, made when they are needed and again when they broke.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::{Client, Config, NoTls, Statement, config::Host};

use crate::store::StoreError;

/// Connections at most: the server writes to its disk for several at once.
const CONNECTIONS: usize = 8;
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// One connection, with the statements that it knows.
#[derive(Default)]
pub struct Link {
    client: Option<Client>,
    known: HashMap<&'static str, Statement>,
}

impl Link {
    /// The connection, open or opened anew.
    async fn open(&mut self, config: &Config) -> Result<(), StoreError> {
        if self.client.as_ref().is_some_and(|client| !client.is_closed()) {
            return Ok(());
        }
        self.close();
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(%error, "a connection to the store of jobs broke");
            }
        });
        self.client = Some(client);
        Ok(())
    }

    /// Gives it up: nothing is known of what it was asked last.
    pub fn close(&mut self) {
        self.client = None;
        self.known.clear();
    }

    /// The connection and a statement that it knows.
    ///
    /// # Errors
    /// The server's.
    pub async fn prepared(&mut self, sql: &'static str) -> Result<(&mut Client, Statement), StoreError> {
        let client = self.client.as_mut().ok_or(StoreError::Poisoned)?;
        let statement = match self.known.get(sql) {
            Some(statement) => statement.clone(),
            None => {
                let statement = client.prepare(sql).await?;
                self.known.insert(sql, statement.clone());
                statement
            }
        };
        Ok((client, statement))
    }

    /// The connection.
    ///
    /// # Errors
    /// None is open.
    pub fn client(&mut self) -> Result<&mut Client, StoreError> {
        self.client.as_mut().ok_or(StoreError::Poisoned)
    }
}

/// A few connections.
pub struct Pool {
    config: Config,
    links: Vec<Mutex<Link>>,
    turn: AtomicUsize,
}

impl Pool {
    /// Connects nothing yet.
    ///
    /// # Errors
    /// The address makes no sense, or leads over a network in plain text that is not allowed to.
    pub fn new(url: &str, allow_plain: bool) -> Result<Self, StoreError> {
        let mut config: Config = url.parse()?;
        if !allow_plain && !is_local(&config) {
            return Err(StoreError::Plain);
        }
        config.connect_timeout(CONNECT).application_name("causeway-jobs");
        let links = (0..CONNECTIONS).map(|_| Mutex::new(Link::default())).collect();
        Ok(Self { config, links, turn: AtomicUsize::new(0) })
    }

    /// A connection of one's own for a while.
    ///
    /// # Errors
    /// The server's.
    pub async fn link(&self) -> Result<MutexGuard<'_, Link>, StoreError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let free = self.links.iter().find_map(|link| link.try_lock().ok());
        let mut link = match free {
            Some(link) => link,
            None => self.links.get(turn % CONNECTIONS).ok_or(StoreError::Poisoned)?.lock().await,
        };
        link.open(&self.config).await?;
        Ok(link)
    }
}

fn is_local(config: &Config) -> bool {
    let by_name = config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback()),
        Host::Unix(_) => true,
    });
    let somewhere = !config.get_hosts().is_empty() || !config.get_hostaddrs().is_empty();
    somewhere && by_name && config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_beyond_this_machine_is_refused_unless_it_is_allowed() {
        for (url, local) in [
            ("postgres://u@127.0.0.1:5433/jobs", true),
            ("postgres://u@localhost/jobs", true),
            ("postgres:///jobs?host=/run/postgresql", true),
            ("postgres://u@db.example/jobs", false),
            ("postgres://u@127.0.0.1,db.example/jobs", false),
            ("host=localhost hostaddr=192.0.2.1", false),
        ] {
            assert_eq!(Pool::new(url, false).is_ok(), local, "{url}");
            assert!(Pool::new(url, true).is_ok());
        }
        assert!(Pool::new("mysql://x", true).is_err());
    }
}
