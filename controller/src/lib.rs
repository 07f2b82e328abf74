//! causeway-controller
