//! Events: what decodes is written back byte for byte, and the view that the program writes through agrees.

use causeway_interface::event::{Event, RawEvent};

use crate::views;

/// The target.
///
/// # Panics
/// The promise is broken.
pub fn target(bytes: &[u8]) {
    let Ok(event) = borsh::from_slice::<Event>(bytes) else { return };
    assert_eq!(borsh::to_vec(&event).expect("writing to memory"), bytes, "it writes what it read");
    views::event(bytemuck::from_bytes::<RawEvent>(bytes), &event);
}
