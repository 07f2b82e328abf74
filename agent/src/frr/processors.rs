//! How busy this machine's processors are, by the kernel's counters (proc(5)). They are of the machine, also where the router
//! has a network namespace of its own.

use std::fs;

use crate::driver::{CpuTime, DriverError};

/// Where the kernel counts.
const STAT: &str = "/proc/stat";
/// Kinds of time that add up to all of it: user, nice, system, idle, iowait, irq, softirq, steal. Guests' time, which follows,
/// is within that of user and nice.
const KINDS: usize = 8;
/// Kinds that every kernel has.
const LEAST_KINDS: usize = 4;
/// Places of idle and iowait among them.
const IDLE: [usize; 2] = [3, 4];

/// Since the machine's start.
///
/// # Errors
/// [`DriverError::Unreachable`]: it can't be read.
pub fn time() -> Result<CpuTime, DriverError> {
    let told = fs::read_to_string(STAT).map_err(|error| DriverError::Unreachable(format!("{STAT}: {error}")))?;
    read(&told).ok_or_else(|| DriverError::Unreachable(format!("what {STAT} says can not be read")))
}

/// Reads the line of all processors together.
fn read(told: &str) -> Option<CpuTime> {
    let line = told.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let kinds: Option<Vec<u64>> = line.split_whitespace().take(KINDS).map(|word| word.parse().ok()).collect();
    let kinds = kinds.filter(|kinds| kinds.len() >= LEAST_KINDS)?;
    let sum = |sum: u64, more: u64| sum.checked_add(more);
    let all = kinds.iter().copied().try_fold(0, sum)?;
    let idle = IDLE.iter().filter_map(|place| kinds.get(*place).copied()).try_fold(0, sum)?;
    Some(CpuTime { busy: all.checked_sub(idle)?, all })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_and_waiting_time_is_not_busy_and_guests_are_counted_once() {
        let told = "cpu  100 1 20 700 30 2 3 4 90 9\ncpu0 50 0 10 350 15 1 1 2 45 4\nintr 5\n";
        assert_eq!(read(told), Some(CpuTime { busy: 130, all: 860 }));
        assert_eq!(read("cpu 1 2 3 4\n"), Some(CpuTime { busy: 6, all: 10 }));
    }

    #[test]
    fn what_is_no_line_of_counters_is_nothing() {
        for told in ["", "cpu0 1 2 3 4\n", "cpu  1 2 3\n", "cpu  1 2 x 4\n", "cpu  1 2 -3 4\n"] {
            assert_eq!(read(told), None, "{told:?}");
        }
        assert_eq!(read(&format!("cpu  {} 1 1 1\n", u64::MAX)), None);
    }

    #[test]
    fn this_machines_counters_are_read() {
        let time = time().unwrap();
        assert!(0 < time.busy && time.busy < time.all, "{time:?}");
    }
}
