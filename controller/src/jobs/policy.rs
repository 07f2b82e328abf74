//! What an operator sets for changes: who has to agree, when devices may be begun, and how many in a time. Pure.
//!
//! A rule is one text of words `NAME=VALUE`, so that it fits a flag, a variable and a list in the file alike.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use causeway_interface::Code;
use causeway_jobs::{
    approval::{ApprovalPolicy, MAX_APPROVALS, MAX_EXPIRY_MS, Role, Rule},
    rollout::Budget,
    spec::Kind,
    window::{MAX_WINDOWS, WEEK_MINUTES, Window},
};
use causeway_sdk::snapshot::Snapshot;

const HOUR_MS: u64 = 3_600_000;
/// How long an approval is waited for where a rule does not say: a working day and the night after it.
const HOURS: u64 = 24;
const DAY_MINUTES: u16 = 24 * 60;
/// Days as a window names them; a week begins on Monday.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const ROLES: [Role; 3] = [Role::Authority, Role::Owner, Role::Operations];
/// Rules of either sort at most: they are read by people.
pub const MAX_RULES: usize = 64;

/// Who has to agree, as a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalRule(pub Rule);

/// When devices may be begun, as a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowRule {
    /// The time of the week.
    pub window: Window,
    /// Of these devices.
    pub devices: BTreeSet<Code>,
    /// Of the devices of these contributors.
    pub contributors: BTreeSet<Code>,
}

/// What is set for changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangePolicy {
    /// Who has to agree.
    pub approvals: Vec<ApprovalRule>,
    /// When devices may be begun.
    pub windows: Vec<WindowRule>,
    /// How many devices all rollouts together begin in a time; as many as there are where there is none.
    pub budget: Option<Budget>,
}

/// The words of a rule by name, each once and known.
fn words<'a>(text: &'a str, known: &[&str]) -> Result<BTreeMap<&'a str, &'a str>, String> {
    let mut found = BTreeMap::new();
    for word in text.split_whitespace() {
        let (name, value) = word.split_once('=').ok_or_else(|| format!("{word:?} is not NAME=VALUE"))?;
        if !known.contains(&name) {
            return Err(format!("{name:?} is none of {}", known.join(", ")));
        }
        if value.is_empty() || found.insert(name, value).is_some() {
            return Err(format!("{name:?} is there twice, or says nothing"));
        }
    }
    Ok(found)
}

fn number<T: FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{name}={value} is not a number that is possible"))
}

fn several<T: Ord>(value: &str, one: impl Fn(&str) -> Result<T, String>) -> Result<BTreeSet<T>, String> {
    value.split(',').map(one).collect()
}

fn kind(name: &str) -> Result<Kind, String> {
    let known = || Kind::ALL.map(Kind::name).join(", ");
    Kind::ALL
        .into_iter()
        .find(|kind| kind.name() == name)
        .ok_or_else(|| format!("kind {name:?} is none of {}", known()))
}

fn role(name: &str) -> Result<Role, String> {
    let known = || ROLES.map(Role::name).join(", ");
    ROLES.into_iter().find(|role| role.name() == name).ok_or_else(|| format!("role {name:?} is none of {}", known()))
}

fn code(text: &str) -> Result<Code, String> {
    text.parse().map_err(|_| format!("{text:?} is no code"))
}

impl FromStr for ApprovalRule {
    type Err = String;

    /// As in `kinds=provision,revert devices=10 approvals=2 roles=owner,authority glass=authority hours=24`.
    fn from_str(text: &str) -> Result<Self, String> {
        let words = words(text, &["kinds", "devices", "approvals", "roles", "glass", "hours"])?;
        let kinds = several(words.get("kinds").ok_or("kinds= is missing: which kinds of change it is about")?, kind)?;
        let roles = words.get("roles").ok_or("roles= is missing: who may approve")?;
        let devices: usize = words.get("devices").map_or(Ok(1), |value| number("devices", value))?;
        let approvals: u8 = words.get("approvals").map_or(Ok(1), |value| number("approvals", value))?;
        let hours: u64 = words.get("hours").map_or(Ok(HOURS), |value| number("hours", value))?;
        let expires_ms = hours.saturating_mul(HOUR_MS);
        if !(1..=MAX_APPROVALS).contains(&approvals) {
            return Err(format!("approvals={approvals} is not 1 to {MAX_APPROVALS}"));
        }
        if devices == 0 || !(1..=MAX_EXPIRY_MS).contains(&expires_ms) {
            return Err(format!("devices= is at least 1, and hours= 1 to {}", MAX_EXPIRY_MS / HOUR_MS));
        }
        if kinds.contains(&Kind::DryRun) {
            return Err("a dry run changes nothing and needs no approval".to_owned());
        }
        Ok(Self(Rule {
            kinds,
            devices,
            approvals,
            roles: several(roles, role)?,
            glass: words.get("glass").map_or(Ok(BTreeSet::new()), |value| several(value, role))?,
            expires_ms,
        }))
    }
}

