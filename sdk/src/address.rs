//! Where the accounts of one deployment are: every address that Causeway uses is derived from the program's id.
//!
//! Nothing is cached: a derivation takes some ten microseconds. Callers that need one address many times keep it.

use causeway_interface::{Code, Key, PoolKind, seeds};
use solana_sdk::pubkey::Pubkey;

/// The loader that owns upgradeable programs, and the address beside which their upgrade authority is kept.
pub const UPGRADEABLE_LOADER: Pubkey = Pubkey::from_str_const("BPFLoaderUpgradeab1e11111111111111111111111");

/// The system program.
pub const SYSTEM_PROGRAM: Pubkey = Pubkey::new_from_array([0; 32]);

/// A ledger key as Solana's crates write it.
#[must_use]
pub fn to_pubkey(key: &Key) -> Pubkey {
    Pubkey::new_from_array(key.0)
}

/// Solana's key as the ledger's records write it.
#[must_use]
pub fn to_key(pubkey: &Pubkey) -> Key {
    Key(pubkey.to_bytes())
}

/// The addresses of one program deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The program.
    pub program_id: Pubkey,
}

impl Addresses {
    /// Addresses of the deployment with this program id.
    #[must_use]
    pub const fn new(program_id: Pubkey) -> Self {
        Self { program_id }
    }

    fn derive(&self, seeds: &[&[u8]]) -> Pubkey {
        Pubkey::find_program_address(seeds, &self.program_id).0
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> Pubkey {
        self.derive(&[seeds::NETWORK])
    }

    /// A contributor.
    #[must_use]
    pub fn contributor(&self, code: &Code) -> Pubkey {
        self.derive(&[seeds::CONTRIBUTOR, code.as_bytes()])
    }

    /// A location.
    #[must_use]
    pub fn location(&self, code: &Code) -> Pubkey {
        self.derive(&[seeds::LOCATION, code.as_bytes()])
    }

    /// An exchange.
    #[must_use]
    pub fn exchange(&self, code: &Code) -> Pubkey {
        self.derive(&[seeds::EXCHANGE, code.as_bytes()])
    }

    /// A device.
    #[must_use]
    pub fn device(&self, code: &Code) -> Pubkey {
        self.derive(&[seeds::DEVICE, code.as_bytes()])
    }

    /// A link.
    #[must_use]
    pub fn link(&self, code: &Code) -> Pubkey {
        self.derive(&[seeds::LINK, code.as_bytes()])
    }

    /// What the oracles say of the device or link at `subject`.
    #[must_use]
    pub fn attestations(&self, subject: &Key) -> Pubkey {
        self.derive(&[seeds::ATTESTATIONS, &subject.0])
    }

    /// A pool.
    #[must_use]
    pub fn pool(&self, kind: PoolKind) -> Pubkey {
        self.derive(&[seeds::POOL, &[kind.byte()]])
    }

    /// The table of dz prefixes.
    #[must_use]
    pub fn prefix_table(&self) -> Pubkey {
        self.derive(&[seeds::PREFIX_TABLE])
    }

    /// The loader's account that names the program's upgrade authority.
    #[must_use]
    pub fn program_data(&self) -> Pubkey {
        Pubkey::find_program_address(&[self.program_id.as_ref()], &UPGRADEABLE_LOADER).0
    }
}
