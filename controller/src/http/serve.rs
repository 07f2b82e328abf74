//! Connections of people and scripts: how many there are, of whom, and for how long. What they are bounded by is the same for
//! every server of the project; these are the controller's numbers. A stream of events that is ended with its connection is
//! resumed by its id.

use std::time::Duration;

use causeway_connections::Bounds;

use crate::shared::EVENT_STREAMS;

/// Every stream of events, and as many others. An address has an eighth of them: a proxy in front of a network's people, or a
/// person's page and scripts many times over.
pub const BOUNDS: Bounds = Bounds {
    connections: 2 * EVENT_STREAMS,
    per_address: EVENT_STREAMS / 4,
    head: Duration::from_secs(30),
    life: Duration::from_secs(3_600),
    last_request: Duration::from_secs(4),
};
