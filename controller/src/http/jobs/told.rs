//! What happened to a job or a rollout, line by line, from the events that are kept.

use std::fmt::Display;

use axum::{
    Json,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use causeway_jobs::{
    Job,
    desk::AskError,
    event::{Recorded, Seq},
    job::Phase,
    rollout::{self, Rollout},
    spec::JobId,
    store::{MAX_PAGE, Row, StoreError},
};
use serde::Serialize;

use super::{LogLine, store_error};
use crate::{
    http::{error::ApiError, rollouts::RolloutLine, routes::wants_text},
    jobs::Jobs,
};

/// A line about an event.
pub trait Line: Serialize + Display + Send + Sync + 'static {
    /// Number of the event.
    fn seq(&self) -> Seq;
    /// Name of the event.
    fn event(&self) -> &str;
}

/// Something that is kept as events.
pub trait Told: Sized + Send + Sync + 'static {
    /// What is told of each.
    type Line: Line;

    /// Of its first event.
    ///
    /// # Errors
    /// It is none.
    fn begin(id: JobId, row: &Row) -> Result<(Self, Self::Line), AskError>;

    /// Takes the next one in.
    ///
    /// # Errors
    /// It can't be read, or can't follow.
    fn take(&mut self, row: &Row) -> Result<Self::Line, AskError>;

    /// Number of the next one.
    fn next_seq(&self) -> Seq;

    /// Nothing follows, unless somebody asks for it.
    fn is_over(&self) -> bool;
}

impl Line for LogLine {
    fn seq(&self) -> Seq {
        self.seq
    }

    fn event(&self) -> &str {
        &self.event
    }
}

impl Line for RolloutLine {
    fn seq(&self) -> Seq {
        self.seq
    }

    fn event(&self) -> &str {
        &self.event
    }
}

impl Told for Job {
    type Line = LogLine;

    fn begin(id: JobId, row: &Row) -> Result<(Self, LogLine), AskError> {
        if rollout::is_rollout(&row.text) {
            return Err(AskError::OtherKind(id, "job"));
        }
        let recorded = Recorded::decode(id, row.seq, &row.text)?;
        let job = Self::fold(id, std::slice::from_ref(&recorded))?;
        let line = LogLine::of(&job, &recorded);
        Ok((job, line))
    }

    fn take(&mut self, row: &Row) -> Result<LogLine, AskError> {
        let recorded = Recorded::decode(self.id, row.seq, &row.text)?;
        self.apply(&recorded)?;
        Ok(LogLine::of(self, &recorded))
    }

    fn next_seq(&self) -> Seq {
        self.next_seq
    }

    fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }
}

impl Told for Rollout {
    type Line = RolloutLine;

    fn begin(id: JobId, row: &Row) -> Result<(Self, RolloutLine), AskError> {
        if !rollout::is_rollout(&row.text) {
            return Err(AskError::OtherKind(id, "rollout"));
        }
        let recorded = rollout::Recorded::decode(id, row.seq, &row.text)?;
        let rollout = Self::fold(id, std::slice::from_ref(&recorded))?;
        let line = RolloutLine::of(&rollout, &recorded);
        Ok((rollout, line))
    }

    fn take(&mut self, row: &Row) -> Result<RolloutLine, AskError> {
        let recorded = rollout::Recorded::decode(self.id, row.seq, &row.text)?;
        self.apply(&recorded)?;
        Ok(RolloutLine::of(self, &recorded))
    }

    fn next_seq(&self) -> Seq {
        self.next_seq
    }

    fn is_over(&self) -> bool {
        matches!(self.phase, rollout::Phase::Ended(_))
    }
}

/// Everything that happened, and how it stands.
///
/// # Errors
/// The store, or events that make no sense; there is none of this number.
pub async fn read<T: Told>(jobs: &Jobs, id: JobId) -> Result<(Vec<T::Line>, T), ApiError> {
    let mut read: Option<(Vec<T::Line>, T)> = None;
    loop {
        let from = read.as_ref().map_or(0, |(_, told)| told.next_seq());
        let rows = jobs.store.events(id, from, MAX_PAGE).await.map_err(store_error)?;
        if rows.is_empty() {
            return read.ok_or_else(|| store_error(StoreError::Unknown(id)));
        }
        for row in &rows {
            read = Some(match read.take() {
                None => {
                    let (told, line) = T::begin(id, row)?;
                    (vec![line], told)
                }
                Some((mut lines, mut told)) => {
                    lines.push(told.take(row)?);
                    (lines, told)
                }
            });
        }
    }
}

/// What happened since an event, oldest first; as lines of text where that is asked for.
///
/// # Errors
/// As of [`read`].
pub async fn answer<T: Told>(
    jobs: &Jobs,
    id: JobId,
    after: Option<Seq>,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let (mut lines, _) = read::<T>(jobs, id).await?;
    lines.retain(|line| after.is_none_or(|after| line.seq() > after));
    if wants_text(headers) {
        return Ok(lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_response());
    }
    Ok(Json(lines).into_response())
}
