//! The configuration as text: what is in force and where it came from, the example file, the page's table.

use super::{
    Daemon,
    options::{Default, Form, OPTIONS, Spec},
    resolve::Settings,
};
use crate::{book::RuleBook, secret};
use causeway_interface::Key;
use solana_sdk::signer::Signer;

/// Width to which comments are wrapped.
const WIDTH: usize = 118;

/// What is in force, as TOML with the origin of each value behind it. Secrets are hidden.
#[must_use]
pub fn effective(daemon: &Daemon, settings: &Settings) -> String {
    let line = |key: &str, value: String, origin: String| format!("{:<60} # {origin}\n", format!("{key} = {value}"));
    let mut text = String::new();
    for spec in OPTIONS {
        if let Some(setting) = settings.values.get(spec.key) {
            let value = match (spec.secret, spec.form) {
                (true, _) => "(hidden)".to_owned(),
                // A provider's key may be part of it.
                (false, Form::Url) => secret::shown(&setting.value),
                (false, _) => setting.value.clone(),
            };
            text.push_str(&line(spec.key, quoted(spec, &value), setting.origin.to_string()));
        }
    }
    for (key, setting) in &settings.special {
        text.push_str(&line(key, setting.value.clone(), setting.origin.to_string()));
    }
    let config = &daemon.config;
    text.push_str(&format!("# The oracle's key is {}.\n", config.key.pubkey()));
    let program = Key(config.program_id.to_bytes());
    if let Ok(book) = RuleBook::new(&config.rules, &config.overrides, &program) {
        for (class, rules) in book.members().filter(|(_, rules)| **rules != config.rules) {
            text.push_str(&format!("# In this network {} is judged by {rules:?}\n", class.name()));
        }
    }
    text
}

fn quoted(spec: &Spec, value: &str) -> String {
    // TOML's basic strings escape as JSON's do.
    if spec.form.is_quoted() { serde_json::Value::from(value).to_string() } else { value.to_owned() }
}

/// The example file: every option with its default, commented out but for what has to be set. A line that is commented
/// out has no blank behind its mark, so that it can be told from prose.
#[must_use]
pub fn example() -> String {
    let mut text = String::from(
        "# The configuration of a health oracle, with every key. What is commented out is the default.\n\
         #\n\
         # A flag wins over its environment variable, that over this file, this over the default. The flag of a key is\n\
         # its last part with dashes: --round-seconds. Those of [clickhouse] have its name in front:\n\
         # --clickhouse-url. What has to be set is marked.\n\
         # `causeway-health-oracle --config FILE --check-config` prints what is in force and where it came from.\n",
    );
    let mut table = "";
    for spec in OPTIONS {
        let of = spec.key.rsplit_once('.').map_or("", |(table, _)| table);
        if of != table {
            text.push_str(&format!("\n[{of}]\n"));
            table = of;
        }
        text.push_str(&format!("\n{}", wrapped(spec.help)));
        let (mark, value) = match spec.default {
            Default::Required(example) => ("# Has to be set.\n", example),
            Default::Nothing(example) => ("# Not set by default.\n#", example),
            Default::Is(value) => ("#", value),
            Default::Preset(minutes, seconds) => {
                text.push_str(&format!("# With seconds = true the default is {seconds}.\n"));
                ("#", minutes)
            }
        };
        text.push_str(&format!("{mark}{} = {}\n", spec.name(), quoted(spec, value)));
    }
    text.push_str(
        "\n# Rules for a type of device (edge, transit, hybrid) or link (wan, dzx), and for one network, named by the\n\
         # address of its program. Most specific wins, number by number: what is said for all, then for a type, then for\n\
         # the network, then for a type in that network. bucket_ms and lag_ms are the same for all. For example:\n\
         #\n\
         # [rules.edge]\n\
         # max_gap_ms = 600000\n\
         #\n\
         # [network.\"11111111111111111111111111111112\".rules]\n\
         # loss_limit_ppm = 1000\n\
         #\n\
         # [network.\"11111111111111111111111111111112\".rules.wan]\n\
         # loss_limit_ppm = 100\n",
    );
    text
}

fn wrapped(help: &str) -> String {
    let mut lines = vec!["#".to_owned()];
    for word in help.split_whitespace() {
        let room = lines.last().is_some_and(|line| line.len() + word.len() < WIDTH);
        match lines.last_mut() {
            Some(line) if room => line.push_str(&format!(" {word}")),
            Some(_) | None => lines.push(format!("# {word}")),
        }
    }
    lines.join("\n") + "\n"
}

/// The table of every option for the page about the oracle, in Markdown.
#[must_use]
pub fn table() -> String {
    let mut text = String::from("| Key | Flag | Environment | Default | What it is |\n|---|---|---|---|---|\n");
    for spec in OPTIONS {
        let default = match spec.default {
            Default::Required(_) => "has to be set".to_owned(),
            Default::Nothing(_) => String::new(),
            Default::Is(value) => format!("`{value}`"),
            Default::Preset(minutes, seconds) => format!("`{minutes}`; in seconds `{seconds}`"),
        };
        let Spec { key, env, help, .. } = spec;
        text.push_str(&format!("| `{key}` | `--{}` | `{env}` | {default} | {help} |\n", spec.flag()));
    }
    text
}
