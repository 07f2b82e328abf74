//! Every story of the table, at the minutes that matter.

use std::sync::Mutex;

use causeway_health_oracle::{Kind, criteria::Criterion, subjects::Judged};

use crate::{
    count, facts, ledger,
    play::{Day, at, play},
    script::MINUTES,
    stories,
    timeline::{self, Changes, device_level, link_level, short},
};

/// Minutes at which every story is looked at, whatever happens: half an hour, five hours, and the end of the day.
const NAMED: [u64; 3] = [30, 300, MINUTES];
/// What has to be tried at least: stories times criteria times looks at them.
const LEAST_LOOKS: u64 = 10_000;

/// Whether to look at a minute: something changes then or with the next, or it is one of the named.
fn is_of_interest(minute: u64, changes: &[Changes]) -> bool {
    let near = |change: &(u64, _)| change.0 == minute || change.0 == minute + 1;
    NAMED.contains(&minute) || changes.iter().flatten().any(near)
}

/// Holds what was found of all subjects against what is expected of each criterion; returns how many there were.
fn check(name: &str, minute: u64, judged: &[Judged], expected: impl Fn(Criterion, bool) -> Changes) -> u64 {
    let mut looks = 0;
    // The far device has nothing to do with the stories.
    for subject in judged.iter().filter(|subject| subject.code.as_str() != "old-z") {
        let of = |id| timeline::at(&expected(id, subject.in_service), minute);
        let criteria = &subject.verdict.criteria;
        for found in criteria {
            let place = format!("{name}: {} of {} at minute {minute}", found.id.name(), subject.code);
            assert_eq!(found.passed, of(found.id), "{place}: {}", found.observed);
            looks += 1;
        }
        let outcomes: Vec<_> = criteria.iter().map(|found| (found.id, of(found.id))).collect();
        let (level, all) = match subject.kind {
            Kind::Device => (device_level(&outcomes), 11),
            Kind::Link => (link_level(&outcomes), 3),
        };
        assert_eq!(outcomes.len(), all);
        assert_eq!(subject.verdict.level, level, "{name}: the level of {} at minute {minute}", subject.code);
    }
    assert_eq!(judged.len(), 6);
    looks
}

fn line(of: &[Criterion], name: &str, in_service: &Changes, new: &Changes) -> String {
    let names: Vec<&str> = of.iter().map(|id| id.name()).collect();
    format!("{:<22} {name:<34} {:<52} {}", names.join(" "), short(in_service), short(new))
}

fn try_story(story: &stories::Story) -> (String, u64) {
    let name = format!("{:?} {}", story.place, story.name);
    let changes: Vec<Changes> =
        timeline::ALL.iter().flat_map(|id| [story.changes(*id, true), story.changes(*id, false)]).collect();
    let words = |minute: u64| story.words.iter().filter(move |(at, ..)| *at == minute);
    let snapshot = ledger::healthy();
    let mut looks = 0;
    let day = Day { faults: story.faults.clone(), ..Day::default() };
    play(
        &day,
        &snapshot,
        |_, _| {},
        |round| {
            let minute = round.minute;
            if !is_of_interest(minute, &changes) && words(minute).next().is_none() {
                return;
            }
            let judged = round.judge(&at(&snapshot, minute));
            looks += check(&name, minute, &judged, |id, in_service| story.changes(id, in_service));
            for (_, in_service, words) in words(minute) {
                let told = judged.iter().filter(|subject| subject.in_service == *in_service);
                let told = told.filter(|subject| subject.code.as_str() != "old-z");
                let found =
                    told.flat_map(|subject| &subject.verdict.criteria).filter(|found| story.of.contains(&found.id));
                let said: Vec<&String> =
                    found.filter(|found| found.id != Criterion::U4).map(|found| &found.observed).collect();
                assert!(!said.is_empty());
                for observed in said {
                    assert!(observed.contains(words), "{name} at minute {minute}: {words:?} is not in {observed:?}");
                }
            }
        },
    );
    let id = story.of[0];
    (line(&story.of, &name, &story.changes(id, true), &story.changes(id, false)), looks)
}

