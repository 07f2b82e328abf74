//! `causeway contributor`, `causeway location` and `causeway exchange`.

use causeway_interface::{
    Code, RegistryStatus,
    accounts::{Contributor, Exchange, Location, Record, RegistryHeader},
};
use causeway_sdk::{Filter, LedgerError, RegistryTarget, address::to_key};
use serde::Serialize;
use solana_sdk::{instruction::Instruction, pubkey::Pubkey, signature::Keypair, signer::Signer};

use super::{
    session::{Session, changed, public, warn_undecodable},
    view,
};
use crate::{
    args::{self, RegistryList, Target},
    failure::Failure,
    output::{Addressed, Report, pairs, table},
};

/// What the three nouns have in common.
trait Registry: Record + Serialize {
    const HEADINGS: &'static [&'static str];
    fn header(&self) -> &RegistryHeader;
    fn code(&self) -> &Code;
    fn row(&self) -> Vec<String>;
    fn pairs(&self) -> Vec<(&'static str, String)>;
    fn address(session: &Session, code: &Code) -> Pubkey;
    fn target(code: &Code) -> RegistryTarget<'_>;
    fn fetch(session: &Session, code: &Code) -> impl Future<Output = Result<Self, LedgerError>>;
}

macro_rules! registry {
    ($ty:ident, $field:ident, $headings:ident, $row:ident) => {
        impl Registry for $ty {
            const HEADINGS: &'static [&'static str] = view::$headings;
            fn header(&self) -> &RegistryHeader {
                &self.header
            }
            fn code(&self) -> &Code {
                &self.code
            }
            fn row(&self) -> Vec<String> {
                view::$row(self)
            }
            fn pairs(&self) -> Vec<(&'static str, String)> {
                view::$field(self)
            }
            fn address(session: &Session, code: &Code) -> Pubkey {
                session.build.addresses().$field(code)
            }
            fn target(code: &Code) -> RegistryTarget<'_> {
                RegistryTarget::$ty(code)
            }
            async fn fetch(session: &Session, code: &Code) -> Result<Self, LedgerError> {
                session.ledger.$field(code).await
            }
        }
    };
}

registry!(Contributor, contributor, CONTRIBUTOR, contributor_row);
registry!(Location, location, LOCATION, location_row);
registry!(Exchange, exchange, EXCHANGE, exchange_row);

async fn list<T: Registry>(session: &Session, args: &RegistryList) -> Result<Report, Failure> {
    let filter = Filter { status: args.status.map(RegistryStatus::byte), ..Filter::default() };
    let listing = session.ledger.list::<T>(filter).await?;
    warn_undecodable(&listing.undecodable);
    let mut items: Vec<_> = listing.items.iter().map(|(key, record)| Addressed { address: *key, record }).collect();
    items.sort_by_key(|item| *item.record.code());
    Report::new(table(T::HEADINGS, items.iter().map(|item| item.record.row())), &items)
}

async fn get<T: Registry>(session: &Session, code: &Code) -> Result<Report, Failure> {
    let record = T::fetch(session, code).await?;
    let address = to_key(&T::address(session, code));
    Report::new(pairs(&record.pairs()), &Addressed { address, record: &record })
}

async fn send<T: Registry>(
    session: &Session,
    signer: &std::sync::Arc<Keypair>,
    code: &Code,
    done: &str,
    instruction: Instruction,
) -> Result<Report, Failure> {
    let receipt = session.send(signer, vec![instruction]).await?;
    let record = T::fetch(session, code).await?;
    let what = format!("{} {code}", T::TYPE);
    let state = format!("status {}", record.header().status);
    changed(&what, done, &receipt, Some((&T::address(session, code), &record)), &state)
}

async fn set_status<T: Registry>(
    session: &Session,
    target: &Target,
    status: RegistryStatus,
) -> Result<Report, Failure> {
    let signer = session.signer()?;
    let sequence = target.expect.or(T::fetch(session, &target.code).await?.header().sequence);
    let set = session.build.set_registry_status(&signer.pubkey(), T::target(&target.code), status, sequence);
    send::<T>(session, &signer, &target.code, status.name(), set).await
}

