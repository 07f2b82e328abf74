//! `causeway sign`: shows what a transaction does that somebody else prepared, signs it, sends it, waits until it is
//! confirmed.
//!
//! Nothing of the message is taken but its instructions, each of which has to be this program's own: what is signed is what
//! was shown, over a new blockhash and with a compute budget of our own. A person may take an hour to read.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use causeway_interface::Key;
use causeway_sdk::{
    address::to_key,
    explain,
    unsigned::{self, Asked, Described, Names},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use solana_sdk::signer::Signer;

use super::{
    ask,
    session::{Session, public},
};
use crate::{
    args,
    failure::{self, Exit, Failure},
    output::{Report, plain},
};

/// Longest file, in bytes: the longest answer of a controller has 112 interfaces in words.
const MAX_FILE: u64 = 4 << 20;
/// Most transactions of one file: a device with 112 interfaces takes a dozen.
const MAX_TRANSACTIONS: usize = 64;

/// What a controller answered; what else is in it is for people.
#[derive(Debug, Deserialize)]
struct Answer {
    transactions: Vec<One>,
}

/// One of its transactions.
#[derive(Debug, Deserialize)]
struct One {
    transaction: String,
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    signer: Key,
    instructions: &'a [Described],
    /// None where it was not sent.
    sent: Option<Sent>,
}

#[derive(Clone, Debug, Serialize)]
struct Sent {
    signature: String,
    slot: u64,
}

/// Shows, asks, signs, sends.
pub async fn run(session: &Session, args: &args::Sign) -> Result<Report, Failure> {
    let from_stdin = args.file == Path::new("-");
    if from_stdin && !args.yes && !args.dry_run {
        let cause = "The transaction comes from stdin, where nobody could answer whether it is to be signed.";
        return Err(Failure::new(failure::NOT_CONFIRMED, Exit::Usage, cause));
    }
    let texts = transactions(&read(&args.file, from_stdin)?)?;
    let names = unsigned::names(&session.ledger.snapshot().await?);
    let addresses = session.ledger.addresses();
    let asked = texts.iter().map(|text| Asked::read(text, addresses, &names));
    let asked: Vec<Asked> = asked.collect::<Result<_, _>>().map_err(|e| Failure::explained(&e, Exit::Refused))?;
    let mut sent: Vec<Option<Sent>> = vec![None; asked.len()];
    let text = words(&asked, &names);
    if args.dry_run {
        return report(text, &asked, &sent);
    }
    let signer = session.signer()?;
    if let Some(other) = asked.iter().find(|asked| asked.signer != signer.pubkey()) {
        let cause = format!("{} has to sign, and the key that is here is {}.", other.signer, public(&signer));
        return Err(Failure::new(explain::TRANSACTION_SIGNER, Exit::Refused, cause));
    }
    eprintln!("{text}");
    if !args.yes {
        ask::yes("Sign and send?", "Nothing was signed.")?;
    }
    for (number, (asked, sent)) in asked.iter().zip(&mut sent).enumerate() {
        let receipt = match session.send(&signer, asked.instructions.clone()).await {
            Ok(receipt) => receipt,
            Err(failure) if number == 0 => return Err(failure),
            Err(failure) => {
                let cause =
                    format!("{number} transactions are on the ledger, and the next one is not: {}", failure.cause);
                return Err(Failure { cause, ..failure });
            }
        };
        eprintln!("transaction {} is confirmed in slot {}", number + 1, receipt.slot);
        *sent = Some(Sent { signature: receipt.signature.to_string(), slot: receipt.slot });
    }
    let signatures: Vec<_> = sent.iter().flatten().map(|sent| sent.signature.as_str()).collect();
    report(signatures.join("\n"), &asked, &sent)
}

fn report(text: String, asked: &[Asked], sent: &[Option<Sent>]) -> Result<Report, Failure> {
    let shown = asked.iter().zip(sent).map(|(asked, sent)| Shown {
        signer: to_key(&asked.signer),
        instructions: &asked.described,
        sent: sent.clone(),
    });
    Report::new(text, &shown.collect::<Vec<_>>())
}

fn read(path: &PathBuf, from_stdin: bool) -> Result<String, Failure> {
    let failed = |error: &std::io::Error| Failure::read(path, error);
    let mut text = String::new();
    let read = if from_stdin {
        std::io::stdin().lock().take(MAX_FILE + 1).read_to_string(&mut text)
    } else {
        let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
        file.take(MAX_FILE + 1).read_to_string(&mut text)
    };
    let read = read.map_err(|error| failed(&error))?;
    if u64::try_from(read).is_ok_and(|read| read <= MAX_FILE) {
        return Ok(text);
    }
    Err(failed(&std::io::Error::other(format!("it is longer than {MAX_FILE} bytes"))))
}

/// The transactions of a file: of an answer of a controller, of a part of one, or the base64 itself.
fn transactions(text: &str) -> Result<Vec<String>, Failure> {
    let text = text.trim();
    if !text.starts_with('{') {
        return Ok(vec![text.to_owned()]);
    }
    let invalid = |cause: String| Failure::new(explain::TRANSACTION_INVALID, Exit::File, cause);
    let value: Value = serde_json::from_str(text).map_err(|error| invalid(format!("It is not JSON: {error}.")))?;
    let texts: Vec<String> = match Answer::deserialize(&value) {
        Ok(answer) => answer.transactions.into_iter().map(|one| one.transaction).collect(),
        Err(_) => {
            vec![One::deserialize(&value).map_err(|_| invalid("It holds no transaction.".to_owned()))?.transaction]
        }
    };
    match texts.len() {
        0 => Err(invalid("There is nothing to sign in it: a job may have begun.".to_owned())),
        1..=MAX_TRANSACTIONS => Ok(texts),
        more => Err(invalid(format!("It holds {more} transactions; {MAX_TRANSACTIONS} are the most."))),
    }
}

/// What the transactions do, for who is to sign them.
fn words(asked: &[Asked], names: &Names) -> String {
    let mut lines = Vec::new();
    for (number, one) in asked.iter().enumerate() {
        let signer = to_key(&one.signer);
        let name = names.get(&signer).map(|name| format!(" ({name})")).unwrap_or_default();
        lines.push(format!("Transaction {} of {}, signed and paid for by {signer}{name}:", number + 1, asked.len()));
        for described in &one.described {
            lines.push(format!("  {}: {}", described.name, described.about));
            lines.extend(data(&described.data));
            for account in described.accounts.iter().filter(|account| account.signs || account.changes) {
                let does = match (account.signs, account.changes) {
                    (true, true) => "signs, changes",
                    (true, false) => "signs",
                    (false, _) => "changes",
                };
                let name = account.name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
                lines.push(format!("    {does}: {} {}{name}", account.role, account.address));
            }
        }
    }
    lines.into_iter().map(|line| plain(&line)).collect::<Vec<_>>().join("\n")
}

/// The fields of an instruction that say something.
fn data(data: &Value) -> Vec<String> {
    let Some(fields) = data.as_object() else { return Vec::new() };
    let said = fields.iter().filter(|(_, value)| !value.is_null());
    said.map(|(name, value)| match value {
        Value::String(text) => format!("    {name} = {text}"),
        other => format!("    {name} = {other}"),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_a_part_of_it_and_the_text_itself_are_read() {
        let answer = json!({"device": "x", "state": "sign", "transactions": [{"transaction": "AA", "signer": "k"}, {"transaction": "BB"}]});
        assert_eq!(transactions(&answer.to_string()).unwrap(), ["AA", "BB"]);
        assert_eq!(transactions(&answer["transactions"][0].to_string()).unwrap(), ["AA"]);
        assert_eq!(transactions(" AA==\n").unwrap(), ["AA=="]);
    }

    #[test]
    fn what_holds_nothing_to_sign_is_told_apart() {
        let many: Vec<_> = (0..65).map(|_| json!({"transaction": "A"})).collect();
        for (text, said) in [
            ("{".to_owned(), "not JSON"),
            ("{}".to_owned(), "no transaction"),
            (json!({"transactions": []}).to_string(), "nothing to sign"),
            (json!({"transactions": [{"transaction": 5}]}).to_string(), "no transaction"),
            (json!({"transactions": many}).to_string(), "65 transactions"),
        ] {
            let failure = transactions(&text).unwrap_err();
            assert!(failure.cause.contains(said) && failure.code == explain::TRANSACTION_INVALID.code, "{failure}");
        }
    }

    #[test]
    fn words_hold_no_control_characters_and_say_what_is_set() {
        let fields =
            json!({"code": "x", "public_ip": null, "dz_prefixes": ["10.0.0.0/29", null], "skip_recipe": false});
        let lines = data(&fields);
        assert_eq!(lines, ["    code = x", "    dz_prefixes = [\"10.0.0.0/29\",null]", "    skip_recipe = false"]);
    }
}
