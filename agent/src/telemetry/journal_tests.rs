use std::fs;

use causeway_wire::telemetry::ConfigSample;
use proptest::prelude::*;

use super::*;

const DISK: u64 = 64 << 20;

fn moment(at_unix_ms: u64, samples: usize) -> Samples {
    Samples { at_unix_ms, configs: vec![ConfigSample::default(); samples], ..Samples::default() }
}

fn times(taken: &Taken) -> Vec<u64> {
    taken.moments.iter().map(|moment| moment.at_unix_ms).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn what_was_appended_is_there_for_each_reader_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), 1_000, DISK);
    let (a, b) = (journal.reader("a", None), journal.reader("b", None));
    (1..=5).for_each(|at| journal.append(moment(at, 3)));
    let taken = journal.take(a, 7).unwrap();
    assert_eq!((times(&taken), taken.lost), (vec![1, 2], 0));
    journal.release("a", taken.end);
    drop(journal);
    let journal = Journal::open(folder.path(), 1_000, DISK);
    assert_eq!((journal.reader("a", Some(taken.end)), journal.reader("b", Some(b))), (taken.end, b));
    assert_eq!(times(&journal.take(taken.end, 100).unwrap()), [3, 4, 5]);
    assert_eq!(times(&journal.take(b, 100).unwrap()), [1, 2, 3, 4, 5]);
    journal.append(moment(6, 1));
    assert_eq!(journal.ahead(taken.end), (10, 0));
    let last = journal.take(taken.end, 100).unwrap();
    assert_eq!((times(&last), last.end), (vec![3, 4, 5, 6], Position { number: 6, before: 16 }));
    // Nobody needs anything: the next start finds nothing, and goes on where it was.
    journal.release("a", last.end);
    journal.release("b", last.end);
    drop(journal);
    let journal = Journal::open(folder.path(), 1_000, DISK);
    assert_eq!(journal.reader("a", Some(last.end)), last.end);
    journal.release("a", last.end);
    assert_eq!((files(folder.path()).len(), journal.take(last.end, 100)), (0, None));
    journal.append(moment(7, 2));
    assert_eq!(journal.take(last.end, 100).unwrap().end, Position { number: 7, before: 18 });
}

#[test]
fn the_oldest_go_first_and_are_counted_for_those_who_miss_them() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), 10, DISK);
    let start = journal.reader("a", None);
    (0..5).for_each(|at| journal.append(moment(at, 4)));
    assert_eq!(journal.ahead(start), (8, 12));
    let taken = journal.take(start, 100).unwrap();
    assert_eq!((times(&taken), taken.lost), (vec![3, 4], 12));
    // By octets too, in whole files.
    let journal = Journal::open(&folder.path().join("small"), usize::MAX, 4_000);
    let start = journal.reader("a", None);
    (0..100).for_each(|at| journal.append(moment(at, 400)));
    assert!(journal.status().disk_bytes <= 4_000 && journal.status().error.is_none());
    let (waiting, lost) = journal.ahead(start);
    assert!(waiting > 5_000 && lost > 5_000 && waiting + lost == 40_000, "{waiting} {lost}");
    let taken = journal.take(start, 100_000).unwrap();
    assert_eq!(taken.lost + taken.moments.len() as u64 * 400, 40_000);
}

#[test]
fn what_no_oracle_would_take_any_more_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), usize::MAX, DISK);
    let start = journal.reader("a", None);
    for at in [0, 1, KEEP_MS, KEEP_MS + 1] {
        journal.append(moment(at, 5));
    }
    let taken = journal.take(start, 100).unwrap();
    assert_eq!((times(&taken), taken.lost), (vec![1, KEEP_MS, KEEP_MS + 1], 5));
}

