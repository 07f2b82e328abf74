//! What an oracle published, round by round.

use std::sync::{Arc, Mutex};

use causeway_health_oracle::{OracleHandle, Published};
use tokio::task::JoinHandle;

/// Every round of an oracle, as it was published.
pub struct Rounds {
    seen: Arc<Mutex<Vec<Arc<Published>>>>,
    task: JoinHandle<()>,
}

impl Drop for Rounds {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Rounds {
    pub fn of(oracle: &OracleHandle) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (noted, mut watch) = (seen.clone(), oracle.watch());
        let task = tokio::spawn(async move {
            while watch.changed().await.is_ok() {
                noted.lock().unwrap().push(watch.borrow_and_update().clone());
            }
        });
        Self { seen, task }
    }

    /// Those that began at this moment or later.
    pub fn since(&self, at_ms: u64) -> Vec<Arc<Published>> {
        self.seen.lock().unwrap().iter().filter(|round| round.at_ms >= at_ms).cloned().collect()
    }
}
