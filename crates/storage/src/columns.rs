//! Many rows as one array a column: on PostgreSQL one prepared statement writes however many there are.
//!
//! A `VALUES` list of many rows is another statement for each number of rows, which is parsed and planned each time.

use std::marker::PhantomData;

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{Array, HasSqlType};

/// A column of rows that stand elsewhere, as a bind of the type `Array<K>`.
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

/// `head`, the columns as the rows of an `unnest`, and `tail`.
pub(crate) struct InsertColumns<C> {
    pub(crate) head: &'static str,
    pub(crate) columns: C,
    pub(crate) tail: &'static str,
}

impl<C: QueryFragment<Pg>> QueryFragment<Pg> for InsertColumns<C> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(self.head);
        out.push_sql(" SELECT * FROM unnest(");
        self.columns.walk_ast(out.reborrow())?;
        out.push_sql(") ");
        out.push_sql(self.tail);
        Ok(())
    }
}

// Known by its text, which names the table and the columns.
impl<C> QueryId for InsertColumns<C> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

/// `INSERT INTO table (columns)`.
macro_rules! head {
    ($table:ident: $first:ident $(, $column:ident)*) => {
        concat!("INSERT INTO ", stringify!($table), " (", stringify!($first) $(, ", ", stringify!($column))*, ")")
    };
}

pub(crate) use head;
