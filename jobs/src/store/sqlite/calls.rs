//! The statements. Each function is one call, inside a transaction that its caller ends.

use causeway_interface::Code;
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};

use crate::{
    event::Seq,
    spec::JobId,
    store::{
        Append, Claim, Filter, JobRow, MAX_LEASE_MS, MAX_OPEN_JOBS, MAX_PAGE, NewJob, Position, Row, StoreError,
        Summary, Waiting, codes, within_bounds,
    },
};

/// Numbers beyond SQLite's are never reached; they are cut.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn page(limit: usize) -> i64 {
    signed(limit.min(MAX_PAGE) as u64)
}

pub fn start(c: &Connection, now_ms: u64, new: &NewJob) -> Result<JobId, StoreError> {
    let open: i64 = c
        .prepare_cached("SELECT count(*) FROM (SELECT 1 FROM job WHERE holds = 1 LIMIT ?1)")?
        .query_row([MAX_OPEN_JOBS], |row| row.get(0))?;
    if open >= MAX_OPEN_JOBS {
        return Err(StoreError::Full("100 000 jobs are open"));
    }
    if let (Some(parent), Some(token)) = (new.parent, new.under) {
        let ours = c
            .prepare_cached("SELECT 1 FROM job WHERE id = ?1 AND token = ?2 AND lease_ms > ?3")?
            .exists(params![parent.0, token, signed(now_ms)])?;
        if !ours {
            return Err(StoreError::Fenced);
        }
    }
    let s = &new.summary;
    let id = c
        .prepare_cached(
            "INSERT INTO job (kind, parent, status, state, percent, holds, runnable, next_seq, created_ms, changed_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8, ?8)",
        )?
        .insert(params![
            new.kind,
            new.parent.map(|job| job.0),
            s.status,
            s.state,
            s.percent,
            s.holds,
            s.runnable,
            signed(now_ms)
        ])?;
    let job = JobId(id);
    for device in &new.devices {
        c.prepare_cached("INSERT INTO job_device (device, job) VALUES (?1, ?2)")?
            .execute(params![device.as_str(), id])?;
        hold(c, job, device)?;
    }
    c.prepare_cached("INSERT INTO event (job, seq, text) VALUES (?1, 0, ?2)")?.execute(params![id, new.event])?;
    Ok(job)
}

fn hold(c: &Connection, job: JobId, device: &Code) -> Result<(), StoreError> {
    c.prepare_cached("INSERT INTO held (device, job) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute(params![device.as_str(), job.0])?;
    match holder_of(c, device)? {
        Some(holder) if holder == job => Ok(()),
        Some(other) => Err(StoreError::Busy { job: other, device: *device }),
        None => Err(StoreError::Corrupt("a device that was just taken is nobody's")),
    }
}

pub fn append(c: &Connection, now_ms: u64, append: &Append) -> Result<(), StoreError> {
    within_bounds(append)?;
    let id = append.job.0;
    let known = c
        .prepare_cached("SELECT next_seq, token, lease_ms, holds FROM job WHERE id = ?1")?
        .query_row([id], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?, row.get::<_, bool>(3)?))
        })
        .optional()?;
    let (next, token, lease_ms, held) = known.ok_or(StoreError::Unknown(append.job))?;
    if append.token.is_some_and(|ours| ours != token || lease_ms <= signed(now_ms)) {
        return Err(StoreError::Fenced);
    }
    if unsigned(next) != append.seq {
        return Err(StoreError::Conflict { next: unsigned(next) });
    }
    for (seq, text) in (append.seq..).zip(&append.events) {
        c.prepare_cached("INSERT INTO event (job, seq, text) VALUES (?1, ?2, ?3)")?.execute(params![
            id,
            signed(seq),
            text
        ])?;
    }
    for (name, bytes) in &append.artifacts {
        c.prepare_cached(
            "INSERT INTO artifact (job, name, bytes) VALUES (?1, ?2, ?3)
             ON CONFLICT (job, name) DO UPDATE SET bytes = excluded.bytes",
        )?
        .execute(params![id, name, bytes])?;
    }
    let s = &append.summary;
    c.prepare_cached(
        "UPDATE job SET next_seq = ?2, status = ?3, state = ?4, percent = ?5, holds = ?6, runnable = ?7, changed_ms = ?8
         WHERE id = ?1",
    )?
    .execute(params![
        id,
        signed(append.seq.saturating_add(append.events.len() as u64)),
        s.status,
        s.state,
        s.percent,
        s.holds,
        s.runnable,
        signed(now_ms)
    ])?;
    match (held, s.holds) {
        (true, false) => {
            c.prepare_cached("DELETE FROM held WHERE job = ?1")?.execute([id])?;
        }
        (false, true) => {
            let mut statement = c.prepare_cached("SELECT device FROM job_device WHERE job = ?1")?;
            let devices: Vec<String> = statement.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
            for device in devices {
                hold(c, append.job, &device.parse().map_err(|_| StoreError::Corrupt("a device's code"))?)?;
            }
        }
        (true, true) | (false, false) => {}
    }
    Ok(())
}

