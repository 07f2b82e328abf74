//! What an oracle uses that has a secret: the webhook of its alerts, the server of its store.

use std::{path::Path, time::Duration};

use causeway_sdk::keys;

use super::{
    super::{StoreConfig, options::Form, problem::Problem, values::is_url},
    Builder, Origin, sentence,
};
use crate::store::clickhouse;

/// A secret: as it stands there, or from a file that is named at a place.
enum Secret {
    Plain(String),
    File { place: String, content: String },
}

impl Builder<'_> {
    /// The webhook's address.
    pub(super) fn webhook(&mut self) -> Result<Option<String>, ()> {
        let (place, url) = match self.secret("alerts.webhook", "alerts.webhook_file")? {
            None => return Ok(None),
            Some(Secret::Plain(_)) => return self.url("alerts.webhook").map(Some).ok_or(()),
            Some(Secret::File { place, content }) => (place, content),
        };
        if is_url(&url) {
            return Ok(Some(url));
        }
        let cause = format!("The file does not hold {}.", Form::Url.words());
        self.problems.push(Problem::config(place, cause, "Put the webhook's address into it, and nothing else."));
        Err(())
    }

    /// Where telemetry is kept. What is said about a server is checked even if none is used.
    pub(super) fn store(&mut self) -> Option<StoreConfig> {
        let chosen = self.checked("store", |value, form| {
            let Form::Choice(words) = form else { return None };
            words.iter().copied().find(|word| *word == value)
        });
        let (url, database) = (self.url("clickhouse.url"), self.text("clickhouse.database"));
        let (user, timeout) = (self.text("clickhouse.user"), self.number("clickhouse.timeout_seconds"));
        let password = match self.secret("clickhouse.password", "clickhouse.password_file").ok()? {
            None => String::new(),
            Some(Secret::Plain(password) | Secret::File { content: password, .. }) => password,
        };
        let settings = clickhouse::Settings {
            database: database?,
            user: user?,
            password,
            timeout: Duration::from_secs(timeout?),
            ..clickhouse::Settings::new(url?)
        };
        if let Err(error) = settings.check() {
            let remedy = "Mend the values in [clickhouse].";
            self.problems.push(Problem::config("clickhouse", sentence(&error.to_string()), remedy));
            return None;
        }
        Some(if chosen? == "clickhouse" { StoreConfig::ClickHouse(settings) } else { StoreConfig::Sqlite })
    }

    /// A secret, from itself or its file; the more specific source wins, the secret itself in a tie.
    fn secret(&mut self, key: &str, file_key: &str) -> Result<Option<Secret>, ()> {
        let rank = |key: &str| match self.settings.values.get(key).map(|setting| &setting.origin) {
            Some(Origin::Flag(_)) => 3,
            Some(Origin::Environment(_)) => 2,
            Some(Origin::File(..)) => 1,
            Some(Origin::Default) | None => 0,
        };
        let (plain, file) = (rank(key), rank(file_key));
        if plain == 0 && file == 0 {
            return Ok(None);
        }
        if plain >= file {
            return self.text(key).map(|value| Some(Secret::Plain(value))).ok_or(());
        }
        let path = self.text(file_key).ok_or(())?;
        let place = self.place(file_key);
        let content = keys::read_private(Path::new(&path))
            .map_err(|error| self.problems.push(Problem::secret(place.clone(), &error)))?;
        let content = String::from_utf8(content).unwrap_or_default().trim().to_owned();
        Ok(Some(Secret::File { place, content }))
    }
}