#[test]
fn a_moment_larger_than_a_batch_is_kept_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), 100_000, DISK);
    let start = journal.reader("a", None);
    journal.append(moment(1, 2 * MAX_BATCH_SAMPLES + 1));
    let mut at = start;
    let mut sizes = Vec::new();
    while let Some(taken) = journal.take(at, MAX_BATCH_SAMPLES) {
        sizes.push(taken.moments.iter().map(|m| m.len()).sum::<usize>());
        at = taken.end;
    }
    assert_eq!(sizes, [MAX_BATCH_SAMPLES, MAX_BATCH_SAMPLES, 1]);
}

#[test]
fn damage_costs_what_is_damaged_and_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), 1_000, DISK);
    let start = journal.reader("a", None);
    (1..=5).for_each(|at| journal.append(moment(at, 3)));
    drop(journal);
    let file = files(folder.path()).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    let length = bytes.len() / 5;
    bytes[length + length / 2] ^= 1;
    bytes.truncate(5 * length - 3);
    fs::write(&file, &bytes).unwrap();
    let journal = Journal::open(folder.path(), 1_000, DISK);
    assert_eq!(journal.reader("a", Some(start)), start);
    assert_eq!(journal.status().damaged_records, 1, "the end that was cut off was never written");
    let taken = journal.take(start, 100).unwrap();
    assert_eq!((times(&taken), taken.lost), (vec![1, 3, 4], 3));
    // While it runs, too: what is no longer in memory is read back.
    let number = |n| times(&journal.take(Position { number: n, before: 0 }, 1).unwrap());
    assert_eq!(number(2), [3]);
    bytes[2 * length + 50] ^= 1;
    fs::write(&file, &bytes).unwrap();
    assert_eq!(times(&journal.take(start, 100).unwrap()), [1, 4]);
    assert_eq!((journal.take(start, 100).unwrap().lost, journal.status().damaged_records), (6, 2));
}

#[test]
fn what_a_reader_has_seen_is_not_numbered_again_when_the_files_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let seen = Position { number: 40, before: 400 };
    let journal = Journal::open(folder.path(), 1_000, DISK);
    assert_eq!(journal.reader("a", Some(seen)), seen);
    let behind = journal.reader("b", Some(Position { number: 30, before: 300 }));
    journal.append(moment(1, 2));
    assert_eq!(journal.take(seen, 100).unwrap().end, Position { number: 41, before: 402 });
    assert_eq!(journal.take(behind, 100).unwrap().lost, 100);
}

#[test]
fn without_a_disk_telemetry_goes_on_in_memory_within_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("file");
    fs::write(&blocked, "in the way").unwrap();
    let journal = Journal::open(&blocked, usize::MAX, DISK);
    assert!(journal.status().error.is_some());
    let start = journal.reader("a", None);
    (0..30).for_each(|at| journal.append(moment(at, 4_000)));
    let status = journal.status();
    assert!(status.error.unwrap().contains("can not be written") && status.unwritten == 30);
    assert!(status.memory_samples <= MEMORY_SAMPLES as u64 && status.memory_samples > 50_000);
    assert_eq!(times(&journal.take(start, 1).unwrap()), [15]);
    // The disk is back.
    fs::remove_file(&blocked).unwrap();
    journal.append(moment(30, 4));
    assert_eq!((journal.status().error, journal.status().memory_samples), (None, 60_000));
    drop(journal);
    let journal = Journal::open(&blocked, usize::MAX, DISK);
    let taken = journal.take(start, 10).unwrap();
    assert_eq!((times(&taken), taken.lost), (vec![30], 120_000));
}

/// A file system of 64 KiB, as root; gone when dropped.
struct Tiny(tempfile::TempDir);

