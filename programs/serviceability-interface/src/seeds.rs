//! PDA seeds. An account's address is derived from these, the code or key that identifies it, and the canonical bump.

/// `[NETWORK]`
pub const NETWORK: &[u8] = b"network";
/// `[CONTRIBUTOR, code]`
pub const CONTRIBUTOR: &[u8] = b"contributor";
/// `[LOCATION, code]`
pub const LOCATION: &[u8] = b"location";
/// `[EXCHANGE, code]`
pub const EXCHANGE: &[u8] = b"exchange";
/// `[DEVICE, code]`
pub const DEVICE: &[u8] = b"device";
/// `[LINK, code]`
pub const LINK: &[u8] = b"link";
/// `[ATTESTATIONS, subject key]`
pub const ATTESTATIONS: &[u8] = b"attestations";
/// `[POOL, [kind byte]]`
pub const POOL: &[u8] = b"pool";
/// `[PREFIX_TABLE]`
pub const PREFIX_TABLE: &[u8] = b"prefixes";
