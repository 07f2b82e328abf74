//! Devices and links from registration to service and out again.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use causeway_interface::{DeviceStatus, LinkStatus};
use causeway_program_tests::World;

#[test]
fn a_pair_of_devices_and_their_link_reach_service() {
    let mut world = World::new();
    let party = world.party("acme");
    let (a, z, link) = world.pair_in_service(&party);
    assert_eq!(world.device(&a).header.status, DeviceStatus::Activated);
    assert_eq!(world.device(&z).header.status, DeviceStatus::Activated);
    assert_eq!(world.link(&link).header.status, LinkStatus::Activated);
}
