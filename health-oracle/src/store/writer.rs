//! A bounded queue and group commit in front of a recorder: one thread writes, whoever submits waits for the commit that
//! holds its batch.
//!
//! A full queue refuses at once, so that senders back off instead of piling up. Dropping every [`Writer`] ends the
//! thread after what is queued was written.

use std::{
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use tokio::sync::oneshot;
use tracing::error;

use super::{Append, VerifiedBatch, recorder::Recorder};

/// Batches that may wait: one from each of ten thousand devices is a second of their telemetry.
const QUEUE: usize = 10_000;
/// Batches in one commit: all that may wait, half a second of work. A commit has costs of its own, whatever is in it: a disk
/// sync, or a server's files for every column; the more come the fewer there are.
const MAX_GROUP: usize = QUEUE;

/// Why a batch was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The queue is full.
    #[error("the queue is full")]
    Full,
    /// The store failed, or the writer has ended.
    #[error("the store failed")]
    Failed,
}

struct Job {
    batch: VerifiedBatch,
    done: oneshot::Sender<Result<Append, WriteError>>,
}

/// Where batches are handed in. Clones share the queue.
#[derive(Clone, Debug)]
pub struct Writer {
    queue: mpsc::SyncSender<Job>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(recorder: Arc<Recorder>) -> std::io::Result<(Self, JoinHandle<()>)> {
        Self::with_queue(recorder, QUEUE)
    }

    fn with_queue(recorder: Arc<Recorder>, queue: usize) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (queue, jobs) = mpsc::sync_channel(queue);
        let thread =
            std::thread::Builder::new().name("telemetry-writer".to_owned()).spawn(move || write(&recorder, &jobs))?;
        Ok((Self { queue }, thread))
    }

    /// Stores a batch; returns once it survives a crash.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn append(&self, batch: VerifiedBatch) -> Result<Append, WriteError> {
        let (done, outcome) = oneshot::channel();
        self.queue.try_send(Job { batch, done }).map_err(|refused| match refused {
            mpsc::TrySendError::Full(_) => WriteError::Full,
            mpsc::TrySendError::Disconnected(_) => WriteError::Failed,
        })?;
        outcome.await.unwrap_or(Err(WriteError::Failed))
    }
}

fn write(recorder: &Recorder, jobs: &mpsc::Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        while group.len() < MAX_GROUP
            && let Ok(job) = jobs.try_recv()
        {
            group.push(job);
        }
        let (batches, waiting): (Vec<_>, Vec<_>) = group.into_iter().map(|job| (job.batch, job.done)).unzip();
        let count = batches.len();
        match recorder.append(batches) {
            Ok(answers) => {
                for (done, answer) in waiting.into_iter().zip(answers) {
                    // Whoever asked may have gone away; the batch is stored all the same.
                    let _ = done.send(Ok(answer));
                }
            }
            Err(error) => {
                error!(batches = count, %error, cause = ?std::error::Error::source(&error), "telemetry not stored");
                for done in waiting {
                    let _ = done.send(Err(WriteError::Failed));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::store::{Commit, Loader, StoreError, TelemetryStore, commit::BatchRow, contract};

    /// Fails while the switch is on; otherwise accepts everything.
    struct FakeStore {
        failing: Mutex<bool>,
    }

    impl TelemetryStore for FakeStore {
        fn append(&self, _: &Commit) -> Result<(), StoreError> {
            if *self.failing.lock().unwrap() { Err(StoreError::Poisoned) } else { Ok(()) }
        }

        fn check(&self) -> Result<(), StoreError> {
            Ok(())
        }

        fn load(&self, _: u64, _: &mut dyn Loader) -> Result<(), StoreError> {
            Ok(())
        }

        fn prune(&self, _: u64) -> Result<bool, StoreError> {
            Ok(false)
        }

        fn batches(&self, _: u32, _: u64, _: usize) -> Result<Vec<BatchRow>, StoreError> {
            Ok(Vec::new())
        }
    }

    fn recorder(store: &Arc<FakeStore>) -> Arc<Recorder> {
        Arc::new(Recorder::new(store.clone(), 1_000))
    }

    #[tokio::test]
    async fn a_failing_store_is_told_and_recovers() {
        let store = Arc::new(FakeStore { failing: Mutex::new(true) });
        let (writer, thread) = Writer::start(recorder(&store)).unwrap();
        assert_eq!(writer.append(contract::batch("a", 1, vec![])).await, Err(WriteError::Failed));
        *store.failing.lock().unwrap() = false;
        assert_eq!(writer.append(contract::batch("a", 1, vec![])).await, Ok(Append::Stored { ignored_samples: 0 }));
        drop(writer);
        thread.join().unwrap();
    }

    // Held on purpose: the store is stuck while the queue fills. Nothing that is awaited meanwhile takes the lock.
    #[allow(clippy::await_holding_lock)]
    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let store = Arc::new(FakeStore { failing: Mutex::new(false) });
        let held = store.clone();
        let guard = held.failing.lock().unwrap();
        let (writer, _thread) = Writer::with_queue(recorder(&store), 1).unwrap();
        let mut refused = 0;
        let mut pending = Vec::new();
        for sequence in 1..=4 {
            let mut append = Box::pin(writer.append(contract::batch("a", sequence, vec![])));
            match futures::poll!(&mut append) {
                std::task::Poll::Ready(result) => {
                    assert_eq!(result, Err(WriteError::Full));
                    refused += 1;
                }
                std::task::Poll::Pending => pending.push(append),
            }
        }
        // One is in the thread's hands at most and one in the queue.
        assert!(refused >= 2, "{refused}");
        drop(guard);
        for append in pending {
            assert!(append.await.is_ok());
        }
    }
}
