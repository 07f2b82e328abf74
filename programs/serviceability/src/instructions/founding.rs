//! What the three instructions have in common that register a contributor, a location or an exchange: the authority
//! signs, somebody pays, the network counts.

use super::prelude::*;
use crate::accounts::Layout;

/// Payer, authority, network, the new account, and the system program.
pub type Accounts = [AccountView; 5];

/// What is founded.
pub struct Founding<'a> {
    account_type: AccountType,
    layout: Layout,
    seeds: [&'a [u8]; 2],
    code: &'a Code,
    /// The slot of the founding, once it is done.
    pub slot: u64,
}

impl<'a> Founding<'a> {
    /// A record of this code, under the seed of its kind.
    #[inline(always)]
    pub fn of<T: Record>(seed: &'static [u8], code: &'a Code) -> Self {
        Self { account_type: T::TYPE, layout: const { Layout::of::<T>() }, seeds: [seed, &[]], code, slot: 0 }
    }

    /// Checks the accounts, creates the new one, activated, and counts it.
    ///
    /// # Errors
    /// [`ErrorCode::MissingSignature`], [`ErrorCode::NotWritable`], [`ErrorCode::WrongProgram`],
    /// [`ErrorCode::CodeInvalid`], [`ErrorCode::NotAuthority`], and what [`Write::new`] and [`Creator::make`] find.
    #[inline(never)]
    pub fn done(&mut self, program: &Address, accounts: &mut Accounts) -> Outcome {
        let [payer, authority, network, account, system_program] = accounts;
        let payer = Payer::new(payer)?;
        let signer = Signer::new(authority)?;
        let account = Vacant::new(account)?.into_account();
        SystemProgram::check(system_program)?;
        let mut network: Write<RawNetwork> = Write::new(program, network)?;
        ensure(self.code.is_valid(), ErrorCode::CodeInvalid)?;
        checks::authority(&network, signer.key())?;

        let creator = Creator::new(program, &payer)?;
        self.seeds[1] = self.code.as_bytes();
        creator.make(account, &self.seeds, self.layout, 0)?;
        self.slot = creator.slot();
        match self.account_type {
            AccountType::Contributor => count!(in network.contributor_count),
            AccountType::Location => count!(in network.location_count),
            AccountType::Exchange => count!(in network.exchange_count),
            AccountType::Network
            | AccountType::Device
            | AccountType::Link
            | AccountType::Attestations
            | AccountType::Pool
            | AccountType::PrefixTable => Err(ErrorCode::WrongType),
        }
    }
}
