//! How much a test has tried, said where `cargo xtask test` can print it.

use std::{fs::OpenOptions, io::Write as _};

/// Names the file that [`report`] appends to; `cargo xtask test` sets it and prints what it finds there.
pub const ENV: &str = "CAUSEWAY_COUNTS";

/// Says how many of something a test has tried: to the file named by [`ENV`], and to standard output.
///
/// # Panics
/// The file can't be written.
pub fn report(what: &str, count: usize) {
    println!("{what}: {count}");
    if let Some(path) = std::env::var_os(ENV) {
        let mut file = OpenOptions::new().create(true).append(true).open(path).expect("the file of counts");
        // One write per line: tests of several processes may append at once.
        file.write_all(format!("{what}\t{count}\n").as_bytes()).expect("a line of counts");
    }
}
