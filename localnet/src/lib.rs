//! causeway-localnet
