//! Jobs, end to end: the real runner and store on simulated devices, in virtual time.

mod adapters;
mod asks;
mod fakes;
mod generated;
mod stores;
mod world;
