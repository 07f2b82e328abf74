//! Health: what oracles say, and what follows from it.
//!
//! Every word is kept. A streak is not carried from word to word, as the ledger does it, but read off the whole
//! history each time.

use causeway_interface::{
    DesiredStatus, DeviceHealth, DeviceStatus, DeviceType, ErrorCode, LinkHealth, LinkStatus, LinkType,
};

use super::{Broken, Verdict, device, fresh, link};
use crate::model::{
    changes,
    command::{Around, Command, End, Subject, What},
    state::{Device, Flaw, Id, Link, Model, Word},
};

/// Most oracles of a network, so most entries that attestations have a use for.
const MOST_ENTRIES: usize = 31;

/// The code for a word of another epoch, which may be news to the vocabulary.
const EPOCH_STALE: u32 = 4_006;

pub fn step(model: &mut Model, command: &Command) -> Verdict {
    match &command.what {
        What::Attest { epoch, window, verdicts } => attest(model, command, *epoch, *window, verdicts),
        What::AdvanceDevice { id, around } => advance_device(model, command, *id, around),
        What::AdvanceLink { id, ends } => advance_link(model, command, *id, ends),
        What::ExtendAttestations { subject, entries } => extend(model, *subject, *entries as usize),
        other => unreachable!("not of health: {other:?}"),
    }
}

/// Height of a verdict of a subject, if an oracle can give it.
pub fn rank_of(subject: Subject, verdict: u8) -> Option<u8> {
    match (subject, verdict) {
        (Subject::Device(_), 1 | 4) | (Subject::Link(_), 1 | 3) => Some(0),
        (Subject::Device(_) | Subject::Link(_), 2) => Some(1),
        (Subject::Device(_), 3) => Some(2),
        (Subject::Device(_) | Subject::Link(_), _) => None,
    }
}

fn attest(model: &mut Model, command: &Command, epoch: u32, window: [u64; 2], verdicts: &[(Subject, u8)]) -> Verdict {
    let mut broken = Broken::default();
    let net = model.net();
    if let Some(stale) = ErrorCode::from_code(EPOCH_STALE) {
        broken.unless(epoch == net.epoch || !changes::ATTEST_NAMES_EPOCH, stale);
    }
    let [start, end] = window;
    let current = start <= end && end <= model.slot && model.slot - end <= net.max_age;
    broken.unless(current, ErrorCode::WindowInvalid);
    broken.unless(!verdicts.is_empty(), ErrorCode::BatchMismatch);
    let place = net.oracles.iter().position(|oracle| *oracle == command.by);
    broken.unless(place.is_some(), ErrorCode::NotOracle);
    for (index, (subject, verdict)) in verdicts.iter().enumerate() {
        let twice = verdicts[..index].iter().any(|(earlier, _)| earlier == subject);
        broken.unless(!twice || !changes::DUPLICATE_SUBJECTS_REFUSED, ErrorCode::DuplicateAccount);
        broken.unless(rank_of(*subject, *verdict).is_some(), ErrorCode::VerdictInvalid);
        let Some(words) = model.words.get(subject) else {
            broken.unless(false, ErrorCode::WrongOwner);
            continue;
        };
        let Some(place) = place else { continue };
        match words.places.get(place) {
            None => broken.unless(false, ErrorCode::AttestationsTooSmall),
            Some(said) => {
                let overtaken = said.last().is_some_and(|word| word.epoch == net.epoch && word.window[1] > end);
                broken.unless(!overtaken, ErrorCode::WindowInvalid);
            }
        }
    }
    broken.so_far()?;
    let max_age = if model.flaw == Some(Flaw::DeafStreak) { u64::MAX } else { net.max_age };
    let (slot, epoch) = (model.slot, net.epoch);
    for (subject, verdict) in verdicts {
        if let (Some(words), Some(place), Some(rank)) =
            (model.words.get_mut(subject), place, rank_of(*subject, *verdict))
        {
            words.places[place].push(Word { slot, epoch, verdict: *verdict, rank, max_age, window });
            words.stamp.sequence += 1;
        }
    }
    Ok(())
}

/// Since when the last of these words has held a level: back to the first of an unbroken row.
pub fn since(said: &[Word], level: u8) -> Option<u64> {
    let mut later: Option<&Word> = None;
    for word in said.iter().rev() {
        let follows = |next: &Word| word.epoch == next.epoch && next.slot - word.slot <= next.max_age;
        if word.rank < level || !later.is_none_or(follows) {
            break;
        }
        later = Some(word);
    }
    later.map(|word| word.slot)
}

/// What a quorum of the current set says of a subject now.
struct Opinion {
    /// A quorum has a fresh word.
    quorate: bool,
    /// Per level, a quorum is at it.
    at: [bool; 2],
    /// Per level, a quorum has been at it for the burn-in of the stage.
    burned_in: [bool; 2],
    /// Per level, a quorum has been at it for the maintenance burn-in since the last change of status.
    since_status: [bool; 2],
}

