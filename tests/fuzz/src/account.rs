//! Account data: decoding never panics, and where the typed view accepts the bytes, the raw view that the program
//! edits agrees on every field and every entry of the list.

use bytemuck::Pod;
use causeway_interface::{
    Le64,
    accounts::{
        Account, Attestations, Contributor, Device, Exchange, Link, Location, Network, Pool, PrefixRange, PrefixTable,
        RawAttestations, RawContributor, RawDevice, RawExchange, RawLink, RawLocation, RawNetwork, RawPool,
        RawPrefixTable, Record,
    },
};

use crate::views;

/// The target. The bytes are offered to every type, not only to the one that their first byte names.
///
/// # Panics
/// The promise is broken.
pub fn target(bytes: &[u8]) {
    compare::<RawNetwork, Network>(bytes, views::network);
    compare::<RawContributor, Contributor>(bytes, views::contributor);
    compare::<RawLocation, Location>(bytes, views::location);
    compare::<RawExchange, Exchange>(bytes, views::exchange);
    compare::<RawLink, Link>(bytes, views::link);
    if let Some(device) = compare::<RawDevice, Device>(bytes, views::device) {
        list::<RawDevice, _, _>(bytes, &device.interfaces, views::interface);
    }
    if let Some(attestations) = compare::<RawAttestations, Attestations>(bytes, views::attestations) {
        list::<RawAttestations, _, _>(bytes, &attestations.entries, views::attestation);
    }
    if let Some(pool) = compare::<RawPool, Pool>(bytes, views::pool) {
        list::<RawPool, Le64, u64>(bytes, &pool.words, |raw, typed| assert_eq!(raw.get(), *typed));
    }
    if let Some(table) = compare::<RawPrefixTable, PrefixTable>(bytes, views::prefix_table) {
        list::<RawPrefixTable, _, PrefixRange>(bytes, &table.ranges, views::prefix_range);
    }
}

/// Whether one of the types reads the bytes.
pub fn decodes(bytes: &[u8]) -> bool {
    Network::decode(bytes).is_ok()
        || Contributor::decode(bytes).is_ok()
        || Location::decode(bytes).is_ok()
        || Exchange::decode(bytes).is_ok()
        || Device::decode(bytes).is_ok()
        || Link::decode(bytes).is_ok()
        || Attestations::decode(bytes).is_ok()
        || Pool::decode(bytes).is_ok()
        || PrefixTable::decode(bytes).is_ok()
}

/// Decodes both ways and compares; the typed view where it accepts the bytes.
fn compare<R: Account, T: Record>(bytes: &[u8], fixed: fn(&R, &T)) -> Option<T> {
    let typed = T::decode(bytes).ok()?;
    assert_eq!(borsh::to_vec(&typed).expect("writing to memory"), bytes, "it writes what it read");
    fixed(bytemuck::from_bytes(&bytes[..size_of::<R>()]), &typed);
    if R::ENTRY_LEN == 0 {
        assert_eq!(bytes.len(), size_of::<R>());
    }
    Some(typed)
}

fn list<R: Account, E: Pod, T>(bytes: &[u8], typed: &[T], entry: fn(&E, &T)) {
    let tail = &bytes[size_of::<R>()..];
    let count = u32::from_le_bytes(tail[..4].try_into().expect("four bytes"));
    assert_eq!(count as usize, typed.len());
    assert_eq!(bytes.len(), R::len_with(typed.len()), "the length that the program asks for");
    for (raw, typed) in bytemuck::cast_slice::<u8, E>(&tail[4..]).iter().zip(typed) {
        entry(raw, typed);
    }
}
