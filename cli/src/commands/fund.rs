//! `causeway key fund`: transfers lamports from one key to others, many in one transaction.
//!
//! Everything that can be refused is refused before anything is sent. Funding twice gives twice: where some of several
//! transactions failed, the failure lists the keys that have got theirs, so that only the others are named again.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use causeway_interface::Key;
use causeway_sdk::{Submission, address::to_pubkey, explain, keys};
use serde::Serialize;
use solana_sdk::signer::Signer as _;
use solana_system_interface::instruction::transfer;

use super::session::{Session, public};
use crate::{
    args::{KeyFund, KeyName},
    failure::{self, Exit, Failure},
    output::{Report, sol, table},
};

/// Transfers of one transaction: 49 bytes each beside 250 for the rest, so that a packet of 1232 bytes holds 20.
const TRANSFERS: usize = 18;

/// A key that got its part, for scripts.
#[derive(Debug, Serialize)]
struct Funded<'a> {
    key: Key,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a Path>,
    signature: String,
    slot: u64,
}

/// What was done, for scripts.
#[derive(Debug, Serialize)]
struct Done<'a> {
    payer: Key,
    lamports_each: u64,
    transactions: usize,
    funded: Vec<Funded<'a>>,
}

/// Funds every key that is named, once.
pub async fn run(session: &Session, args: &KeyFund) -> Result<Report, Failure> {
    let payer = session.payer()?;
    let recipients = recipients(&args.keys, public(&payer))?;
    let total = u64::try_from(recipients.len()).ok().and_then(|count| count.checked_mul(args.lamports));
    let Some(total) = total else {
        let cause = format!("{} SOL for each of {} keys is more than there is.", sol(args.lamports), recipients.len());
        return Err(Failure::new(failure::NO_SUCH_VALUE, Exit::Usage, cause));
    };
    let has = session.ledger.balance(&public(&payer)).await?;
    if has < total {
        let cause = format!("{} has {} SOL, and {} are to be given.", public(&payer), sol(has), sol(total));
        return Err(Failure::new(explain::SEND_UNFUNDED, Exit::Refused, cause));
    }
    let order: Vec<(Key, Option<&Path>)> = recipients.into_iter().collect();
    let from = payer.pubkey();
    let submissions = order.chunks(TRANSFERS).map(|chunk| {
        let transfers = chunk.iter().map(|(key, _)| transfer(&from, &to_pubkey(key), args.lamports)).collect();
        Submission::new(transfers, &Arc::clone(&payer))
    });
    let results = session.sender.send_all(submissions.collect()).await;
    let transactions = results.len();
    let (mut funded, mut failed) = (Vec::new(), None);
    for (chunk, result) in order.chunks(TRANSFERS).zip(results) {
        match result {
            Ok(receipt) => funded.extend(chunk.iter().map(|(key, file)| Funded {
                key: *key,
                file: *file,
                signature: receipt.signature.to_string(),
                slot: receipt.slot,
            })),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    if let Some(error) = failed {
        return Err(Failure::from(error).with_details(funded.iter().map(|f| format!("{} got its part", f.key))));
    }
    let rows = funded.iter().map(|f| {
        let file = f.file.map(|file| file.display().to_string());
        vec![f.key.to_string(), sol(args.lamports), file.unwrap_or_else(|| "-".into())]
    });
    let text = format!("{}\ngave {} SOL from {}", table(&["key", "sol", "file"], rows), sol(total), public(&payer));
    Report::new(text, &Done { payer: public(&payer), lamports_each: args.lamports, transactions, funded })
}

/// Each key once, with the file that first named it.
fn recipients(names: &[KeyName], payer: Key) -> Result<BTreeMap<Key, Option<&Path>>, Failure> {
    let mut all = BTreeMap::new();
    for name in names {
        let (key, file) = match name {
            KeyName::Address(key) => (*key, None),
            KeyName::File(path) => (public(&keys::read(path)?), Some(path.as_path())),
        };
        if key == payer {
            let cause = format!("{key} is the key that pays: it can't fund itself.");
            return Err(Failure::new(failure::NO_SUCH_VALUE, Exit::Usage, cause));
        }
        all.entry(key).or_insert(file);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gets_its_part_once_and_the_payer_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        let key = public(&keys::generate(&path).unwrap());
        let names = [KeyName::File(path.clone()), KeyName::Address(key), KeyName::Address(Key([9; 32]))];
        let all = recipients(&names, Key([1; 32])).unwrap();
        assert_eq!((all.len(), all[&key], all[&Key([9; 32])]), (2, Some(path.as_path()), None));
        assert_eq!(recipients(&names, Key([9; 32])).unwrap_err().exit, Exit::Usage);
        let missing = [KeyName::File(folder.path().join("none.json"))];
        assert_eq!(recipients(&missing, Key([1; 32])).unwrap_err().code, "CW-KEY-MISSING");
    }
}
