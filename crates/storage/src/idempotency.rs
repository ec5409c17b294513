//! Queries on idempotency keys.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Text, Timestamp};
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;

use crate::books::{Answer, Used};
use crate::conn::{Conn, insert_all, on};
use crate::schema::idempotency_keys;
use crate::submissions::read_id;
use crate::{Idempotency, StoreError};

#[derive(Queryable, Selectable, Insertable, Clone)]
#[diesel(table_name = idempotency_keys)]
struct KeyRow {
    caller: String,
    key: String,
    request: String,
    created: bool,
    submission_id: String,
    revision: i32,
    created_at: NaiveDateTime,
}

impl KeyRow {
    /// A key, and what was answered under it if anything was. A key that is there keeps its time.
    fn new(key: &Idempotency, answer: Option<&Answer>, created_at: NaiveDateTime) -> Self {
        Self {
            caller: key.caller.clone(),
            key: key.key.clone(),
            request: key.request.clone(),
            created: answer.is_some_and(|answer| answer.created),
            submission_id: answer.map(|answer| answer.id.to_string()).unwrap_or_default(),
            revision: answer.map_or(0, |answer| answer.revision),
            created_at,
        }
    }
}

/// Takes keys for this transaction, in their order; a key that another transaction holds is waited for. Answers
/// those that were used before.
pub(crate) async fn reserve(
    conn: &mut Conn,
    keys: &BTreeSet<&Idempotency>,
    now: DateTime<Utc>,
) -> Result<HashMap<Idempotency, Used>, StoreError> {
    let rows: Vec<KeyRow> = keys
        .iter()
        .map(|key| KeyRow::new(key, None, now.naive_utc()))
        .collect();
    insert_all!(
        conn,
        &rows => idempotency_keys(
            caller: Text, key: Text, request: Text, created: Bool, submission_id: Text, revision: Integer,
            created_at: Timestamp,
        ) "ON CONFLICT DO NOTHING",
        insert => insert.on_conflict_do_nothing()
    );
    let callers: BTreeSet<&str> = keys.iter().map(|key| key.caller.as_str()).collect();
    let query = idempotency_keys::table
        .filter(idempotency_keys::caller.eq_any(callers))
        .filter(idempotency_keys::key.eq_any(keys.iter().map(|key| &key.key)))
        .filter(idempotency_keys::revision.gt(0));
    let rows: Vec<KeyRow> = on!(conn, c => query.select(KeyRow::as_select()).load(c).await)?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in rows {
        let answer = Answer {
            created: row.created,
            id: read_id(&row.submission_id)?,
            revision: row.revision,
        };
        let request = row.request;
        found.insert((row.caller, row.key), Used { request, answer });
    }
    let used = |key: &&Idempotency| {
        let used = found.remove(&(key.caller.clone(), key.key.clone()))?;
        Some(((*key).clone(), used))
    };
    Ok(keys.iter().filter_map(used).collect())
}

/// Writes what was answered under keys that this transaction took.
pub(crate) async fn answer(conn: &mut Conn, answers: &[(Idempotency, Answer)]) -> Result<(), StoreError> {
    if answers.is_empty() {
        return Ok(());
    }
    let rows: Vec<KeyRow> = answers
        .iter()
        .map(|(key, answer)| KeyRow::new(key, Some(answer), DateTime::UNIX_EPOCH.naive_utc()))
        .collect();
    insert_all!(
        conn,
        &rows => idempotency_keys(
            caller: Text, key: Text, request: Text, created: Bool, submission_id: Text, revision: Integer,
            created_at: Timestamp,
        ) "ON CONFLICT (caller, key) DO UPDATE SET created = excluded.created, \
           submission_id = excluded.submission_id, revision = excluded.revision",
        insert => insert
            .on_conflict((idempotency_keys::caller, idempotency_keys::key))
            .do_update()
            .set((
                idempotency_keys::created.eq(excluded(idempotency_keys::created)),
                idempotency_keys::submission_id.eq(excluded(idempotency_keys::submission_id)),
                idempotency_keys::revision.eq(excluded(idempotency_keys::revision)),
            ))
    );
    Ok(())
}

/// Gives keys back under which nothing was recorded.
pub(crate) async fn release(conn: &mut Conn, keys: &[Idempotency]) -> Result<(), StoreError> {
    for key in keys {
        let row = idempotency_keys::table.find((&key.caller, &key.key));
        on!(conn, c => diesel::delete(row).execute(c).await)?;
    }
    Ok(())
}

/// Forgets keys taken before `before`.
pub(crate) async fn forget(conn: &mut Conn, before: DateTime<Utc>) -> Result<usize, StoreError> {
    let old = idempotency_keys::table.filter(idempotency_keys::created_at.lt(before.naive_utc()));
    Ok(on!(conn, c => diesel::delete(old).execute(c).await)?)
}
