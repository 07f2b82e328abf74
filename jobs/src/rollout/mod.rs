//! Rollouts: one change of many devices, in waves with a canary, each watched before the next.
//!
//! A rollout is kept as a job is: numbered [`event`]s in the same store, a pure fold over them ([`Rollout`]), a pure
//! [`next`]. Its devices are changed by jobs of their own, whose parent it is; it holds none itself. The runner works on it as
//! on a job, under a lease, and another controller goes on at any event.
//!
//! Guarantees: no device of a wave is touched before every device of the waves before it runs what was asked and has been
//! healthy for as long as is said; a device is begun only in its window and within the budget; with the first failure no
//! further device is begun, and every device of that wave goes back to what it ran; waves that soaked stay. A device that
//! can't be brought back is named. Going back waits for no window, no budget and no ledger.
//!
//! Budgets are a rollout's own, and one over all of them where a controller has it ([`crate::Runner::paced`]).
//!
//! What it does not do: judge health (see [`Oracles`]).

pub mod desk;
mod drive;
pub mod event;
mod fold;
mod health;
pub mod next;
mod pace;
mod spec;
mod state;
mod status;

pub(crate) use self::{
    drive::{Driver, load_rows},
    pace::Pace,
};
pub use self::{
    event::{Cause, End, Event, Outcome, Place, Recorded, is_rollout},
    health::{Health, NoOracles, Oracles, Soak, Soaked},
    spec::{Budget, KIND, MAX_DEVICES, RolloutRequest, RolloutSpec, Shape, SpecError},
    state::{Device, FoldError, Phase, Progress, Rollout, Soaking},
    status::RolloutState,
};
