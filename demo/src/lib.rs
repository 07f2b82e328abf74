//! causeway-demo
