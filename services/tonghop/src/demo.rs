//! `tonghop demo`: the service with the story of the source report in it.

use std::time::Duration;

use tokio::sync::oneshot;
use tonghop_storage::Store;

use crate::arguments::{ServeOptions, Settings};
use crate::client;
use crate::failure::{Failure, failed, print};
use crate::serve::serve;

/// The fourteen reports. The source report gives only the province's totals, so the split is made up and says so.
const SUBMISSIONS: &str = include_str!("../demo/submissions.ndjson");

/// Serves from a new database in a temporary folder, or from the one that is set, and submits the fourteen reports.
pub(crate) async fn demo(settings: &Settings, options: &ServeOptions) -> Result<(), Failure> {
    let folder = tempfile::tempdir().map_err(failed)?;
    let database_url = settings.database_url.clone();
    let thrown_away = database_url.is_none();
    let database_url =
        database_url.unwrap_or_else(|| format!("sqlite:{}", folder.path().join("demo.db").display()));
    let settings = settings.with_database(database_url);
    let (started, ready) = oneshot::channel();
    let url = format!("http://{}", options.listen);
    let (served, ()) = tokio::join!(serve(&settings, options, Some(started)), async {
        // Without a store the service did not start, and says why itself.
        let Ok(store) = ready.await else { return };
        match fill(&url, &store).await {
            Ok(()) => print(&welcome(&url, thrown_away)),
            Err(failure) => tracing::error!("the demonstration could not be filled: {}", failure.sentence),
        }
    });
    served
}

async fn fill(url: &str, store: &Store) -> Result<(), Failure> {
    client::wait_until_ready(url).await?;
    client::submit_lines(url, SUBMISSIONS.to_owned()).await?;
    let mut looks = tokio::time::interval(Duration::from_millis(50));
    while store.pending().await.map_err(failed)? > 0 {
        looks.tick().await;
    }
    Ok(())
}

fn welcome(url: &str, thrown_away: bool) -> String {
    let kept = if thrown_away {
        "They are gone when it stops. "
    } else {
        ""
    };
    format!(
        r#"
tonghop is running with 14 illustrative submissions, whose totals are those of Đồng Tháp's report of 2021.
{kept}Stop it with Ctrl-C.

  the API, to read and try    {url}/docs

The province's totals:
  curl '{url}/v1/totals?form=ngay-30-7&period=2021-07&unit=87'

What the 756 broadcasts are made of:
  curl '{url}/v1/totals/contributions?form=ngay-30-7&period=2021-07&unit=87&indicator=TT.PT'

A correction by the district 866, which replaces its whole report; read the totals again after it:
  curl '{url}/v1/submissions' -H 'Content-Type: application/json' -H 'Prefer: wait=5' -d '{{"form":"ngay-30-7","period":"2021-07","unit":"866","figures":[{{"indicator":"TT.PT","value":100}}]}}'

"#
    )
}
