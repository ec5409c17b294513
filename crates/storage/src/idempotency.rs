//! Queries on idempotency keys.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
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

/// Takes keys for this transaction, in their order; a key that another transaction holds is waited for. Answers
/// those that were used before.
pub(crate) async fn reserve(
    conn: &mut Conn,
    keys: &BTreeSet<&Idempotency>,
    now: DateTime<Utc>,
) -> Result<HashMap<Idempotency, Used>, StoreError> {
    let placeholder = |key: &&Idempotency| KeyRow {
        caller: key.caller.clone(),
        key: key.key.clone(),
        request: key.request.clone(),
        created: false,
        submission_id: String::new(),
        revision: 0,
        created_at: now.naive_utc(),
    };
    let rows: Vec<KeyRow> = keys.iter().map(placeholder).collect();
    insert_all!(conn, idempotency_keys::table, &rows, c, insert => insert.on_conflict_do_nothing().execute(c).await);
    let mut used = HashMap::new();
    for wanted in keys {
        let query = idempotency_keys::table
            .find((&wanted.caller, &wanted.key))
            .filter(idempotency_keys::revision.gt(0));
        let row: Option<KeyRow> =
            on!(conn, c => query.select(KeyRow::as_select()).first(c).await.optional())?;
        if let Some(row) = row {
            let id = read_id(&row.submission_id)?;
            let answer = Answer {
                created: row.created,
                id,
                revision: row.revision,
            };
            used.insert(
                (*wanted).clone(),
                Used {
                    request: row.request,
                    answer,
                },
            );
        }
    }
    Ok(used)
}

/// Writes what was answered under keys that this transaction took.
pub(crate) async fn answer(conn: &mut Conn, answers: &[(Idempotency, Answer)]) -> Result<(), StoreError> {
    for (key, answer) in answers {
        let row = idempotency_keys::table.find((&key.caller, &key.key));
        let update = diesel::update(row).set((
            idempotency_keys::created.eq(answer.created),
            idempotency_keys::submission_id.eq(answer.id.to_string()),
            idempotency_keys::revision.eq(answer.revision),
        ));
        on!(conn, c => update.execute(c).await)?;
    }
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
