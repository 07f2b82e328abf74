//! What is asked of a job or a rollout that is there, written down before and after.

use std::future::Future;

use causeway_jobs::{Job, desk::AskError, rollout::Rollout, spec::JobId};
use serde::Serialize;
use serde_json::{Value, json};

use super::jobs_of;
use crate::{
    http::{audit::audited, error::ApiError},
    jobs::Jobs,
    operators::Actor,
    shared::Shared,
};

/// A job or a rollout, as it stands.
pub trait Standing: Sized + Send {
    /// The one of a number.
    fn find(jobs: &Jobs, id: JobId) -> impl Future<Output = Result<Self, AskError>> + Send;

    /// How it stands, as the audit log keeps it.
    fn standing(&self) -> Value;
}

impl Standing for Job {
    async fn find(jobs: &Jobs, id: JobId) -> Result<Self, AskError> {
        jobs.desk.job(id).await
    }

    fn standing(&self) -> Value {
        json!({ "status": self.status().name(), "state": self.state().name(), "round": self.round })
    }
}

impl Standing for Rollout {
    async fn find(jobs: &Jobs, id: JobId) -> Result<Self, AskError> {
        jobs.desk.rollout(id).await
    }

    fn standing(&self) -> Value {
        json!({ "status": self.status().name(), "state": self.state().name(), "wave": self.wave + 1 })
    }
}

/// Does what is asked, `asked` being the words of it.
///
/// # Errors
/// There is none of this number; the log can't be written, and nothing was done; or what `work` said.
pub async fn asked_of<T: Standing>(
    shared: &Shared,
    caller: Actor,
    action: &'static str,
    id: JobId,
    asked: &(impl Serialize + Sync),
    work: impl Future<Output = Result<T, AskError>>,
) -> Result<T, ApiError> {
    let mut before = T::find(jobs_of(shared)?, id).await?.standing();
    before["asked"] = json!(asked);
    let work = async {
        let done = work.await?;
        let after = done.standing();
        Ok((done, after))
    };
    audited(shared, caller, action, id.0.to_string(), before, work).await
}
