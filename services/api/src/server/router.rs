//! The routes, the OpenAPI document made from them, and what happens where no route is.

use actix_web::web::{Data, to};
use actix_web::{App, HttpRequest, HttpResponse};
use utoipa::openapi::OpenApi;
use utoipa_actix_web::AppExt;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::catalogue::{forms, indicators, units};
use crate::openapi::operations::Operations;
use crate::openapi::{complete, frame};
use crate::problem::{Missing, Problem};
use crate::service::{docs, health, problems};
use crate::submissions::{batch, create, list, read, revisions, withdraw};
use crate::totals;
use crate::totals::{completeness, contributions, verification};
use crate::{changes, keys};

/// Every documented route. A fixed path comes before one with a variable in its place.
pub(crate) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(batch::create_submission_batch)
        .service(batch::create_submission_lines)
        .route("/v1/submissions/batch", to(fallback))
        .route("/v1/submissions/batch.ndjson", to(fallback))
        .service(create::create_submission)
        .service(list::list_submissions)
        .service(read::get_submission)
        .service(withdraw::withdraw_submission)
        .service(revisions::list_revisions)
        .service(revisions::get_revision)
        .service(totals::read::get_total)
        .service(totals::read::get_total_csv)
        .service(contributions::list_contributions)
        .service(completeness::list_completeness)
        .service(verification::get_verification)
        .service(changes::list::list_changes)
        .service(changes::stream::stream_changes)
        .service(units::list_units)
        .service(indicators::list_indicators)
        .service(forms::list_forms)
        .service(forms::get_form)
        .service(keys::create::create_key)
        .service(keys::list::list_keys)
        .service(keys::me::get_me)
        .service(keys::read::get_key)
        .service(keys::revoke::revoke_key)
        .service(health::get_liveness)
        .service(health::get_readiness)
        .service(docs::get_openapi)
        .service(docs::get_openapi_3_0)
        .service(problems::list_problems)
        .service(problems::get_problem);
}

/// The OpenAPI document of the routes.
pub fn openapi() -> OpenApi {
    let app = App::new().into_utoipa_app().openapi(frame());
    let (_, mut document) = app.configure(routes).split_for_parts();
    complete(&mut document);
    document
}

/// The OpenAPI document as it is served and checked in: indented, with a line end after it.
pub fn openapi_json() -> String {
    let mut text = openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// Responds if no route matches: the path has other methods, or does not exist.
pub(crate) async fn fallback(
    request: HttpRequest,
    operations: Data<Operations>,
) -> Result<HttpResponse, Problem> {
    let allow = operations.methods(request.path()).join(", ");
    if allow.is_empty() {
        Err(Problem::NotFound(Missing::Path))
    } else {
        Err(Problem::MethodNotAllowed { allow })
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::Method;

    use super::*;

    #[test]
    fn a_path_lists_its_methods() {
        let operations = Operations::of(&openapi());
        assert_eq!(operations.methods("/v1/submissions"), ["GET", "HEAD", "POST"]);
        assert_eq!(operations.methods("/v1/submissions/x"), ["GET", "HEAD", "DELETE"]);
        assert_eq!(operations.methods("/v1/submissions/batch"), ["POST"]);
        assert_eq!(operations.methods("/v1/submissions/"), [""; 0]);
        let operation = |method, path| operations.id(&method, path);
        assert_eq!(
            operation(Method::POST, "/v1/submissions/batch").as_deref(),
            Some("create_submission_batch")
        );
        assert_eq!(
            operation(Method::DELETE, "/v1/submissions/x").as_deref(),
            Some("withdraw_submission")
        );
        assert_eq!(operation(Method::PUT, "/v1/submissions"), None);
    }

    #[test]
    fn openapi_json_is_current() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi/openapi.json");
        let checked_in = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            checked_in == openapi_json(),
            "openapi/openapi.json is outdated; regenerate it with just openapi"
        );
    }
}
