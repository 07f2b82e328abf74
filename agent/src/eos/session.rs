//! Configuration sessions of EOS, as the switch lists them, and the words that handle them. Pure.

use std::time::Duration;

use serde_json::Value;

use super::rpc::CallError;

/// What the names of our sessions begin with. Nobody else's session is ever touched.
pub const PREFIX: &str = "causeway-";
/// Lists sessions with their states and the commit timer.
pub const LIST: &str = "show configuration sessions detail";
/// Longest commit timer: one second less than a day, which `hh:mm:ss` can still say.
const LONGEST_TIMER_S: u64 = 24 * 60 * 60 - 1;

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Open: neither committed nor aborted. A state of an unknown name counts as open, so that nothing is taken as over
    /// that isn't.
    Open,
    /// Committed, and reverted by the switch unless it is confirmed in time.
    Timed,
    /// Over.
    Over,
}

/// The switch's sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// By name.
    pub sessions: Vec<(String, Stage)>,
    /// The one session whose commit awaits its confirmation.
    pub timed: Option<String>,
    /// How many can be open at once, where the switch says so.
    pub limit: Option<u64>,
}

impl Listing {
    /// Reads the answer to [`LIST`]. Until EOS 4.31 a timed session has a state of its own; from 4.32 on it counts as
    /// committed, and a field beside the sessions names it.
    ///
    /// # Errors
    /// Not such an answer.
    pub fn read(answer: &Value) -> Result<Self, CallError> {
        let unreadable = |what: &str| CallError::Answer(format!("the list of configuration sessions has no {what}"));
        let listed = answer.get("sessions").and_then(Value::as_object).ok_or_else(|| unreadable("sessions"))?;
        let mut listing = Self { limit: answer.get("maxOpenSessions").and_then(Value::as_u64), ..Self::default() };
        for (name, session) in listed {
            let state = session.get("state").and_then(Value::as_str).ok_or_else(|| unreadable("state"))?;
            let stage = match state {
                "pendingCommitTimer" => Stage::Timed,
                "completed" | "committed" | "aborted" => Stage::Over,
                _ => Stage::Open,
            };
            if stage == Stage::Timed {
                listing.timed = Some(name.clone());
            }
            listing.sessions.push((name.clone(), stage));
        }
        match answer.get("commitTimerSessionName") {
            None | Some(Value::Null) => {}
            Some(Value::String(name)) if name.is_empty() => {}
            Some(Value::String(name)) => {
                for (_, stage) in listing.sessions.iter_mut().filter(|(listed, _)| listed == name) {
                    *stage = Stage::Timed;
                }
                listing.timed = Some(name.clone());
            }
            Some(_) => return Err(unreadable("readable name of the session with a commit timer")),
        }
        Ok(listing)
    }

    /// The timed session, if it is one of ours.
    pub fn our_timed(&self) -> Option<&str> {
        self.timed.as_deref().filter(|name| is_ours(name))
    }

    /// Our sessions that are open.
    pub fn our_open(&self) -> impl Iterator<Item = &str> {
        self.open().filter(|name| is_ours(name))
    }

    /// Every open session.
    pub fn open(&self) -> impl Iterator<Item = &str> {
        self.sessions.iter().filter(|(_, stage)| *stage == Stage::Open).map(|(name, _)| name.as_str())
    }

    /// Whether a session is open.
    pub fn is_open(&self, name: &str) -> bool {
        self.open().any(|open| open == name)
    }
}

/// Whether a session was opened by an agent of ours.
pub fn is_ours(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// A name that no other session has.
pub fn fresh_name() -> String {
    format!("{PREFIX}{:016x}", rand::random::<u64>())
}

/// Enters a session, which comes to be with it.
pub fn enter(name: &str) -> String {
    format!("configure session {name}")
}

/// Ends a session from outside: before its commit it is dropped, after it the switch goes back.
pub fn abort(name: &str) -> String {
    format!("configure session {name} abort")
}

/// Commits for good, or confirms a timed commit.
pub fn commit(name: &str) -> String {
    format!("configure session {name} commit")
}

/// Commits, with the switch's own timer. Part of a second counts as a whole one.
///
/// # Errors
/// Longer than a timer can be, or nothing: the time.
pub fn commit_timer(name: &str, revert_after: Duration) -> Result<String, Duration> {
    let seconds = revert_after.as_secs() + u64::from(revert_after.subsec_nanos() > 0);
    if seconds == 0 || seconds > LONGEST_TIMER_S {
        return Err(revert_after);
    }
    let (hours, minutes) = (seconds / 3600, seconds % 3600 / 60);
    Ok(format!("configure session {name} commit timer {hours:02}:{minutes:02}:{:02}", seconds % 60))
}

/// The whole configuration that a session would make run, in the switch's words.
pub fn show(name: &str) -> String {
    format!("show session-config named {name}")
}

/// Difference from what runs to a session.
pub fn diffs(name: &str) -> String {
    format!("show session-config named {name} diffs")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn timers_are_said_in_hours_minutes_and_seconds_rounded_up() {
        let said =
            |ms| commit_timer("s", Duration::from_millis(ms)).map(|line| line.rsplit(' ').next().map(str::to_owned));
        assert_eq!(said(180_000), Ok(Some("00:03:00".to_owned())));
        assert_eq!(said(1), Ok(Some("00:00:01".to_owned())));
        assert_eq!(said(3_661_001), Ok(Some("01:01:02".to_owned())));
        assert_eq!(said(86_399_000), Ok(Some("23:59:59".to_owned())));
        assert!(said(86_399_001).is_err());
        assert!(said(0).is_err());
    }

    #[test]
    fn both_ways_of_listing_a_timer_are_read() {
        let before = json!({"sessions": {"causeway-1": {"state": "pendingCommitTimer"}, "op": {"state": "pending"}},
            "maxOpenSessions": 5});
        let after = json!({"sessions": {"causeway-1": {"state": "committed"}, "op": {"state": "pending"}},
            "maxOpenSessions": 5, "commitTimerSessionName": "causeway-1", "commitTimerExpireTime": 9.5});
        for answer in [before, after] {
            let listing = Listing::read(&answer).unwrap();
            assert_eq!(listing.our_timed(), Some("causeway-1"));
            assert_eq!(listing.open().collect::<Vec<_>>(), ["op"]);
            assert_eq!(listing.our_open().count(), 0);
            assert_eq!(listing.limit, Some(5));
        }
    }

    #[test]
    fn an_unknown_state_is_open_and_a_missing_one_is_an_error() {
        let listing = Listing::read(&json!({"sessions": {"causeway-2": {"state": "committing"}}})).unwrap();
        assert_eq!(listing.our_open().collect::<Vec<_>>(), ["causeway-2"]);
        for answer in [json!({}), json!({"sessions": {"a": {}}}), json!({"sessions": []})] {
            assert!(matches!(Listing::read(&answer), Err(CallError::Answer(_))), "{answer}");
        }
        let timer = json!({"sessions": {}, "commitTimerSessionName": 3});
        assert!(Listing::read(&timer).is_err());
    }

    #[test]
    fn another_ones_timer_is_not_ours() {
        let listing = Listing::read(&json!({"sessions": {"maintenance": {"state": "pendingCommitTimer"}}})).unwrap();
        assert_eq!((listing.timed.as_deref(), listing.our_timed()), (Some("maintenance"), None));
    }
}
