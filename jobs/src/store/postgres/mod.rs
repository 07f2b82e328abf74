//! The store for several controllers: PostgreSQL.
//!
//! Leases count by the server's clock. A claim passes over rows that somebody else is claiming, so that controllers never
//! wait for each other. An append is one statement where it does not change who holds a device, and otherwise a
//! transaction. Without TLS: beyond this machine only where plain connections are allowed.

mod link;
#[cfg(any(test, feature = "testing"))]
pub mod server;

use std::{future::Future, time::Duration};

use causeway_interface::Code;
use tokio_postgres::{Row as SqlRow, Transaction};

use self::link::{Link, Pool};
use super::{
    Answer, Append, Claim, Filter, JobRow, JobStore, MAX_LEASE_MS, MAX_OPEN_JOBS, MAX_PAGE, NewJob, Position, Row,
    StoreError, Summary, Waiting, codes, within_bounds,
};
use crate::{event::Seq, spec::JobId};

/// Version of the tables.
const SCHEMA: i64 = 1;
/// Longest call: a disk that is busy takes seconds; after that the server is away.
const CALL: Duration = Duration::from_secs(10);
/// Tries to take a device that is being given up meanwhile.
const HOLDS: u32 = 8;
/// Key of the lock under which the tables are made: two controllers that start at once would trip over each other.
const MAKING: i64 = 0x6361_7573_6577_6179;

/// The store for several controllers.
pub struct PostgresStore {
    pool: Pool,
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn page(limit: usize) -> i64 {
    signed(limit.min(MAX_PAGE) as u64)
}

impl PostgresStore {
    /// Connects, and makes the tables where there are none.
    ///
    /// # Errors
    /// The server can't be asked, has another version's tables, or is not asked for lack of TLS.
    pub async fn open(url: &str, allow_plain: bool) -> Result<Self, StoreError> {
        let store = Self { pool: Pool::new(url, allow_plain)? };
        store.call(async |link| prepare(link).await).await?;
        Ok(store)
    }

    /// Bounded; a call that was cut off leaves no connection behind of which nothing is known.
    async fn call<T>(&self, call: impl AsyncFnOnce(&mut Link) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let away = || StoreError::Timeout(u64::try_from(CALL.as_millis()).unwrap_or(u64::MAX));
        let mut link = tokio::time::timeout(CALL, self.pool.link()).await.map_err(|_| away())??;
        match tokio::time::timeout(CALL, call(&mut link)).await {
            Ok(made) => made,
            Err(_) => {
                link.close();
                Err(away())
            }
        }
    }
}

fn boxed<'a, T>(answer: impl Future<Output = Result<T, StoreError>> + Send + 'a) -> Answer<'a, T> {
    Box::pin(answer)
}

async fn prepare(link: &mut Link) -> Result<(), StoreError> {
    let transaction = link.client()?.transaction().await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&MAKING]).await?;
    transaction.batch_execute(include_str!("schema.sql")).await?;
    transaction.execute("INSERT INTO meta SELECT $1::bigint WHERE NOT EXISTS (SELECT 1 FROM meta)", &[&SCHEMA]).await?;
    let found: i64 = transaction.query_one("SELECT schema FROM meta", &[]).await?.get(0);
    if found != SCHEMA {
        return Err(StoreError::Schema { found, known: SCHEMA });
    }
    Ok(transaction.commit().await?)
}

async fn hold(t: &Transaction<'_>, job: JobId, device: &Code) -> Result<(), StoreError> {
    let code = device.as_str();
    for _ in 0..HOLDS {
        t.execute("INSERT INTO held (device, job) VALUES ($1, $2) ON CONFLICT DO NOTHING", &[&code, &job.0]).await?;
        let holder = t.query_opt("SELECT job FROM held WHERE device = $1", &[&code]).await?;
        match holder.map(|row| JobId(row.get(0))) {
            Some(holder) if holder == job => return Ok(()),
            Some(other) => return Err(StoreError::Busy { job: other, device: *device }),
            // It was held when it was to be taken, and is given up by now.
            None => {}
        }
    }
    Err(StoreError::Corrupt("a device that is held and nobody's, over and over"))
}

