//! Health after an `Advance`, from what the oracles have said: the design's section 2.4 and rfcs/0003 as tables.
//!
//! The numbers belong to a network of three oracles with a quorum of two, a burn-in of 100 slots before first service
//! and of 40 after maintenance, and a maximum age of 20: what a [`crate::World`] begins with. Every situation that can
//! be short of something is there a slot short, and there exactly.

use causeway_interface::{DeviceHealth, LinkHealth};

/// What the three oracles have said of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    /// None of them anything.
    Nobody,
    /// One of them good things, for long enough. It is no quorum.
    One,
    /// Two of them, for long enough, but their last word is a slot too old.
    TooOld,
    /// Two of them, for long enough, but in another oracle epoch.
    OtherEpoch,
    /// Two of them that it is good, since now.
    JustBegun,
    /// Two of them that it is ready for links and no better, for the burn-in before service. Of a device only.
    LinksFull,
    /// The same, a slot short. Of a device only.
    LinksAlmost,
    /// Two of them that it is good, for the burn-in before service and, since the last change of status, exactly for
    /// that of maintenance.
    Full,
    /// The same, a slot short of the burn-in before service; of a device, ready for links for the whole of it.
    Almost,
    /// Two of them that it is good, exactly for the burn-in of maintenance.
    Maintenance,
    /// The same, a slot short.
    MaintenanceAlmost,
    /// Two of them that it is good, for the burn-in before service, but since the last change of status a slot short
    /// of that of maintenance.
    BeforeDrain,
    /// Two of them that it is bad.
    Bad,
    /// One of them that it is good, for long enough, and one that it is bad.
    Split,
    /// Two of them that it is good, for long enough, and one that it is bad.
    Minority,
    /// Two of them that it is good, for exactly long enough by their last word, which is as old as may be.
    OldestAllowed,
}

/// One oracle's last word, in slots before now.
#[derive(Clone, Copy, Debug)]
pub struct Voice {
    /// What it said.
    pub verdict: Verdict,
    /// It said so in the epoch before.
    pub other_epoch: bool,
    /// How long ago it spoke last.
    pub age: u64,
    /// Since when it has held a device to be ready for links.
    pub lower: Option<u64>,
    /// Since when it has held the subject to be good: a device ready for users, a link ready for service.
    pub upper: Option<u64>,
}

/// What an oracle says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing, ever.
    Silent,
    /// Impaired.
    Bad,
    /// A device is ready for links.
    ReadyForLinks,
    /// As good as can be.
    Good,
}

const SILENT: Voice = Voice { verdict: Verdict::Silent, other_epoch: false, age: 0, lower: None, upper: None };
const BAD: Voice = Voice { verdict: Verdict::Bad, ..SILENT };

const fn good(since: u64) -> Voice {
    Voice { verdict: Verdict::Good, lower: Some(since), upper: Some(since), ..SILENT }
}

const fn links(since: u64) -> Voice {
    Voice { verdict: Verdict::ReadyForLinks, lower: Some(since), ..SILENT }
}

const fn aged(voice: Voice, age: u64) -> Voice {
    Voice { age, ..voice }
}

const OTHER_EPOCH: Voice = Voice { other_epoch: true, ..good(100) };
const ALMOST: Voice = Voice { lower: Some(100), ..good(99) };

/// A situation: who has said what, and how long ago the subject's status changed last.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// Its name.
    pub said: Said,
    /// The three oracles.
    pub voices: [Voice; 3],
    /// Slots since the last change of status.
    pub status_age: u64,
}

const fn situation(said: Said, status_age: u64, voices: [Voice; 3]) -> Situation {
    Situation { said, voices, status_age }
}

