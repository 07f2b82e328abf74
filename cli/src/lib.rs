//! causeway-cli
