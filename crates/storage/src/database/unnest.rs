//! Rows as arrays, one per column: on PostgreSQL one prepared statement writes any number of rows.
//!
//! A `VALUES` list is a different statement for each number of rows, to be parsed and planned each time.

use std::marker::PhantomData;

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{Array, BigInt, HasSqlType, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use tonghop_domain::{FormCode, Period, UnitId};

use crate::database::connection::{Conn, Lite};

/// The columns of some rows: `columns!(rows => name: Kind, …)`.
macro_rules! columns {
    ($rows:expr => $($column:ident: $kind:ty),+ $(,)?) => {
        ($($crate::database::unnest::Column::<$kind, _>::new($rows.iter().map(|row| &row.$column).collect()),)+)
    };
}

/// A column of some rows, as a parameter of the type `Array<K>`.
pub(crate) struct Column<'a, K, T> {
    values: Vec<&'a T>,
    kind: PhantomData<K>,
}

impl<'a, K, T> Column<'a, K, T> {
    pub(crate) fn new(values: Vec<&'a T>) -> Self {
        let kind = PhantomData;
        Self { values, kind }
    }
}

impl<'a, K: 'static, T> QueryFragment<Pg> for Column<'a, K, T>
where
    Pg: HasSqlType<Array<K>>,
    Vec<&'a T>: ToSql<Array<K>, Pg>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_bind_param::<Array<K>, _>(&self.values)
    }
}

/// A form, a period and a unit as a row: the key of a submission, of a total and of its marks.
pub(crate) struct KeyRow {
    pub(crate) form: String,
    pub(crate) period: String,
    pub(crate) unit_id: i64,
}

impl KeyRow {
    pub(crate) fn new(form: &FormCode, period: Period, unit: UnitId) -> Self {
        Self {
            form: form.as_str().to_owned(),
            period: period.to_string(),
            unit_id: unit.0,
        }
    }

    /// The keys of units for one form and period.
    pub(crate) fn of(form: &FormCode, period: Period, units: &[UnitId]) -> Vec<Self> {
        units.iter().map(|unit| Self::new(form, period, *unit)).collect()
    }

    /// The columns of some keys.
    pub(crate) fn columns(rows: &[Self]) -> impl QueryFragment<Pg> + Send {
        columns!(rows => form: Text, period: Text, unit_id: BigInt)
    }
}

/// A statement over rows given as arrays: `before`, an `unnest` of the columns, and `after`. `S` is the SQL type of its
/// result.
pub(crate) struct Unnest<C, S = ()> {
    before: &'static str,
    columns: C,
    after: &'static str,
    answers: PhantomData<S>,
}

impl<C, S> Unnest<C, S> {
    pub(crate) fn new(before: &'static str, columns: C, after: &'static str) -> Self {
        let answers = PhantomData;
        Self {
            before,
            columns,
            after,
            answers,
        }
    }
}

impl<C: QueryFragment<Pg>, S> QueryFragment<Pg> for Unnest<C, S> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(self.before);
        out.push_sql(" unnest(");
        self.columns.walk_ast(out.reborrow())?;
        out.push_sql(") ");
        out.push_sql(self.after);
        Ok(())
    }
}

// Identified by its text, which contains the tables and columns.
impl<C, S> QueryId for Unnest<C, S> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C, S> Query for Unnest<C, S> {
    type SqlType = S;
}

/// Statements that are sent and executed as one, in a WITH clause. All of them see the same snapshot.
#[derive(Default)]
pub(crate) struct WithClause<'a> {
    parts: Vec<Box<dyn QueryFragment<Pg> + Send + 'a>>,
}

impl<'a> WithClause<'a> {
    pub(crate) fn add(&mut self, part: impl QueryFragment<Pg> + Send + 'a) {
        self.parts.push(Box::new(part));
    }

    /// Adds an INSERT of rows, if there are any.
    pub(crate) fn insert<R: Rows>(&mut self, rows: &'a [R]) {
        if !rows.is_empty() {
            self.parts.push(R::insertion(rows, ""));
        }
    }

    /// Executes the statements, if there are any.
    pub(crate) async fn execute(self, conn: &mut AsyncPgConnection) -> QueryResult<()> {
        if !self.parts.is_empty() {
            RunQueryDsl::execute(self, conn).await?;
        }
        Ok(())
    }
}

impl QueryFragment<Pg> for WithClause<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        for (number, part) in self.parts.iter().enumerate() {
            out.push_sql(if number == 0 { "WITH " } else { ", " });
            out.push_sql(&format!("part_{number} AS ("));
            part.walk_ast(out.reborrow())?;
            out.push_sql(")");
        }
        out.push_sql(" SELECT 1");
        Ok(())
    }
}

impl QueryId for WithClause<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Conn> diesel::RunQueryDsl<Conn> for WithClause<'_> {}

/// Rows that are inserted together into a table.
pub(crate) trait Rows: Sized {
    /// The INSERT statement on PostgreSQL, followed by `after`.
    fn insertion<'a>(rows: &'a [Self], after: &'static str) -> Box<dyn QueryFragment<Pg> + Send + 'a>;

    /// Inserts the rows one by one on SQLite, whose asynchronous connection cannot batch.
    fn insert_each(rows: &[Self], conn: &mut Lite) -> impl Future<Output = QueryResult<()>> + Send;
}

/// Inserts rows.
pub(crate) async fn insert<R: Rows>(conn: &mut Conn, rows: &[R]) -> QueryResult<()> {
    match conn {
        Conn::Pg(object) => {
            let mut with = WithClause::default();
            with.insert(rows);
            with.execute(object).await
        }
        Conn::Lite(object) => R::insert_each(rows, object).await,
    }
}

/// Implements [`Rows`]: `rows!(Row => table(column: Kind, …))`.
macro_rules! rows {
    ($row:ty => $table:ident($($column:ident: $kind:ty),+ $(,)?)) => {
        impl $crate::database::unnest::Rows for $row {
            fn insertion<'a>(
                rows: &'a [Self],
                after: &'static str,
            ) -> Box<dyn diesel::query_builder::QueryFragment<diesel::pg::Pg> + Send + 'a> {
                let into = $crate::database::unnest::insert_into!($table: $($column),+);
                let columns = $crate::database::unnest::columns!(rows => $($column: $kind),+);
                Box::new($crate::database::unnest::Unnest::<_>::new(into, columns, after))
            }

            async fn insert_each(rows: &[Self], conn: &mut $crate::database::connection::Lite) -> diesel::QueryResult<()> {
                for row in rows {
                    let insert = diesel::insert_into($table::table).values(row);
                    diesel_async::RunQueryDsl::execute(insert, conn).await?;
                }
                Ok(())
            }
        }
    };
}

/// `INSERT INTO table (columns) SELECT * FROM`.
macro_rules! insert_into {
    ($table:ident: $first:ident $(, $column:ident)*) => {
        concat!(
            "INSERT INTO ", stringify!($table), " (", stringify!($first) $(, ", ", stringify!($column))*,
            ") SELECT * FROM"
        )
    };
}

pub(crate) use {columns, insert_into, rows};
