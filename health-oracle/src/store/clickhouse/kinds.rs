//! What is asked of each table of samples: conditions over one row, and sums over a bucket.

use super::{error::ClickHouseError, native::Rows, schema::SAMPLES};
use crate::{
    store::commit::Note,
    telemetry::{AdjacencyBucket, Bucket, InterfaceBucket, ProbeBucket},
};

/// One table. Conditions are of single samples: a bucket says what any of its samples says.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The table.
    pub table: &'static str,
    /// The sample says something at all.
    pub present: &'static str,
    /// It is bad.
    pub bad: &'static str,
    /// There was traffic, or an answer.
    pub busy: &'static str,
    /// Whether there was traffic can be said.
    pub compared: &'static str,
    /// Sums over a bad bucket.
    pub sums: &'static str,
    /// Reads them.
    pub note: fn(&mut Rows<'_>) -> Result<Note, ClickHouseError>,
    /// Whether every bad bucket is wanted, or only the latest.
    pub every: bool,
}

/// All three.
pub const KINDS: [Kind; 3] = [
    Kind {
        table: SAMPLES[0],
        present: "1",
        bad: "(up = 0 OR errors > 0 OR flaps > 0)",
        busy: "octets > 0",
        compared: "compared > 0",
        sums: "count(), toUInt64(sum(up = 0)), toUInt64(sum(compared)), sum(octets), sum(errors), sum(discards), sum(flaps)",
        note: interface,
        every: false,
    },
    Kind {
        table: SAMPLES[1],
        present: "1",
        bad: "up = 0",
        busy: "0",
        compared: "1",
        sums: "count(), toUInt64(sum(up = 0))",
        note: adjacency,
        every: false,
    },
    Kind {
        table: SAMPLES[2],
        present: "sent > 0",
        bad: "received < sent",
        busy: "received > 0",
        compared: "1",
        sums: "count(), sum(sent), sum(received), max(rtt_max_ns)",
        note: probe,
        every: true,
    },
];

fn count(rows: &mut Rows<'_>) -> Result<u32, ClickHouseError> {
    Ok(u32::try_from(rows.u64()?).unwrap_or(u32::MAX))
}

fn interface(rows: &mut Rows<'_>) -> Result<Note, ClickHouseError> {
    Ok(Note::Interface(InterfaceBucket {
        samples: count(rows)?,
        down: count(rows)?,
        compared: count(rows)?,
        octets: rows.u64()?,
        errors: rows.u64()?,
        discards: rows.u64()?,
        flaps: rows.u64()?,
    }))
}

fn adjacency(rows: &mut Rows<'_>) -> Result<Note, ClickHouseError> {
    Ok(Note::Adjacency(AdjacencyBucket { samples: count(rows)?, down: count(rows)? }))
}

fn probe(rows: &mut Rows<'_>) -> Result<Note, ClickHouseError> {
    Ok(Note::Probe(ProbeBucket {
        samples: count(rows)?,
        sent: rows.u64()?,
        received: rows.u64()?,
        rtt_max_ns: rows.u64()?,
    }))
}

/// The share that a bad bucket lost, in millionths; of probes only.
pub fn loss_ppm(note: &Note) -> Option<u32> {
    match note {
        Note::Interface(_) | Note::Adjacency(_) => None,
        Note::Probe(sum) => sum.loss_ppm().filter(|ppm| *ppm > 0),
    }
}
