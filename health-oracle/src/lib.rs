//! causeway-health-oracle