async fn start(link: &mut Link, new: &NewJob) -> Result<JobId, StoreError> {
    let t = link.client()?.transaction().await?;
    let open: i64 = t
        .query_one("SELECT count(*) FROM (SELECT 1 FROM job WHERE holds LIMIT $1) AS open", &[&MAX_OPEN_JOBS])
        .await?
        .get(0);
    if open >= MAX_OPEN_JOBS {
        return Err(StoreError::Full("100 000 jobs are open"));
    }
    if let (Some(parent), Some(token)) = (new.parent, new.under) {
        // Locked until this is kept: whoever takes it over from now on sees what is started here.
        const OURS: &str = "SELECT 1 FROM job WHERE id = $1 AND token = $2 AND lease_ms > causeway_now_ms() FOR SHARE";
        if t.query_opt(OURS, &[&parent.0, &token]).await?.is_none() {
            return Err(StoreError::Fenced);
        }
    }
    let s = &new.summary;
    let id: i64 = t
        .query_one(
            "INSERT INTO job (kind, parent, status, state, percent, holds, runnable, next_seq, created_ms, changed_ms)
             SELECT $1, $2, $3, $4, $5, $6, $7, 1, now, now FROM causeway_now_ms() AS now RETURNING id",
            &[
                &new.kind,
                &new.parent.map(|job| job.0),
                &s.status,
                &s.state,
                &i16::from(s.percent),
                &s.holds,
                &s.runnable,
            ],
        )
        .await?
        .get(0);
    for device in &new.devices {
        hold(&t, JobId(id), device).await?;
    }
    let devices: Vec<&str> = new.devices.iter().map(Code::as_str).collect();
    t.execute("INSERT INTO job_device (device, job) SELECT unnest($1::text[]), $2", &[&devices, &id]).await?;
    t.execute("INSERT INTO event (job, seq, text) VALUES ($1, 0, $2)", &[&id, &new.event]).await?;
    t.commit().await?;
    Ok(JobId(id))
}

/// Adds events and what steps left, and gives the devices up where the job is over; counts 0 where it can't be, or where
/// devices have to be taken. One statement: one way there and back, one write to the disk.
const APPEND: &str = "
    WITH ours AS (
        UPDATE job SET next_seq = $4, status = $5, state = $6, percent = $7, holds = $8, runnable = $9,
            changed_ms = causeway_now_ms()
        WHERE id = $1 AND next_seq = $2 AND (holds OR NOT $8)
        AND ($3::bigint IS NULL OR (token = $3 AND lease_ms > causeway_now_ms())) RETURNING id
    ), added AS (
        INSERT INTO event (job, seq, text)
        SELECT ours.id, $2 + e.number - 1, e.text FROM ours, unnest($10::text[]) WITH ORDINALITY AS e(text, number)
    ), given AS (
        DELETE FROM held USING ours WHERE held.job = ours.id AND NOT $8
    ), kept AS (
        INSERT INTO artifact (job, name, bytes)
        SELECT ours.id, a.name, a.bytes FROM ours, unnest($11::text[], $12::bytea[]) AS a(name, bytes)
        ON CONFLICT (job, name) DO UPDATE SET bytes = excluded.bytes
    )
    SELECT count(*) FROM ours";

