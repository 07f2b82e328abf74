//! causeway-agent
