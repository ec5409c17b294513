//! The routes, the document made from them, and what happens where no route is.

use std::sync::Arc;

use actix_web::dev::ResourceDef;
use actix_web::http::Method;
use actix_web::web::{Data, to};
use actix_web::{App, HttpRequest, HttpResponse};
use utoipa::openapi::OpenApi;
use utoipa_actix_web::AppExt;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::problem::{Missing, Problem};
use crate::{
    access_keys, batch, catalogue, contributions, coverage, document, forms, health, history, pages,
    submissions, totals, verification,
};

/// Every documented route. A fixed path stands before one with a variable in its place.
pub(crate) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(batch::create_submission_batch)
        .route("/v1/submissions/batch", to(no_route))
        .service(submissions::create_submission)
        .service(history::list_submissions)
        .service(history::get_submission)
        .service(submissions::withdraw_submission)
        .service(history::list_revisions)
        .service(history::get_revision)
        .service(totals::get_total)
        .service(contributions::list_contributions)
        .service(coverage::list_coverage)
        .service(verification::get_verification)
        .service(catalogue::list_units)
        .service(catalogue::list_indicators)
        .service(forms::list_forms)
        .service(forms::get_form)
        .service(access_keys::create_key)
        .service(access_keys::list_keys)
        .service(access_keys::revoke_key)
        .service(health::get_liveness)
        .service(health::get_readiness)
        .service(pages::get_openapi)
        .service(pages::list_problems)
        .service(pages::get_problem);
}

/// The OpenAPI document of the routes.
pub fn openapi() -> OpenApi {
    let app = App::new().into_utoipa_app().openapi(document::frame());
    let (_, mut document) = app.configure(routes).split_for_parts();
    document::complete(&mut document);
    document
}

/// The OpenAPI document as it is served and checked in: indented, with a line end after it.
pub fn openapi_json() -> String {
    let mut text = openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// The operations of a document: path, method and id.
pub(crate) fn operations(document: &OpenApi) -> impl Iterator<Item = (&str, Method, &str)> {
    document.paths.paths.iter().flat_map(|(path, item)| {
        let methods = [
            (&item.get, Method::GET),
            (&item.post, Method::POST),
            (&item.delete, Method::DELETE),
        ];
        methods.into_iter().filter_map(move |(operation, method)| {
            let id = operation.as_ref()?.operation_id.as_deref()?;
            Some((path.as_str(), method, id))
        })
    })
}

/// Which methods each path takes.
#[derive(Clone, Debug)]
pub(crate) struct Methods(Arc<Vec<(ResourceDef, Vec<Taken>)>>);

/// A method that a path takes, and what that is called.
#[derive(Clone, Debug)]
struct Taken {
    method: &'static str,
    operation: Option<String>,
}

impl Methods {
    /// Of the routes in a document, and of the pages that are not in it.
    pub(crate) fn of(document: &OpenApi) -> Self {
        let paths = document.paths.paths.iter().map(|(path, item)| {
            let methods = [
                (&item.get, "GET"),
                (&item.get, "HEAD"),
                (&item.post, "POST"),
                (&item.delete, "DELETE"),
            ];
            let taken = methods.into_iter().filter_map(|(operation, method)| {
                let operation = operation.as_ref()?.operation_id.clone();
                Some(Taken { method, operation })
            });
            (ResourceDef::new(path.as_str()), taken.collect())
        });
        let page = |method| Taken {
            method,
            operation: None,
        };
        let pages = ["/", "/docs", "/docs/{_:.*}"]
            .map(|path| (ResourceDef::new(path), vec![page("GET"), page("HEAD")]));
        Self(Arc::new(paths.chain(pages).collect()))
    }

    /// What a path takes: a fixed path what is said of it, any other what is said of the one with a variable.
    fn taken<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Taken> {
        let fixed = self.0.iter().find(|(pattern, _)| pattern.pattern() == Some(path));
        let matching = || self.0.iter().find(|(pattern, _)| pattern.is_match(path));
        fixed.or_else(matching).into_iter().flat_map(|(_, taken)| taken)
    }

    /// The methods that a path takes; none for a path that leads nowhere.
    fn of_path(&self, path: &str) -> Vec<&'static str> {
        self.taken(path).map(|taken| taken.method).collect()
    }

    /// The id of the operation that a method of a path is.
    pub(crate) fn operation(&self, method: &Method, path: &str) -> Option<String> {
        let mut taken = self.taken(path);
        taken
            .find(|taken| taken.method == method.as_str())?
            .operation
            .clone()
    }
}

/// What is answered where no route is: that the path takes other methods, or that it leads nowhere.
pub(crate) async fn no_route(request: HttpRequest, methods: Data<Methods>) -> Result<HttpResponse, Problem> {
    let allow = methods.of_path(request.path()).join(", ");
    if allow.is_empty() {
        Err(Problem::NotFound(Missing::Path))
    } else {
        Err(Problem::MethodNotAllowed { allow })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_which_methods_it_takes() {
        let methods = Methods::of(&openapi());
        assert_eq!(methods.of_path("/v1/submissions"), ["GET", "HEAD", "POST"]);
        assert_eq!(methods.of_path("/v1/submissions/x"), ["GET", "HEAD", "DELETE"]);
        assert_eq!(methods.of_path("/v1/submissions/batch"), ["POST"]);
        assert_eq!(methods.of_path("/v1/submissions/"), [""; 0]);
        let operation = |method, path| methods.operation(&method, path);
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
            "openapi/openapi.json is not what the routes say; renew it: cargo run -- export-openapi > openapi/openapi.json"
        );
    }
}
