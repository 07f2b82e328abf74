//! What agents say of their configurations.

/// Reports kept per device.
pub const MAX_REPORTS: usize = 50;
/// Largest diff that is kept of a report, in bytes; agents are asked to cut theirs, this holds if they don't.
pub const MAX_REPORT_DIFF: usize = 256 * 1024;
/// Bytes of diffs kept per device; beyond it the older reports lose theirs.
pub const MAX_REPORT_DIFFS: usize = 2 * MAX_REPORT_DIFF;
/// Largest message of a report, in bytes.
pub const MAX_REPORT_WORDS: usize = 4 * 1024;

/// What an agent said of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// When it arrived, unix milliseconds.
    pub received_unix_ms: u64,
    /// Generation that it is about.
    pub generation: u64,
    /// SHA-256 of the text that it is about.
    pub sha256: Vec<u8>,
    /// What became of it.
    pub result: ReportResult,
    /// Unified diff of what ran and what was asked.
    pub diff: String,
    /// The diff is cut.
    pub diff_cut: bool,
    /// How long it took.
    pub duration_ms: u64,
    /// Error code, or empty.
    pub error_code: String,
    /// Words, or empty.
    pub message: String,
    /// SHA-256 of the managed part of what runs.
    pub running_sha256: Vec<u8>,
    /// It is what the device starts with.
    pub startup_saved: bool,
    /// The agent's time, unix milliseconds.
    pub at_unix_ms: u64,
    /// Correlation id of the job's order under which it was applied, or empty.
    pub order: String,
    /// Of one that waits: number of the last word by which its time began anew.
    pub extended: u32,
}

impl Report {
    /// Cuts what is longer than is kept.
    pub(super) fn shorten(&mut self) {
        self.diff_cut |= cut(&mut self.diff, MAX_REPORT_DIFF);
        cut(&mut self.message, MAX_REPORT_WORDS);
        cut(&mut self.error_code, MAX_REPORT_WORDS);
        cut(&mut self.order, crate::orders::MAX_CORRELATION);
    }
}

/// What became of a configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReportResult {
    /// It ran already.
    #[default]
    Unchanged,
    /// Applied, verified and confirmed.
    Applied,
    /// Refused before anything was changed.
    Refused,
    /// Applied and taken back.
    Reverted,
    /// Applied and verified; it waits for the word about its job's order.
    Waiting,
}

impl ReportResult {
    /// Every result.
    pub const ALL: [Self; 5] = [Self::Unchanged, Self::Applied, Self::Refused, Self::Reverted, Self::Waiting];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Applied => "applied",
            Self::Refused => "refused",
            Self::Reverted => "reverted",
            Self::Waiting => "waiting",
        }
    }

    /// Whether the device runs what the report is about, for good.
    #[must_use]
    pub const fn runs(self) -> bool {
        match self {
            Self::Unchanged | Self::Applied => true,
            Self::Refused | Self::Reverted | Self::Waiting => false,
        }
    }
}

/// How the device stands to its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ApplyState {
    /// No agent has reported.
    Never,
    /// It runs the current configuration.
    Current,
    /// It runs the current configuration, but what runs has been changed beside it.
    Drifted,
    /// It has not reported the current configuration yet.
    Behind,
    /// It refused the current configuration.
    Refused,
    /// It took the current configuration back.
    Reverted,
}

impl ApplyState {
    /// Every state.
    pub const ALL: [Self; 6] = [Self::Never, Self::Current, Self::Drifted, Self::Behind, Self::Refused, Self::Reverted];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Current => "current",
            Self::Drifted => "drifted",
            Self::Behind => "behind",
            Self::Refused => "refused",
            Self::Reverted => "reverted",
        }
    }
}

/// Shortens to at most `most` bytes, at a character; says whether it did.
pub fn cut(text: &mut String, most: usize) -> bool {
    if text.len() <= most {
        return false;
    }
    let at = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.truncate(at);
    true
}
