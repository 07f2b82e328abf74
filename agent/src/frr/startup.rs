//! What FRR starts with: what it saved, put in the order in which it can read it.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    },
    path::{Path, PathBuf},
};

use nix::libc;

use super::passage::OVERLOAD;

/// Longest file, in bytes; the running configuration of an iBGP mesh of 10 000 devices takes 4 MB.
const MAX_STARTUP_BYTES: u64 = 64 << 20;
/// Of the new file until it is its owner's.
const NOBODY_ELSE: u32 = 0o600;
/// What is kept of a file's mode: a configuration is no program.
const READ_AND_WRITE: u32 = 0o666;

/// Makes of the file that FRR saved what it can start with, whole or not at all. Its owner and who may read it stay as they are.
///
/// The folder is not the agent's: FRR's daemons may write there, and must not become root by what they put there. So nothing
/// in it is followed, and nothing that is there is opened to be written.
///
/// # Errors
/// It can't be read or replaced, or is not a file.
pub fn put_in_order(path: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = Folder::open(folder)?;
    let (saved, was) = folder.read(name)?;
    let startup = in_order(&saved);
    if startup == saved {
        return Ok(());
    }
    let mut beside = name.to_owned();
    beside.push(".new");
    // What an agent that was killed has left.
    match fs::remove_file(folder.inside(&beside)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(NOBODY_ELSE).open(folder.inside(&beside))?;
    fchown(&file, Some(was.uid()), Some(was.gid()))?;
    file.set_permissions(fs::Permissions::from_mode(was.mode() & READ_AND_WRITE))?;
    file.write_all(startup.as_bytes())?;
    file.sync_all()?;
    fs::rename(folder.inside(&beside), folder.inside(name))?;
    folder.0.sync_all()
}

/// A folder that is open: the same one, whatever becomes of its name.
struct Folder(File);

impl Folder {
    /// Opens it. It may be reached by a link only where that is root's.
    fn open(path: &Path) -> io::Result<Self> {
        let open = |flags| OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | flags).open(path);
        let opened = match open(libc::O_NOFOLLOW) {
            Err(_) if fs::symlink_metadata(path).is_ok_and(|link| link.is_symlink() && link.uid() == 0) => open(0),
            opened => opened,
        };
        opened.map(Self)
    }

    /// The path of what is in it.
    fn inside(&self, name: &OsStr) -> PathBuf {
        Path::new("/proc/self/fd").join(self.0.as_raw_fd().to_string()).join(name)
    }

    /// What a file in it holds, and what it is.
    fn read(&self, name: &OsStr) -> io::Result<(String, fs::Metadata)> {
        // A pipe that nobody writes to would be waited for.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(self.inside(name))?;
        let was = file.metadata()?;
        if !was.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
        }
        let mut saved = String::new();
        if file.take(MAX_STARTUP_BYTES + 1).read_to_string(&mut saved)? as u64 > MAX_STARTUP_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok((saved, was))
    }
}

