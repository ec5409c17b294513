//! `tonghop demo`: the service with the submissions behind the source report.

use std::time::Duration;

use chrono::Utc;
use tokio::sync::oneshot;
use tonghop_access::Token;
use tonghop_domain::{Origin, Role};
use tonghop_process::{Failure, Settings};
use tonghop_storage::{NewKey, Store};

use crate::arguments::ServeOptions;
use crate::http_client::ServiceClient;
use crate::keys::unit_of_key;
use crate::output::print;
use crate::serve::serve;

/// The fourteen submissions. The source report gives only the province's totals, so their split is invented, as they say.
const SUBMISSIONS: &str = include_str!("../demo/submissions.ndjson");

/// Serves from the configured database, or else from a new one in a temporary folder, and sends the fourteen submissions.
pub(crate) async fn demo(settings: &Settings, options: &ServeOptions) -> Result<(), Failure> {
    let folder = tempfile::tempdir().map_err(Failure::runtime)?;
    let is_temporary = !settings.has_database();
    let settings = if is_temporary {
        settings.with_database(format!("sqlite:{}", folder.path().join("demo.db").display()))
    } else {
        settings.clone()
    };
    let (started, ready) = oneshot::channel();
    let url = options.server.url();
    let filling = async {
        // Without a store the service did not start, and reports the reason itself.
        if let Ok(store) = ready.await {
            match fill(&url, &store).await {
                Ok(keys) => print(&welcome(&url, &keys, is_temporary)),
                Err(failure) => tracing::error!(%failure, "cannot load the demonstration's submissions"),
            }
        }
        std::future::pending().await
    };
    // The service may be stopped while it is filled.
    tokio::select! {
        served = serve(&settings, options, Some(started)) => served,
        never = filling => never,
    }
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
            let unit = unit.map(str::parse).transpose().map_err(Failure::runtime)?;
            let new = NewKey {
                role,
                unit: unit_of_key(store.catalogue(), unit.as_ref(), None, Utc::now())?,
                within: Vec::new(),
                label: "of the demonstration".into(),
                expires_at: None,
            };
            let token = Token::generate();
            store
                .create_key(token.id(), token.digest(), new, Origin::OPERATOR)
                .await?;
            Ok::<_, Failure>(token)
        };
        Ok(Self {
            district: create(Role::Submitter, Some("866")).await?,
            province: create(Role::Reader, Some("87")).await?,
            admin: create(Role::Admin, None).await?,
        })
    }
}

/// Creates keys, sends the submissions, and waits until the totals include them.
async fn fill(url: &str, store: &Store) -> Result<DemoKeys, Failure> {
    let client = ServiceClient::local(url)?;
    client.wait_until_ready().await?;
    let keys = DemoKeys::create(store).await?;
    client.submit_batch(&keys.admin, SUBMISSIONS.into()).await?;
    let mut polls = tokio::time::interval(Duration::from_millis(50));
    while store.pending().await? > 0 {
        polls.tick().await;
    }
    Ok(keys)
}

fn welcome(url: &str, keys: &DemoKeys, is_temporary: bool) -> String {
    let DemoKeys {
        district,
        province,
        admin,
    } = keys;
    let (district, province, admin) = (district.reveal(), province.reveal(), admin.reveal());
    let lifetime = if is_temporary {
        "Its data is deleted when it stops. "
    } else {
        ""
    };
    format!(
        r#"
tonghop is running with 14 illustrative submissions, whose totals are those of Đồng Tháp's report of 2021.
{lifetime}Stop it with Ctrl-C.

  the API, to read and try    {url}/docs

Every request needs a key, which covers one unit and all units below it. This demonstration created three: for the
district 866 to report, for the province 87 to read, and for an administrator to do everything:
  export DISTRICT_KEY={district}
  export PROVINCE_KEY={province}
  export ADMIN_KEY={admin}

Read the totals of the province:
  curl -H 'Authorization: Bearer {province}' '{url}/v1/totals?form=ngay-30-7&period=2021-07&unit=87'

See which submissions make up the 756 broadcasts:
  curl -H 'Authorization: Bearer {province}' '{url}/v1/totals/contributions?form=ngay-30-7&period=2021-07&unit=87&indicator=TT.PT'

Correct the report of the district, which replaces all of it; then read the totals again:
  curl -H 'Authorization: Bearer {district}' '{url}/v1/submissions' -H 'Content-Type: application/json' -H 'Prefer: wait=5' -d '{{"form":"ngay-30-7","period":"2021-07","unit":"866","figures":[{{"indicator":"TT.PT","value":100}}]}}'

"#
    )
}