/// Minutes since Monday 00:00 UTC of a text such as `tue-02:00`.
///
/// # Errors
/// Words that say what is expected.
pub fn minute_of_week(text: &str) -> Result<u16, String> {
    let wrong = || format!("{text:?} is no time of the week, such as tue-02:00");
    let (day, time) = text.split_once('-').ok_or_else(wrong)?;
    let day = DAYS.iter().position(|name| *name == day).and_then(|day| u16::try_from(day).ok()).ok_or_else(wrong)?;
    let (hour, minute) = time.split_once(':').ok_or_else(wrong)?;
    let figure = |text: &str, most: u16| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|figure| digits && *figure < most).ok_or_else(wrong)
    };
    Ok(day * DAY_MINUTES + figure(hour, 24)? * 60 + figure(minute, 60)?)
}

impl FromStr for WindowRule {
    type Err = String;

    /// As in `opens=tue-02:00 minutes=120 devices=ams-1,fra-1`, or `contributors=`, or neither for everybody else.
    fn from_str(text: &str) -> Result<Self, String> {
        let words = words(text, &["opens", "minutes", "devices", "contributors"])?;
        let opens = minute_of_week(words.get("opens").ok_or("opens= is missing, such as tue-02:00")?)?;
        let minutes = number("minutes", words.get("minutes").ok_or("minutes= is missing: how long it is open")?)?;
        let window = Window { opens, minutes };
        if !window.is_sound() {
            return Err(format!("minutes={minutes} is not 1 to {WEEK_MINUTES}"));
        }
        let codes = |name: &str| words.get(name).map_or(Ok(BTreeSet::new()), |value| several(value, code));
        Ok(Self { window, devices: codes("devices")?, contributors: codes("contributors")? })
    }
}

impl ChangePolicy {
    /// What is wrong with it, beyond what a rule alone can be; none where it can be used. `room_ms` is how long a window has to
    /// be open for a change to fit.
    #[must_use]
    pub fn problem(&self, room_ms: u64) -> Option<String> {
        if self.approvals.len() > MAX_RULES || self.windows.len() > MAX_RULES {
            return Some(format!("there are more than {MAX_RULES} rules"));
        }
        let narrow = self.windows.iter().find(|rule| !rule.window.has_room(room_ms));
        if let Some(rule) = narrow {
            let minutes = rule.window.minutes;
            return Some(format!("a window of {minutes} min is shorter than a change may take, {} s", room_ms / 1_000));
        }
        None
    }

    /// When approvals are needed.
    #[must_use]
    pub fn approvals(&self) -> ApprovalPolicy {
        ApprovalPolicy { rules: self.approvals.iter().map(|rule| rule.0.clone()).collect() }
    }

    /// The windows of devices that no rule names, by themselves or by their contributor; none where any time will do.
    #[must_use]
    pub fn general(&self) -> Vec<Window> {
        let names_nobody = |rule: &&WindowRule| rule.devices.is_empty() && rule.contributors.is_empty();
        self.windows.iter().filter(names_nobody).map(|rule| rule.window).take(MAX_WINDOWS).collect()
    }

