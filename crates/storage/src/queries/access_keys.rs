//! Queries on access keys. There are few beside many figures, so they are read all at once.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use tonghop_domain::{Key, KeyId, Role, TokenDigest, UnitId};

use crate::database::connection::{Conn, on};
use crate::database::schema::access_keys;
use crate::error::StoreError;

/// A new key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// The role.
    pub role: Role,
    /// The unit: the key covers its figures and those of all units below it.
    pub unit: UnitId,
    /// Further units within which alone it covers them.
    pub within: Vec<UnitId>,
    /// A description of the holder.
    pub label: String,
    /// The time at which the key expires.
    pub expires_at: Option<DateTime<Utc>>,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = access_keys)]
struct AccessKeyRow {
    key_id: String,
    digest: String,
    role: String,
    unit_id: i64,
    /// Ids with spaces between them.
    within: String,
    label: String,
    created_at: NaiveDateTime,
    created_by: String,
    expires_at: Option<NaiveDateTime>,
    revoked_at: Option<NaiveDateTime>,
    last_used_at: Option<NaiveDateTime>,
}

impl AccessKeyRow {
    fn new(key: &Key, digest: TokenDigest) -> Self {
        let within: Vec<String> = key.within.iter().map(|unit| unit.0.to_string()).collect();
        let naive = |time: Option<DateTime<Utc>>| time.map(|time| time.naive_utc());
        Self {
            key_id: key.id.to_string(),
            digest: digest.to_string(),
            role: key.role.as_str().to_owned(),
            unit_id: key.unit.0,
            within: within.join(" "),
            label: key.label.clone(),
            created_at: key.created_at.naive_utc(),
            created_by: key.created_by.to_string(),
            expires_at: naive(key.expires_at),
            revoked_at: naive(key.revoked_at),
            last_used_at: naive(key.last_used_at),
        }
    }

    fn read(self) -> Result<(Key, TokenDigest), StoreError> {
        let ids = self.within.split_whitespace().map(|id| id.parse().map(UnitId));
        let within: Result<_, StoreError> = ids.map(|id| id.map_err(StoreError::corrupt)).collect();
        let utc = |time: Option<NaiveDateTime>| time.map(|time| time.and_utc());
        let key = Key {
            id: self.key_id.parse().map_err(StoreError::corrupt)?,
            role: self.role.parse().map_err(StoreError::corrupt)?,
            unit: UnitId(self.unit_id),
            within: within?,
            label: self.label,
            created_at: self.created_at.and_utc(),
            created_by: self.created_by.parse().map_err(StoreError::corrupt)?,
            expires_at: utc(self.expires_at),
            revoked_at: utc(self.revoked_at),
            last_used_at: utc(self.last_used_at),
        };
        Ok((key, self.digest.parse().map_err(StoreError::corrupt)?))
    }
}

pub(crate) async fn insert(conn: &mut Conn, key: &Key, digest: TokenDigest) -> Result<(), StoreError> {
    let insert = diesel::insert_into(access_keys::table).values(AccessKeyRow::new(key, digest));
    on!(conn, c => insert.execute(c).await)?;
    Ok(())
}

pub(crate) async fn all(conn: &mut Conn) -> Result<Vec<(Key, TokenDigest)>, StoreError> {
    let query = access_keys::table.order((access_keys::created_at, access_keys::key_id));
    let rows: Vec<AccessKeyRow> = on!(conn, c => query.select(AccessKeyRow::as_select()).load(c).await)?;
    rows.into_iter().map(AccessKeyRow::read).collect()
}

pub(crate) async fn revoke(conn: &mut Conn, id: &KeyId, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let valid = access_keys::table
        .find(id.as_str())
        .filter(access_keys::revoked_at.is_null());
    let update = diesel::update(valid).set(access_keys::revoked_at.eq(now.naive_utc()));
    let revoked = on!(conn, c => update.execute(c).await)?;
    Ok(revoked > 0)
}

pub(crate) async fn note_uses(conn: &mut Conn, uses: &[(KeyId, DateTime<Utc>)]) -> Result<(), StoreError> {
    for (id, at) in uses {
        let at = at.naive_utc();
        let older = access_keys::table.find(id.as_str()).filter(
            access_keys::last_used_at
                .is_null()
                .or(access_keys::last_used_at.lt(at)),
        );
        let update = diesel::update(older).set(access_keys::last_used_at.eq(at));
        on!(conn, c => update.execute(c).await)?;
    }
    Ok(())
}

/// The keys that were created or revoked since a time.
pub(crate) async fn changed_since(
    conn: &mut Conn,
    since: DateTime<Utc>,
) -> Result<Vec<(Key, TokenDigest)>, StoreError> {
    let since = since.naive_utc();
    let query = access_keys::table.filter(
        access_keys::created_at
            .ge(since)
            .or(access_keys::revoked_at.ge(since)),
    );
    let rows: Vec<AccessKeyRow> = on!(conn, c => query.select(AccessKeyRow::as_select()).load(c).await)?;
    rows.into_iter().map(AccessKeyRow::read).collect()
}

/// The number of keys of a unit that are valid at a time.
pub(crate) async fn count_valid(
    conn: &mut Conn,
    unit: UnitId,
    now: DateTime<Utc>,
) -> Result<i64, StoreError> {
    let query = access_keys::table
        .filter(access_keys::unit_id.eq(unit.0))
        .filter(access_keys::revoked_at.is_null())
        .filter(
            access_keys::expires_at
                .is_null()
                .or(access_keys::expires_at.gt(now.naive_utc())),
        )
        .count();
    Ok(on!(conn, c => query.get_result(c).await)?)
}

/// The position of a key in the list: the oldest first.
pub type KeyPosition = (DateTime<Utc>, KeyId);

/// At most `limit` keys of some units, or of all, that follow a position.
pub(crate) async fn page(
    conn: &mut Conn,
    units: Option<&[UnitId]>,
    after: Option<&KeyPosition>,
    limit: usize,
) -> Result<Vec<Key>, StoreError> {
    macro_rules! query {
        ($c:ident) => {{
            let mut query = access_keys::table
                .order((access_keys::created_at, access_keys::key_id))
                .limit(limit as i64)
                .select(AccessKeyRow::as_select())
                .into_boxed();
            if let Some(units) = units {
                query = query.filter(access_keys::unit_id.eq_any(units.iter().map(|unit| unit.0)));
            }
            if let Some((at, id)) = after {
                let at = at.naive_utc();
                let same_time = access_keys::created_at
                    .eq(at)
                    .and(access_keys::key_id.gt(id.to_string()));
                query = query.filter(access_keys::created_at.gt(at).or(same_time));
            }
            query.load::<AccessKeyRow>($c).await
        }};
    }
    let rows = on!(conn, c => query!(c))?;
    rows.into_iter()
        .map(|row| row.read().map(|(key, _)| key))
        .collect()
}

/// A key.
pub(crate) async fn find(conn: &mut Conn, id: &KeyId) -> Result<Option<Key>, StoreError> {
    let query = access_keys::table.find(id.as_str());
    let row: Option<AccessKeyRow> =
        on!(conn, c => query.select(AccessKeyRow::as_select()).first(c).await.optional())?;
    Ok(row.map(AccessKeyRow::read).transpose()?.map(|(key, _)| key))
}
