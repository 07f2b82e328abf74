//! Provisioning jobs: one core, whoever starts them, and always a way back.
//!
//! A job is an append-only sequence of numbered [`event`]s in a [`store`]; its state is a pure fold over them ([`job`]), and
//! what follows is a pure function of that and the time ([`next`]). A [`runner`] claims jobs by a lease, does steps with the
//! [`engine`], and records each before it begins and after it ends. What is special about a family of devices is its
//! [`strategy`], what is special about the way to it is an [`adapter`].
//!
//! Guarantees: one job a device at a time; killed, cut off or taken over at any event, a job goes on where it was; from
//! the commit on the device goes back by itself unless it is confirmed; a job ends with its devices on the new
//! configuration or on the old one, or in a state that names those of which that is not known, and alerts.
//!
//! Many devices are changed by a [`rollout`], in waves; some changes need an [`approval`], and devices have [`window`]s.
//!
//! What it does not do: find out whose a key is; read the ledger; render; judge how a device is.

pub mod adapter;
pub mod approval;
pub mod availability;
pub mod clock;
pub mod desk;
pub mod engine;
pub mod error;
pub mod event;
pub mod job;
pub mod kinds;
pub mod metrics;
pub mod next;
pub mod registry;
pub mod rollout;
pub mod runner;
pub mod spec;
pub mod status;
pub mod store;
pub mod strategy;
pub mod window;

pub use self::{desk::Desk, engine::Engine, job::Job, registry::Registry, runner::Runner};
