//! `causeway device interface`.

use causeway_interface::{
    Code, ErrorCode, InterfaceName,
    accounts::{Contributor, Device, Link},
};
use causeway_sdk::{
    Filter,
    address::{to_key, to_pubkey},
};
use solana_sdk::{instruction::Instruction, signature::Keypair, signer::Signer};

use super::{
    device::read,
    session::{Session, changed},
    view::{self, Names},
};
use crate::{
    args::Interface,
    failure::{Exit, Failure},
    output::Report,
};

/// Does one verb.
pub async fn run(session: &Session, verb: Interface) -> Result<Report, Failure> {
    match verb {
        Interface::List { code } => list(session, &code).await,
        Interface::Add(args) => {
            let signer = session.signer()?;
            let (device, refs) = read(session, &args.code).await?;
            let add = session.build.add_interface(&signer.pubkey(), &refs, args.add(&device));
            send(session, &signer, &args.code, &args.name, "added", add).await
        }
        Interface::Update(args) => {
            let signer = session.signer()?;
            let (device, refs) = read(session, &args.code).await?;
            let now = device.interfaces.iter().find(|i| i.name == args.name);
            let now = now.ok_or_else(|| unknown(&args.code, &args.name))?;
            let update = session.build.update_interface(&signer.pubkey(), &refs, args.update(&device, now));
            send(session, &signer, &args.code, &args.name, "updated", update).await
        }
        Interface::Remove(args) => {
            let signer = session.signer()?;
            let (device, refs) = read(session, &args.code).await?;
            let contributor: Contributor = session.at(&device.contributor, "contributor").await?;
            let (owner, sequence) = (to_pubkey(&contributor.owner), args.expect.or(device.header.sequence));
            let remove = session.build.remove_interface(&signer.pubkey(), &refs, &owner, args.name, sequence);
            send(session, &signer, &args.code, &args.name, "removed", remove).await
        }
    }
}

fn unknown(device: &Code, name: &InterfaceName) -> Failure {
    let mut failure = Failure::explained(&ErrorCode::InterfaceNotFound, Exit::NotFound);
    failure.cause = format!("Device {device} has no interface {name}.");
    failure
}

async fn send(
    session: &Session,
    signer: &std::sync::Arc<Keypair>,
    code: &Code,
    name: &InterfaceName,
    done: &str,
    instruction: Instruction,
) -> Result<Report, Failure> {
    let receipt = session.send(signer, vec![instruction]).await?;
    let device: Device = session.ledger.device(code).await?;
    let address = session.build.addresses().device(code);
    let state = format!("{} interfaces", device.interfaces.len());
    changed(&format!("device {code} interface {name}"), done, &receipt, Some((&address, &device)), &state)
}

async fn list(session: &Session, code: &Code) -> Result<Report, Failure> {
    let device = session.ledger.device(code).await?;
    let key = to_key(&session.build.addresses().device(code));
    let mut names = Names::new();
    if device.interfaces.iter().any(|i| !i.link.is_zero()) {
        let links = session.ledger.list::<Link>(Filter::default()).await?;
        let here = links.items.iter().filter(|(_, l)| l.device_a == key || l.device_z == key);
        names.extend(here.map(|(key, link)| (*key, link.code)));
    }
    Report::new(view::interfaces(&names, &device.interfaces), &device.interfaces)
}
