//! What runs of the whole system in one process have in common: a ledger, a controller and oracles with a site on it, and
//! what a person sees of them. The demo puts simulated routers under it, the lab real ones.

pub mod backbone;
pub mod board;
pub mod reasons;
pub mod screen;
