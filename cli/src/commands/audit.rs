//! `causeway audit`: who did what at a controller, as a table, as JSON, as lines of JSON, or checked.

use causeway_controller::audit::{Chain, Entry, MAX_PAGE};
use reqwest::Method;

use super::config::Controller;
use crate::{
    args,
    failure::{self, Exit, Failure},
    output::{Report, plain, table, utc},
};

/// Most entries that are checked: a hundred years of a busy day each.
const MAX_CHECKED: usize = 10_000_000;

const HEAD: [&str; 7] = ["NUMBER", "TIME", "ACTOR", "ACTION", "SUBJECT", "OUTCOME", "AFTER"];

/// Fetches, and prints or checks.
pub async fn run(args: &args::Audit) -> Result<Report, Failure> {
    let controller = Controller::new(&args.ask)?;
    if args.verify {
        return verify(&controller, args).await;
    }
    let wanted = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let mut entries: Vec<Entry> = Vec::new();
    while entries.len() < wanted {
        let most = MAX_PAGE.min(wanted.saturating_sub(entries.len()));
        let page = page(&controller, args, entries.last().map_or(0, |entry| entry.seq), most).await?;
        let whole = page.len() == most;
        entries.extend(page);
        if !whole {
            break;
        }
    }
    if args.lines {
        let lines: Vec<_> = entries.iter().map(|entry| serde_json::to_string(entry).unwrap_or_default()).collect();
        return Ok(Report::text(lines.join("\n")));
    }
    Report::new(table(&HEAD, entries.iter().map(row)), &entries)
}

async fn page(controller: &Controller, args: &args::Audit, after: u64, most: usize) -> Result<Vec<Entry>, Failure> {
    let mut query = vec![("after", after.to_string()), ("limit", most.to_string())];
    let texts = [("actor", &args.actor), ("action", &args.action), ("subject", &args.subject)];
    query.extend(texts.into_iter().filter_map(|(name, text)| Some((name, text.clone()?))));
    query.extend(args.since.map(|since| ("since_unix_ms", since.to_string())));
    query.extend(args.until.map(|until| ("until_unix_ms", until.to_string())));
    let text = controller.text(controller.api(Method::GET, "/audit").query(&query)).await?;
    let read = |line: &str| {
        serde_json::from_str::<Entry>(line).map_err(|error| {
            let cause = format!("The controller's answer is of another version: {error}.");
            Failure::new(failure::CONTROLLER_REFUSED, Exit::Refused, cause)
        })
    };
    let entries: Vec<Entry> = text.lines().map(read).collect::<Result<_, _>>()?;
    // One that gives the same again and again would be asked for ever.
    let mut last = after;
    let rising = entries.iter().all(|entry| std::mem::replace(&mut last, entry.seq) < entry.seq);
    if rising && entries.len() <= most {
        return Ok(entries);
    }
    let cause = "The controller's entries are not in order.";
    Err(Failure::new(failure::CONTROLLER_REFUSED, Exit::Refused, cause))
}

fn row(entry: &Entry) -> Vec<String> {
    let seconds = i64::try_from(entry.at_unix_ms / 1_000).unwrap_or(i64::MAX);
    let after = if entry.after.is_null() { "-".to_owned() } else { entry.after.to_string() };
    vec![
        entry.seq.to_string(),
        utc(seconds),
        plain(&entry.actor),
        plain(&entry.action),
        plain(&entry.subject),
        entry.outcome.name().to_owned(),
        plain(&after),
    ]
}

async fn verify(controller: &Controller, args: &args::Audit) -> Result<Report, Failure> {
    let mut chain: Option<Chain> = None;
    let mut checked = 0;
    while checked < MAX_CHECKED {
        let after = chain.as_ref().map_or(0, |chain| chain.seq);
        let entries = page(controller, args, after, MAX_PAGE).await?;
        for entry in &entries {
            // A log in memory begins with the oldest that is kept: what was before it can't be checked.
            let chain = chain.get_or_insert_with(|| match entry.seq {
                1 => Chain::default(),
                _ => Chain { seq: entry.seq, hash: entry.hash.clone() },
            });
            if chain.seq != entry.seq {
                chain.take(entry).map_err(|broken| {
                    let cause = format!("The controller's audit log was changed: {broken}.");
                    Failure::new(failure::AUDIT_CHANGED, Exit::Refused, cause)
                })?;
            }
            checked += 1;
        }
        if entries.len() < MAX_PAGE {
            break;
        }
    }
    let hash = chain.map(|chain| chain.hash).unwrap_or_default();
    let value = serde_json::json!({ "checked": checked, "hash": hash });
    Report::new(format!("{checked} entries follow from each other; the last one's hash is {hash}"), &value)
}
