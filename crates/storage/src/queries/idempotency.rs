//! Queries on idempotency keys.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Text, Timestamp};
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::database::connection::{Conn, Lite, on};
use crate::database::schema::idempotency_keys;
use crate::database::unnest::{Rows, WithClause, rows};
use crate::database::uuid::{Id, StoredId};
use crate::error::StoreError;
use crate::model::Idempotency;
use crate::unit_of_work::{Answer, Used};

#[derive(Queryable, Selectable, Insertable, Clone)]
#[diesel(table_name = idempotency_keys)]
pub(crate) struct KeyRow {
    caller: String,
    key: String,
    request: String,
    created: bool,
    submission_id: StoredId,
    revision: i32,
    created_at: NaiveDateTime,
}

rows!(KeyRow => idempotency_keys(
    caller: Text, key: Text, request: Text, created: Bool, submission_id: Id, revision: Integer, created_at: Timestamp,
));

impl KeyRow {
    /// A key, with its response if there is one. An existing key keeps its time.
    fn new(key: &Idempotency, answer: Option<&Answer>, created_at: NaiveDateTime) -> Self {
        Self {
            caller: key.caller.clone(),
            key: key.key.clone(),
            request: key.request.clone(),
            created: answer.is_some_and(|answer| answer.created),
            submission_id: StoredId(answer.map_or(Uuid::nil(), |answer| answer.id.0)),
            revision: answer.map_or(0, |answer| answer.revision),
            created_at,
        }
    }
}

/// Reserves keys for this transaction, in their order, waiting for transactions that have reserved the same ones.
/// Returns those that were used before.
pub(crate) async fn reserve(
    conn: &mut Conn,
    keys: &BTreeSet<&Idempotency>,
    now: DateTime<Utc>,
) -> Result<HashMap<Idempotency, Used>, StoreError> {
    let rows: Vec<KeyRow> = keys
        .iter()
        .map(|key| KeyRow::new(key, None, now.naive_utc()))
        .collect();
    match conn {
        Conn::Pg(object) => {
            let mut with = WithClause::default();
            with.add(KeyRow::insertion(&rows, "ON CONFLICT DO NOTHING"));
            with.execute(object).await?;
        }
        Conn::Lite(object) => {
            for row in &rows {
                let insert = diesel::insert_into(idempotency_keys::table).values(row);
                insert.on_conflict_do_nothing().execute(&mut **object).await?;
            }
        }
    }
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
            id: row.submission_id.into(),
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

/// The rows of the responses under reserved keys.
pub(crate) fn answers(answers: &[(Idempotency, Answer)]) -> Vec<KeyRow> {
    let row = |(key, answer): &(Idempotency, Answer)| {
        KeyRow::new(key, Some(answer), DateTime::UNIX_EPOCH.naive_utc())
    };
    answers.iter().map(row).collect()
}

/// Writes the responses on PostgreSQL.
pub(crate) fn add_to<'a>(with: &mut WithClause<'a>, answers: &'a [KeyRow]) {
    if !answers.is_empty() {
        with.add(KeyRow::insertion(
            answers,
            "ON CONFLICT (caller, key) DO UPDATE SET created = excluded.created, \
             submission_id = excluded.submission_id, revision = excluded.revision",
        ));
    }
}

/// Writes the responses on SQLite.
pub(crate) async fn insert_each(answers: &[KeyRow], conn: &mut Lite) -> QueryResult<()> {
    for row in answers {
        let insert = diesel::insert_into(idempotency_keys::table).values(row);
        let upsert = insert
            .on_conflict((idempotency_keys::caller, idempotency_keys::key))
            .do_update()
            .set((
                idempotency_keys::created.eq(excluded(idempotency_keys::created)),
                idempotency_keys::submission_id.eq(excluded(idempotency_keys::submission_id)),
                idempotency_keys::revision.eq(excluded(idempotency_keys::revision)),
            ));
        upsert.execute(conn).await?;
    }
    Ok(())
}

/// Releases keys under which nothing was recorded.
pub(crate) async fn release(conn: &mut Conn, keys: &[Idempotency]) -> Result<(), StoreError> {
    for key in keys {
        let row = idempotency_keys::table.find((&key.caller, &key.key));
        on!(conn, c => diesel::delete(row).execute(c).await)?;
    }
    Ok(())
}

/// Deletes keys reserved before `before`.
pub(crate) async fn forget(conn: &mut Conn, before: DateTime<Utc>) -> Result<usize, StoreError> {
    let old = idempotency_keys::table.filter(idempotency_keys::created_at.lt(before.naive_utc()));
    Ok(on!(conn, c => diesel::delete(old).execute(c).await)?)
}
