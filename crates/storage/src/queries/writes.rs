//! The writes at the end of a transaction, on PostgreSQL in one statement.
//!
//! Each statement costs a round trip, and the round trips of a small batch took longer than its rows.

use tonghop_domain::Form;

use crate::audit::entries;
use crate::database::clock::announced_clock;
use crate::database::connection::Conn;
use crate::database::unnest::{Rows, WithClause};
use crate::error::StoreError;
use crate::queries::{idempotency, marks, outbox, submissions, totals};
use crate::unit_of_work::{RecordWrites, RefreshWrites};

/// Writes a batch of changes.
pub(crate) async fn record(conn: &mut Conn, new: &RecordWrites) -> Result<(), StoreError> {
    let recorded = submissions::Recorded::new(new)?;
    let stale = marks::rows(&new.marks);
    let news = outbox::rows(&new.news, new.at.now)?;
    let trail = entries::Batch::new(&new.trail, new.at.trail)?;
    let answers = idempotency::answers(&new.answers);
    match conn {
        Conn::Pg(object) => {
            let mut with = WithClause::default();
            recorded.add_to(&mut with);
            with.insert(&stale);
            with.insert(&news);
            trail.add_to(&mut with);
            idempotency::add_to(&mut with, &answers);
            with.execute(object).await.map_err(submissions::insert_error)
        }
        Conn::Lite(object) => {
            recorded.insert(object).await?;
            Rows::insert_each(&stale, object).await?;
            Rows::insert_each(&news, object).await?;
            trail.insert(object).await?;
            idempotency::insert_each(&answers, object).await?;
            Ok(())
        }
    }
}

/// Writes refreshed totals, which are locked, deletes their marks and marks their parents.
pub(crate) async fn refresh(conn: &mut Conn, form: &Form, new: &RefreshWrites) -> Result<(), StoreError> {
    let now = announced_clock(conn).await?;
    let totals = totals::Refreshed::rows(form, new, now)?;
    let stale = marks::rows(&new.marks);
    let news = outbox::rows(&new.news, now)?;
    match conn {
        Conn::Pg(object) => {
            let mut with = WithClause::default();
            totals::Refreshed::add_to(&mut with, &totals);
            marks::add_deletion(&mut with, &new.read);
            with.insert(&stale);
            with.insert(&news);
            Ok(with.execute(object).await?)
        }
        Conn::Lite(object) => {
            totals::Refreshed::update_each(&totals, object).await?;
            marks::delete(&new.read, object).await?;
            Rows::insert_each(&stale, object).await?;
            Rows::insert_each(&news, object).await?;
            Ok(())
        }
    }
}
