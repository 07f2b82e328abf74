//! Why a transaction did not do what it was sent for.

use causeway_interface::{ErrorCode, instruction::Tag};
use solana_sdk::{
    instruction::{Instruction, InstructionError},
    pubkey::Pubkey,
    signature::Signature,
    transaction::TransactionError,
};

use crate::{
    error::LedgerError,
    explain::{self, Explain},
    instructions::tag_of,
};

/// Why a transaction did not do what it was sent for. Nothing of it took effect, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The program refused.
    #[error("{} refused: {code}", .tag.map_or("instruction", Tag::name))]
    Program {
        /// Why.
        code: ErrorCode,
        /// Which of the submitted instructions, counted from 0.
        instruction_index: usize,
        /// Which instruction of the program that is.
        tag: Option<Tag>,
        /// The transaction, if it was sent and landed with this error; none if simulation found it.
        signature: Option<Signature>,
        /// The ledger's log, as far as it was read.
        logs: Vec<String>,
    },
    /// The ledger refused for a reason of its own.
    #[error("the ledger refused the transaction: {error}")]
    Transaction {
        /// Why.
        error: TransactionError,
        /// The transaction, if it was sent.
        signature: Option<Signature>,
        /// The ledger's log, as far as it was read.
        logs: Vec<String>,
    },
    /// The paying key has no account or too little in it.
    #[error("{payer} can't pay for the transaction")]
    Unfunded {
        /// The paying key.
        payer: Pubkey,
    },
    /// A key that has to sign was not given.
    #[error("the signature of {key} is needed")]
    SignerMissing {
        /// The key.
        key: Pubkey,
    },
    /// It does not fit a packet.
    #[error("the transaction has {bytes} bytes, {limit} fit")]
    TooLarge {
        /// Its bytes.
        bytes: usize,
        /// What fits.
        limit: usize,
    },
    /// It expired, and so did every renewal.
    #[error("the transaction expired {signings} times before it was included")]
    Expired {
        /// How many times it was signed.
        signings: u32,
    },
    /// It was sent, and then the ledger could not be read: it may have landed.
    #[error("{signature} was sent and could not be confirmed")]
    Unconfirmed {
        /// The transaction.
        signature: Signature,
        /// What stopped the reading.
        #[source]
        source: LedgerError,
    },
    /// The ledger could not be read before it was sent.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl SendError {
    /// The program's error, if it was the program that refused.
    #[must_use]
    pub fn program_code(&self) -> Option<ErrorCode> {
        match self {
            Self::Program { code, .. } => Some(*code),
            Self::Transaction { .. }
            | Self::Unfunded { .. }
            | Self::SignerMissing { .. }
            | Self::TooLarge { .. }
            | Self::Expired { .. }
            | Self::Unconfirmed { .. }
            | Self::Ledger(_) => None,
        }
    }

    /// Sorts a transaction's error. `prepended` instructions of the compute budget come before the submitted ones.
    pub(crate) fn from_transaction(
        error: TransactionError,
        program_id: &Pubkey,
        payer: &Pubkey,
        instructions: &[Instruction],
        prepended: usize,
        signature: Option<Signature>,
        logs: Vec<String>,
    ) -> Self {
        match error {
            TransactionError::AccountNotFound
            | TransactionError::InsufficientFundsForFee
            | TransactionError::InvalidAccountForFee => Self::Unfunded { payer: *payer },
            TransactionError::InsufficientFundsForRent { account_index: 0 } => Self::Unfunded { payer: *payer },
            TransactionError::InstructionError(index, InstructionError::Custom(number)) => {
                let instruction_index = usize::from(index).saturating_sub(prepended);
                let instruction = instructions.get(instruction_index).filter(|i| i.program_id == *program_id);
                match (instruction, ErrorCode::from_code(number)) {
                    (Some(instruction), Some(code)) => {
                        Self::Program { code, instruction_index, tag: tag_of(instruction), signature, logs }
                    }
                    // The system program's own refusal to create an account for want of lamports, raised by a call.
                    (Some(_), None) if number == SYSTEM_RESULT_WITH_NEGATIVE_LAMPORTS => {
                        Self::Unfunded { payer: *payer }
                    }
                    _ => Self::Transaction { error, signature, logs },
                }
            }
            other => Self::Transaction { error: other, signature, logs },
        }
    }
}