/// Does all of it, on two threads; the results in order.
fn shared<T: Sync>(items: &[T], one: impl Fn(&T) -> Vec<(String, u64)> + Sync) -> Vec<(String, u64)> {
    let next = Mutex::new(items.iter().enumerate());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some((place, item)) = next.lock().unwrap().next() else { return };
                    let result = one(item);
                    done.lock().unwrap().push((place, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().flat_map(|(_, results)| results).collect()
}

fn tell(what: &str, results: Vec<(String, u64)>) {
    let looks: u64 = results.iter().map(|(_, looks)| looks).sum();
    println!("{what}: in service, and new; `+` passed, `!` failed, `-` not observed, each from a minute on");
    for (line, _) in &results {
        println!("{line}");
    }
    println!("{} days, {looks} criteria looked at", results.len());
    assert!(looks >= LEAST_LOOKS, "{looks}");
    count("criteria of a scripted day looked at", looks);
}

#[test]
fn a_day_of_telemetry_for_each_criterion() {
    let all = stories::all();
    tell("telemetry", shared(&all, |story| vec![try_story(story)]));
}

/// Stories of the ledger share a calm day; a day on which more happens is played for itself.
fn try_facts(stories: &[facts::Story]) -> Vec<(String, u64)> {
    let healthy = ledger::healthy();
    let all = |story: &facts::Story| -> Vec<Changes> {
        timeline::ALL.iter().flat_map(|id| [story.changes(*id, true), story.changes(*id, false)]).collect()
    };
    let changes: Vec<Vec<Changes>> = stories.iter().map(all).collect();
    let mut looks = vec![0; stories.len()];
    let day = Day { faults: stories[0].faults.clone(), ..Day::default() };
    play(
        &day,
        &healthy,
        |_, _| {},
        |round| {
            let minute = round.minute;
            for (index, story) in
                stories.iter().enumerate().filter(|(index, _)| is_of_interest(minute, &changes[*index]))
            {
                let mut snapshot = at(&healthy, minute);
                (story.change)(&mut snapshot, minute, (story.when)(minute));
                let judged = round.judge(&snapshot);
                looks[index] += check(story.name, minute, &judged, |id, in_service| story.changes(id, in_service));
            }
        },
    );
    let told = stories.iter().zip(looks).flat_map(|(story, looks)| {
        let lines = story.told.iter().enumerate().map(move |(index, (id, _))| {
            let changes = [story.changes(*id, true), story.changes(*id, false)];
            (line(&[*id], story.name, &changes[0], &changes[1]), if index == 0 { looks } else { 0 })
        });
        lines.collect::<Vec<_>>()
    });
    told.collect()
}

#[test]
fn a_day_of_the_ledger_for_each_criterion() {
    let (busy, calm): (Vec<_>, Vec<_>) = facts::all().into_iter().partition(|story| !story.faults.is_empty());
    let mut days = vec![calm];
    days.extend(busy.into_iter().map(|story| vec![story]));
    tell("ledger", shared(&days, |stories| try_facts(stories)));
}

/// Every criterion has its day, and each of those that are judged over time every kind of story.
#[test]
fn no_criterion_is_left_out() {
    let telemetry = stories::all();
    let ledger = facts::all();
    for id in timeline::ALL {
        let told = telemetry.iter().any(|story| story.of.contains(&id));
        let told = told || ledger.iter().any(|story| story.told.iter().any(|(of, _)| *of == id));
        assert!(told, "{}", id.name());
        let names: Vec<&str> =
            telemetry.iter().filter(|story| story.of.contains(&id)).map(|story| story.name).collect();
        if names.is_empty() {
            continue;
        }
        for kind in ["healthy", "missing altogether"] {
            assert!(names.contains(&kind), "{}: {kind}", id.name());
        }
        for kinds in [["flapping", "flapping reports"], ["failing all day", "missing altogether"]] {
            assert!(names.iter().any(|name| kinds.contains(name)), "{}: {kinds:?}", id.name());
        }
        let limits = [
            ["gap of the limit", "gap over the limit"],
            ["last word at the limit", "last word over the limit"],
            ["four answers", "three answers"],
        ];
        assert!(limits.iter().any(|pair| pair.iter().all(|name| names.contains(name))), "{}", id.name());
    }
}
