//! Compressed bodies: what is understood, and how much comes out at most.
//!
//! A few hundred bytes can be made to inflate to gigabytes. Whatever a body says of itself, no more than
//! [`MAX_MESSAGE_BYTES`] are ever written, and a zstd frame that announces more is refused unread. A body is one frame
//! of today's format: no second one, no dictionary, none of the formats before 1.0.

use std::{cell::RefCell, io::Read};

use axum::http::{HeaderMap, header::CONTENT_ENCODING};
use causeway_wire::MAX_MESSAGE_BYTES;
use prost::bytes::Bytes;
use zstd::zstd_safe::{self, DCtx};

use super::Refusal;

/// First bytes of a zstd frame (RFC 8878, 3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// `ZSTD_error_dstSize_tooSmall` (zstd_errors.h, pinned since 1.3.1) as zstd's functions return it.
const NO_ROOM: usize = 0_usize.wrapping_sub(70);
/// What is understood, as `Accept-Encoding` says it.
pub const ACCEPTED: &str = "zstd, gzip, identity";

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Plain,
    /// RFC 8878.
    Zstd,
    /// RFC 1952.
    Gzip,
}

impl Encoding {
    /// As the headers say.
    ///
    /// # Errors
    /// [`Refusal::Encoding`] for any other, and for several on top of each other.
    pub fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let (first, more) = (values.next(), values.next());
        let Some(value) = first else { return Ok(Self::Plain) };
        let name = value.to_str().map_err(|_| Refusal::Encoding)?.trim().to_ascii_lowercase();
        match name.as_str() {
            _ if more.is_some() => Err(Refusal::Encoding),
            "identity" => Ok(Self::Plain),
            "zstd" => Ok(Self::Zstd),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            _ => Err(Refusal::Encoding),
        }
    }

    /// Bytes that inflating this body may take, before it is inflated; 0 for a plain one.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`] where the body itself says so; [`Refusal::Malformed`] where it is not of this encoding.
    pub fn inflated_bytes(self, body: &[u8]) -> Result<usize, Refusal> {
        match self {
            Self::Plain => Ok(0),
            Self::Gzip => Ok(MAX_MESSAGE_BYTES),
            Self::Zstd => {
                let frame = || {
                    let whole = zstd_safe::find_frame_compressed_size(body).is_ok_and(|length| length == body.len());
                    let size = zstd_safe::get_frame_content_size(body).ok()?;
                    (body.starts_with(&ZSTD_MAGIC) && whole).then_some(size)
                };
                let size = frame().ok_or(Refusal::Malformed("not one zstd frame"))?;
                // A stream does not know its size.
                let size = size.map_or(MAX_MESSAGE_BYTES, |size| usize::try_from(size).unwrap_or(usize::MAX));
                if size > MAX_MESSAGE_BYTES { Err(Refusal::TooLarge) } else { Ok(size) }
            }
        }
    }

    /// The body as it was before it was compressed: at most [`MAX_MESSAGE_BYTES`].
    ///
    /// # Errors
    /// [`Refusal::TooLarge`] or [`Refusal::Malformed`].
    pub fn inflate(self, body: Bytes) -> Result<Bytes, Refusal> {
        let most = self.inflated_bytes(&body)?;
        match self {
            Self::Plain => Ok(body),
            Self::Zstd => unzstd(&body, most),
            Self::Gzip => gunzip(&body),
        }
    }
}

thread_local! {
    /// One for each thread: making one costs more than inflating a small body. 160 KB each.
    static DECOMPRESSOR: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
}

fn unzstd(body: &[u8], most: usize) -> Result<Bytes, Refusal> {
    let mut plain = Vec::with_capacity(most);
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let context = match kept {
            Some(context) => context,
            None => kept.insert(DCtx::try_create().ok_or(Refusal::Busy)?),
        };
        context.decompress(&mut plain, body).map_err(|code| match (code, most) {
            (NO_ROOM, MAX_MESSAGE_BYTES) => Refusal::TooLarge,
            _ => Refusal::Malformed("not one zstd frame"),
        })
    })?;
    plain.shrink_to_fit();
    Ok(plain.into())
}

