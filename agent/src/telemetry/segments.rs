//! The segment files of the buffer: appended to, read in part, removed whole.
//!
//! A file is named after its first record. A process never goes on with a file of an earlier one: what a write that was
//! cut off left at its end stays where it is.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use super::{
    journal::SYNC_EVERY,
    record::{self, Found, Head},
};

/// Octets after which a new file is begun: half an hour of a device with fifty interfaces and links, and how much a
/// damaged disk block or an oracle that is far behind makes the agent read at once.
const SEGMENT_BYTES: u64 = 1 << 20;
/// Longest file that is read: a segment and a record.
const MAX_FILE_BYTES: u64 = SEGMENT_BYTES + (5 << 20);
/// Files at most: a process that starts and dies again and again begins a new one each time.
const MAX_FILES: usize = 4_096;
const EXTENSION: &str = "seg";

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    file: u64,
    at: u64,
    length: usize,
}

struct Segment {
    number: u64,
    bytes: u64,
}

/// The files.
pub struct Segments {
    folder: PathBuf,
    bound: u64,
    /// Oldest first; the last may be the one that is written.
    files: VecDeque<Segment>,
    active: Option<File>,
    synced: Instant,
}

/// What was found at the start: records with their places, and how many stretches are damaged.
type Contents = (Vec<(Head, Spot)>, u64);

impl Segments {
    /// Opens a folder, made if missing, and reads all of it. With what is wrong with it, where something is.
    pub fn open(folder: PathBuf, bound: u64) -> (Self, Vec<(Head, Spot)>, u64, Option<String>) {
        let mut segments = Self { folder, bound, files: VecDeque::new(), active: None, synced: Instant::now() };
        match segments.load() {
            Ok((found, broken)) => (segments, found, broken, None),
            Err(error) => {
                let why = told(&segments.folder, "read", &error);
                (segments, Vec::new(), 0, Some(why))
            }
        }
    }

    fn load(&mut self) -> io::Result<Contents> {
        fs::create_dir_all(&self.folder)?;
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let is_segment = path.extension().is_some_and(|extension| extension == EXTENSION);
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            numbers.extend(number.filter(|number| is_segment && self.path(*number) == path));
        }
        numbers.sort_unstable();
        let (mut found, mut broken) = (Vec::new(), 0);
        for number in numbers {
            let Ok(bytes) = read_file(&self.path(number)) else {
                broken += 1;
                continue;
            };
            let (records, stretches) = record::scan(&bytes);
            broken += u64::try_from(stretches).unwrap_or(u64::MAX);
            if records.is_empty() {
                let _ = fs::remove_file(self.path(number));
                continue;
            }
            let spot = |r: &Found| (r.head, Spot { file: number, at: r.at as u64, length: r.length });
            found.extend(records.iter().map(spot));
            self.files.push_back(Segment { number, bytes: bytes.len() as u64 });
        }
        Ok((found, broken))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:020}.{EXTENSION}"))
    }

    /// Octets of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Appends a record. Where that is too much the oldest files go.
    ///
    /// # Errors
    /// What could not be done, and why; then nothing of the record is in a file that is used.
    pub fn append(&mut self, number: u64, record: &[u8]) -> Result<Spot, String> {
        let length = record.len() as u64;
        let full = self.files.back().is_some_and(|last| last.bytes + length > SEGMENT_BYTES.min(self.bound / 4));
        if full {
            self.sync();
            self.active = None;
        }
        while self.bytes() + length > self.bound || self.files.len() >= MAX_FILES {
            match self.files.len() {
                0 => return Err(format!("a record of {length} octets is more than the buffer may hold")),
                1 => self.active = None,
                _ => {}
            }
            self.remove_oldest();
        }
        let written = self.write(number, record);
        if written.is_err() {
            // The next one has a file of its own: what is at the end of this one is not known.
            self.active = None;
        }
        if self.synced.elapsed() >= SYNC_EVERY {
            self.sync();
        }
        written.map_err(|error| told(&self.folder, "written", &error))
    }

    fn write(&mut self, number: u64, record: &[u8]) -> io::Result<Spot> {
        if self.active.is_none() {
            fs::create_dir_all(&self.folder)?;
            // A file of this name can hold no whole record: it would have been numbered after that.
            self.files.retain(|file| file.number != number);
            self.active = Some(File::create(self.path(number))?);
            self.files.push_back(Segment { number, bytes: 0 });
        }
        let (Some(file), Some(segment)) = (&mut self.active, self.files.back_mut()) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let at = segment.bytes;
        if let Err(error) = file.write_all(record) {
            let _ = file.set_len(at);
            return Err(error);
        }
        segment.bytes += record.len() as u64;
        Ok(Spot { file: segment.number, at, length: record.len() })
    }

    /// Writes what was appended through to the disk.
    pub fn sync(&mut self) {
        self.synced = Instant::now();
        let synced = self.active.as_ref().map_or(Ok(()), File::sync_data);
        let folder = File::open(&self.folder).and_then(|folder| folder.sync_all());
        if let Err(error) = synced.and(folder) {
            tracing::debug!(%error, "the telemetry buffer is not written through");
        }
    }

    /// Whether the file of a record is still there.
    pub fn holds(&self, spot: &Spot) -> bool {
        self.files.iter().any(|file| file.number == spot.file)
    }

    /// The octets of a record; none where they can't be read.
    pub fn read(&self, spot: &Spot) -> Option<Vec<u8>> {
        let mut file = File::open(self.path(spot.file)).ok()?;
        file.seek(SeekFrom::Start(spot.at)).ok()?;
        let mut bytes = vec![0; spot.length];
        file.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Removes the files before that of a record; all but the one that is written, where there is none.
    pub fn keep_from(&mut self, first: Option<&Spot>) {
        let kept = usize::from(self.active.is_some());
        while self.files.len() > kept && self.files.front().is_some_and(|f| first.is_none_or(|s| f.number < s.file)) {
            self.remove_oldest();
        }
    }

    fn remove_oldest(&mut self) {
        if let Some(oldest) = self.files.pop_front() {
            // One that stays is read at the next start, and passed over then.
            let _ = fs::remove_file(self.path(oldest.number));
        }
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if read as u64 > MAX_FILE_BYTES { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

fn told(folder: &Path, doing: &str, error: &io::Error) -> String {
    format!("{} can not be {doing}: {error}", folder.display())
}
