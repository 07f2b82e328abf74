//! Verifies the signatures of whatever waits together: one thread for each processor, and a bounded queue in front.
//!
//! Nobody waits for company. What has come while the last group was verified is the next group; where senders come one by
//! one each is verified alone, and where they come by the thousand a signature takes less than half the time (see
//! [`causeway_wire::proof`]). Who sends signatures that don't hold makes the oracle look at his group once more, one by
//! one; groups shrink while that happens, so that it costs two fifths more at most than having no groups at all.

use std::sync::{Arc, Mutex, PoisonError};

use causeway_wire::{
    proof::{Proof, all_hold},
    signing::SignatureError,
};
use tokio::sync::{mpsc, oneshot};

use super::{
    Refusal,
    verify::{Authentic, Claimed},
};

/// Signatures that may wait: a twentieth of a second of work, 1 MB. Who comes then waits for a place, with the bytes that
/// are held for it counted.
const QUEUE: usize = 4_096;
/// Signatures in one group: 6 ms of work. Twice as many would be a tenth cheaper.
const MAX_GROUP: usize = 512;

struct Job {
    proof: Proof,
    done: oneshot::Sender<bool>,
}

/// Where signatures are handed in. Clones share the queue; dropping them all ends the threads.
#[derive(Clone, Debug)]
pub struct Prover {
    queue: mpsc::Sender<Job>,
}

impl Prover {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start() -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            let jobs = jobs.clone();
            std::thread::Builder::new().name("telemetry-prover".to_owned()).spawn(move || work(&jobs))?;
        }
        Ok(Self { queue })
    }

    /// Verifies who sent this.
    ///
    /// # Errors
    /// The signature is not the device's, or what it signs can't be taken.
    pub async fn prove(&self, claimed: Claimed) -> Result<Authentic, Refusal> {
        let (done, outcome) = oneshot::channel();
        // The threads end after the last of these only, or by a panic.
        self.queue.send(Job { proof: *claimed.proof(), done }).await.map_err(|_| Refusal::Busy)?;
        if outcome.await.map_err(|_| Refusal::Busy)? {
            claimed.proven()
        } else {
            Err(Refusal::BadSignature(SignatureError::Mismatch))
        }
    }
}

/// How many are verified together next: half as many after a group that did not hold, twice as many after one that did.
fn next_size(size: usize, held: bool) -> usize {
    if held { (size * 2).min(MAX_GROUP) } else { (size / 2).max(1) }
}

fn work(jobs: &Mutex<mpsc::Receiver<Job>>) {
    let (mut group, mut size) = (Vec::with_capacity(MAX_GROUP), MAX_GROUP);
    loop {
        // Whoever waits here waits for the first to come; the others wait for the lock.
        let count = jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv_many(&mut group, size);
        if count == 0 {
            return;
        }
        let (proofs, waiting): (Vec<Proof>, Vec<_>) = group.drain(..).map(|job| (job.proof, job.done)).unzip();
        let whole = all_hold(&proofs);
        size = next_size(size, whole);
        let alone = proofs.len() == 1;
        for (proof, done) in proofs.iter().zip(waiting) {
            // Whoever asked may have gone away.
            let _ = done.send(whole || (!alone && proof.holds()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::tests::{PROGRAM, batch, directory, signed};

    #[test]
    fn groups_shrink_to_one_while_signatures_do_not_hold_and_grow_again() {
        let mut size = MAX_GROUP;
        for _ in 0..20 {
            size = next_size(size, false);
        }
        assert_eq!(size, 1);
        for _ in 0..20 {
            size = next_size(size, true);
        }
        assert_eq!(size, MAX_GROUP);
    }

    #[tokio::test]
    async fn each_learns_of_its_own_signature_whatever_came_with_it() {
        let prover = Prover::start().unwrap();
        let directory = directory();
        // Key 1 is the device's, key 9 nobody's.
        let seeds: Vec<u8> = (0..2_000).map(|n| if n % 97 == 5 { 9 } else { 1 }).collect();
        let proving = seeds.iter().zip(1..).map(|(seed, sequence)| {
            let claimed = {
                let body = signed(&batch("nyc-1", sequence), *seed);
                Claimed::read(body.into(), &directory, &PROGRAM).unwrap()
            };
            let prover = prover.clone();
            tokio::spawn(async move { prover.prove(claimed).await })
        });
        for ((proven, seed), sequence) in futures::future::join_all(proving).await.into_iter().zip(seeds).zip(1..) {
            match proven.unwrap() {
                Ok(authentic) => assert_eq!((seed, authentic.sequence), (1, sequence)),
                Err(refusal) => {
                    assert_eq!((seed, refusal), (9, Refusal::BadSignature(SignatureError::Mismatch)));
                }
            }
        }
    }
}
