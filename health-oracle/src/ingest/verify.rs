//! From bytes to a batch that may be stored. Pure: the clock is passed in.
//!
//! In steps, so that signatures can be verified together and a device's share is counted before more is done for it:
//! [`Claimed::read`] says what the signature has to prove and allocates nothing whose size the sender chooses; whoever has
//! seen the proof gets an [`Authentic`]; [`Authentic::decode`] makes a batch of it and holds its times against the limits. Nothing is copied before the signature is proven, and the batch is decoded once.

use causeway_interface::{Code, Key};
use causeway_wire::{MAX_MESSAGE_BYTES, proof::Proof, signing, telemetry::Batch};
use prost::{
    Message,
    bytes::{Buf, Bytes},
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};

use super::{Directory, Refusal};
use crate::store::VerifiedBatch;

/// Most samples of one batch: twice what an agent sends. Empty samples take two bytes on the wire and a hundred in memory,
/// so that the size of the body is no bound.
pub const MAX_SAMPLES: usize = 10_000;
/// Tags of `telemetry.v1.Batch` that are read before the signature is verified.
const DEVICE_TAG: u32 = 1;
const SEQUENCE_TAG: u32 = 2;

/// How far a batch may be off, in slots of the ledger: the ledger judges in slots, so that a limit means the same on
/// every network, however fast its slots are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Ahead of the oracle's clock.
    pub ahead_slots: u64,
    /// Behind it: how long an agent may have buffered through an outage.
    pub behind_slots: u64,
}

/// `SignedBatch`, with its parts left where they are.
#[derive(Clone, PartialEq, Message)]
struct Envelope {
    #[prost(bytes = "bytes", tag = "1")]
    batch: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    signature: Bytes,
}

/// What the sender says of itself, and how many messages are within its batch.
#[derive(Debug, PartialEq, Eq)]
struct Claim<'a> {
    device: &'a [u8],
    sequence: u64,
    samples: usize,
}

/// Reads a batch without decoding it. Where a field is given twice the last counts, as everywhere in protobuf.
fn claim(mut batch: &[u8]) -> Result<Claim<'_>, Refusal> {
    let malformed = |_| Refusal::Malformed("not protobuf of a batch inside");
    let mut claim = Claim { device: &[], sequence: 0, samples: 0 };
    while batch.has_remaining() {
        let (tag, wire_type) = decode_key(&mut batch).map_err(malformed)?;
        match (tag, wire_type) {
            (DEVICE_TAG, WireType::LengthDelimited) => {
                let length = usize::try_from(decode_varint(&mut batch).map_err(malformed)?).unwrap_or(usize::MAX);
                let cut = Refusal::Malformed("not protobuf of a batch inside");
                (claim.device, batch) = batch.split_at_checked(length).ok_or(cut)?;
            }
            (SEQUENCE_TAG, WireType::Varint) => claim.sequence = decode_varint(&mut batch).map_err(malformed)?,
            (_, WireType::LengthDelimited) => {
                claim.samples += 1;
                skip_field(wire_type, tag, &mut batch, DecodeContext::default()).map_err(malformed)?;
            }
            _ => skip_field(wire_type, tag, &mut batch, DecodeContext::default()).map_err(malformed)?,
        }
    }
    Ok(claim)
}

/// Bytes that the device has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentic {
    /// The device.
    pub device: Code,
    /// Which of its batches this is.
    pub sequence: u64,
    /// Samples in it, at most [`MAX_SAMPLES`].
    pub samples: usize,
    /// The batch as signed.
    pub bytes: Bytes,
    signature: [u8; 64],
}

/// The (uncompressed) body of a request, and what has to be shown before any of it is believed.
#[derive(Clone, Debug)]
pub struct Claimed {
    content: Authentic,
    proof: Proof,
}

