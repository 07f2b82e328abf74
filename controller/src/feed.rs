//! One reader's stream of events, whatever it is sent over.

use std::sync::Arc;

use causeway_connections::Place;
use tokio::sync::{broadcast::error::RecvError, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    events::{Event, Resumed},
    shared::Shared,
};

/// Events that wait for a slow reader; beyond it, it waits in the log.
const WAITING: usize = 64;

/// What a reader is told.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// Events since the one it saw last are gone.
    Lost,
    /// What happened.
    Happened(&'a Event),
}

/// Room for one more reader, free again once it is dropped.
pub type Room = Place;

/// Everything since the event that a reader saw last, and what happens from this call on, until the reader goes or the controller stops.
pub fn open<M: Send + 'static>(
    shared: Arc<Shared>,
    room: Room,
    last: Option<u64>,
    message: impl Fn(Told<'_>) -> M + Send + Sync + 'static,
) -> ReceiverStream<M> {
    // Before the caller is answered: what happens from then on is in the stream.
    let resumed = shared.events.resume(last);
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        // Who does not hear any more is not told any more.
        let _ = feed(&shared, last, resumed, &sender, message).await;
        drop(room);
    });
    ReceiverStream::new(receiver)
}

/// The reader has gone.
struct Gone;

async fn feed<M>(
    shared: &Shared,
    mut last: Option<u64>,
    mut resumed: Resumed,
    sender: &mpsc::Sender<M>,
    message: impl Fn(Told<'_>) -> M,
) -> Result<(), Gone> {
    let tell = async |told: Told<'_>| sender.send(message(told)).await.map_err(|_| Gone);
    let mut stopping = shared.stopping.clone();
    loop {
        let Resumed { lost, past, mut live } = resumed;
        if lost {
            tell(Told::Lost).await?;
        }
        for event in past {
            tell(Told::Happened(&event)).await?;
            last = Some(event.id);
        }
        loop {
            let received = tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return Ok(()),
                () = sender.closed() => return Err(Gone),
                received = live.recv() => received,
            };
            match received {
                Ok(event) => {
                    tell(Told::Happened(&event)).await?;
                    last = Some(event.id);
                }
                // It fell behind: on from the log.
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return Ok(()),
            }
        }
        resumed = shared.events.resume(last);
    }
}