async fn append(link: &mut Link, append: &Append) -> Result<(), StoreError> {
    within_bounds(append)?;
    let s = &append.summary;
    let (id, seq) = (append.job.0, signed(append.seq));
    let next = signed(append.seq.saturating_add(append.events.len() as u64));
    let (names, bytes): (Vec<&str>, Vec<&[u8]>) =
        append.artifacts.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).unzip();
    let (client, statement) = link.prepared(APPEND).await?;
    let done: i64 = client
        .query_one(
            &statement,
            &[
                &id,
                &seq,
                &append.token,
                &next,
                &s.status,
                &s.state,
                &i16::from(s.percent),
                &s.holds,
                &s.runnable,
                &append.events,
                &names,
                &bytes,
            ],
        )
        .await?
        .get(0);
    if done == 1 {
        return Ok(());
    }
    // Something is in the way, which is found out with the job locked; or devices have to be taken.
    let t = link.client()?.transaction().await?;
    let known = t
        .query_opt(
            "SELECT next_seq, token, lease_ms > causeway_now_ms(), holds FROM job WHERE id = $1 FOR UPDATE",
            &[&id],
        )
        .await?
        .ok_or(StoreError::Unknown(append.job))?;
    let (found, token, live, held): (i64, i64, bool, bool) = (known.get(0), known.get(1), known.get(2), known.get(3));
    if append.token.is_some_and(|ours| ours != token || !live) {
        return Err(StoreError::Fenced);
    }
    if found != seq {
        return Err(StoreError::Conflict { next: unsigned(found) });
    }
    match (held, s.holds) {
        (true, false) => {
            t.execute("DELETE FROM held WHERE job = $1", &[&id]).await?;
        }
        (false, true) => {
            // In the same order as everybody: two that want the same devices don't wait for each other.
            let rows =
                t.query("SELECT device FROM job_device WHERE job = $1 ORDER BY device COLLATE \"C\"", &[&id]).await?;
            for row in rows {
                let device: String = row.get(0);
                hold(&t, append.job, &device.parse().map_err(|_| StoreError::Corrupt("a device's code"))?).await?;
            }
        }
        (true, true) | (false, false) => {}
    }
    t.execute(
        "UPDATE job SET next_seq = $2, status = $3, state = $4, percent = $5, holds = $6, runnable = $7,
         changed_ms = causeway_now_ms() WHERE id = $1",
        &[&id, &next, &s.status, &s.state, &i16::from(s.percent), &s.holds, &s.runnable],
    )
    .await?;
    t.execute(
        "INSERT INTO event (job, seq, text)
         SELECT $1, $2 + e.number - 1, e.text FROM unnest($3::text[]) WITH ORDINALITY AS e(text, number)",
        &[&id, &seq, &append.events],
    )
    .await?;
    for (name, bytes) in &append.artifacts {
        t.execute(
            "INSERT INTO artifact (job, name, bytes) VALUES ($1, $2, $3)
             ON CONFLICT (job, name) DO UPDATE SET bytes = excluded.bytes",
            &[&id, name, bytes],
        )
        .await?;
    }
    Ok(t.commit().await?)
}

fn row(row: &SqlRow) -> Row {
    Row {
        position: Position(row.get(0), row.get(1)),
        job: JobId(row.get(2)),
        seq: unsigned(row.get(3)),
        text: row.get(4),
    }
}

fn job_row(row: &SqlRow) -> JobRow {
    JobRow {
        id: JobId(row.get(0)),
        kind: row.get(1),
        parent: row.get::<_, Option<i64>>(2).map(JobId),
        summary: Summary {
            status: row.get(3),
            state: row.get(4),
            percent: u8::try_from(row.get::<_, i16>(5)).unwrap_or(0),
            holds: row.get(6),
            runnable: row.get(7),
        },
        holder: row.get(8),
        next_seq: unsigned(row.get(9)),
        created_ms: unsigned(row.get(10)),
        changed_ms: unsigned(row.get(11)),
        broken: row.get(12),
    }
}

fn claims(rows: &[SqlRow]) -> Vec<Claim> {
    let mut claims: Vec<Claim> = rows.iter().map(|row| Claim { job: JobId(row.get(0)), token: row.get(1) }).collect();
    claims.sort_by_key(|claim| claim.job);
    claims
}

const EVENTS: &str = "SELECT written::text::bigint, position, job, seq, text FROM event
    WHERE job = $1 AND seq >= $2 ORDER BY seq LIMIT $3";
const FEED: &str = "SELECT written::text::bigint, position, job, seq, text FROM event
    WHERE (written, position) > ($1::text::xid8, $2) AND written < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY written, position LIMIT $3";
const CLAIM: &str = "
    UPDATE job SET holder = $1, token = token + 1, lease_ms = causeway_now_ms() + $2
    WHERE id IN (
        SELECT id FROM job WHERE runnable AND broken IS NULL AND lease_ms <= causeway_now_ms()
        ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
    ) RETURNING id, token";
const WAITING: &str = "
    SELECT id, greatest(0, causeway_now_ms() - greatest(changed_ms, lease_ms)),
        ARRAY(SELECT device FROM job_device WHERE job_device.job = job.id ORDER BY device)
    FROM job WHERE runnable AND broken IS NULL AND lease_ms <= causeway_now_ms() AND id > $1 ORDER BY id LIMIT $2";
