//! causeway-sdk