/// What FRR saved, so that a router that has lost its power comes back by it: IS-IS before the interfaces, and with the overload
/// bit. The same where it is so already, or no IS-IS is in it.
///
/// FRR 8.4 writes interfaces first, and at its start refuses each whose metric is above 63, because nothing has said by then that metrics are
/// wide. The bit comes after the section's timers: before them isisd puts off for half a minute what it says of itself, as its own
/// default for the timers is.
fn in_order(saved: &str) -> String {
    let mut sections: Vec<Vec<&str>> = Vec::new();
    for line in saved.lines() {
        match sections.last_mut().filter(|_| line.starts_with(' ') || line.starts_with("exit")) {
            Some(section) => section.push(line),
            None => sections.push(vec![line]),
        }
    }
    let begins = |section: &Vec<&str>, with: &str| section.first().is_some_and(|line| line.starts_with(with));
    let Some(place) = sections.iter().position(|section| section.first().is_some_and(|l| l.trim_end() == OVERLOAD[0]))
    else {
        return saved.to_owned();
    };
    let bit = format!(" {}", OVERLOAD[1]);
    let mut isis = sections.remove(place);
    isis.retain(|line| line.trim_end() != bit);
    let end = isis.iter().rposition(|line| line.starts_with(' ')).unwrap_or(0) + 1;
    isis.insert(end, &bit);
    let first = sections.iter().position(|section| begins(section, "interface ")).unwrap_or(place);
    sections.insert(first.min(place), isis);
    let lines: Vec<&str> = sections.into_iter().flatten().collect();
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::symlink,
        process::Command,
        time::{Duration, Instant},
    };

    use super::*;

    const SAVED: &str = "interface a\n isis metric 400\nexit\nrouter isis 1\n net x\nexit\n";

    /// A folder with what FRR saved, owned by FRR's user, and a file that is none of its business.
    fn saved() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("frr.conf"), folder.path().join("other"));
        fs::write(&path, SAVED).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4640)).unwrap();
        fs::write(&other, SAVED).unwrap();
        (folder, path, other)
    }

    fn is_as_it_was(other: &Path) -> bool {
        fs::read_to_string(other).unwrap() == SAVED && fs::metadata(other).unwrap().is_file()
    }

    #[test]
    fn the_file_is_replaced_whole_and_stays_its_owners() {
        let (_folder, path, _) = saved();
        // Root gives it to another user, as FRR does; who isn't root can't.
        let given = std::os::unix::fs::chown(&path, Some(12_345), Some(54_321)).is_ok();
        let before = fs::metadata(&path).unwrap();
        put_in_order(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), in_order(SAVED));
        let after = fs::metadata(&path).unwrap();
        assert_eq!((after.uid(), after.gid(), after.mode() & 0o7777), (before.uid(), before.gid(), 0o640));
        assert!(!given || after.uid() == 12_345);
    }

    #[test]
    fn a_link_where_the_new_file_will_be_leads_nowhere() {
        let (folder, path, other) = saved();
        let beside = folder.path().join("frr.conf.new");
        symlink(&other, &beside).unwrap();
        let owner = fs::metadata(&other).unwrap().ino();
        put_in_order(&path).unwrap();
        assert!(is_as_it_was(&other) && fs::metadata(&other).unwrap().ino() == owner);
        assert_eq!(fs::read_to_string(&path).unwrap(), in_order(SAVED));
        assert!(!fs::symlink_metadata(&path).unwrap().is_symlink() && !beside.exists());
        // What can't be taken away stays in the way, and nothing happens.
        fs::write(&path, SAVED).unwrap();
        fs::create_dir(&beside).unwrap();
        assert!(put_in_order(&path).is_err());
        assert!(is_as_it_was(&path));
    }

    #[test]
    fn what_is_not_a_file_is_neither_followed_nor_waited_for() {
        let (folder, path, other) = saved();
        fs::remove_file(&path).unwrap();
        symlink(&other, &path).unwrap();
        assert!(put_in_order(&path).is_err());
        assert!(is_as_it_was(&other));
        fs::remove_file(&path).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let began = Instant::now();
        assert!(put_in_order(&path).is_err());
        assert!(began.elapsed() < Duration::from_secs(5));
        // Nor a folder that somebody else than root has put a link in place of.
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::create_dir(&real).unwrap();
        fs::write(real.join("frr.conf"), SAVED).unwrap();
        symlink(&real, &link).unwrap();
        if std::os::unix::fs::lchown(&link, Some(12_345), Some(54_321)).is_ok() {
            assert!(put_in_order(&link.join("frr.conf")).is_err());
            std::os::unix::fs::lchown(&link, Some(0), Some(0)).unwrap();
            put_in_order(&link.join("frr.conf")).unwrap();
            assert!(!is_as_it_was(&real.join("frr.conf")));
        }
    }

    #[test]
    fn a_startup_says_is_is_first_with_the_bit_at_its_end_and_loses_nothing() {
        let isis = "router isis 1\n is-type level-2-only\n net x\n";
        let links = "interface a\n ip address 10.0.3.0/31\n ip router isis 1\n isis metric 400\ninterface lo\n ip router isis 1\n";
        let saved = format!("frr version 8.4.4\n!\nvrf m\nexit-vrf\n!\n{links}exit\n!\n{isis}exit\n!\nend\n");
        let expected = format!(
            "frr version 8.4.4\n!\nvrf m\nexit-vrf\n!\n{isis} set-overload-bit\nexit\n{links}exit\n!\n!\nend\n"
        );
        assert_eq!(in_order(&saved), expected);
        assert_eq!(in_order(&expected), expected, "once");
        let drained = saved.replace(" net x\n", " set-overload-bit\n net x\n");
        assert_eq!(in_order(&drained), expected, "after the timers");
        for other in ["! nothing\n", "interface a\n ip router isis 1\n", "router isis 2\n net x\n"] {
            assert_eq!(in_order(other), other);
        }
        assert_eq!(in_order("router isis 1"), "router isis 1\n set-overload-bit\n");
    }
}
