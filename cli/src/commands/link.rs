//! `causeway link`.

use std::sync::Arc;

use causeway_interface::{
    Code, ErrorCode, LinkStatus,
    accounts::{Contributor, Device, Link},
    instruction::ANY_SEQUENCE,
};
use causeway_sdk::{
    Filter, LinkContext, LinkRefs, Receipt,
    address::{to_key, to_pubkey},
};
use solana_sdk::{instruction::Instruction, pubkey::Pubkey, signature::Keypair, signer::Signer};

use super::{
    device::code_of,
    session::{Session, changed, public, warn_undecodable},
    view::{self, Names},
    wait::{self, Look},
};
use crate::{
    args::{self, LinkList, Target, Wait, acts_for},
    failure::{Exit, Failure},
    output::{Addressed, Report, pairs, table},
};

/// Does one verb.
pub async fn run(session: &Session, verb: args::Link) -> Result<Report, Failure> {
    use args::Link as Verb;
    let build = &session.build;
    match verb {
        Verb::List(args) => list(session, &args).await,
        Verb::Get { code } => get(session, &code).await,
        Verb::Create(args) => {
            let signer = session.signer()?;
            let a = session.ledger.device(&args.device_a).await?;
            let z = session.ledger.device(&args.device_z).await?;
            let (refs_a, refs_z) = (build.device_refs(&a), build.device_refs(&z));
            let create = build.create_link(&signer.pubkey(), &refs_a, &refs_z, args.data(&a, &z));
            send(session, &signer, &args.code, "created", vec![create], Wait::default()).await
        }
        Verb::Accept(args) => {
            let signer = session.signer()?;
            let Read { link, refs } = read(session, &args.target.code).await?;
            let Some(interface) = args.interface(&link) else {
                let mut failure = Failure::explained(&ErrorCode::InterfaceNotFound, Exit::Usage);
                failure.cause = format!("Side A of link {} proposed no interface, and none is named.", link.code);
                return Err(failure.with_remedy("Name one with `--interface`."));
            };
            let sequence = args.target.expect.or(link.header.sequence);
            let accept = build.accept_link(&signer.pubkey(), &refs, interface, sequence);
            send(session, &signer, &args.target.code, "accepted", vec![accept], Wait::default()).await
        }
        Verb::Reject { target, reason } => {
            let signer = session.signer()?;
            let Read { link, refs } = read(session, &target.code).await?;
            let sequence = target.expect.or(link.header.sequence);
            let reject = build.reject_link(&signer.pubkey(), &refs, reason, sequence);
            send(session, &signer, &target.code, "rejected", vec![reject], Wait::default()).await
        }
        Verb::Provision { target, wait } => {
            let signer = session.signer()?;
            let Read { link, refs } = read(session, &target.code).await?;
            let sequence = target.expect.or(link.header.sequence);
            let provision = build.provision_link(&signer.pubkey(), &refs, sequence);
            send(session, &signer, &target.code, "provisioning", vec![provision], wait).await
        }
        Verb::Update(args) => {
            let signer = session.signer()?;
            let link = session.ledger.link(&args.code).await?;
            let side = side_of(session, &signer, &link).await?;
            let address = build.addresses().link(&args.code);
            let update = build.update_link(&signer.pubkey(), &side, &address, args.data(&link));
            send(session, &signer, &args.code, "updated", vec![update], Wait::default()).await
        }
        Verb::SetDesired { target, status, wait } => {
            let signer = session.signer()?;
            let Read { link, refs } = read(session, &target.code).await?;
            let side = side_of(session, &signer, &link).await?;
            let (key, sequence) = (signer.pubkey(), target.expect.or(link.header.sequence));
            let set = build.set_link_desired(&key, &side, &refs.link, status, sequence);
            let advance = build.advance_link(&key, &refs, ANY_SEQUENCE);
            send(session, &signer, &target.code, "desired status set", vec![set, advance], wait).await
        }
        Verb::Suspend(target) => {
            let signer = session.signer()?;
            let Read { link, refs } = read(session, &target.code).await?;
            let suspend = build.suspend_link(&signer.pubkey(), &refs, target.expect.or(link.header.sequence));
            send(session, &signer, &target.code, "suspended", vec![suspend], Wait::default()).await
        }
        Verb::Resume(target) => {
            let signer = session.signer()?;
            let link = session.ledger.link(&target.code).await?;
            let address = build.addresses().link(&target.code);
            let resume = build.resume_link(&signer.pubkey(), &address, target.expect.or(link.header.sequence));
            send(session, &signer, &target.code, "resumed", vec![resume], Wait::default()).await
        }
        Verb::Delete(target) => delete(session, &target).await,
    }
}

