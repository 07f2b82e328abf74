//! The reference of accounts: seeds, layouts and enums.

use anyhow::{Context, Result};
use causeway_interface::{
    accounts::*,
    enums::*,
    event::RawEvent,
    layout::{Described, DescribedEnum, RecordSpec, ValueSpec},
    seeds,
};

use super::markdown::{NOTICE, code, prose, table};

/// docs/reference/accounts.md.
pub fn page() -> Result<String> {
    let mut page = format!(
        "{NOTICE}\n\n# Accounts\n\n\
         Every account is a program derived address and begins with the same header of {} bytes. Numbers are little \
         endian. The fixed part never changes its length; where there is a list, it follows as a `u32` count and \
         fixed-size entries. The layout version is {LAYOUT_VERSION}. `Code`, `Label` and their like are text, zero \
         padded; a key, address or prefix of all zeros means \"none\". The bytes are also the borsh form of the types \
         of the same names in `causeway-interface` with its feature `offchain`.\n",
        RawHeader::LEN
    );
    page.push_str(&record(&RawHeader::RECORD, 2));
    for account in accounts()? {
        page.push_str(&account);
    }
    page.push_str("\n# Parts\n");
    for part in [RawInterface::RECORD, RawAttestation::RECORD, RawPrefixRange::RECORD] {
        page.push_str(&record(&part, 2));
    }
    page.push_str("\n# Events\n\nEach mutation logs one event (`sol_log_data`, one field).\n");
    page.push_str(&record(&RawEvent::RECORD, 2));
    page.push_str("\n# Enums\n\nStored as one byte. An undefined byte is an error.\n");
    page.push_str(&enums());
    Ok(page)
}

fn accounts() -> Result<Vec<String>> {
    AccountType::ALL.iter().map(|account| one_account(*account)).collect()
}

fn one_account(account: AccountType) -> Result<String> {
    let (spec, seed, more) = match account {
        AccountType::Network => (RawNetwork::RECORD, seeds::NETWORK, ""),
        AccountType::Contributor => (RawContributor::RECORD, seeds::CONTRIBUTOR, ", code without padding"),
        AccountType::Location => (RawLocation::RECORD, seeds::LOCATION, ", code without padding"),
        AccountType::Exchange => (RawExchange::RECORD, seeds::EXCHANGE, ", code without padding"),
        AccountType::Device => (RawDevice::RECORD, seeds::DEVICE, ", code without padding"),
        AccountType::Link => (RawLink::RECORD, seeds::LINK, ", code without padding"),
        AccountType::Attestations => (RawAttestations::RECORD, seeds::ATTESTATIONS, ", the subject's address"),
        AccountType::Pool => (RawPool::RECORD, seeds::POOL, ", the `PoolKind` byte"),
        AccountType::PrefixTable => (RawPrefixTable::RECORD, seeds::PREFIX_TABLE, ""),
    };
    let seed = std::str::from_utf8(seed).context("a seed is not text")?;
    let mut text = record(&spec, 2);
    text.push_str(&format!("\nType byte {}. Seeds: `{seed}`{more}.\n", account.byte()));
    Ok(text)
}

/// A record's heading, text and table of fields.
pub fn record(spec: &RecordSpec, level: usize) -> String {
    let rows = spec.fields.iter().map(|field| {
        vec![field.offset.to_string(), field.len.to_string(), code(field.name), code(field.ty), prose(field.about)]
    });
    let mut text = format!("\n{} {}\n\n{}\n", "#".repeat(level), spec.name, prose(spec.about));
    text.push_str(&format!("\n{}", table(&["Offset", "Bytes", "Field", "Type", "Meaning"], rows)));
    text.push_str(&match spec.list {
        None => format!("\n{} bytes.\n", spec.len),
        Some(list) => format!(
            "\n{} bytes, then the `u32` count of `{}` at offset {} and its entries of {} bytes (`{}`): {}\n",
            spec.len,
            list.name,
            spec.len,
            list.entry_len,
            list.entry,
            prose(list.about)
        ),
    });
    text
}

fn enums() -> String {
    [
        one::<AccountType>(),
        one::<NetworkStatus>(),
        one::<RegistryStatus>(),
        one::<DeviceStatus>(),
        one::<LinkStatus>(),
        one::<DeviceHealth>(),
        one::<LinkHealth>(),
        one::<DesiredStatus>(),
        one::<DeviceType>(),
        one::<LinkType>(),
        one::<Platform>(),
        one::<InterfaceKind>(),
        one::<InterfaceRole>(),
        one::<LoopbackType>(),
        one::<PoolKind>(),
        one::<RejectReason>(),
        one::<Unused>(),
    ]
    .concat()
}

fn one<E: DescribedEnum>() -> String {
    let row = |value: &ValueSpec| vec![value.byte.to_string(), code(value.name), prose(value.about)];
    let rows = table(&["Byte", "Name", "Meaning"], E::VALUES.iter().map(row));
    format!("\n## {}\n\n{}\n\n{rows}", E::NAME, prose(E::ABOUT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_a_page_names_is_explained() {
        let page = page().unwrap();
        let parts = [RawInterface::RECORD, RawAttestation::RECORD, RawPrefixRange::RECORD].map(|p| p.name);
        for account in [RawNetwork::RECORD, RawDevice::RECORD, RawLink::RECORD, RawPool::RECORD, RawEvent::RECORD] {
            for field in account.fields.iter().filter(|f| f.len == 1 && !matches!(f.ty, "u8" | "bool")) {
                assert!(page.contains(&format!("\n## {}\n", field.ty)), "{} is not explained", field.ty);
            }
        }
        assert!(parts.iter().all(|part| page.contains(&format!("\n## {part}\n"))));
    }
}
