//! Contributors, locations, exchanges.

use causeway_interface::{
    Code, Key,
    instruction::{
        CreateContributor, CreateExchange, CreateLocation, UpdateContributor, UpdateExchange, UpdateLocation,
    },
};

use super::{Change, Draft, Kind, Operation, OwnerKeys, Signer, Stage, differ};
use crate::site::{ContributorSpec, ExchangeSpec, LocationSpec, Site};

pub(super) fn plan(site: &Site, owners: &OwnerKeys, draft: &mut Draft<'_>) {
    for spec in &site.contributors {
        contributor(spec, owners.get(&spec.code), draft);
    }
    for spec in &site.locations {
        location(spec, draft);
    }
    for spec in &site.exchanges {
        exchange(spec, draft);
    }
}

fn push(draft: &mut Draft<'_>, kind: Kind, code: Code, operation: Operation, changes: Vec<Change>) {
    draft.step(Stage::Registry, (kind, code), Signer::Authority, operation, changes);
}

fn contributor(spec: &ContributorSpec, key: Option<&Key>, draft: &mut Draft<'_>) {
    let owner = if spec.owner.is_zero() { key.copied() } else { Some(spec.owner) };
    let subject = (Kind::Contributor, spec.code);
    let Some((_, found)) = draft.snapshot.contributor(&spec.code) else {
        let Some(owner) = owner else {
            let message = "no owner: name one in the site file, or give its key file".into();
            return draft.conflict(subject, message);
        };
        let data = CreateContributor { code: spec.code, owner, operations_key: spec.operations_key };
        return push(draft, Kind::Contributor, spec.code, Operation::CreateContributor(data), Vec::new());
    };
    let mut changes = Vec::new();
    // An entry that names no owner says nothing about it: handing over is never a side effect of whose key is there.
    let owner = if spec.owner.is_zero() { found.owner } else { spec.owner };
    let operations_key = if spec.operations_key.is_zero() { found.operations_key } else { spec.operations_key };
    differ(&mut changes, "owner", &found.owner, &owner);
    differ(&mut changes, "operations_key", &found.operations_key, &operations_key);
    if changes.is_empty() {
        draft.plan.unchanged += 1;
        return;
    }
    let data = UpdateContributor { expected_sequence: found.header.sequence, owner, operations_key };
    push(draft, Kind::Contributor, spec.code, Operation::UpdateContributor(data), changes);
}

fn location(spec: &LocationSpec, draft: &mut Draft<'_>) {
    let LocationSpec { code, name, country, .. } = *spec;
    let (lat_e6, lng_e6) = (spec.lat.0, spec.lng.0);
    let Some((_, found)) = draft.snapshot.location(&code) else {
        let data = CreateLocation { code, name, country, lat_e6, lng_e6 };
        return push(draft, Kind::Location, code, Operation::CreateLocation(data), Vec::new());
    };
    let mut changes = Vec::new();
    differ(&mut changes, "name", &found.name, &name);
    differ(&mut changes, "country", &found.country, &country);
    differ(&mut changes, "lat_e6", &found.lat_e6, &lat_e6);
    differ(&mut changes, "lng_e6", &found.lng_e6, &lng_e6);
    if changes.is_empty() {
        draft.plan.unchanged += 1;
        return;
    }
    let data = UpdateLocation { expected_sequence: found.header.sequence, name, country, lat_e6, lng_e6 };
    push(draft, Kind::Location, code, Operation::UpdateLocation(data), changes);
}

fn exchange(spec: &ExchangeSpec, draft: &mut Draft<'_>) {
    let ExchangeSpec { code, name, country, bgp_community, .. } = *spec;
    let (lat_e6, lng_e6) = (spec.lat.0, spec.lng.0);
    let Some((_, found)) = draft.snapshot.exchange(&code) else {
        let data = CreateExchange { code, name, country, lat_e6, lng_e6, bgp_community };
        return push(draft, Kind::Exchange, code, Operation::CreateExchange(data), Vec::new());
    };
    let mut changes = Vec::new();
    differ(&mut changes, "name", &found.name, &name);
    differ(&mut changes, "country", &found.country, &country);
    differ(&mut changes, "lat_e6", &found.lat_e6, &lat_e6);
    differ(&mut changes, "lng_e6", &found.lng_e6, &lng_e6);
    differ(&mut changes, "bgp_community", &found.bgp_community, &bgp_community);
    if changes.is_empty() {
        draft.plan.unchanged += 1;
        return;
    }
    let expected_sequence = found.header.sequence;
    let data = UpdateExchange { expected_sequence, name, country, lat_e6, lng_e6, bgp_community };
    push(draft, Kind::Exchange, code, Operation::UpdateExchange(data), changes);
}
