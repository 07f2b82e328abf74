//! What a person sees: a table that moves on a terminal, and lines elsewhere.

use std::{
    fs::File,
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use console::{Term, style};

use crate::board::{Board, Kind, Row, Say};

/// Longest time between two lines of progress where there is no terminal.
const PROGRESS_EVERY: Duration = Duration::from_secs(3);
/// Cells of a bar.
const BAR: u64 = 10;
/// Lines that the table leaves free on a terminal.
const MARGIN: usize = 4;

/// Where the story goes.
pub struct Screen {
    out: File,
    terminal: Option<Term>,
    began: Instant,
    /// Lines of the table that stand on the terminal.
    drawn: usize,
    last: Board,
    last_progress: Option<Instant>,
    last_counts: String,
}

impl Screen {
    /// To `stdout`, or to stderr where stdout is for JSON.
    pub fn new(stdout: File, json: bool) -> Self {
        let stderr = || std::os::fd::AsFd::as_fd(&std::io::stderr()).try_clone_to_owned().map(File::from);
        // Without stderr the story goes nowhere else than stdout.
        let (out, terminal) = match stderr() {
            Ok(err) if json => (err, std::io::stderr().is_terminal().then(Term::stderr)),
            Ok(_) | Err(_) => {
                let terminal = stdout.is_terminal().then(Term::stdout);
                (stdout, terminal)
            }
        };
        let began = Instant::now();
        Self { out, terminal, began, drawn: 0, last: Board::default(), last_progress: None, last_counts: String::new() }
    }

    /// Says something that stays.
    pub fn say(&mut self, text: &str) {
        self.clear_table();
        let at = self.began.elapsed().as_secs_f64();
        for (index, line) in text.lines().enumerate() {
            let stamp = if index == 0 { format!("{at:7.1} s  ") } else { " ".repeat(11) };
            self.write(&format!("{stamp}{line}\n"));
        }
    }

    /// Says what begins now.
    pub fn chapter(&mut self, title: &str) {
        self.clear_table();
        let title = if self.terminal.is_some() { style(title).bold().to_string() } else { title.to_owned() };
        self.write(&format!("\n{title}\n"));
    }

    /// A line of a diff, coloured.
    pub fn diff_line(&mut self, line: &str) {
        self.clear_table();
        let colour = self.terminal.is_some();
        let text = match line.as_bytes().first() {
            Some(b'+') if colour => style(line).green().to_string(),
            Some(b'-') if colour => style(line).red().to_string(),
            _ => line.to_owned(),
        };
        self.write(&format!("{}{text}\n", " ".repeat(13)));
    }

    /// How far a plan has come.
    pub fn progress(&mut self, done: usize, total: usize, what: &str) {
        if self.terminal.is_some() {
            let filled = (done * 30).checked_div(total).unwrap_or(0);
            let bar = format!("{}{}", "█".repeat(filled), "░".repeat(30 - filled.min(30)));
            self.write(&format!("\r\x1b[K{:>11}{bar} {done}/{total} {what}", ""));
        } else if done == total || self.last_progress.is_none_or(|at| at.elapsed() >= PROGRESS_EVERY) {
            self.last_progress = Some(Instant::now());
            self.say(&format!("registered {done} of {total}"));
        }
    }

    /// The plan has ended.
    pub fn end_progress(&mut self) {
        self.last_progress = None;
        if self.terminal.is_some() {
            self.write("\r\x1b[K");
        }
    }

    /// The ledger at a moment: transitions stay, the table moves.
    pub fn show(&mut self, board: &Board, transactions: u64) {
        if *board == self.last {
            return;
        }
        let mut lines = Vec::new();
        for ((kind, code), row) in &board.rows {
            match self.last.rows.get(&(*kind, *code)) {
                Some(before) if before.status != row.status => {
                    lines.push(format!("{:6} {code}: {} → {}", kind.name(), before.status, row.status));
                }
                Some(before) if row.health == "impaired" && before.health != "impaired" => {
                    lines.push(format!("{:6} {code}: health {} → impaired", kind.name(), before.health));
                }
                Some(before) if before.health == "impaired" && row.health != "impaired" => {
                    lines.push(format!("{:6} {code}: health impaired → {}", kind.name(), row.health));
                }
                Some(_) => {}
                None => {}
            }
        }
        for line in lines {
            self.say(&line);
        }
        self.last = board.clone();
        if self.terminal.is_some() {
            self.draw(board, transactions);
        } else {
            self.count(board);
        }
    }

    /// The table has done its work.
    pub fn end_live(&mut self) {
        self.clear_table();
    }

    fn count(&mut self, board: &Board) {
        let counts = counts(board);
        let due = self.last_progress.is_none_or(|at| at.elapsed() >= PROGRESS_EVERY);
        if due && counts != self.last_counts {
            self.last_progress = Some(Instant::now());
            self.say(&format!("slot {} · {counts}", board.slot));
            self.last_counts = counts;
        }
    }

    fn draw(&mut self, board: &Board, transactions: u64) {
        let Some(terminal) = &self.terminal else { return };
        let (height, width) = terminal.size();
        let mut lines = vec![
            style(format!("slot {} · {} · {transactions} transactions", board.slot, counts(board))).dim().to_string(),
        ];
        let room = usize::from(height).saturating_sub(MARGIN + lines.len());
        let columns = (usize::from(width) / 78).max(1);
        let cells: Vec<String> = board.rows.iter().map(|((kind, code), row)| cell(*kind, code.as_str(), row)).collect();
        let shown = cells.len().min(room * columns);
        // What still moves is worth more than what has arrived.
        let mut order: Vec<usize> = (0..cells.len()).collect();
        let arrived: Vec<bool> = board.rows.values().map(|r| r.activated && r.burn_in.is_none()).collect();
        if cells.len() > shown {
            order.sort_by_key(|index| arrived.get(*index).copied().unwrap_or(false));
            order.truncate(shown);
            order.sort_unstable();
        }
        for chunk in order.chunks(columns) {
            lines.push(chunk.iter().filter_map(|i| cells.get(*i)).cloned().collect::<Vec<_>>().join("  "));
        }
        if cells.len() > shown {
            lines.push(style(format!("… and {} more", cells.len() - shown)).dim().to_string());
        }
        let mut text = if self.drawn > 0 { format!("\x1b[{}A\x1b[J", self.drawn) } else { String::new() };
        for line in &lines {
            text.push_str(line);
            text.push('\n');
        }
        self.drawn = lines.len();
        self.write(&text);
    }

    fn clear_table(&mut self) {
        if self.drawn > 0 {
            let up = self.drawn;
            self.drawn = 0;
            self.write(&format!("\x1b[{up}A\x1b[J"));
        }
    }

    fn write(&mut self, text: &str) {
        // Nobody reads any more: the story goes on without being seen, its result counts.
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.flush();
    }
}

fn counts(board: &Board) -> String {
    let of = |kind: Kind| {
        let statuses: Vec<_> = board.statuses(kind).into_iter().map(|(s, n)| format!("{n} {s}")).collect();
        format!("{}s: {}", kind.name(), statuses.join(", "))
    };
    let ready: Vec<_> = board.ready_by_oracle().iter().map(usize::to_string).collect();
    format!("{} · {} · attested ready by each oracle: {}", of(Kind::Device), of(Kind::Link), ready.join("/"))
}

fn cell(kind: Kind, code: &str, row: &Row) -> String {
    let status = format!("{:<19}", row.status);
    let status = if row.activated { style(status).green() } else { style(status).yellow() };
    let health = format!("{:<17}", row.health);
    let health = if row.health == "impaired" { style(health).red().bold() } else { style(health).dim() };
    let words: String = row
        .words
        .iter()
        .map(|say| match say {
            Say::Ready => "●",
            Say::NotReady => "○",
            Say::Nothing => "·",
        })
        .collect();
    let bar = match row.burn_in {
        Some((done, needed)) => {
            let filled = (done * BAR).checked_div(needed).unwrap_or(0).min(BAR);
            format!("{}{}", "▰".repeat(filled as usize), "▱".repeat((BAR - filled) as usize))
        }
        None => " ".repeat(BAR as usize),
    };
    let mark = match kind {
        Kind::Device => "▣",
        Kind::Link => "╌",
    };
    format!("{mark} {code:<22.22} {status} {health} {words} {bar}")
}
