//! `causeway device`.

use std::sync::Arc;

use causeway_interface::{
    Code, DeviceStatus, Key,
    accounts::{Contributor, Device, Exchange, Location},
    instruction::ANY_SEQUENCE,
};
use causeway_sdk::{
    DeviceRefs, Filter, LedgerError, Receipt,
    address::{to_key, to_pubkey},
};
use solana_sdk::{instruction::Instruction, signature::Keypair, signer::Signer};

use super::{
    enroll, interface,
    session::{Session, changed, warn_undecodable},
    view::{self, Names},
    wait::{self, Look},
};
use crate::{
    args::{self, DeviceList, DeviceReject, Target, Wait},
    failure::{self, Exit, Failure},
    output::{Addressed, Report, pairs, table},
};

/// Does one verb.
pub async fn run(session: &Session, verb: args::Device) -> Result<Report, Failure> {
    use args::Device as Verb;
    match verb {
        Verb::List(args) => list(session, &args).await,
        Verb::Get { code } => get(session, &code).await,
        Verb::Interface(verb) => interface::run(session, verb).await,
        Verb::Enroll(args) => enroll::run(&args),
        Verb::Create(args) => {
            let signer = session.signer()?;
            let data = args.data().map_err(invalid)?;
            let (contributor, location, exchange) = (&args.contributor, &args.location, &args.exchange);
            let create = session.build.create_device(&signer.pubkey(), contributor, location, exchange, data);
            let receipt = match session.send(&signer, vec![create]).await {
                Ok(receipt) => receipt,
                // The program can only say that an account is not one of its own.
                Err(refused) => {
                    session.ledger.contributor(contributor).await?;
                    session.ledger.location(location).await?;
                    session.ledger.exchange(exchange).await?;
                    return Err(refused);
                }
            };
            report(session, &args.code, "created", &receipt, Wait::default()).await
        }
        Verb::Update(args) => {
            let signer = session.signer()?;
            let (device, refs) = read(session, &args.code).await?;
            let data = args.data(&device).map_err(invalid)?;
            let update = session.build.update_device(&signer.pubkey(), &refs, data);
            send(session, &signer, &args.code, "updated", vec![update], Wait::default()).await
        }
        Verb::Provision { target, wait } => {
            let signer = session.signer()?;
            let (device, refs) = read(session, &target.code).await?;
            let sequence = target.expect.or(device.header.sequence);
            let provision = session.build.provision_device(&signer.pubkey(), &refs, sequence);
            send(session, &signer, &target.code, "provisioning", vec![provision], wait).await
        }
        Verb::SetDesired { target, status, wait } => {
            let signer = session.signer()?;
            let (device, refs) = read(session, &target.code).await?;
            let (key, build) = (signer.pubkey(), &session.build);
            let sequence = target.expect.or(device.header.sequence);
            let set = build.set_device_desired(&key, &refs, status, sequence);
            let advance = build.advance_device(&key, &refs, ANY_SEQUENCE);
            send(session, &signer, &target.code, "desired status set", vec![set, advance], wait).await
        }
        Verb::Suspend(target) => {
            let signer = session.signer()?;
            let (device, refs) = read(session, &target.code).await?;
            let sequence = target.expect.or(device.header.sequence);
            let suspend = session.build.suspend_device(&signer.pubkey(), &refs.device, sequence);
            send(session, &signer, &target.code, "suspended", vec![suspend], Wait::default()).await
        }
        Verb::Resume(target) => {
            let signer = session.signer()?;
            let (device, refs) = read(session, &target.code).await?;
            let sequence = target.expect.or(device.header.sequence);
            let resume = session.build.resume_device(&signer.pubkey(), &refs.device, sequence);
            send(session, &signer, &target.code, "resumed", vec![resume], Wait::default()).await
        }
        Verb::Reject(DeviceReject { target, reason }) => {
            let signer = session.signer()?;
            let (device, refs) = read(session, &target.code).await?;
            let sequence = target.expect.or(device.header.sequence);
            let reject = session.build.reject_device(&signer.pubkey(), &refs.device, reason, sequence);
            send(session, &signer, &target.code, "rejected", vec![reject], Wait::default()).await
        }
        Verb::Delete(target) => delete(session, &target).await,
    }
}