/// Every situation.
pub const SITUATIONS: [Situation; 16] = [
    situation(Said::Nobody, 60, [SILENT, SILENT, SILENT]),
    situation(Said::One, 60, [good(100), SILENT, SILENT]),
    situation(Said::TooOld, 60, [aged(good(121), 21), aged(good(121), 21), SILENT]),
    situation(Said::OtherEpoch, 60, [OTHER_EPOCH, OTHER_EPOCH, SILENT]),
    situation(Said::JustBegun, 60, [good(0), SILENT, good(0)]),
    situation(Said::LinksFull, 60, [links(100), links(100), SILENT]),
    situation(Said::LinksAlmost, 60, [links(99), SILENT, links(99)]),
    situation(Said::Full, 40, [good(100), good(100), SILENT]),
    situation(Said::Almost, 40, [ALMOST, ALMOST, SILENT]),
    situation(Said::Maintenance, 60, [SILENT, good(40), good(40)]),
    situation(Said::MaintenanceAlmost, 60, [good(39), good(39), SILENT]),
    situation(Said::BeforeDrain, 39, [good(100), SILENT, good(100)]),
    situation(Said::Bad, 60, [BAD, BAD, SILENT]),
    situation(Said::Split, 60, [good(100), BAD, SILENT]),
    situation(Said::Minority, 60, [good(100), BAD, good(100)]),
    situation(Said::OldestAllowed, 60, [aged(good(120), 20), aged(good(120), 20), SILENT]),
];

/// Health in the columns of the tables.
type D = DeviceHealth;
const U: D = D::Unknown;
const P: D = D::Pending;
const L: D = D::ReadyForLinks;
const R: D = D::ReadyForUsers;
const I: D = D::Impaired;

/// A device that is not in service: health after, by health before.
///
/// Fresh words of a quorum keep the level that was held; a level rises only where a quorum has burned in, and is lost
/// where no quorum is at it.
#[rustfmt::skip]
pub const DEVICE_BEFORE_SERVICE: [(Said, [D; 5]); 16] = [
    // before:                 unknown, pending, links, users, impaired
    (Said::Nobody,            [U,       U,       U,     U,     U]),
    (Said::One,               [U,       U,       U,     U,     U]),
    (Said::TooOld,            [U,       U,       U,     U,     U]),
    (Said::OtherEpoch,        [U,       U,       U,     U,     U]),
    (Said::JustBegun,         [P,       P,       L,     R,     I]),
    (Said::LinksFull,         [L,       L,       L,     I,     L]),
    (Said::LinksAlmost,       [P,       P,       L,     I,     I]),
    (Said::Full,              [R,       R,       R,     R,     R]),
    (Said::Almost,            [L,       L,       L,     R,     L]),
    (Said::Maintenance,       [P,       P,       L,     R,     I]),
    (Said::MaintenanceAlmost, [P,       P,       L,     R,     I]),
    (Said::BeforeDrain,       [R,       R,       R,     R,     R]),
    (Said::Bad,               [P,       P,       I,     I,     I]),
    (Said::Split,             [P,       P,       I,     I,     I]),
    (Said::Minority,          [R,       R,       R,     R,     R]),
    (Said::OldestAllowed,     [R,       R,       R,     R,     R]),
];

/// A device in service, drained, or suspended from there: only ready for users counts, the burn-in is that of
/// maintenance, and a quorum that does not see it impairs.
#[rustfmt::skip]
pub const DEVICE_IN_SERVICE: [(Said, [D; 5]); 16] = [
    // before:                 unknown, pending, links, users, impaired
    (Said::Nobody,            [U,       U,       U,     U,     U]),
    (Said::One,               [U,       U,       U,     U,     U]),
    (Said::TooOld,            [U,       U,       U,     U,     U]),
    (Said::OtherEpoch,        [U,       U,       U,     U,     U]),
    (Said::JustBegun,         [U,       P,       I,     R,     I]),
    (Said::LinksFull,         [I,       I,       I,     I,     I]),
    (Said::LinksAlmost,       [I,       I,       I,     I,     I]),
    (Said::Full,              [R,       R,       R,     R,     R]),
    (Said::Almost,            [R,       R,       R,     R,     R]),
    (Said::Maintenance,       [R,       R,       R,     R,     R]),
    (Said::MaintenanceAlmost, [U,       P,       I,     R,     I]),
    (Said::BeforeDrain,       [R,       R,       R,     R,     R]),
    (Said::Bad,               [I,       I,       I,     I,     I]),
    (Said::Split,             [I,       I,       I,     I,     I]),
    (Said::Minority,          [R,       R,       R,     R,     R]),
    (Said::OldestAllowed,     [R,       R,       R,     R,     R]),
];