const CLAIM_THESE: &str = "
    UPDATE job SET holder = $1, token = token + 1, lease_ms = causeway_now_ms() + $2
    WHERE id IN (
        SELECT id FROM job WHERE id = ANY($3::bigint[]) AND runnable AND broken IS NULL
        AND lease_ms <= causeway_now_ms() ORDER BY id FOR UPDATE SKIP LOCKED
    ) RETURNING id, token";
const TAIL: &str = "SELECT written::text::bigint, position FROM event
    WHERE written < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY written DESC, position DESC LIMIT 1";
const RENEW: &str = "UPDATE job SET lease_ms = causeway_now_ms() + $3
    WHERE id = $1 AND token = $2 AND lease_ms > causeway_now_ms() RETURNING next_seq";
/// From now on nobody holds it: the lease's end also says since when.
const RELEASE: &str = "UPDATE job SET holder = NULL, lease_ms = causeway_now_ms() WHERE id = $1 AND token = $2";
const BREAK: &str = "UPDATE job SET broken = $3, holder = NULL, lease_ms = 0
    WHERE id = $1 AND token = $2 AND lease_ms > causeway_now_ms()";
const ABANDON: &str = "
    WITH ours AS (UPDATE job SET holds = FALSE, runnable = FALSE WHERE id = $1 AND broken IS NOT NULL RETURNING id),
    gone AS (DELETE FROM held USING ours WHERE held.job = ours.id)
    SELECT count(*) FROM ours";
const JOB: &str = "SELECT id, kind, parent, status, state, percent, holds, runnable, holder, next_seq, created_ms,
    changed_ms, broken FROM job WHERE id = $1";
const LIST: &str = "SELECT id, kind, parent, status, state, percent, holds, runnable, holder, next_seq, created_ms,
    changed_ms, broken FROM job
    WHERE id < $1 AND ($2::text IS NULL OR status = $2) AND ($3::bigint IS NULL OR parent = $3)
    AND ($4::text IS NULL OR id IN (SELECT job FROM job_device WHERE device = $4))
    AND ($6::text IS NULL OR state = $6) AND ($7::text IS NULL OR kind = $7) ORDER BY id DESC LIMIT $5";
const PRUNE: &str = "
    DELETE FROM job WHERE id IN (
        SELECT id FROM job WHERE NOT holds AND changed_ms < $1
        AND (parent IS NULL OR parent NOT IN (SELECT id FROM job WHERE holds)) ORDER BY id LIMIT $2)";

macro_rules! rows {
    ($store:expr, $sql:expr, $($parameter:expr),*) => {
        $store.call(async |link| {
            let (client, statement) = link.prepared($sql).await?;
            Ok(client.query(&statement, &[$(&$parameter),*]).await?)
        }).await
    };
}

