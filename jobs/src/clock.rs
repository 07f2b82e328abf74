//! The time, and waiting for it, as a parameter: so that a test passes hours in a moment.

use std::{future::Future, sync::Arc, time::Duration};

use futures::future::{BoxFuture, Either, select};

/// Time from somewhere.
pub trait Time: Send + Sync + 'static {
    /// Unix milliseconds; never goes back.
    fn now_ms(&self) -> u64;

    /// Until this time.
    fn sleep_until(&self, at_ms: u64) -> BoxFuture<'static, ()>;
}

/// Time that is shared.
pub type Clock = Arc<dyn Time>;

/// This machine's: the time of the start, and what the monotonic clock has counted since.
struct System {
    start_ms: u64,
    began: tokio::time::Instant,
}

impl Time for System {
    fn now_ms(&self) -> u64 {
        self.start_ms.saturating_add(ms(self.began.elapsed()))
    }

    fn sleep_until(&self, at_ms: u64) -> BoxFuture<'static, ()> {
        let since = Duration::from_millis(at_ms.saturating_sub(self.start_ms));
        Box::pin(tokio::time::sleep_until(self.began + since))
    }
}

/// This machine's time.
#[must_use]
pub fn system() -> Clock {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Arc::new(System { start_ms: ms(since), began: tokio::time::Instant::now() })
}

/// A duration in ms.
#[must_use]
pub fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What this comes to, unless it takes longer.
pub async fn within<T>(clock: &dyn Time, limit_ms: u64, work: impl Future<Output = T>) -> Option<T> {
    let limit = clock.sleep_until(clock.now_ms().saturating_add(limit_ms));
    match select(Box::pin(work), limit).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(((), _)) => None,
    }
}

/// Waits so long.
pub async fn sleep(clock: &dyn Time, wait: Duration) {
    clock.sleep_until(clock.now_ms().saturating_add(ms(wait))).await;
}

#[cfg(feature = "testing")]
pub use virtual_time::VirtualTime;

#[cfg(feature = "testing")]
mod virtual_time {
    use std::{
        collections::BTreeMap,
        future::Future,
        pin::{Pin, pin},
        sync::{Arc, Mutex, MutexGuard, PoisonError},
        task::{Context, Poll, Waker},
    };

    use futures::future::BoxFuture;

    use super::Time;

    /// Turns of everybody in which nobody does anything, after which all are taken to wait for the time.
    const CALM: u32 = 6;

    #[derive(Default)]
    struct State {
        now_ms: u64,
        /// Grows with everything that somebody does.
        stirred: u64,
        next_id: u64,
        sleepers: BTreeMap<(u64, u64), Option<Waker>>,
    }

    /// Time that passes only when everybody waits for it. For one thread, and for work that waits for nothing else.
    #[derive(Clone, Default)]
    pub struct VirtualTime(Arc<Mutex<State>>);

    impl VirtualTime {
        /// From a moment on.
        #[must_use]
        pub fn new(now_ms: u64) -> Self {
            Self(Arc::new(Mutex::new(State { now_ms, ..State::default() })))
        }

        fn state(&self) -> MutexGuard<'_, State> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        /// Lets time pass until this is done; on a runtime of one thread.
        pub async fn drive<T>(&self, work: impl Future<Output = T>) -> T {
            let mut work = pin!(work);
            loop {
                let mut pass = pin!(self.pass());
                let done = std::future::poll_fn(|cx| match work.as_mut().poll(cx) {
                    Poll::Ready(done) => Poll::Ready(Some(done)),
                    Poll::Pending => pass.as_mut().poll(cx).map(|()| None),
                });
                if let Some(done) = done.await {
                    return done;
                }
            }
        }

        async fn pass(&self) {
            let (mut calm, mut stirred) = (0, self.state().stirred);
            while calm < CALM {
                tokio::task::yield_now().await;
                let now = self.state().stirred;
                (calm, stirred) = if now == stirred { (calm + 1, now) } else { (0, now) };
            }
            let waker = {
                let mut state = self.state();
                let Some((&(at_ms, id), _)) = state.sleepers.iter().next() else { return };
                state.now_ms = state.now_ms.max(at_ms);
                state.sleepers.remove(&(at_ms, id)).flatten()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    struct Sleep {
        time: VirtualTime,
        key: (u64, u64),
    }

    impl Future for Sleep {
        type Output = ();

        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            let mut state = self.time.state();
            if state.now_ms >= self.key.0 {
                return Poll::Ready(());
            }
            state.sleepers.insert(self.key, Some(cx.waker().clone()));
            Poll::Pending
        }
    }

    impl Drop for Sleep {
        fn drop(&mut self) {
            self.time.state().sleepers.remove(&self.key);
        }
    }

    impl Time for VirtualTime {
        fn now_ms(&self) -> u64 {
            let mut state = self.state();
            state.stirred += 1;
            state.now_ms
        }

        fn sleep_until(&self, at_ms: u64) -> BoxFuture<'static, ()> {
            let mut state = self.state();
            state.stirred += 1;
            state.next_id += 1;
            let key = (at_ms, state.next_id);
            Box::pin(Sleep { time: self.clone(), key })
        }
    }
}