async fn delete<T: Registry>(session: &Session, target: &Target) -> Result<Report, Failure> {
    let signer = session.signer()?;
    let sequence = target.expect.or(T::fetch(session, &target.code).await?.header().sequence);
    let key = signer.pubkey();
    let close = session.build.close_registry(&key, T::target(&target.code), &key, sequence);
    let receipt = session.send(&signer, vec![close]).await?;
    changed::<T>(&format!("{} {}", T::TYPE, target.code), "deleted", &receipt, None, "")
}

/// Does one verb of contributors.
pub async fn contributor(session: &Session, verb: args::Contributor) -> Result<Report, Failure> {
    use args::Contributor as Verb;
    match verb {
        Verb::List(args) => list::<Contributor>(session, &args).await,
        Verb::Get { code } => get::<Contributor>(session, &code).await,
        Verb::Suspend(target) => set_status::<Contributor>(session, &target, RegistryStatus::Suspended).await,
        Verb::Activate(target) => set_status::<Contributor>(session, &target, RegistryStatus::Activated).await,
        Verb::Delete(target) => delete::<Contributor>(session, &target).await,
        Verb::Create(args) => {
            let signer = session.signer()?;
            let key = signer.pubkey();
            let create = session.build.create_contributor(&key, &key, args.data(public(&signer)));
            send::<Contributor>(session, &signer, &args.code, "created", create).await
        }
        Verb::Update(args) => {
            let signer = session.signer()?;
            let data = args.data(&session.ledger.contributor(&args.code).await?);
            let update = session.build.update_contributor(&signer.pubkey(), &args.code, data);
            send::<Contributor>(session, &signer, &args.code, "updated", update).await
        }
    }
}

/// Does one verb of locations.
pub async fn location(session: &Session, verb: args::Location) -> Result<Report, Failure> {
    use args::Location as Verb;
    match verb {
        Verb::List(args) => list::<Location>(session, &args).await,
        Verb::Get { code } => get::<Location>(session, &code).await,
        Verb::Suspend(target) => set_status::<Location>(session, &target, RegistryStatus::Suspended).await,
        Verb::Activate(target) => set_status::<Location>(session, &target, RegistryStatus::Activated).await,
        Verb::Delete(target) => delete::<Location>(session, &target).await,
        Verb::Create(args) => {
            let signer = session.signer()?;
            let key = signer.pubkey();
            let create = session.build.create_location(&key, &key, args.data());
            send::<Location>(session, &signer, &args.code, "created", create).await
        }
        Verb::Update(args) => {
            let signer = session.signer()?;
            let data = args.data(&session.ledger.location(&args.code).await?);
            let update = session.build.update_location(&signer.pubkey(), &args.code, data);
            send::<Location>(session, &signer, &args.code, "updated", update).await
        }
    }
}

/// Does one verb of exchanges.
pub async fn exchange(session: &Session, verb: args::Exchange) -> Result<Report, Failure> {
    use args::Exchange as Verb;
    match verb {
        Verb::List(args) => list::<Exchange>(session, &args).await,
        Verb::Get { code } => get::<Exchange>(session, &code).await,
        Verb::Suspend(target) => set_status::<Exchange>(session, &target, RegistryStatus::Suspended).await,
        Verb::Activate(target) => set_status::<Exchange>(session, &target, RegistryStatus::Activated).await,
        Verb::Delete(target) => delete::<Exchange>(session, &target).await,
        Verb::Create(args) => {
            let signer = session.signer()?;
            let key = signer.pubkey();
            let create = session.build.create_exchange(&key, &key, args.data());
            send::<Exchange>(session, &signer, &args.place.code, "created", create).await
        }
        Verb::Update(args) => {
            let signer = session.signer()?;
            let data = args.data(&session.ledger.exchange(&args.code).await?);
            let update = session.build.update_exchange(&signer.pubkey(), &args.code, data);
            send::<Exchange>(session, &signer, &args.code, "updated", update).await
        }
    }
}