/// A link and the accounts around it.
struct Read {
    link: Link,
    refs: LinkRefs,
}

async fn read(session: &Session, code: &Code) -> Result<Read, Failure> {
    let link = session.ledger.link(code).await?;
    let device_a: Device = session.at(&link.device_a, "device").await?;
    let device_z: Device = session.at(&link.device_z, "device").await?;
    let refs = session.build.link_refs(&LinkContext { link: &link, device_a: &device_a, device_z: &device_z });
    Ok(Read { link, refs })
}

/// The contributor that the signer acts for.
async fn side_of(session: &Session, signer: &Keypair, link: &Link) -> Result<Pubkey, Failure> {
    let a: Contributor = session.at(&link.contributor_a, "contributor").await?;
    let z: Contributor = session.at(&link.contributor_z, "contributor").await?;
    Ok(to_pubkey(&acts_for(public(signer), link, &a, &z)))
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
    let what = format!("link {code}");
    let look = || async {
        let link = session.ledger.link(code).await?;
        let header = &link.header;
        let state = view::state(header.status, header.health, header.desired);
        let follows = wait::link(header.status, header.desired);
        Ok(Look { state, follows, record: link })
    };
    let Look { record, state, .. } = wait::until(wait, &what, look).await?;
    changed(&what, done, receipt, Some((&session.build.addresses().link(code), &record)), &state)
}

async fn delete(session: &Session, target: &Target) -> Result<Report, Failure> {
    let signer = session.signer()?;
    let link = session.ledger.link(&target.code).await?;
    let side = side_of(session, &signer, &link).await?;
    let a: Contributor = session.at(&link.contributor_a, "contributor").await?;
    let (key, owner, build) = (signer.pubkey(), to_pubkey(&a.owner), &session.build);
    let address = build.addresses().link(&target.code);
    let sequence = target.expect.or(link.header.sequence);
    // A device Z that never accepted may be gone, so the devices are not read: closing needs their addresses only.
    let end = |device, contributor| causeway_sdk::DeviceRefs {
        device: to_pubkey(device),
        contributor: to_pubkey(contributor),
        location: Pubkey::default(),
        exchange: Pubkey::default(),
    };
    let refs = LinkRefs {
        link: address,
        a: end(&link.device_a, &link.contributor_a),
        z: end(&link.device_z, &link.contributor_z),
    };
    let instructions = match link.header.status {
        LinkStatus::Deleting => vec![build.close_link(&key, &refs, &owner, sequence)],
        LinkStatus::Pending
        | LinkStatus::Activated
        | LinkStatus::Suspended
        | LinkStatus::Rejected
        | LinkStatus::Requested
        | LinkStatus::HardDrained
        | LinkStatus::SoftDrained
        | LinkStatus::Provisioning => vec![
            build.delete_link(&key, &side, &address, sequence),
            build.close_link(&key, &refs, &owner, ANY_SEQUENCE),
        ],
    };
    let receipt = session.send(&signer, instructions).await?;
    changed::<Link>(&format!("link {}", target.code), "deleted", &receipt, None, "")
}

async fn list(session: &Session, args: &LinkList) -> Result<Report, Failure> {
    let listing = session.ledger.list::<Link>(args.filter()).await?;
    warn_undecodable(&listing.undecodable);
    let devices = session.ledger.list::<Device>(Filter::default()).await?;
    let names: Names = devices.items.iter().map(|(key, device)| (*key, device.code)).collect();
    let mut items: Vec<_> = listing.items.iter().map(|(key, record)| Addressed { address: *key, record }).collect();
    items.sort_by_key(|item| item.record.code);
    Report::new(table(view::LINK, items.iter().map(|item| view::link_row(&names, item.record))), &items)
}

async fn get(session: &Session, code: &Code) -> Result<Report, Failure> {
    let link = session.ledger.link(code).await?;
    let a: Contributor = session.at(&link.contributor_a, "contributor").await?;
    let z: Contributor = session.at(&link.contributor_z, "contributor").await?;
    let mut names = Names::from([(link.contributor_a, a.code), (link.contributor_z, z.code)]);
    for device in [&link.device_a, &link.device_z] {
        names.extend(code_of(session, device).await?.map(|code| (*device, code)));
    }
    let address = to_key(&session.build.addresses().link(code));
    Report::new(pairs(&view::link(&names, &link)), &Addressed { address, record: &link })
}