impl Tiny {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=64k", "none"];
        let status = std::process::Command::new("mount").args(mount).arg(folder.path()).status().unwrap();
        assert!(status.success(), "this test mounts a small file system, which takes root");
        Self(folder)
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_told_and_nothing_is_lost_while_memory_lasts() {
    let disk = Tiny::new();
    let filler = disk.0.path().join("filler");
    let folder = disk.0.path().join("buffer");
    let journal = Journal::open(&folder, usize::MAX, DISK);
    let start = journal.reader("a", None);
    fs::write(&filler, vec![0; 52 << 10]).unwrap();
    // Noise, which no compression shrinks.
    let noise = |at| Samples {
        at_unix_ms: at,
        configs: (0..8)
            .map(|_| ConfigSample { applied_sha256: (0..200).map(|_| rand::random()).collect(), ..Default::default() })
            .collect(),
        ..Samples::default()
    };
    (0..20).for_each(|at| journal.append(noise(at)));
    let status = journal.status();
    assert!(status.error.unwrap().contains("No space left"), "told");
    assert!((1..20).contains(&status.unwritten), "{} unwritten", status.unwritten);
    fs::remove_file(&filler).unwrap();
    journal.append(noise(20));
    assert_eq!(journal.status().error, None);
    let taken = journal.take(start, 10_000).unwrap();
    assert_eq!((times(&taken), taken.lost), ((0..=20).collect(), 0));
    drop(journal);
    // What was in memory alone is gone with the process, and is counted.
    let journal = Journal::open(&folder, usize::MAX, DISK);
    let taken = journal.take(start, 10_000).unwrap();
    assert_eq!((taken.moments.len() as u64, taken.lost), (21 - status.unwritten, 8 * status.unwritten));
    assert_eq!(journal.status().damaged_records, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens, restarts and damage among it: each reader gets what was appended in order and at most once, and
    /// what it does not get is counted.
    #[test]
    fn nothing_vanishes(
        bound in 1_usize..60,
        disk in 600_u64..6_000,
        steps in prop::collection::vec((0_u8..10, 0_usize..15, any::<prop::sample::Index>()), 0..60),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path(), bound, disk);
        let mut at = [journal.reader("a", None), journal.reader("b", None)];
        let damaged = steps.iter().any(|(step, ..)| *step == 9);
        let (mut now, mut pushed) = (0_u64, 0_u64);
        let mut got = [(0_u64, 0_u64, 0_u64); 2];
        for (step, size, index) in steps {
            match step {
                0..=4 => {
                    now += 1;
                    pushed += size as u64;
                    journal.append(moment(now, size));
                }
                5..=7 => {
                    let who = usize::from(step == 7);
                    let Some(taken) = journal.take(at[who], size) else { continue };
                    let (samples, lost, last) = &mut got[who];
                    for moment in &taken.moments {
                        prop_assert!(moment.at_unix_ms > *last);
                        *last = moment.at_unix_ms;
                        *samples += moment.len() as u64;
                    }
                    *lost += taken.lost;
                    at[who] = taken.end;
                    journal.release(["a", "b"][who], taken.end);
                }
                8 => {
                    drop(journal);
                    journal = Journal::open(folder.path(), bound, disk);
                    for who in 0..2 {
                        prop_assert_eq!(journal.reader(["a", "b"][who], Some(at[who])), at[who]);
                    }
                }
                _ => {
                    let files = files(folder.path());
                    if !files.is_empty() {
                        let file = &files[index.index(files.len())];
                        let mut bytes = fs::read(file).unwrap();
                        if !bytes.is_empty() {
                            let at = index.index(bytes.len());
                            bytes[at] ^= 0x10;
                            fs::write(file, bytes).unwrap();
                        }
                    }
                }
            }
            prop_assert!(journal.status().disk_bytes <= disk);
        }
        // The last whole record says what there was before it. One that is damaged after it, and then a restart, leaves no
        // trace: the next takes its number, unless a reader has seen it.
        for who in 0..2 {
            while let Some(taken) = journal.take(at[who], 1_000) {
                got[who].0 += taken.moments.iter().map(|m| m.len() as u64).sum::<u64>();
                got[who].1 += taken.lost;
                at[who] = taken.end;
            }
            let (_, unread) = journal.ahead(at[who]);
            let known = got[who].0 + got[who].1 + unread;
            prop_assert!(known == pushed || damaged && known <= pushed, "{known} of {pushed}");
        }
    }
}
