//! Which devices' agents are here: those that watch at this controller. An agent watches from the beginning of its session to
//! the end, and its watch ends when it goes to another controller or is lost.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use causeway_interface::Code;

/// Watches by device.
#[derive(Debug, Default)]
pub struct Presence {
    watches: Mutex<BTreeMap<Code, usize>>,
}

/// An agent that is here for as long as this lives.
#[derive(Debug)]
pub struct Visit {
    presence: Arc<Presence>,
    device: Code,
}

impl Presence {
    fn watches(&self) -> MutexGuard<'_, BTreeMap<Code, usize>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that an agent of a device watches.
    #[must_use]
    pub fn comes(self: &Arc<Self>, device: Code) -> Visit {
        *self.watches().entry(device).or_default() += 1;
        Visit { presence: Arc::clone(self), device }
    }

    /// Whether one does.
    #[must_use]
    pub fn is_here(&self, device: &Code) -> bool {
        self.watches().contains_key(device)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut watches = self.presence.watches();
        if let Some(count) = watches.get_mut(&self.device) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                watches.remove(&self.device);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_here_as_long_as_one_of_its_watches_is() {
        let (presence, ams) = (Arc::new(Presence::default()), "ams".parse::<Code>().unwrap());
        let first = presence.comes(ams);
        // A session that is renewed watches anew before the old watch has ended.
        let second = presence.comes(ams);
        drop(first);
        assert!(presence.is_here(&ams) && !presence.is_here(&"fra".parse().unwrap()));
        drop(second);
        assert!(!presence.is_here(&ams) && presence.watches().is_empty());
    }
}