fn gunzip(body: &[u8]) -> Result<Bytes, Refusal> {
    let mut plain = Vec::new();
    let one_more = MAX_MESSAGE_BYTES as u64 + 1;
    let mut decoder = flate2::bufread::GzDecoder::new(body);
    decoder.by_ref().take(one_more).read_to_end(&mut plain).map_err(|_| Refusal::Malformed("not gzip"))?;
    if plain.len() > MAX_MESSAGE_BYTES {
        return Err(Refusal::TooLarge);
    }
    if !decoder.into_inner().is_empty() {
        return Err(Refusal::Malformed("more than one gzip member"));
    }
    Ok(plain.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use axum::http::HeaderValue;
    use flate2::write::GzEncoder;

    use super::*;

    fn zstd(bytes: &[u8]) -> Bytes {
        zstd::bulk::compress(bytes, 3).unwrap().into()
    }

    /// As a stream, which does not say how long it is.
    fn zstd_stream(bytes: &[u8]) -> Bytes {
        zstd::stream::encode_all(bytes, 3).unwrap().into()
    }

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    type Compress = fn(&[u8]) -> Bytes;
    const ALL: [(Encoding, Compress); 4] = [
        (Encoding::Plain, Bytes::copy_from_slice),
        (Encoding::Zstd, zstd),
        (Encoding::Zstd, zstd_stream),
        (Encoding::Gzip, gzip),
    ];

    #[test]
    fn what_was_compressed_comes_out_again_up_to_the_limit() {
        for (encoding, compress) in ALL {
            for size in [0, 1, 70_000, MAX_MESSAGE_BYTES] {
                let plain: Vec<u8> = (0..size).map(|at| (at / 7) as u8).collect();
                assert_eq!(encoding.inflate(compress(&plain)), Ok(Bytes::from(plain)), "{encoding:?}, {size} bytes");
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_goes_off() {
        for (encoding, compress) in &ALL[1..] {
            for size in [MAX_MESSAGE_BYTES + 1, 256 * 1024 * 1024] {
                let bomb = compress(&vec![0; size]);
                assert!(bomb.len() < size / 900, "{encoding:?}: {} bytes", bomb.len());
                assert_eq!(encoding.inflate(bomb), Err(Refusal::TooLarge), "{encoding:?}, {size} bytes");
            }
        }
        // One that says its size is not even begun.
        assert_eq!(Encoding::Zstd.inflated_bytes(&zstd(&vec![0; MAX_MESSAGE_BYTES + 1])), Err(Refusal::TooLarge));
    }

    #[test]
    fn what_is_not_one_body_is_malformed() {
        let malformed = |encoding: Encoding, body: &[u8]| {
            let outcome = encoding.inflate(Bytes::copy_from_slice(body));
            assert!(matches!(outcome, Err(Refusal::Malformed(_))), "{encoding:?} {outcome:?}");
        };
        for (encoding, compress) in &ALL[1..] {
            let body = compress(b"some telemetry, some more telemetry");
            malformed(*encoding, b"");
            malformed(*encoding, b"plain");
            malformed(*encoding, &body[..body.len() - 1]);
            malformed(*encoding, &[&body[..], &[0]].concat());
            malformed(*encoding, &[&body[..], &body[..]].concat());
        }
        malformed(Encoding::Zstd, &gzip(b"telemetry"));
        malformed(Encoding::Gzip, &zstd(b"telemetry"));
        // A skippable frame.
        malformed(Encoding::Zstd, &[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]);
        // A size that is not kept: the frame's size field says 5 where 4 follow.
        let mut lying = zstd(b"abcd").to_vec();
        assert_eq!(lying[5], 4, "one byte of size after magic and descriptor");
        lying[5] = 5;
        malformed(Encoding::Zstd, &lying);
        lying[5] = 3;
        malformed(Encoding::Zstd, &lying);
    }

    #[test]
    fn unknown_encodings_are_refused() {
        let of = |values: &[&'static str]| {
            let values = values.iter().map(|value| (CONTENT_ENCODING, HeaderValue::from_static(value)));
            Encoding::of(&values.collect())
        };
        for (value, expected) in [("zstd", Encoding::Zstd), ("GZIP", Encoding::Gzip), (" identity", Encoding::Plain)] {
            assert_eq!(of(&[value]), Ok(expected));
        }
        assert_eq!(of(&[]), Ok(Encoding::Plain));
        for values in [&["br"][..], &[""], &["zstd, gzip"], &["zstd", "zstd"], &["deflate"]] {
            assert_eq!(of(values), Err(Refusal::Encoding), "{values:?}");
        }
    }
}
