//! `causeway contributor`, `causeway location` and `causeway exchange`.

use causeway_interface::{
    Code, Country, Key, Label, RegistryStatus,
    accounts::{Contributor as ContributorRecord, Exchange as ExchangeRecord, Location as LocationRecord},
    instruction::{
        CreateContributor, CreateExchange, CreateLocation, UpdateContributor, UpdateExchange, UpdateLocation,
    },
};
use clap::{Args, Subcommand};

use super::{Expect, MaybeKey, Target, one_of};
use crate::site::Degrees;

macro_rules! verbs {
    ($(#[doc = $doc:literal])* $name:ident, $create:ident, $update:ident, $article:literal) => {
        $(#[doc = $doc])*
        #[derive(Debug, Subcommand)]
        pub enum $name {
            #[doc = concat!("Register ", $article, "; the authority signs.")]
            Create($create),
            #[doc = concat!("Change ", $article, ".")]
            Update($update),
            /// Show all.
            List(RegistryList),
            /// Show one.
            Get {
                /// Its code.
                code: Code,
            },
            /// Block creation and every forward move beneath it; the authority signs.
            Suspend(Target),
            /// End a suspension; the authority signs.
            Activate(Target),
            /// Close one that nothing depends on; the authority signs and gets the rent.
            Delete(Target),
        }
    };
}

verbs! {
    /// Verbs of contributors.
    Contributor, ContributorCreate, ContributorUpdate, "a contributor"
}
verbs! {
    /// Verbs of locations.
    Location, LocationCreate, LocationUpdate, "a location"
}
verbs! {
    /// Verbs of exchanges.
    Exchange, ExchangeCreate, ExchangeUpdate, "an exchange"
}

/// Which ones to list.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct RegistryList {
    /// Only those of this status.
    #[arg(long, value_parser = one_of::<RegistryStatus>())]
    pub status: Option<RegistryStatus>,
}

/// A new contributor.
#[derive(Clone, Debug, Args)]
pub struct ContributorCreate {
    /// Its code.
    pub code: Code,
    /// Public key that creates, changes and deletes its devices and links; the signer's if left out.
    #[arg(long, value_name = "KEY")]
    pub owner: Option<Key>,
    /// Public key that sets desired statuses and operational fields.
    #[arg(long, value_name = "KEY")]
    pub operations_key: Option<Key>,
}

impl ContributorCreate {
    /// The instruction's data.
    #[must_use]
    pub fn data(&self, signer: Key) -> CreateContributor {
        CreateContributor {
            code: self.code,
            owner: self.owner.unwrap_or(signer),
            operations_key: self.operations_key.unwrap_or_default(),
        }
    }
}

/// What changes of a contributor.
#[derive(Clone, Debug, Default, Args)]
#[group(id = "change", required = true, multiple = true)]
pub struct ContributorChange {
    /// Owner's public key.
    #[arg(long, value_name = "KEY")]
    pub owner: Option<Key>,
    /// Operations key, or `none`.
    #[arg(long, value_name = "KEY")]
    pub operations_key: Option<MaybeKey>,
}

/// A change of a contributor.
#[derive(Clone, Debug, Args)]
pub struct ContributorUpdate {
    /// Its code.
    pub code: Code,
    /// What changes.
    #[command(flatten)]
    pub change: ContributorChange,
    /// Sequence.
    #[command(flatten)]
    pub expect: Expect,
}

impl ContributorUpdate {
    /// The instruction's data: what is not changed is as it was read.
    #[must_use]
    pub fn data(&self, now: &ContributorRecord) -> UpdateContributor {
        UpdateContributor {
            expected_sequence: self.expect.or(now.header.sequence),
            owner: self.change.owner.unwrap_or(now.owner),
            operations_key: self.change.operations_key.map_or(now.operations_key, |k| k.0),
        }
    }
}

/// A new location.
#[derive(Clone, Debug, Args)]
pub struct LocationCreate {
    /// Its code.
    pub code: Code,
    /// Name for people.
    #[arg(long, default_value = "", value_parser = label)]
    pub name: Label,
    /// Country: two capital letters.
    #[arg(long, value_name = "CC")]
    pub country: Option<Country>,
    /// Latitude in degrees, north positive.
    #[arg(long, value_name = "DEGREES", allow_negative_numbers = true)]
    pub lat: Degrees,
    /// Longitude in degrees, east positive.
    #[arg(long, value_name = "DEGREES", allow_negative_numbers = true)]
    pub lng: Degrees,
}

impl LocationCreate {
    /// The instruction's data.
    #[must_use]
    pub fn data(&self) -> CreateLocation {
        CreateLocation {
            code: self.code,
            name: self.name,
            country: self.country.unwrap_or_default(),
            lat_e6: self.lat.0,
            lng_e6: self.lng.0,
        }
    }
}

/// What changes of a place.
#[derive(Clone, Debug, Default, Args)]
#[group(id = "change", required = true, multiple = true)]
pub struct LocationChange {
    /// Name for people.
    #[arg(long, value_parser = label)]
    pub name: Option<Label>,
    /// Country: two capital letters.
    #[arg(long, value_name = "CC")]
    pub country: Option<Country>,
    /// Latitude in degrees, north positive.
    #[arg(long, value_name = "DEGREES", allow_negative_numbers = true)]
    pub lat: Option<Degrees>,
    /// Longitude in degrees, east positive.
    #[arg(long, value_name = "DEGREES", allow_negative_numbers = true)]
    pub lng: Option<Degrees>,
}

/// A change of a location.
#[derive(Clone, Debug, Args)]
pub struct LocationUpdate {
    /// Its code.
    pub code: Code,
    /// What changes.
    #[command(flatten)]
    pub change: LocationChange,
    /// Sequence.
    #[command(flatten)]
    pub expect: Expect,
}

impl LocationUpdate {
    /// The instruction's data: what is not changed is as it was read.
    #[must_use]
    pub fn data(&self, now: &LocationRecord) -> UpdateLocation {
        UpdateLocation {
            expected_sequence: self.expect.or(now.header.sequence),
            name: self.change.name.unwrap_or(now.name),
            country: self.change.country.unwrap_or(now.country),
            lat_e6: self.change.lat.map_or(now.lat_e6, |d| d.0),
            lng_e6: self.change.lng.map_or(now.lng_e6, |d| d.0),
        }
    }
}

/// A new exchange.
#[derive(Clone, Debug, Args)]
pub struct ExchangeCreate {
    /// Where it is.
    #[command(flatten)]
    pub place: LocationCreate,
    /// Low half of the BGP community that marks the metro's routes.
    #[arg(long, value_name = "N")]
    pub bgp_community: u16,
}

impl ExchangeCreate {
    /// The instruction's data.
    #[must_use]
    pub fn data(&self) -> CreateExchange {
        let CreateLocation { code, name, country, lat_e6, lng_e6 } = self.place.data();
        CreateExchange { code, name, country, lat_e6, lng_e6, bgp_community: self.bgp_community }
    }
}

/// What changes of an exchange.
#[derive(Clone, Debug, Default, Args)]
#[group(id = "change", required = true, multiple = true)]
pub struct ExchangeChange {
    /// Name for people.
    #[arg(long, value_parser = label)]
    pub name: Option<Label>,
    /// Country: two capital letters.
    #[arg(long, value_name = "CC")]
    pub country: Option<Country>,
    /// Latitude in degrees, north positive.
    #[arg(long, value_name = "DEGREES", allow_negative_numbers = true)]
    pub lat: Option<Degrees>,
    /// Longitude in degrees, east positive.
    #[arg(long, value_name = "DEGREES", allow_negative_numbers = true)]
    pub lng: Option<Degrees>,
    /// Low half of the metro's BGP community.
    #[arg(long, value_name = "N")]
    pub bgp_community: Option<u16>,
}

/// A change of an exchange.
#[derive(Clone, Debug, Args)]
pub struct ExchangeUpdate {
    /// Its code.
    pub code: Code,
    /// What changes.
    #[command(flatten)]
    pub change: ExchangeChange,
    /// Sequence.
    #[command(flatten)]
    pub expect: Expect,
}

impl ExchangeUpdate {
    /// The instruction's data: what is not changed is as it was read.
    #[must_use]
    pub fn data(&self, now: &ExchangeRecord) -> UpdateExchange {
        UpdateExchange {
            expected_sequence: self.expect.or(now.header.sequence),
            name: self.change.name.unwrap_or(now.name),
            country: self.change.country.unwrap_or(now.country),
            lat_e6: self.change.lat.map_or(now.lat_e6, |d| d.0),
            lng_e6: self.change.lng.map_or(now.lng_e6, |d| d.0),
            bgp_community: self.change.bgp_community.unwrap_or(now.bgp_community),
        }
    }
}

/// A name for people, which may be empty.
fn label(text: &str) -> Result<Label, String> {
    if text.is_empty() {
        Ok(Label::ZERO)
    } else {
        text.parse().map_err(|e: causeway_interface::text::ParseError| e.to_string())
    }
}