type K = LinkHealth;
const UN: K = K::Unknown;
const PE: K = K::Pending;
const OK: K = K::ReadyForService;
const IM: K = K::Impaired;

/// A link before first service.
#[rustfmt::skip]
pub const LINK_BEFORE_SERVICE: [(Said, [K; 4]); 14] = [
    // before:                 unknown, pending, service, impaired
    (Said::Nobody,            [UN,      UN,      UN,      UN]),
    (Said::One,               [UN,      UN,      UN,      UN]),
    (Said::TooOld,            [UN,      UN,      UN,      UN]),
    (Said::OtherEpoch,        [UN,      UN,      UN,      UN]),
    (Said::JustBegun,         [PE,      PE,      OK,      IM]),
    (Said::Full,              [OK,      OK,      OK,      OK]),
    (Said::Almost,            [PE,      PE,      OK,      IM]),
    (Said::Maintenance,       [PE,      PE,      OK,      IM]),
    (Said::MaintenanceAlmost, [PE,      PE,      OK,      IM]),
    (Said::BeforeDrain,       [OK,      OK,      OK,      OK]),
    (Said::Bad,               [PE,      PE,      IM,      IM]),
    (Said::Split,             [PE,      PE,      IM,      IM]),
    (Said::Minority,          [OK,      OK,      OK,      OK]),
    (Said::OldestAllowed,     [OK,      OK,      OK,      OK]),
];

/// A link in service, drained, or suspended from there.
#[rustfmt::skip]
pub const LINK_IN_SERVICE: [(Said, [K; 4]); 14] = [
    // before:                 unknown, pending, service, impaired
    (Said::Nobody,            [UN,      UN,      UN,      UN]),
    (Said::One,               [UN,      UN,      UN,      UN]),
    (Said::TooOld,            [UN,      UN,      UN,      UN]),
    (Said::OtherEpoch,        [UN,      UN,      UN,      UN]),
    (Said::JustBegun,         [UN,      PE,      OK,      IM]),
    (Said::Full,              [OK,      OK,      OK,      OK]),
    (Said::Almost,            [OK,      OK,      OK,      OK]),
    (Said::Maintenance,       [OK,      OK,      OK,      OK]),
    (Said::MaintenanceAlmost, [UN,      PE,      OK,      IM]),
    (Said::BeforeDrain,       [OK,      OK,      OK,      OK]),
    (Said::Bad,               [IM,      IM,      IM,      IM]),
    (Said::Split,             [IM,      IM,      IM,      IM]),
    (Said::Minority,          [OK,      OK,      OK,      OK]),
    (Said::OldestAllowed,     [OK,      OK,      OK,      OK]),
];

/// Where a quorum's streaks are, at this moment, as long as the burn-in before service at ready for links.
pub const BURNED_IN_FOR_LINKS: &[Said] =
    &[Said::LinksFull, Said::Full, Said::Almost, Said::BeforeDrain, Said::Minority, Said::OldestAllowed];

/// The same at the top level: a device's ready for users, a link's ready for service.
pub const BURNED_IN: &[Said] = &[Said::Full, Said::BeforeDrain, Said::Minority, Said::OldestAllowed];

/// Where they are, since the last change of status, as long as the burn-in of maintenance at the top level.
pub const BURNED_IN_SINCE_STATUS: &[Said] =
    &[Said::Full, Said::Almost, Said::Maintenance, Said::Minority, Said::OldestAllowed];

/// The row of a situation.
///
/// # Panics
/// The table has none.
pub fn row<H: Copy, const N: usize>(table: &[(Said, [H; N])], said: Said) -> [H; N] {
    table.iter().find(|(s, _)| *s == said).unwrap_or_else(|| panic!("{said:?} has no row")).1
}
