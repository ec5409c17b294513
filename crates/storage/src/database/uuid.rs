//! Ids in either database: a `uuid` on PostgreSQL, which is shorter than a text and faster to compare; on SQLite, which
//! has no such type, a lower-case text. Both sort by time, since version 7 begins with it (RFC 9562, section 5.7).

use std::io::Write;

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::query_builder::QueryId;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{SqlType, Text};
use diesel::sqlite::Sqlite;
use tonghop_domain::SubmissionId;
use uuid::Uuid;

/// The SQL type of an id.
#[derive(Clone, Copy, Debug, QueryId, SqlType)]
#[diesel(postgres_type(oid = 2950, array_oid = 2951), sqlite_type(name = "Text"))]
pub struct Id;

/// The value of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = Id)]
pub(crate) struct StoredId(pub(crate) Uuid);

impl From<SubmissionId> for StoredId {
    fn from(id: SubmissionId) -> Self {
        Self(id.0)
    }
}

impl From<StoredId> for SubmissionId {
    fn from(id: StoredId) -> Self {
        Self(id.0)
    }
}

impl ToSql<Id, Pg> for StoredId {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(self.0.as_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<Id, Pg> for StoredId {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(Uuid::from_slice(value.as_bytes())?))
    }
}

impl ToSql<Id, Sqlite> for StoredId {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.to_string());
        Ok(IsNull::No)
    }
}

impl FromSql<Id, Sqlite> for StoredId {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<Text, Sqlite>>::from_sql(value)?;
        let id = Uuid::parse_str(&text)?;
        // In another spelling it would be another row with the same id.
        if id.to_string() != text {
            return Err(format!("an id that the service did not write: {text}").into());
        }
        Ok(Self(id))
    }
}