/// `SystemError::ResultWithNegativeLamports`: an account can't pay for what it is to create.
const SYSTEM_RESULT_WITH_NEGATIVE_LAMPORTS: u32 = 1;

impl Explain for SendError {
    fn code(&self) -> String {
        match self {
            Self::Program { code, .. } => Explain::code(code),
            Self::Transaction { .. } => explain::SEND_FAILED.code.into(),
            Self::Unfunded { .. } => explain::SEND_UNFUNDED.code.into(),
            Self::SignerMissing { .. } => explain::SEND_SIGNER_MISSING.code.into(),
            Self::TooLarge { .. } => explain::SEND_TOO_LARGE.code.into(),
            Self::Expired { .. } => explain::SEND_EXPIRED.code.into(),
            Self::Unconfirmed { .. } => explain::SEND_UNCONFIRMED.code.into(),
            Self::Ledger(error) => error.code(),
        }
    }

    fn cause(&self) -> String {
        match self {
            Self::Program { code, .. } => Explain::cause(code),
            Self::Ledger(error) => error.cause(),
            Self::Unconfirmed { source, .. } => format!("{self}: {source}."),
            Self::Transaction { .. }
            | Self::Unfunded { .. }
            | Self::SignerMissing { .. }
            | Self::TooLarge { .. }
            | Self::Expired { .. } => format!("{self}."),
        }
    }

    fn remedy(&self) -> String {
        match self {
            Self::Program { code, .. } => Explain::remedy(code),
            Self::Transaction { .. } => explain::SEND_FAILED.remedy.into(),
            Self::Unfunded { .. } => explain::SEND_UNFUNDED.remedy.into(),
            Self::SignerMissing { .. } => explain::SEND_SIGNER_MISSING.remedy.into(),
            Self::TooLarge { .. } => explain::SEND_TOO_LARGE.remedy.into(),
            Self::Expired { .. } => explain::SEND_EXPIRED.remedy.into(),
            Self::Unconfirmed { .. } => explain::SEND_UNCONFIRMED.remedy.into(),
            Self::Ledger(error) => error.remedy(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(error: TransactionError, program: u8) -> SendError {
        let key = |n| Pubkey::new_from_array([n; 32]);
        let instruction = Instruction { program_id: key(program), accounts: vec![], data: vec![71] };
        let instructions = [instruction.clone(), instruction];
        SendError::from_transaction(error, &key(1), &key(2), &instructions, 2, None, vec![])
    }

    fn custom(index: u8, number: u32) -> TransactionError {
        TransactionError::InstructionError(index, InstructionError::Custom(number))
    }

    #[test]
    fn the_programs_errors_are_named_with_the_submitted_instruction() {
        match sorted(custom(3, ErrorCode::StaleSequence.code()), 1) {
            SendError::Program { code, instruction_index, tag, .. } => {
                assert_eq!((code, instruction_index, tag), (ErrorCode::StaleSequence, 1, Some(Tag::Advance)));
            }
            other => panic!("{other:?}"),
        }
        let error = sorted(custom(2, ErrorCode::NotOracle.code()), 1);
        assert_eq!((error.code().as_str(), error.program_code()), ("CW-4000", Some(ErrorCode::NotOracle)));
    }

    #[test]
    fn another_programs_number_is_not_taken_for_ours() {
        assert!(matches!(sorted(custom(2, ErrorCode::NotOracle.code()), 9), SendError::Transaction { .. }));
        assert!(matches!(sorted(custom(2, 123_456), 1), SendError::Transaction { .. }));
        assert!(matches!(sorted(custom(0, 1), 9), SendError::Transaction { .. }));
        assert!(matches!(sorted(custom(2, 1), 1), SendError::Unfunded { .. }));
        assert!(matches!(sorted(TransactionError::AccountNotFound, 1), SendError::Unfunded { .. }));
    }
}