    /// The windows of devices that a rule names: of rules that name the device, or else its contributor. A device without any is
    /// not in the answer.
    #[must_use]
    pub fn windows(&self, snapshot: &Snapshot, devices: &BTreeSet<Code>) -> BTreeMap<Code, Vec<Window>> {
        if self.windows.is_empty() {
            return BTreeMap::new();
        }
        let records = snapshot.devices.values().filter(|record| devices.contains(&record.code));
        let of = |record: &causeway_interface::accounts::Device| {
            let contributor = snapshot.contributors.get(&record.contributor).map(|c| c.code);
            let some = |counts: &dyn Fn(&WindowRule) -> bool| -> Option<Vec<Window>> {
                let windows: Vec<Window> =
                    self.windows.iter().filter(|rule| counts(rule)).map(|rule| rule.window).take(MAX_WINDOWS).collect();
                (!windows.is_empty()).then_some(windows)
            };
            let windows = some(&|rule| rule.devices.contains(&record.code))
                .or_else(|| some(&|rule| contributor.is_some_and(|code| rule.contributors.contains(&code))))?;
            Some((record.code, windows))
        };
        records.filter_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use causeway_interface::Platform;

    use super::*;
    use crate::testing::{SyntheticLedger, code};

    #[test]
    fn a_rule_says_who_has_to_agree() {
        let rule: ApprovalRule =
            "kinds=provision,revert roles=owner,authority devices=10 approvals=2 glass=authority hours=8"
                .parse()
                .unwrap();
        assert_eq!(
            rule.0,
            Rule {
                kinds: [Kind::Provision, Kind::Revert].into(),
                devices: 10,
                approvals: 2,
                roles: [Role::Owner, Role::Authority].into(),
                glass: [Role::Authority].into(),
                expires_ms: 8 * HOUR_MS,
            }
        );
        let short: ApprovalRule = "kinds=decommission roles=authority".parse().unwrap();
        assert_eq!((short.0.devices, short.0.approvals, short.0.glass.len()), (1, 1, 0));
        assert_eq!(short.0.expires_ms, 24 * HOUR_MS);
        for wrong in [
            "",
            "kinds=provision",
            "roles=owner",
            "kinds=reboot roles=owner",
            "kinds=dry-run roles=owner",
            "kinds=provision roles=king",
            "kinds=provision roles=owner approvals=0",
            "kinds=provision roles=owner approvals=9",
            "kinds=provision roles=owner devices=0",
            "kinds=provision roles=owner hours=0",
            "kinds=provision roles=owner hours=169",
            "kinds=provision roles=owner hours=99999999999999999999",
            "kinds=provision kinds=revert roles=owner",
            "kinds=provision roles=",
            "kinds=provision roles=owner colour=red",
            "kinds provision",
        ] {
            assert!(wrong.parse::<ApprovalRule>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_window_is_a_time_of_the_week() {
        let rule: WindowRule = "opens=tue-02:30 minutes=120 devices=ams-1,fra-1".parse().unwrap();
        assert_eq!(rule.window, Window { opens: DAY_MINUTES + 150, minutes: 120 });
        assert_eq!(rule.devices.len(), 2);
        assert_eq!(minute_of_week("sun-23:59"), Ok(WEEK_MINUTES - 1));
        for wrong in [
            "",
            "opens=tue-02:30",
            "minutes=5",
            "opens=tue-2:30 minutes=5",
            "opens=tue-24:00 minutes=5",
            "opens=die-02:30 minutes=5",
            "opens=tue-02:60 minutes=5",
            "opens=tue-+2:00 minutes=5",
            "opens=mon-00:00 minutes=0",
            "opens=mon-00:00 minutes=10081",
            "opens=mon-00:00 minutes=60 devices=no such",
        ] {
            assert!(wrong.parse::<WindowRule>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_rule_that_names_the_device_goes_before_its_contributors_and_that_before_the_general_one() {
        let ledger = SyntheticLedger::ring(Platform::Frr);
        let rule = |text: &str| text.parse::<WindowRule>().unwrap();
        let (own, contributors, any) = (
            rule("opens=mon-01:00 minutes=60 devices=ams"),
            rule("opens=mon-02:00 minutes=60 contributors=co"),
            rule("opens=mon-03:00 minutes=60"),
        );
        let devices = [code("ams"), code("fra")].into();
        let windows = |rules: &[&WindowRule]| {
            let policy =
                ChangePolicy { windows: rules.iter().map(|rule| (*rule).clone()).collect(), ..ChangePolicy::default() };
            let windows = policy.windows(&ledger.snapshot, &devices);
            ["ams", "fra"]
                .map(|name| windows.get(&code(name)).map(|w| w.iter().map(|w| w.opens / 60).collect::<Vec<_>>()))
        };
        assert_eq!(windows(&[&own, &contributors, &any]), [Some(vec![1]), Some(vec![2])]);
        assert_eq!(windows(&[&own, &any]), [Some(vec![1]), None], "what is left is the rollout's");
        assert_eq!(windows(&[&own]), [Some(vec![1]), None]);
        assert_eq!(windows(&[]), [None, None]);
        let general = |rules: Vec<WindowRule>| ChangePolicy { windows: rules, ..ChangePolicy::default() }.general();
        assert_eq!(general(vec![own.clone(), contributors, any.clone()]), [any.window]);
        assert_eq!(general(vec![own.clone()]), []);
        let policy = ChangePolicy { windows: vec![own], ..ChangePolicy::default() };
        assert!(policy.problem(2 * HOUR_MS).is_some() && policy.problem(HOUR_MS).is_none());
    }
}
