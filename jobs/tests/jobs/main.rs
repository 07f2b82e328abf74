//! Jobs, end to end: the real runner and store on simulated devices, in virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod adapters;
mod asks;
mod fakes;
mod generated;
mod pure;
mod stores;
mod world;