impl Claimed {
    /// Reads who the sender says he is, and what his signature has to prove. Nothing is verified yet.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn read(body: Bytes, directory: &Directory, program_id: &Key) -> Result<Self, Refusal> {
        if body.len() > MAX_MESSAGE_BYTES {
            return Err(Refusal::TooLarge);
        }
        let Envelope { batch: bytes, signature } =
            Envelope::decode(body).map_err(|_| Refusal::Malformed("not protobuf of a signed batch"))?;
        let Claim { device, sequence, samples } = claim(&bytes)?;
        let device = std::str::from_utf8(device).ok().and_then(|text| text.parse::<Code>().ok());
        let device = device.ok_or(Refusal::Malformed("the device is not a code"))?;
        let message = signing::telemetry_message(&program_id.0, &bytes);
        let proof = Proof::new(directory.key(&device)?, &message, &signature).map_err(Refusal::BadSignature)?;
        let length = Refusal::BadSignature(signing::SignatureError::Length);
        let signature = signature.as_ref().try_into().map_err(|_| length)?;
        Ok(Self { content: Authentic { device, sequence, samples, bytes, signature }, proof })
    }

    /// What has to hold.
    #[must_use]
    pub const fn proof(&self) -> &Proof {
        &self.proof
    }

    /// The content, for whoever has seen that the proof holds.
    ///
    /// # Errors
    /// It is more than is taken, or numbered as nothing is.
    pub(super) fn proven(self) -> Result<Authentic, Refusal> {
        let Authentic { sequence, samples, .. } = self.content;
        if samples > MAX_SAMPLES {
            return Err(Refusal::TooLarge);
        }
        if sequence == 0 || i64::try_from(sequence).is_err() {
            return Err(Refusal::Malformed("the sequence is 0 or beyond 63 bits"));
        }
        Ok(self.content)
    }
}

/// Proves who sent the (uncompressed) body of a request.
///
/// # Errors
/// See [`Refusal`].
pub fn authenticate(body: Bytes, directory: &Directory, program_id: &Key) -> Result<Authentic, Refusal> {
    let claimed = Claimed::read(body, directory, program_id)?;
    if !claimed.proof.holds() {
        return Err(Refusal::BadSignature(signing::SignatureError::Mismatch));
    }
    claimed.proven()
}

impl Authentic {
    /// The batch, its times checked.
    ///
    /// # Errors
    /// It can't be decoded, or its times are too far off.
    pub fn decode(self, directory: &Directory, now_ms: u64, limits: &Limits) -> Result<VerifiedBatch, Refusal> {
        let inside = Refusal::Malformed("not protobuf of a batch inside");
        let batch = Batch::decode(self.bytes.clone()).map_err(|_| inside)?;
        // Both readings are of the same bytes; one that differed would be counted on one device and stored on another.
        if batch.device != self.device.as_str() || batch.sequence != self.sequence {
            return Err(inside);
        }
        check_times(&batch, directory, now_ms, limits)?;
        let Self { device, bytes, signature, .. } = self;
        Ok(VerifiedBatch { device, batch, bytes: bytes.into(), signature, received_ms: now_ms })
    }
}

/// Decodes and verifies the (uncompressed) body of a request: [`authenticate`], then [`Authentic::decode`].
///
/// # Errors
/// See [`Refusal`]; never one that only the store can find.
pub fn verify(
    body: Bytes,
    directory: &Directory,
    program_id: &Key,
    now_ms: u64,
    limits: &Limits,
) -> Result<VerifiedBatch, Refusal> {
    authenticate(body, directory, program_id)?.decode(directory, now_ms, limits)
}

fn check_times(batch: &Batch, directory: &Directory, now_ms: u64, limits: &Limits) -> Result<(), Refusal> {
    let interfaces = batch.interfaces.iter().map(|s| s.at_unix_ms);
    let adjacencies = batch.adjacencies.iter().map(|s| s.at_unix_ms);
    let probes = batch.probes.iter().map(|s| s.at_unix_ms);
    // A poll may lie before the batch but not ahead of the clock.
    let configs = batch.configs.iter().map(|s| s.at_unix_ms);
    let polled = batch.configs.iter().map(|s| s.polled_unix_ms).max();
    let sessions = batch.sessions.iter().map(|s| s.at_unix_ms);
    let systems = batch.systems.iter().map(|s| s.at_unix_ms);
    let samples = interfaces.chain(adjacencies).chain(probes).chain(configs).chain(sessions).chain(systems);
    let (from, to) = samples.fold((batch.from_unix_ms, batch.to_unix_ms), |(from, to), at| (from.min(at), to.max(at)));
    let to = to.max(polled.unwrap_or(0));
    let Limits { ahead_slots, behind_slots } = *limits;
    let ahead_ms = to.saturating_sub(now_ms);
    if ahead_ms > directory.clock().duration_ms(ahead_slots) {
        return Err(Refusal::Ahead { ahead_ms, limit_slots: ahead_slots });
    }
    let behind_ms = now_ms.saturating_sub(from);
    if behind_ms > directory.clock().duration_ms(behind_slots) {
        return Err(Refusal::Behind { behind_ms, limit_slots: behind_slots });
    }
    Ok(())
}
