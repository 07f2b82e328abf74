//! causeway-wire