fn row(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        position: Position(0, row.get(0)?),
        job: JobId(row.get(1)?),
        seq: unsigned(row.get(2)?),
        text: row.get(3)?,
    })
}

pub fn events(c: &Connection, job: JobId, from: Seq, limit: usize) -> Result<Vec<Row>, StoreError> {
    let mut statement = c.prepare_cached(
        "SELECT position, job, seq, text FROM event WHERE job = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3",
    )?;
    let rows = statement.query_map(params![job.0, signed(from), page(limit)], row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub fn feed(c: &Connection, after: Position, limit: usize) -> Result<Vec<Row>, StoreError> {
    let mut statement =
        c.prepare_cached("SELECT position, job, seq, text FROM event WHERE position > ?1 ORDER BY position LIMIT ?2")?;
    let rows = statement.query_map(params![after.1, page(limit)], row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub fn tail(c: &Connection) -> Result<Position, StoreError> {
    let mut statement = c.prepare_cached("SELECT coalesce(max(position), 0) FROM event")?;
    Ok(Position(0, statement.query_row([], |row| row.get(0))?))
}

pub fn artifact(c: &Connection, job: JobId, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let mut statement = c.prepare_cached("SELECT bytes FROM artifact WHERE job = ?1 AND name = ?2")?;
    Ok(statement.query_row(params![job.0, name], |row| row.get(0)).optional()?)
}

pub fn claim(c: &Connection, now_ms: u64, holder: &str, lease_ms: u64, limit: usize) -> Result<Vec<Claim>, StoreError> {
    let mut statement = c.prepare_cached(
        "UPDATE job SET holder = ?1, token = token + 1, lease_ms = ?2
         WHERE id IN (SELECT id FROM job WHERE runnable = 1 AND broken IS NULL AND lease_ms <= ?3 ORDER BY id LIMIT ?4)
         RETURNING id, token",
    )?;
    let until = signed(now_ms.saturating_add(lease_ms.min(MAX_LEASE_MS)));
    let rows = statement.query_map(params![holder, until, signed(now_ms), page(limit)], |row| {
        Ok(Claim { job: JobId(row.get(0)?), token: row.get(1)? })
    })?;
    let mut claims: Vec<Claim> = rows.collect::<Result<_, _>>()?;
    claims.sort_by_key(|claim| claim.job);
    Ok(claims)
}

pub fn waiting(c: &Connection, now_ms: u64, after: JobId, limit: usize) -> Result<Vec<Waiting>, StoreError> {
    let mut statement = c.prepare_cached(
        "SELECT id, max(0, ?1 - max(changed_ms, lease_ms)) FROM job
         WHERE runnable = 1 AND broken IS NULL AND lease_ms <= ?1 AND id > ?2 ORDER BY id LIMIT ?3",
    )?;
    let found: Vec<(i64, i64)> = statement
        .query_map(params![signed(now_ms), after.0, page(limit)], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut of_job = c.prepare_cached("SELECT device FROM job_device WHERE job = ?1 ORDER BY device")?;
    let mut waiting = Vec::with_capacity(found.len());
    for (id, idle_ms) in found {
        let devices: Vec<String> = of_job.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
        waiting.push(Waiting { job: JobId(id), devices: codes(&devices)?, idle_ms: unsigned(idle_ms) });
    }
    Ok(waiting)
}

pub fn claim_these(
    c: &Connection,
    now_ms: u64,
    holder: &str,
    lease_ms: u64,
    jobs: &[JobId],
) -> Result<Vec<Claim>, StoreError> {
    let until = signed(now_ms.saturating_add(lease_ms.min(MAX_LEASE_MS)));
    let mut statement = c.prepare_cached(
        "UPDATE job SET holder = ?1, token = token + 1, lease_ms = ?2
         WHERE id = ?4 AND runnable = 1 AND broken IS NULL AND lease_ms <= ?3 RETURNING token",
    )?;
    let mut claims = Vec::new();
    for job in jobs.iter().take(MAX_PAGE) {
        let token = statement.query_row(params![holder, until, signed(now_ms), job.0], |row| row.get(0)).optional()?;
        claims.extend(token.map(|token| Claim { job: *job, token }));
    }
    Ok(claims)
}

pub fn renew(c: &Connection, now_ms: u64, claim: Claim, lease_ms: u64) -> Result<Seq, StoreError> {
    let until = signed(now_ms.saturating_add(lease_ms.min(MAX_LEASE_MS)));
    let mut statement = c.prepare_cached(
        "UPDATE job SET lease_ms = ?3 WHERE id = ?1 AND token = ?2 AND lease_ms > ?4 RETURNING next_seq",
    )?;
    let next = statement
        .query_row(params![claim.job.0, claim.token, until, signed(now_ms)], |row| row.get::<_, i64>(0))
        .optional()?;
    next.map(unsigned).ok_or(StoreError::Fenced)
}

/// From now on nobody holds it: the lease's end also says since when.
pub fn release(c: &Connection, now_ms: u64, claim: Claim) -> Result<(), StoreError> {
    c.prepare_cached("UPDATE job SET holder = NULL, lease_ms = ?3 WHERE id = ?1 AND token = ?2")?.execute(params![
        claim.job.0,
        claim.token,
        signed(now_ms)
    ])?;
    Ok(())
}

pub fn set_broken(c: &Connection, now_ms: u64, claim: Claim, why: &str) -> Result<(), StoreError> {
    let set = c
        .prepare_cached(
            "UPDATE job SET broken = ?3, holder = NULL, lease_ms = 0 WHERE id = ?1 AND token = ?2 AND lease_ms > ?4",
        )?
        .execute(params![claim.job.0, claim.token, why, signed(now_ms)])?;
    if set == 1 { Ok(()) } else { Err(StoreError::Fenced) }
}

pub fn abandon(c: &Connection, job: JobId) -> Result<(), StoreError> {
    let given_up = c
        .prepare_cached("UPDATE job SET holds = 0, runnable = 0 WHERE id = ?1 AND broken IS NOT NULL")?
        .execute([job.0])?;
    if given_up == 0 {
        return Err(StoreError::Unknown(job));
    }
    c.prepare_cached("DELETE FROM held WHERE job = ?1")?.execute([job.0])?;
    Ok(())
}

const COLUMNS: &str =
    "id, kind, parent, status, state, percent, holds, runnable, holder, next_seq, created_ms, changed_ms, broken";

fn job_row(row: &SqlRow<'_>) -> rusqlite::Result<JobRow> {
    Ok(JobRow {
        id: JobId(row.get(0)?),
        kind: row.get(1)?,
        parent: row.get::<_, Option<i64>>(2)?.map(JobId),
        summary: Summary {
            status: row.get(3)?,
            state: row.get(4)?,
            percent: row.get(5)?,
            holds: row.get(6)?,
            runnable: row.get(7)?,
        },
        holder: row.get(8)?,
        next_seq: unsigned(row.get(9)?),
        created_ms: unsigned(row.get(10)?),
        changed_ms: unsigned(row.get(11)?),
        broken: row.get(12)?,
    })
}

pub fn job(c: &Connection, job: JobId) -> Result<Option<JobRow>, StoreError> {
    let mut statement = c.prepare_cached(&format!("SELECT {COLUMNS} FROM job WHERE id = ?1"))?;
    Ok(statement.query_row([job.0], job_row).optional()?)
}

pub fn list(c: &Connection, filter: &Filter, limit: usize) -> Result<Vec<JobRow>, StoreError> {
    let mut statement = c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM job
         WHERE id < ?1 AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR parent = ?3) AND (?6 IS NULL OR state = ?6)
         AND (?7 IS NULL OR kind = ?7)
         AND (?4 IS NULL OR id IN (SELECT job FROM job_device WHERE device = ?4))
         ORDER BY id DESC LIMIT ?5"
    ))?;
    let rows = statement.query_map(
        params![
            filter.before.map_or(i64::MAX, |job| job.0),
            filter.status,
            filter.parent.map(|job| job.0),
            filter.device.as_ref().map(Code::as_str),
            page(limit),
            filter.state,
            filter.kind
        ],
        job_row,
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub fn holder_of(c: &Connection, device: &Code) -> Result<Option<JobId>, StoreError> {
    let mut statement = c.prepare_cached("SELECT job FROM held WHERE device = ?1")?;
    Ok(statement.query_row([device.as_str()], |row| row.get(0).map(JobId)).optional()?)
}

pub fn prune(c: &Connection, before_ms: u64, limit: usize) -> Result<usize, StoreError> {
    let mut statement = c.prepare_cached(
        "SELECT id FROM job WHERE holds = 0 AND changed_ms < ?1
             AND (parent IS NULL OR parent NOT IN (SELECT id FROM job WHERE holds = 1)) ORDER BY id LIMIT ?2",
    )?;
    let rows = statement.query_map(params![signed(before_ms), page(limit)], |row| row.get::<_, i64>(0))?;
    let ids: Vec<i64> = rows.collect::<Result<_, _>>()?;
    for id in &ids {
        c.prepare_cached("DELETE FROM event WHERE job = ?1")?.execute([id])?;
        c.prepare_cached("DELETE FROM artifact WHERE job = ?1")?.execute([id])?;
        c.prepare_cached("DELETE FROM job_device WHERE job = ?1")?.execute([id])?;
        c.prepare_cached("DELETE FROM job WHERE id = ?1")?.execute([id])?;
    }
    Ok(ids.len())
}
