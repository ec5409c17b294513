//! `tonghop demo`: the service with the story of the source report in it.

use std::time::Duration;

use chrono::Utc;
use tokio::sync::oneshot;
use tonghop_access::Token;
use tonghop_domain::{Origin, Role};
use tonghop_storage::{NewKey, Store};

use crate::arguments::{ServeOptions, Settings};
use crate::client::LocalClient;
use crate::failure::{Failure, failed, print};
use crate::keys::unit_called;
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
    let scheme = if options.front.is_tls() { "https" } else { "http" };
    let url = format!("{scheme}://{}", options.listen);
    let (served, ()) = tokio::join!(serve(&settings, options, Some(started)), async {
        // Without a store the service did not start, and says why itself.
        let Ok(store) = ready.await else { return };
        match fill(&url, &store).await {
            Ok(keys) => print(&welcome(&url, &keys, thrown_away)),
            Err(failure) => tracing::error!("the demonstration could not be filled: {}", failure.sentence),
        }
    });
    served
}

/// The keys of the demonstration.
struct DemoKeys {
    district: Token,
    province: Token,
    admin: Token,
}

impl DemoKeys {
    async fn create(store: &Store) -> Result<Self, Failure> {
        let create = async |role, unit: Option<&str>| {
            let unit = unit.map(str::parse).transpose().map_err(failed)?;
            let new = NewKey {
                role,
                unit: unit_called(store, unit.as_ref(), Utc::now().date_naive())?,
                label: "of the demonstration".into(),
                expires_at: None,
            };
            let token = Token::generate();
            store
                .create_key(token.id(), token.digest(), new, Origin::OPERATOR)
                .await
                .map_err(failed)?;
            Ok::<_, Failure>(token)
        };
        Ok(Self {
            district: create(Role::Submitter, Some("866")).await?,
            province: create(Role::Reader, Some("87")).await?,
            admin: create(Role::Admin, None).await?,
        })
    }
}

async fn fill(url: &str, store: &Store) -> Result<DemoKeys, Failure> {
    let client = LocalClient::new()?;
    client.wait_until_ready(url).await?;
    let keys = DemoKeys::create(store).await?;
    client
        .submit_lines(url, &keys.admin, SUBMISSIONS.to_owned())
        .await?;
    let mut looks = tokio::time::interval(Duration::from_millis(50));
    while store.pending().await.map_err(failed)? > 0 {
        looks.tick().await;
    }
    Ok(keys)
}

fn welcome(url: &str, keys: &DemoKeys, thrown_away: bool) -> String {
    let DemoKeys {
        district,
        province,
        admin,
    } = keys;
    let (district, province, admin) = (district.reveal(), province.reveal(), admin.reveal());
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

Who calls has a key, which acts on one unit and all below it. Here the district 866 has one to report, the province 87
one to read, and an administrator one for everything:
  export DISTRICT_KEY={district}
  export PROVINCE_KEY={province}
  export ADMIN_KEY={admin}

The province reads its totals:
  curl -H 'Authorization: Bearer {province}' '{url}/v1/totals?form=ngay-30-7&period=2021-07&unit=87'

What the 756 broadcasts are made of:
  curl -H 'Authorization: Bearer {province}' '{url}/v1/totals/contributions?form=ngay-30-7&period=2021-07&unit=87&indicator=TT.PT'

The district corrects its report, which replaces the whole of it; read the totals again after it:
  curl -H 'Authorization: Bearer {district}' '{url}/v1/submissions' -H 'Content-Type: application/json' -H 'Prefer: wait=5' -d '{{"form":"ngay-30-7","period":"2021-07","unit":"866","figures":[{{"indicator":"TT.PT","value":100}}]}}'

"#
    )
}
