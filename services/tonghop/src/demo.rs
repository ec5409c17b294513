//! `tonghop demo`: the service with the submissions behind the source report.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::oneshot;
use tonghop_access::Token;
use tonghop_domain::{
    Change, Content, Figure, KeyId, Origin, Precondition, Reported, Role, SubmissionId, SubmissionKey,
};
use tonghop_process::{Failure, Settings};
use tonghop_storage::{NewKey, Store, Write};
use uuid::Uuid;

use crate::arguments::ServeOptions;
use crate::http_client::ServiceClient;
use crate::keys::unit_of_key;
use crate::output::print;
use crate::serve::serve;

/// The fourteen submissions. The source report gives only the province's totals, so their split is invented, as they say.
const SUBMISSIONS: &str = include_str!("../demo/submissions.ndjson");

/// The submission whose id the examples of the OpenAPI document have. It has a first revision before the demonstration sends
/// its report, which corrects it.
const EXAMPLE_SUBMISSION: SubmissionId =
    SubmissionId(Uuid::from_u128(0x019a_1f6e_7d10_7c31_9f4f_0f6a_3b0f_8f11));
const EXAMPLE_UNIT: &str = "877";
/// The key whose id the examples of the OpenAPI document have. Nobody has its token.
const EXAMPLE_KEY: &str = "8kQ2vY1c";

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
        let create = async |role, unit| create_key(store, Token::generate(), role, unit).await;
        Ok(Self {
            district: create(Role::Submitter, Some("866")).await?,
            province: create(Role::Reader, Some("87")).await?,
            admin: create(Role::Admin, None).await?,
        })
    }
}

async fn create_key(store: &Store, token: Token, role: Role, unit: Option<&str>) -> Result<Token, Failure> {
    let unit = unit.map(str::parse).transpose().map_err(Failure::runtime)?;
    let new = NewKey {
        role,
        unit: unit_of_key(store.catalogue(), unit.as_ref(), None, Utc::now())?,
        within: Vec::new(),
        label: "of the demonstration".into(),
        expires_at: None,
    };
    store
        .create_key(token.id(), token.digest(), new, Origin::OPERATOR)
        .await?;
    Ok(token)
}

/// Creates what the examples of the OpenAPI document name, unless an earlier demonstration has created it.
async fn create_examples(store: &Store) -> Result<(), Failure> {
    let id: KeyId = EXAMPLE_KEY.parse().map_err(Failure::runtime)?;
    if store.keys().await?.iter().all(|(key, _)| key.id != id) {
        create_key(store, Token::generate_for(&id), Role::Submitter, Some("866")).await?;
    }
    let period = "2021-07".parse().map_err(Failure::runtime)?;
    let scope = store.catalogue().scope("ngay-30-7", period);
    let place = scope
        .as_ref()
        .and_then(|scope| Some((scope.form.code.clone(), scope.tree.get(EXAMPLE_UNIT)?.id())));
    let Some((form, unit)) = place else {
        return Ok(());
    };
    let figure = Figure {
        indicator: "TT.PT".parse().map_err(Failure::runtime)?,
        reported: Reported::Value(50),
        cells: Vec::new(),
    };
    let write = Write {
        new_id: EXAMPLE_SUBMISSION,
        key: SubmissionKey { form, period, unit },
        change: Change::Report(Arc::new(Content {
            figures: vec![figure],
            note: None,
        })),
        condition: Precondition::Absent,
        idempotency: None,
        origin: Origin::OPERATOR,
        action: "create_submission".into(),
    };
    store.record(write).await?;
    Ok(())
}

/// Creates keys, sends the submissions, and waits until the totals include them.
async fn fill(url: &str, store: &Store) -> Result<DemoKeys, Failure> {
    let client = ServiceClient::local(url)?;
    client.wait_until_ready().await?;
    let keys = DemoKeys::create(store).await?;
    create_examples(store).await?;
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

  the guide                   {url}/guide
  the API, to read and try    {url}/docs

Every request needs a key, which covers one unit and all units below it. This demonstration created three: for the
district 866 to report, for the province 87 to read, and for an administrator to do everything. Copy these lines:
  export TONGHOP={url}
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