fn opinion(model: &Model, subject: Subject, in_service: bool, status_since: u64) -> Opinion {
    let net = model.net();
    let burn_in = if in_service { net.burn_in_maintenance } else { net.burn_in_new };
    let fresh = |said: &&Vec<Word>| {
        said.last().is_some_and(|word| word.epoch == net.epoch && model.slot - word.slot <= net.max_age)
    };
    let speaking: Vec<_> = model.words[&subject].places.iter().take(net.oracles.len()).filter(fresh).collect();
    let least = usize::from(net.quorum) - usize::from(model.flaw == Some(Flaw::SmallQuorum) && net.quorum > 1);
    let quorum =
        |holds: &dyn Fn(&[Word]) -> bool| least > 0 && speaking.iter().filter(|said| holds(said)).count() >= least;
    let attested = |said: &[Word], level, floor: u64, slots| {
        let last = said.last().map_or(0, |word| word.slot);
        since(said, level).is_some_and(|since| last >= since.max(floor) && last - since.max(floor) >= slots)
    };
    let per_level = |holds: &dyn Fn(&[Word], u8) -> bool| [1, 2].map(|level| quorum(&|said| holds(said, level)));
    Opinion {
        quorate: quorum(&|_| true),
        at: per_level(&|said, level| since(said, level).is_some()),
        burned_in: per_level(&|said, level| attested(said, level, 0, burn_in)),
        since_status: per_level(&|said, level| attested(said, level, status_since, net.burn_in_maintenance)),
    }
}

/// What health can be, whatever the subject.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Health {
    Unknown,
    Pending,
    Level(u8),
    Impaired,
}

/// The health that follows. `needed` is the level that counts in service; before, every level does.
fn judged(before: Health, opinion: &Opinion, needed: Option<u8>) -> Health {
    if !opinion.quorate {
        return Health::Unknown;
    }
    let counts = |level: u8| needed.is_none_or(|needed| level >= needed);
    let reached = [2, 1].into_iter().find(|level| counts(*level) && opinion.burned_in[usize::from(*level) - 1]);
    match (before, reached) {
        (Health::Level(held), Some(reached)) if reached > held => Health::Level(reached),
        (Health::Level(held), _) if counts(held) && opinion.at[usize::from(held) - 1] => before,
        (Health::Level(_), _) => Health::Impaired,
        (_, Some(reached)) => Health::Level(reached),
        (Health::Impaired, None) => Health::Impaired,
        // Nothing has been held yet, so nothing is lost; in service what is needed is, unless it is on its way back.
        (Health::Unknown | Health::Pending, None) => match needed {
            None => Health::Pending,
            Some(needed) if opinion.at[usize::from(needed) - 1] => before,
            Some(_) => Health::Impaired,
        },
    }
}

fn advance_device(model: &mut Model, command: &Command, id: Id, around: &Around) -> Verdict {
    let mut broken = Broken::default();
    let Some(device) = model.devices.get(&id).filter(|_| model.stands(around)) else { return broken.missing() };
    let own = Around { contributor: device.contributor, location: device.location, exchange: device.exchange };
    broken.unless(own == *around, ErrorCode::AccountMismatch);
    broken.unless(fresh(command, &device.stamp), ErrorCode::StaleSequence);
    broken.so_far()?;
    let subject = Subject::Device(id);
    let opinion = opinion(model, subject, device.in_service(), device.stamp.status_since);
    let health = device_health(judged(
        match device.health {
            DeviceHealth::Unknown => Health::Unknown,
            DeviceHealth::Pending => Health::Pending,
            DeviceHealth::ReadyForLinks => Health::Level(1),
            DeviceHealth::ReadyForUsers => Health::Level(2),
            DeviceHealth::Impaired => Health::Impaired,
        },
        &opinion,
        device.in_service().then_some(2),
    ));
    let forward = !model.net().paused && model.in_good_standing(around);
    let status = next_device(model, id, device, health, &opinion, forward);
    let slot = model.slot;
    if let Some(device) = model.devices.get_mut(&id) {
        let moves = status != device.status;
        if health != device.health {
            (device.health, device.health_since) = (health, slot);
            device.stamp.sequence += u64::from(!moves);
        }
        if moves {
            device::enter(device, status, slot);
        }
    }
    Ok(())
}

fn device_health(health: Health) -> DeviceHealth {
    match health {
        Health::Unknown => DeviceHealth::Unknown,
        Health::Pending => DeviceHealth::Pending,
        Health::Level(1) => DeviceHealth::ReadyForLinks,
        Health::Level(_) => DeviceHealth::ReadyForUsers,
        Health::Impaired => DeviceHealth::Impaired,
    }
}

