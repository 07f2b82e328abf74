use super::*;
use causeway_interface::accounts::{LAYOUT_VERSION, RawLocation};
use causeway_interface::{AccountType, RegistryStatus};

fn location(lat_e6: i32) -> Vec<u8> {
    let mut raw: RawLocation = bytemuck::Zeroable::zeroed();
    raw.header.account_type = AccountType::Location.byte();
    raw.header.version = LAYOUT_VERSION;
    raw.header.status = RegistryStatus::Activated.byte();
    raw.code = "ams".parse().unwrap();
    raw.lat_e6 = lat_e6.into();
    bytemuck::bytes_of(&raw).to_vec()
}

const AMS: Key = Key([3; 32]);

fn keeper(slot: u64) -> Keeper {
    let mut keeper = Keeper::default();
    let data = location(0);
    keeper.replace(Snapshot::from_accounts(Key([7; 32]), slot, [(AMS, data.as_slice())]));
    keeper
}

fn notice_at(slot: u64, lat: i32) -> Notice {
    Notice { slot, address: AMS, data: location(lat) }
}

fn lat(keeper: &Keeper) -> i32 {
    keeper.snapshot.as_ref().unwrap().locations[&AMS].lat_e6
}

#[test]
fn nothing_is_applied_before_the_first_full_read() {
    assert!(!Keeper::default().apply(vec![notice_at(5, 1)]));
}

#[test]
fn older_and_doubled_notices_change_nothing() {
    let mut keeper = keeper(10);
    assert!(!keeper.apply(vec![notice_at(9, 1), notice_at(10, 2)]));
    assert!(keeper.apply(vec![notice_at(12, 3), notice_at(11, 4)]));
    assert_eq!((lat(&keeper), keeper.snapshot.as_ref().unwrap().slot), (3, 12));
    assert!(!keeper.apply(vec![notice_at(11, 4)]));
}

#[test]
fn a_full_read_replaces_what_was_announced() {
    let mut keeper = keeper(10);
    keeper.apply(vec![notice_at(12, 3)]);
    keeper.replace(Snapshot::empty(Key([7; 32]), 20));
    assert!(keeper.snapshot.as_ref().unwrap().locations.is_empty());
    assert!(!keeper.apply(vec![notice_at(20, 5)]));
    assert!(keeper.apply(vec![notice_at(21, 6)]));
}

#[tokio::test]
async fn a_dead_node_is_reported_and_watching_goes_on() {
    let program = crate::address::to_pubkey(&Key([7; 32]));
    let ledger = Ledger::with_timeout("http://127.0.0.1:1", program, Duration::from_millis(300));
    let config = WatchConfig { reconcile_every: Duration::from_millis(50), gather: Duration::from_millis(1) };
    let watcher = Watcher::start(ledger, "ws://127.0.0.1:1", config);
    let mut receiver = watcher.receiver();
    let failed = receiver.wait_for(|w| w.failures >= 2);
    let watched = tokio::time::timeout(Duration::from_secs(10), failed).await.unwrap().unwrap().clone();
    assert!(watched.snapshot.is_none() && watched.last_error.is_some() && !watched.subscribed);
}
