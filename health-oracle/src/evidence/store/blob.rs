//! The documents of one batch as one compressed blob: they are alike, so that together they take a fraction of what each
//! takes alone. Pure.
//!
//! A batch is four columns: names and subjects (32 bytes each), lengths (4 bytes each, little-endian), and the zstd frame
//! of the documents one after the other. Names and subjects stay uncompressed: a proof needs no document.

use causeway_interface::{Digest, Key};

use super::EvidenceError;

/// Compression level of zstd: higher ones gain some percent and cost several times the CPU.
const LEVEL: i32 = 3;
/// Longest batch that is unpacked, in bytes: 56 documents of some 3 KB, and a hundredfold of that as a bound on what a
/// damaged file can ask for.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of a name and of a subject.
const KEY_BYTES: usize = 32;
/// Bytes of a length.
const LENGTH_BYTES: usize = 4;

/// One document to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Address of what it is about.
    pub subject: Key,
    /// Its SHA-256.
    pub name: Digest,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The columns of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    pub names: Vec<u8>,
    pub subjects: Vec<u8>,
    pub lengths: Vec<u8>,
    pub bytes: Vec<u8>,
}

/// Packs documents in their order.
///
/// # Errors
/// There are more bytes than could be unpacked.
pub(super) fn pack(documents: &[Document]) -> Result<Packed, EvidenceError> {
    let total: usize = documents.iter().map(|d| d.bytes.len()).sum();
    if total > MAX_BYTES {
        return Err(EvidenceError::TooLarge);
    }
    let mut all = Vec::with_capacity(total);
    let mut packed = Packed { names: Vec::new(), subjects: Vec::new(), lengths: Vec::new(), bytes: Vec::new() };
    for document in documents {
        let length = u32::try_from(document.bytes.len()).map_err(|_| EvidenceError::TooLarge)?;
        packed.names.extend_from_slice(&document.name.0);
        packed.subjects.extend_from_slice(&document.subject.0);
        packed.lengths.extend_from_slice(&length.to_le_bytes());
        all.extend_from_slice(&document.bytes);
    }
    packed.bytes = zstd::bulk::compress(&all, LEVEL).map_err(EvidenceError::Compress)?;
    Ok(packed)
}

/// The document at `place`.
///
/// # Errors
/// The columns can't be what [`pack`] made.
pub(super) fn unpack(lengths: &[u8], bytes: &[u8], place: usize) -> Result<Vec<u8>, EvidenceError> {
    unpack_all(lengths, bytes)?.into_iter().nth(place).ok_or(EvidenceError::Corrupt)
}

/// All documents in their order, with their names and subjects.
///
/// # Errors
/// The columns can't be what [`pack`] made.
pub(super) fn documents(
    names: &[u8],
    subjects: &[u8],
    lengths: &[u8],
    bytes: &[u8],
) -> Result<Vec<Document>, EvidenceError> {
    let (names, subjects, documents) = (keys(names)?, keys(subjects)?, unpack_all(lengths, bytes)?);
    if names.len() != documents.len() || subjects.len() != documents.len() {
        return Err(EvidenceError::Corrupt);
    }
    let all = names.iter().zip(subjects).zip(documents);
    Ok(all.map(|((name, subject), bytes)| Document { subject: Key(*subject), name: Digest(*name), bytes }).collect())
}

fn unpack_all(lengths: &[u8], bytes: &[u8]) -> Result<Vec<Vec<u8>>, EvidenceError> {
    let (lengths, []) = lengths.as_chunks::<LENGTH_BYTES>() else { return Err(EvidenceError::Corrupt) };
    let length = |l: &[u8; LENGTH_BYTES]| u32::from_le_bytes(*l) as usize;
    let total = lengths.iter().fold(0usize, |n, l| n.saturating_add(length(l)));
    if total > MAX_BYTES {
        return Err(EvidenceError::Corrupt);
    }
    let all = zstd::bulk::decompress(bytes, total).map_err(|_| EvidenceError::Corrupt)?;
    let mut rest = all.as_slice();
    let mut found = Vec::with_capacity(lengths.len());
    for l in lengths {
        let (document, tail) = rest.split_at_checked(length(l)).ok_or(EvidenceError::Corrupt)?;
        found.push(document.to_vec());
        rest = tail;
    }
    Ok(found)
}

/// The names or subjects of a column.
///
/// # Errors
/// It is not whole.
pub(super) fn keys(column: &[u8]) -> Result<&[[u8; KEY_BYTES]], EvidenceError> {
    match column.as_chunks::<KEY_BYTES>() {
        (keys, []) => Ok(keys),
        _ => Err(EvidenceError::Corrupt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(count: u8) -> Vec<Document> {
        let of =
            |n: u8| Document { subject: Key([n; 32]), name: Digest([n; 32]), bytes: vec![n; usize::from(n) * 7 % 90] };
        (0..count).map(of).collect()
    }

    #[test]
    fn every_document_comes_back() {
        for count in [0, 1, 2, 56] {
            let documents = documents(count);
            let packed = pack(&documents).unwrap();
            for (place, document) in documents.iter().enumerate() {
                assert_eq!(unpack(&packed.lengths, &packed.bytes, place).unwrap(), document.bytes);
                assert_eq!(keys(&packed.names).unwrap()[place], document.name.0);
            }
            assert!(matches!(unpack(&packed.lengths, &packed.bytes, documents.len()), Err(EvidenceError::Corrupt)));
            let all = |names: &[u8]| super::documents(names, &packed.subjects, &packed.lengths, &packed.bytes);
            assert_eq!(all(&packed.names).unwrap(), documents);
            assert!(matches!(all(&[packed.names.as_slice(), &[0; 32]].concat()), Err(EvidenceError::Corrupt)));
        }
    }

    #[test]
    fn what_can_not_have_been_written_is_refused() {
        let packed = pack(&documents(9)).unwrap();
        let corrupt = |lengths: &[u8], bytes: &[u8]| {
            assert!(matches!(unpack(lengths, bytes, 3), Err(EvidenceError::Corrupt)), "{lengths:?}");
        };
        corrupt(&packed.lengths[1..], &packed.bytes);
        corrupt(&packed.lengths, &packed.bytes[1..]);
        corrupt(&packed.lengths, &[]);
        corrupt(&[255; 36], &packed.bytes);
        corrupt(&packed.lengths[..16], &packed.bytes);
        assert!(keys(&packed.names[1..]).is_err());
        let huge = Document { bytes: vec![0; MAX_BYTES + 1], ..documents(1).remove(0) };
        assert!(matches!(pack(&[huge]), Err(EvidenceError::TooLarge)));
    }
}
