//! A device or a link in any state that a test wants, whatever can be asked of it, and the comparison with what
//! [`crate::reference`] says.
//!
//! States are planted in accounts that the program itself has made; then the real instruction is sent. An answer that
//! is not the reference's ends the test with the whole case in words.

mod device;
mod link;
mod pools;

pub use device::{DeviceBase, DeviceStage};
pub use link::{LinkBase, LinkStage};
pub use pools::{BEFORE, DELETING, PoolStage};

use causeway_interface::accounts::{RawAttestation, RawAttestations, RawHeader};
use causeway_interface::{DesiredStatus, RegistryStatus};
use solana_sdk::pubkey::Pubkey;

use crate::{
    reference::health::{Situation, Verdict, Voice},
    scene::Scene,
};

/// The slot in which everything happens.
const NOW: u64 = 10_000;

/// The wishes there are.
pub const DESIRED: [DesiredStatus; 4] =
    [DesiredStatus::Pending, DesiredStatus::Activated, DesiredStatus::HardDrained, DesiredStatus::SoftDrained];

/// The verdict bytes of a subject's kind.
struct Bytes {
    bad: u8,
    ready_for_links: u8,
    good: u8,
    /// A device has two levels.
    levels: usize,
}

/// Writes what the oracles of a situation have said.
fn plant_words(scene: &mut Scene, attestations: &Pubkey, situation: &Situation, epoch: u32, bytes: &Bytes) {
    scene.plant_bytes(attestations, |account| {
        let entries = &mut account[RawAttestations::LEN + 4..];
        let entries: &mut [RawAttestation] = bytemuck::cast_slice_mut(entries);
        for (entry, voice) in entries.iter_mut().zip(&situation.voices) {
            *entry = word(voice, epoch, bytes);
        }
    });
}

fn word(voice: &Voice, epoch: u32, bytes: &Bytes) -> RawAttestation {
    let mut entry: RawAttestation = bytemuck::Zeroable::zeroed();
    if voice.verdict == Verdict::Silent {
        return entry;
    }
    entry.verdict = match voice.verdict {
        Verdict::Silent | Verdict::Bad => bytes.bad,
        Verdict::ReadyForLinks => bytes.ready_for_links,
        Verdict::Good => bytes.good,
    };
    entry.epoch.set(if voice.other_epoch { epoch - 1 } else { epoch });
    entry.slot.set(NOW - voice.age);
    let since = if bytes.levels == 2 { [voice.lower, voice.upper] } else { [voice.upper, None] };
    entry.since = since.map(|ago| ago.map_or(0, |ago| NOW - ago).into());
    entry.window_end_slot.set(NOW - voice.age);
    entry
}

/// Suspends an entry of the registry.
fn suspend(scene: &mut Scene, entry: &Pubkey) {
    scene.plant_bytes(entry, |bytes| {
        let header: &mut RawHeader = bytemuck::from_bytes_mut(&mut bytes[..RawHeader::LEN]);
        header.status = RegistryStatus::Suspended.byte();
    });
}

/// One more.
fn grow(header: &mut RawHeader) {
    let next = header.sequence.get() + 1;
    header.sequence.set(next);
}