/// A value that the command line can't say by its form alone.
fn invalid(cause: String) -> Failure {
    Failure::new(failure::NO_SUCH_VALUE, Exit::Usage, cause)
}

/// A device and the accounts around it.
pub async fn read(session: &Session, code: &Code) -> Result<(Device, DeviceRefs), Failure> {
    let device = session.ledger.device(code).await?;
    let refs = session.build.device_refs(&device);
    Ok((device, refs))
}

async fn send(
    session: &Session,
    signer: &Arc<Keypair>,
    code: &Code,
    done: &str,
    instructions: Vec<Instruction>,
    wait: Wait,
) -> Result<Report, Failure> {
    let receipt = session.send(signer, instructions).await?;
    report(session, code, done, &receipt, wait).await
}

async fn report(session: &Session, code: &Code, done: &str, receipt: &Receipt, wait: Wait) -> Result<Report, Failure> {
    let what = format!("device {code}");
    let look = || async {
        let device = session.ledger.device(code).await?;
        let header = &device.header;
        let state = view::state(header.status, header.health, header.desired);
        let follows = wait::device(header.status, header.desired);
        Ok(Look { state, follows, record: device })
    };
    let Look { record, state, .. } = wait::until(wait, &what, look).await?;
    changed(&what, done, receipt, Some((&session.build.addresses().device(code), &record)), &state)
}

async fn delete(session: &Session, target: &Target) -> Result<Report, Failure> {
    let signer = session.signer()?;
    let (device, refs) = read(session, &target.code).await?;
    let contributor: Contributor = session.at(&device.contributor, "contributor").await?;
    let (key, owner, build) = (signer.pubkey(), to_pubkey(&contributor.owner), &session.build);
    let sequence = target.expect.or(device.header.sequence);
    let instructions = match device.header.status {
        DeviceStatus::Deleting => vec![build.close_device(&key, &refs, &owner, sequence)],
        DeviceStatus::Pending
        | DeviceStatus::Activated
        | DeviceStatus::Suspended
        | DeviceStatus::Rejected
        | DeviceStatus::Drained
        | DeviceStatus::DeviceProvisioning
        | DeviceStatus::LinkProvisioning => {
            vec![build.delete_device(&key, &refs, sequence), build.close_device(&key, &refs, &owner, ANY_SEQUENCE)]
        }
    };
    let receipt = session.send(&signer, instructions).await?;
    changed::<Device>(&format!("device {}", target.code), "deleted", &receipt, None, "")
}

async fn list(session: &Session, args: &DeviceList) -> Result<Report, Failure> {
    let ledger = &session.ledger;
    let listing = ledger.list::<Device>(args.filter()).await?;
    warn_undecodable(&listing.undecodable);
    let contributors = ledger.list::<Contributor>(Filter::default()).await?;
    let exchanges = ledger.list::<Exchange>(Filter::default()).await?;
    let names: Names = contributors
        .items
        .iter()
        .map(|(key, c)| (*key, c.code))
        .chain(exchanges.items.iter().map(|(key, e)| (*key, e.code)))
        .collect();
    let mut items: Vec<_> = listing.items.iter().map(|(key, record)| Addressed { address: *key, record }).collect();
    items.sort_by_key(|item| item.record.code);
    Report::new(table(view::DEVICE, items.iter().map(|item| view::device_row(&names, item.record))), &items)
}

async fn get(session: &Session, code: &Code) -> Result<Report, Failure> {
    let device = session.ledger.device(code).await?;
    let contributor: Contributor = session.at(&device.contributor, "contributor").await?;
    let location: Location = session.at(&device.location, "location").await?;
    let exchange: Exchange = session.at(&device.exchange, "exchange").await?;
    let names = Names::from([
        (device.contributor, contributor.code),
        (device.location, location.code),
        (device.exchange, exchange.code),
    ]);
    let address = to_key(&session.build.addresses().device(code));
    Report::new(pairs(&view::device(&names, &device)), &Addressed { address, record: &device })
}

/// The code of the device at an address; none where it is gone.
pub async fn code_of(session: &Session, key: &Key) -> Result<Option<Code>, Failure> {
    match session.ledger.fetch::<Device>(&to_pubkey(key), "device").await {
        Ok(device) => Ok(Some(device.code)),
        Err(LedgerError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
