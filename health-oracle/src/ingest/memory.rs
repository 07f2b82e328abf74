//! How many bytes all requests together may hold.
//!
//! Bytes are counted as they arrive and not as they are announced: who announces four megabytes and sends nothing holds
//! nothing. Nobody waits for room, so that nothing can be held up by what waits; who finds none is told to come back.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Refusal;

/// The bound. Clones share it.
#[derive(Clone, Debug)]
pub struct Memory {
    room: Arc<Semaphore>,
}

impl Memory {
    /// As many bytes at most.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { room: Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))) }
    }

    /// What one request holds: nothing yet.
    #[must_use]
    pub fn hold(&self) -> Held {
        Held { memory: self.clone(), permit: None }
    }
}

/// What one request holds, until it is dropped.
#[derive(Debug)]
pub struct Held {
    memory: Memory,
    permit: Option<OwnedSemaphorePermit>,
}

impl Held {
    /// How many bytes it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Holds more.
    ///
    /// # Errors
    /// [`Refusal::Busy`]: there is no room; what was held stays held.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let bytes = u32::try_from(bytes).map_err(|_| Refusal::Busy)?;
        let more = self.memory.room.clone().try_acquire_many_owned(bytes).map_err(|_| Refusal::Busy)?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_held_than_there_is_and_all_of_it_comes_back() {
        let memory = Memory::new(100);
        let (mut a, mut b) = (memory.hold(), memory.hold());
        assert_eq!(
            (a.grow(60), b.grow(40), b.grow(1), a.grow(usize::MAX)),
            (Ok(()), Ok(()), Err(Refusal::Busy), Err(Refusal::Busy))
        );
        drop(a);
        assert_eq!((b.grow(60), b.grow(1)), (Ok(()), Err(Refusal::Busy)));
        drop(b);
        assert_eq!(memory.room.available_permits(), 100);
    }
}