fn next_device(
    model: &Model,
    id: Id,
    device: &Device,
    health: DeviceHealth,
    opinion: &Opinion,
    forward: bool,
) -> DeviceStatus {
    use DeviceHealth::{ReadyForLinks, ReadyForUsers};
    let wanted = device.desired == DesiredStatus::Activated;
    let [for_links, for_users] = opinion.burned_in;
    match device.status {
        DeviceStatus::DeviceProvisioning
            if wanted && forward && for_links && matches!(health, ReadyForLinks | ReadyForUsers) =>
        {
            DeviceStatus::LinkProvisioning
        }
        DeviceStatus::LinkProvisioning
            if wanted && forward && for_users && health == ReadyForUsers && shape_holds(model, id, device) =>
        {
            DeviceStatus::Activated
        }
        DeviceStatus::Activated
            if matches!(device.desired, DesiredStatus::HardDrained | DesiredStatus::SoftDrained) =>
        {
            DeviceStatus::Drained
        }
        DeviceStatus::Drained if wanted && forward && opinion.since_status[1] && health == ReadyForUsers => {
            DeviceStatus::Activated
        }
        unmoved => unmoved,
    }
}

/// A link in service, and the shape of the device's type.
fn shape_holds(model: &Model, id: Id, device: &Device) -> bool {
    let wan = model.activated_links_of(id, LinkType::Wan);
    let dzx = model.activated_links_of(id, LinkType::Dzx);
    match device.device_type {
        DeviceType::Edge => device.has_cyoa() && wan == 0 && dzx > 0,
        DeviceType::Transit => !device.has_cyoa() && wan > 0 && wan + dzx > 1,
        DeviceType::Hybrid => device.has_cyoa() && wan > 0,
    }
}

fn advance_link(model: &mut Model, command: &Command, id: Id, ends: &[End; 2]) -> Verdict {
    let mut broken = Broken::default();
    broken.unless(ends[0].device != ends[1].device, ErrorCode::DuplicateAccount);
    let Some(link) = link::with_devices(model, id, ends) else { return broken.missing() };
    link::check_named(&mut broken, link, ends);
    ends.iter().for_each(|end| link::check_end(&mut broken, model, end));
    broken.unless(fresh(command, &link.stamp), ErrorCode::StaleSequence);
    broken.so_far()?;
    let opinion = opinion(model, Subject::Link(id), link.in_service(), link.stamp.status_since);
    let health = link_health(judged(
        match link.health {
            LinkHealth::Unknown => Health::Unknown,
            LinkHealth::Pending => Health::Pending,
            LinkHealth::ReadyForService => Health::Level(1),
            LinkHealth::Impaired => Health::Impaired,
        },
        &opinion,
        link.in_service().then_some(1),
    ));
    let forward = !model.net().paused
        && ends.iter().all(|end| model.in_good_standing(&end.around))
        && ends.iter().all(|end| carries_links(model.devices[&end.device].status));
    let wanted = if model.flaw == Some(Flaw::LenientSide) { link.desired[0] } else { link.wanted() };
    let status = next_link(link, wanted, health, &opinion, forward);
    let slot = model.slot;
    let counted = (status == LinkStatus::Activated) != (link.status == LinkStatus::Activated);
    if counted {
        ends.iter().for_each(|end| model.touch_device(end.device));
    }
    if let Some(link) = model.links.get_mut(&id) {
        let moves = status != link.status;
        if health != link.health {
            (link.health, link.health_since) = (health, slot);
            link.stamp.sequence += u64::from(!moves);
        }
        if moves {
            link::enter(link, status, slot);
        }
    }
    Ok(())
}

fn link_health(health: Health) -> LinkHealth {
    match health {
        Health::Unknown => LinkHealth::Unknown,
        Health::Pending => LinkHealth::Pending,
        Health::Level(_) => LinkHealth::ReadyForService,
        Health::Impaired => LinkHealth::Impaired,
    }
}

fn carries_links(status: DeviceStatus) -> bool {
    matches!(status, DeviceStatus::LinkProvisioning | DeviceStatus::Activated | DeviceStatus::Drained)
}

fn next_link(link: &Link, wanted: DesiredStatus, health: LinkHealth, opinion: &Opinion, forward: bool) -> LinkStatus {
    use LinkStatus::{Activated, HardDrained, Provisioning, SoftDrained};
    let ready = forward && health == LinkHealth::ReadyForService;
    match (link.status, wanted) {
        (Provisioning, DesiredStatus::Activated) if ready && opinion.burned_in[0] => Activated,
        (SoftDrained | HardDrained, DesiredStatus::Activated) if ready && opinion.since_status[0] => Activated,
        (Activated | SoftDrained, DesiredStatus::HardDrained) => HardDrained,
        (Activated, DesiredStatus::SoftDrained) => SoftDrained,
        (HardDrained, DesiredStatus::SoftDrained) if forward => SoftDrained,
        (unmoved, _) => unmoved,
    }
}

fn extend(model: &mut Model, subject: Subject, entries: usize) -> Verdict {
    let mut broken = Broken::default();
    let oracles = model.net().oracles.len();
    let Some(words) = model.words.get_mut(&subject) else { return broken.missing() };
    let present = words.places.len();
    let more = if entries == 0 { oracles.saturating_sub(present) } else { entries };
    broken.unless(entries <= MOST_ENTRIES.saturating_sub(present) || entries == 0, ErrorCode::InstructionData);
    broken.unless(more > 0, ErrorCode::NoChange);
    broken.so_far()?;
    words.places.resize_with(present + more, Vec::new);
    words.stamp.sequence += 1;
    Ok(())
}
