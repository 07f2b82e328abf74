//! `causeway network`.

use causeway_interface::instruction::ANY_SEQUENCE;
use causeway_sdk::Receipt;

use super::{
    session::{Session, changed, public},
    view,
};
use crate::{
    args::Network,
    failure::Failure,
    output::{Addressed, Report, pairs},
};

/// Does one verb.
pub async fn run(session: &Session, verb: Network) -> Result<Report, Failure> {
    let build = &session.build;
    match verb {
        Network::Get => {
            let network = session.ledger.network().await?;
            let address = causeway_sdk::address::to_key(&build.addresses().network());
            Report::new(pairs(&view::network(&network)), &Addressed { address, record: &network })
        }
        Network::Init(args) => {
            let signer = session.signer()?;
            let key = signer_key(&signer);
            let init = build.init_network(&key, &key, args.data(public(&signer)));
            let receipt = session.send(&signer, vec![init]).await?;
            report(session, "initialised", &receipt).await
        }
        Network::Update(args) => {
            let signer = session.signer()?;
            let data = args.data(&session.ledger.network().await?);
            let receipt = session.send(&signer, vec![build.update_network(&signer_key(&signer), data)]).await?;
            report(session, "updated", &receipt).await
        }
        Network::Pause { off, expect } => {
            let signer = session.signer()?;
            // Whoever registers something moves the network's sequence; nobody may delay the breaker with that.
            let sequence = expect.or(ANY_SEQUENCE);
            let pause = build.set_paused(&signer_key(&signer), !off, sequence);
            let receipt = session.send(&signer, vec![pause]).await?;
            report(session, if off { "resumed" } else { "paused" }, &receipt).await
        }
        Network::SetOracles(args) => {
            let signer = session.signer()?;
            let sequence = args.expect.or(session.ledger.network().await?.header.sequence);
            let set = build.set_oracle_set(&signer_key(&signer), args.oracles, args.quorum, sequence);
            let receipt = session.send(&signer, vec![set]).await?;
            report(session, "oracle set replaced", &receipt).await
        }
        Network::ProposeAuthority { to, expect } => {
            let signer = session.signer()?;
            let sequence = expect.or(session.ledger.network().await?.header.sequence);
            let propose = build.propose_authority(&signer_key(&signer), to.0, sequence);
            let receipt = session.send(&signer, vec![propose]).await?;
            let done = if to.0.is_zero() { "proposal of another authority taken back" } else { "authority proposed" };
            report(session, done, &receipt).await
        }
        Network::AcceptAuthority { expect } => {
            let signer = session.signer()?;
            let sequence = expect.or(session.ledger.network().await?.header.sequence);
            let accept = build.accept_authority(&signer_key(&signer), sequence);
            let receipt = session.send(&signer, vec![accept]).await?;
            report(session, "authority handed over", &receipt).await
        }
        Network::ExtendPrefixes { entries } => {
            let signer = session.signer()?;
            let extend = build.extend_prefix_table(&signer_key(&signer), entries);
            let receipt = session.send(&signer, vec![extend]).await?;
            report(session, "prefix table extended", &receipt).await
        }
    }
}

fn signer_key(signer: &solana_sdk::signature::Keypair) -> solana_sdk::pubkey::Pubkey {
    solana_sdk::signer::Signer::pubkey(signer)
}

async fn report(session: &Session, done: &str, receipt: &Receipt) -> Result<Report, Failure> {
    let network = session.ledger.network().await?;
    let address = session.build.addresses().network();
    let state = format!(
        "status {}, authority {}, {} oracles, quorum {}",
        network.header.status, network.authority, network.oracle_count, network.quorum
    );
    changed("network", done, receipt, Some((&address, &network)), &state)
}
