//! Jobs, end to end: the real runner and store on simulated devices, in virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod adapters;
mod agents;
mod approvals;
mod asks;
mod covered;
mod fakes;
mod generated;
mod near;
mod network;
mod pure;
mod pure_rollouts;
mod rollout_cuts;
mod rollouts;
mod stores;
mod world;
