//! Who has how many places.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections by address. Bounded by the number of connections.
type Counts = Arc<Mutex<BTreeMap<IpAddr, usize>>>;

/// The places of a server, or of anything else that callers take up: so many together, and so many of one address.
pub struct Guests {
    seats: Arc<Semaphore>,
    all: u32,
    per_address: usize,
    counts: Counts,
}

/// A caller's place; dropped, it is free.
pub struct Place {
    _seat: OwnedSemaphorePermit,
    counts: Counts,
    address: IpAddr,
}

impl Guests {
    /// So many together, and so many of one address; of one /64 where addresses are of IPv6. This machine itself may have all.
    #[must_use]
    pub fn new(connections: usize, per_address: usize) -> Self {
        let all = u32::try_from(connections).unwrap_or(u32::MAX);
        let seats = usize::try_from(all).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { seats: Arc::new(Semaphore::new(seats)), all, per_address, counts: Counts::default() }
    }

    /// A place, where there is one left for this peer.
    #[must_use]
    pub fn place(&self, peer: IpAddr) -> Option<Place> {
        let seat = Arc::clone(&self.seats).try_acquire_owned().ok()?;
        let address = address_of(peer);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&address).copied().unwrap_or(0);
        if count >= self.per_address && !peer.to_canonical().is_loopback() {
            return None;
        }
        counts.insert(address, count + 1);
        Some(Place { _seat: seat, counts: Arc::clone(&self.counts), address })
    }

    /// Places that are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        usize::try_from(self.all).unwrap_or(usize::MAX).saturating_sub(self.seats.available_permits())
    }

    /// Waits until nobody has a place.
    pub async fn gone(&self) {
        let _ = self.seats.acquire_many(self.all).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// What counts as one address: who has one of IPv6 has 2^64 of them.
#[must_use]
pub fn address_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(peer) => {
            let [a, b, c, d, ..] = peer.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        peer @ IpAddr::V4(_) => peer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_all_places() {
        let guests = Guests::new(10, 2);
        let place = |peer: &str| guests.place(peer.parse().unwrap());
        let taken = [place("192.0.2.1"), place("::ffff:192.0.2.1")];
        assert!(taken.iter().all(Option::is_some) && place("192.0.2.1").is_none());
        let others = [place("192.0.2.2"), place("2001:db8::1"), place("2001:db8::ffff:1")];
        assert!(others.iter().all(Option::is_some) && place("2001:db8:0:0:7::").is_none(), "a /64 is one address");
        assert!(place("2001:db8:0:1::1").is_some());
        let here = ["127.0.0.1", "127.0.0.1", "127.0.0.1", "::1", "::1"].map(place);
        assert!(here.iter().all(Option::is_some), "this machine trusts itself");
        assert!(place("192.0.2.3").is_none(), "all places together");
        assert_eq!(guests.taken(), 10);
        drop(taken);
        assert!(place("192.0.2.1").is_some());
        drop((others, here));
        assert_eq!(guests.taken(), 0);
        assert!(guests.counts.lock().unwrap().is_empty(), "who is gone is forgotten");
    }
}
