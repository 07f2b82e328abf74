//! causeway-program-tests
