//! Contributors, locations and exchanges.

use std::collections::{BTreeMap, BTreeSet};

use causeway_interface::ErrorCode;

use super::{Broken, Verdict, fresh};
use crate::model::{
    command::{Command, Particulars, Registry, What},
    state::{Actor, Contributor, Id, Model, Place, Stamp},
};

pub fn step(model: &mut Model, command: &Command) -> Verdict {
    match command.what {
        What::CreateContributor { id, owner, operations } => create_contributor(model, command, id, owner, operations),
        What::UpdateContributor { id, owner, operations } => update_contributor(model, command, id, owner, operations),
        What::CreateLocation { id, particulars } => {
            let place = created(model, command, model.locations.contains_key(&id), particulars, false)?;
            model.locations.insert(id, place);
            model.net_mut().stamp.sequence += 1;
            Ok(())
        }
        What::CreateExchange { id, particulars } => {
            let place = created(model, command, model.exchanges.contains_key(&id), particulars, true)?;
            model.exchanges.insert(id, place);
            model.net_mut().stamp.sequence += 1;
            Ok(())
        }
        What::UpdateLocation { id, particulars } => {
            let authority = model.is_authority(command.by);
            update(&mut model.locations, command, authority, id, particulars, false)
        }
        What::UpdateExchange { id, particulars } => {
            let authority = model.is_authority(command.by);
            update(&mut model.exchanges, command, authority, id, particulars, true)
        }
        What::SetRegistryStatus { target, suspended } => set_status(model, command, target, suspended),
        What::CloseRegistry { target, .. } => close(model, command, target),
        ref other => unreachable!("not of the registry: {other:?}"),
    }
}

fn create_contributor(
    model: &mut Model,
    command: &Command,
    id: Id,
    owner: Option<Actor>,
    operations: Option<Actor>,
) -> Verdict {
    let mut broken = Broken::default();
    broken.unless(owner.is_some(), ErrorCode::KeyMissing);
    broken.unless(model.is_authority(command.by), ErrorCode::NotAuthority);
    broken.unless(!model.contributors.contains_key(&id), ErrorCode::AlreadyInitialized);
    broken.so_far()?;
    if let Some(owner) = owner {
        let stamp = Stamp::new(model.slot);
        model.contributors.insert(id, Contributor { stamp, suspended: false, owner, operations });
    }
    model.net_mut().stamp.sequence += 1;
    Ok(())
}

fn update_contributor(
    model: &mut Model,
    command: &Command,
    id: Id,
    owner: Option<Actor>,
    operations: Option<Actor>,
) -> Verdict {
    let mut broken = Broken::default();
    let allowed = model.is_authority(command.by) || model.owns(command.by, id);
    broken.unless(owner.is_some(), ErrorCode::KeyMissing);
    let Some(contributor) = model.contributors.get_mut(&id) else { return broken.missing() };
    broken.unless(fresh(command, &contributor.stamp), ErrorCode::StaleSequence);
    broken.unless(allowed, ErrorCode::NotAuthority);
    broken.so_far()?;
    if let Some(owner) = owner {
        contributor.owner = owner;
    }
    contributor.operations = operations;
    contributor.stamp.sequence += 1;
    Ok(())
}

fn check_particulars(broken: &mut Broken, Particulars { country, lat_e6, lng_e6, .. }: &Particulars) {
    let letters = country.is_zero() || country.0.iter().all(u8::is_ascii_uppercase);
    broken.unless(letters, ErrorCode::CountryInvalid);
    let on_earth = (-90_000_000..=90_000_000).contains(lat_e6) && (-180_000_000..=180_000_000).contains(lng_e6);
    broken.unless(on_earth, ErrorCode::CoordinatesOutOfRange);
}

fn created(
    model: &Model,
    command: &Command,
    taken: bool,
    particulars: Particulars,
    is_exchange: bool,
) -> Result<Place, BTreeSet<ErrorCode>> {
    let mut broken = Broken::default();
    check_particulars(&mut broken, &particulars);
    broken.unless(model.is_authority(command.by), ErrorCode::NotAuthority);
    broken.unless(!taken, ErrorCode::AlreadyInitialized);
    broken.so_far()?;
    let Particulars { country, lat_e6, lng_e6, community } = particulars;
    let community = if is_exchange { community } else { 0 };
    Ok(Place { stamp: Stamp::new(model.slot), suspended: false, country, lat_e6, lng_e6, community })
}

fn update(
    places: &mut BTreeMap<Id, Place>,
    command: &Command,
    authority: bool,
    id: Id,
    particulars: Particulars,
    is_exchange: bool,
) -> Verdict {
    let mut broken = Broken::default();
    check_particulars(&mut broken, &particulars);
    let Some(place) = places.get_mut(&id) else { return broken.missing() };
    broken.unless(fresh(command, &place.stamp), ErrorCode::StaleSequence);
    broken.unless(authority, ErrorCode::NotAuthority);
    broken.so_far()?;
    let Particulars { country, lat_e6, lng_e6, community } = particulars;
    (place.country, place.lat_e6, place.lng_e6) = (country, lat_e6, lng_e6);
    place.community = if is_exchange { community } else { 0 };
    place.stamp.sequence += 1;
    Ok(())
}

fn set_status(model: &mut Model, command: &Command, target: Registry, suspended: bool) -> Verdict {
    let mut broken = Broken::default();
    let (slot, authority) = (model.slot, model.is_authority(command.by));
    let found = match target {
        Registry::Contributor(id) => model.contributors.get_mut(&id).map(|c| (&mut c.stamp, &mut c.suspended)),
        Registry::Location(id) => model.locations.get_mut(&id).map(|p| (&mut p.stamp, &mut p.suspended)),
        Registry::Exchange(id) => model.exchanges.get_mut(&id).map(|p| (&mut p.stamp, &mut p.suspended)),
    };
    let Some((stamp, is_suspended)) = found else { return broken.missing() };
    broken.unless(fresh(command, stamp), ErrorCode::StaleSequence);
    broken.unless(authority, ErrorCode::NotAuthority);
    broken.unless(*is_suspended != suspended, ErrorCode::NoChange);
    broken.so_far()?;
    *is_suspended = suspended;
    stamp.status_since = slot;
    stamp.sequence += 1;
    Ok(())
}

fn close(model: &mut Model, command: &Command, target: Registry) -> Verdict {
    let mut broken = Broken::default();
    let (stamp, in_use) = match target {
        Registry::Contributor(id) => {
            let in_use = model.devices_by(|d| d.contributor == id) > 0 || model.sides_of(id) > 0;
            (model.contributors.get(&id).map(|c| c.stamp), in_use)
        }
        Registry::Location(id) => {
            (model.locations.get(&id).map(|p| p.stamp), model.devices_by(|d| d.location == id) > 0)
        }
        Registry::Exchange(id) => {
            (model.exchanges.get(&id).map(|p| p.stamp), model.devices_by(|d| d.exchange == id) > 0)
        }
    };
    let Some(stamp) = stamp else { return broken.missing() };
    broken.unless(fresh(command, &stamp), ErrorCode::StaleSequence);
    broken.unless(model.is_authority(command.by), ErrorCode::NotAuthority);
    broken.unless(!in_use, ErrorCode::RegistryInUse);
    broken.so_far()?;
    match target {
        Registry::Contributor(id) => drop(model.contributors.remove(&id)),
        Registry::Location(id) => drop(model.locations.remove(&id)),
        Registry::Exchange(id) => drop(model.exchanges.remove(&id)),
    }
    model.net_mut().stamp.sequence += 1;
    Ok(())
}
