//! Following a job or a rollout until it is over: a progress bar on a terminal, a line for each event otherwise; both on stderr.

use std::{io::IsTerminal as _, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::view::JobView;
use crate::{commands::config::Controller, failure::Failure, output::plain};

/// Longest part of a stream that is no whole line yet, in bytes: an event of a job is a few kilobytes.
const MAX_LINE: usize = 1 << 20;
/// Streams in a row that bring nothing, after which it is given up: a controller that is started anew is back by then.
const MAX_EMPTY: u32 = 30;
/// Between two tries.
const AGAIN: Duration = Duration::from_secs(1);

/// Something that is followed to its end.
pub trait Followed: Sized {
    /// Of a controller's answer.
    ///
    /// # Errors
    /// The answer is of another version.
    fn read(value: Value) -> Result<Self, Failure>;

    /// Nothing follows.
    fn is_over(&self) -> bool;
}

/// An event that is shown as it happens.
pub trait Event: DeserializeOwned {
    /// Its number.
    fn seq(&self) -> u64;
    /// How many of a hundred parts are done after it.
    fn percent(&self) -> u8;
    /// Beside the bar.
    fn beside(&self) -> String;
    /// On a line of its own.
    fn words(&self) -> String;
    /// Whether it is worth a line above the bar.
    fn is_news(&self) -> bool;
}

/// An event of a job, as far as it is shown.
#[derive(Debug, Deserialize)]
struct Line {
    seq: u64,
    event: String,
    verb: Option<String>,
    device: Option<String>,
    words: String,
    state: String,
    percent: u8,
}

impl Event for Line {
    fn seq(&self) -> u64 {
        self.seq
    }

    fn percent(&self) -> u8 {
        self.percent
    }

    fn beside(&self) -> String {
        format!("{} {}", plain(&self.state), plain(self.verb.as_deref().unwrap_or_default()))
    }

    fn is_news(&self) -> bool {
        self.event != "step-began" && self.event != "claimed"
    }

    fn words(&self) -> String {
        let about: Vec<String> = [&self.device, &self.verb].into_iter().flatten().map(|word| plain(word)).collect();
        let (about, event, words) = (about.join(" "), plain(&self.event), plain(&self.words));
        let said = if about.is_empty() { format!("{event}: {words}") } else { format!("{about}: {event}: {words}") };
        format!("{} {said}", plain(&self.state))
    }
}

impl Followed for JobView {
    fn read(value: Value) -> Result<Self, Failure> {
        Self::read(value)
    }

    fn is_over(&self) -> bool {
        self.is_over()
    }
}

/// Where the events are shown.
enum Shown {
    Bar(ProgressBar),
    Lines,
}

impl Shown {
    fn new(label: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines;
        }
        let bar = ProgressBar::new(100);
        // A template that can't be read leaves the usual one.
        if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:30}] {pos:>3} % {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(label.to_owned());
        Self::Bar(bar)
    }

    fn show(&self, event: &impl Event) {
        match self {
            Self::Bar(bar) => {
                bar.set_position(u64::from(event.percent()));
                bar.set_message(event.beside());
                if event.is_news() {
                    bar.println(event.words());
                }
            }
            Self::Lines => eprintln!("{:>3} % {}", event.percent(), event.words()),
        }
    }

    fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// The lines of a stream that are whole; what is left of the last one stays.
fn whole_lines(buffer: &mut Vec<u8>) -> Vec<String> {
    let Some(end) = buffer.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
    let rest = buffer.split_off(end + 1);
    let whole = std::mem::replace(buffer, rest);
    String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect()
}

/// Follows a job until it is over.
///
/// # Errors
/// There is no such job, or the controller does not answer for too long.
pub async fn until_over(controller: &Controller, id: i64) -> Result<JobView, Failure> {
    follow::<JobView, Line>(controller, &format!("/jobs/{id}"), &format!("job {id}")).await
}

/// Follows what is at a path until it is over. A stream that ends early is taken up where it ended.
///
/// # Errors
/// There is nothing there, or the controller does not answer for too long.
pub async fn follow<T: Followed, E: Event>(controller: &Controller, path: &str, label: &str) -> Result<T, Failure> {
    let shown = Shown::new(label);
    let mut last: Option<u64> = None;
    let mut empty = 0;
    loop {
        let asked = async {
            let found = T::read(controller.json(controller.api(Method::GET, path)).await?)?;
            if found.is_over() {
                return Ok::<_, Failure>(Some(found));
            }
            let after = last.map(|last| ("after", last));
            let request = controller.stream(&format!("{path}/events")).query(&after.as_slice());
            let mut response = controller.open(request).await?;
            let mut buffer = Vec::new();
            // A stream that breaks is taken up again.
            while let Ok(Some(chunk)) = response.chunk().await {
                buffer.extend_from_slice(&chunk);
                for line in whole_lines(&mut buffer) {
                    let line = line.strip_prefix("data:").and_then(|json| serde_json::from_str::<E>(json).ok());
                    if let Some(line) = line {
                        (last, empty) = (Some(line.seq()), 0);
                        shown.show(&line);
                    }
                }
                if buffer.len() > MAX_LINE {
                    break;
                }
            }
            Ok(None)
        };
        match asked.await {
            Ok(Some(over)) => {
                shown.end();
                return Ok(over);
            }
            Ok(None) => {}
            Err(failure) if failure.exit == crate::failure::Exit::Unreachable && empty < MAX_EMPTY => {}
            Err(failure) => {
                shown.end();
                return Err(failure);
            }
        }
        if empty > 0 {
            tokio::time::sleep(AGAIN).await;
        }
        empty += 1;
        if empty > MAX_EMPTY {
            // It goes on; a stream that says nothing for so long is looked at again with the thing itself.
            empty = 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_come_in_pieces_are_put_together() {
        let mut buffer = b"id: 1\ndata: {\"a\"".to_vec();
        assert_eq!(whole_lines(&mut buffer), ["id: 1"]);
        assert_eq!(whole_lines(&mut buffer), Vec::<String>::new());
        buffer.extend_from_slice(b":1}\n\n");
        assert_eq!(whole_lines(&mut buffer), ["data: {\"a\":1}", ""]);
        assert!(buffer.is_empty());
    }
}