impl JobStore for PostgresStore {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn start(&self, new: NewJob) -> Answer<'_, JobId> {
        boxed(async move { self.call(async |link| start(link, &new).await).await })
    }

    fn append(&self, added: Append) -> Answer<'_, ()> {
        boxed(async move { self.call(async |link| append(link, &added).await).await })
    }

    fn events(&self, job: JobId, from: Seq, limit: usize) -> Answer<'_, Vec<Row>> {
        boxed(async move { Ok(rows!(self, EVENTS, job.0, signed(from), page(limit))?.iter().map(row).collect()) })
    }

    fn feed(&self, after: Position, limit: usize) -> Answer<'_, Vec<Row>> {
        let writer = after.0.max(0).to_string();
        boxed(async move { Ok(rows!(self, FEED, writer, after.1, page(limit))?.iter().map(row).collect()) })
    }

    fn tail(&self) -> Answer<'_, Position> {
        boxed(async move {
            let rows = self
                .call(async |link| {
                    let (client, statement) = link.prepared(TAIL).await?;
                    Ok(client.query(&statement, &[]).await?)
                })
                .await?;
            Ok(rows.first().map(|row| Position(row.get(0), row.get(1))).unwrap_or_default())
        })
    }

    fn artifact(&self, job: JobId, name: String) -> Answer<'_, Option<Vec<u8>>> {
        const SQL: &str = "SELECT bytes FROM artifact WHERE job = $1 AND name = $2";
        boxed(async move { Ok(rows!(self, SQL, job.0, name)?.first().map(|row| row.get(0))) })
    }

    fn claim(&self, holder: String, lease_ms: u64, limit: usize) -> Answer<'_, Vec<Claim>> {
        let lease_ms = signed(lease_ms.min(MAX_LEASE_MS));
        boxed(async move { Ok(claims(&rows!(self, CLAIM, holder, lease_ms, page(limit))?)) })
    }

    fn waiting(&self, after: JobId, limit: usize) -> Answer<'_, Vec<Waiting>> {
        boxed(async move {
            let rows = rows!(self, WAITING, after.0, page(limit))?;
            let waiting = |row: &SqlRow| {
                let devices: Vec<String> = row.get(2);
                Ok(Waiting { job: JobId(row.get(0)), devices: codes(&devices)?, idle_ms: unsigned(row.get(1)) })
            };
            rows.iter().map(waiting).collect()
        })
    }

    fn claim_these(&self, holder: String, lease_ms: u64, jobs: Vec<JobId>) -> Answer<'_, Vec<Claim>> {
        let lease_ms = signed(lease_ms.min(MAX_LEASE_MS));
        let ids: Vec<i64> = jobs.iter().take(MAX_PAGE).map(|job| job.0).collect();
        boxed(async move { Ok(claims(&rows!(self, CLAIM_THESE, holder, lease_ms, ids)?)) })
    }

    fn renew(&self, claim: Claim, lease_ms: u64) -> Answer<'_, Seq> {
        let lease_ms = signed(lease_ms.min(MAX_LEASE_MS));
        boxed(async move {
            let rows = rows!(self, RENEW, claim.job.0, claim.token, lease_ms)?;
            rows.first().map(|row| unsigned(row.get(0))).ok_or(StoreError::Fenced)
        })
    }

    fn release(&self, claim: Claim) -> Answer<'_, ()> {
        boxed(async move { rows!(self, RELEASE, claim.job.0, claim.token).map(drop) })
    }

    fn set_broken(&self, claim: Claim, why: String) -> Answer<'_, ()> {
        boxed(async move {
            let set = self
                .call(async |link| {
                    let (client, statement) = link.prepared(BREAK).await?;
                    Ok(client.execute(&statement, &[&claim.job.0, &claim.token, &why]).await?)
                })
                .await?;
            if set == 1 { Ok(()) } else { Err(StoreError::Fenced) }
        })
    }

    fn abandon(&self, job: JobId) -> Answer<'_, ()> {
        boxed(async move {
            let given_up = rows!(self, ABANDON, job.0)?.first().map_or(0, |row| row.get::<_, i64>(0));
            if given_up == 1 { Ok(()) } else { Err(StoreError::Unknown(job)) }
        })
    }

    fn job(&self, job: JobId) -> Answer<'_, Option<JobRow>> {
        boxed(async move { Ok(rows!(self, JOB, job.0)?.first().map(job_row)) })
    }

    fn list(&self, filter: Filter, limit: usize) -> Answer<'_, Vec<JobRow>> {
        boxed(async move {
            let before = filter.before.map_or(i64::MAX, |job| job.0);
            let parent = filter.parent.map(|job| job.0);
            let device = filter.device.as_ref().map(Code::as_str);
            Ok(rows!(self, LIST, before, filter.status, parent, device, page(limit), filter.state, filter.kind)?
                .iter()
                .map(job_row)
                .collect())
        })
    }

    fn holder_of(&self, device: Code) -> Answer<'_, Option<JobId>> {
        const SQL: &str = "SELECT job FROM held WHERE device = $1";
        boxed(async move { Ok(rows!(self, SQL, device.as_str())?.first().map(|row| JobId(row.get(0)))) })
    }

    fn prune(&self, before_ms: u64, limit: usize) -> Answer<'_, usize> {
        boxed(async move {
            let gone = self
                .call(async |link| {
                    let (client, statement) = link.prepared(PRUNE).await?;
                    Ok(client.execute(&statement, &[&signed(before_ms), &page(limit)]).await?)
                })
                .await?;
            Ok(usize::try_from(gone).unwrap_or(usize::MAX))
        })
    }
}
