//! Closes a contributor, a location or an exchange that nothing depends on.

use super::prelude::*;

/// Checks and applies.
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [authority, network, target, recipient]);
    let data: &RawExpect = checks::data(bytes)?;
    let signer = Signer::new(authority)?;
    let mut network: Write<RawNetwork> = Write::new(program, network)?;
    let mut recipient = Recipient::new(recipient)?;
    let (from, key, account_type, sequence) = {
        let target = Registry::new(program, target)?;
        checks::sequence(target.header(), data.expected_sequence)?;
        checks::authority(&network, signer.key())?;
        ensure(!target.is_in_use(), ErrorCode::RegistryInUse)?;
        (triple(target.header()), *target.key(), target.account_type(), target.header().sequence.get())
    };

    let sequence = sequence.checked_add(1).ok_or(ErrorCode::Overflow)?;
    decrement(match account_type {
        AccountType::Contributor => &mut network.contributor_count,
        AccountType::Location => &mut network.location_count,
        AccountType::Exchange => &mut network.exchange_count,
        AccountType::Network
        | AccountType::Device
        | AccountType::Link
        | AccountType::Attestations
        | AccountType::Pool
        | AccountType::PrefixTable => return Err(ErrorCode::WrongType),
    })?;
    touch(&mut network.header)?;
    close(target, &mut recipient)?;
    let act = Act { tag: Tag::CloseRegistry, actor: signer.key(), slot: slot()? };
    act.closed(account_type, &key, from, sequence);
    Ok(())
}
