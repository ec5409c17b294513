//! Pages for people, and the OpenAPI document.

use actix_web::dev::HttpServiceFactory;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use actix_web::middleware::DefaultHeaders;
use actix_web::web::{Bytes, Data, Path, scope};
use actix_web::{HttpRequest, HttpResponse, get};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::code::Code;
use crate::document::{BadRequest, NotFound};
use crate::header::JSON;
use crate::problem::{Missing, Problem};
use crate::query::Query;
use crate::words::Language;

/// The bytes of the OpenAPI document.
#[derive(Clone, Debug)]
pub(crate) struct Document(pub(crate) Bytes);

/// Nothing is loaded from elsewhere, and only the service itself is asked.
const DOCS_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; object-src 'none'; frame-ancestors 'none'";

/// Nothing is loaded at all; the styles of the pages stand in them.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const INDEX: &str = r#"<p>tonghop takes the reports of district offices and answers what they add up to.</p>
<p lang="vi">tonghop nhận báo cáo của các đơn vị cấp huyện và cho biết số liệu tổng hợp.</p>
<ul>
<li><a href="/docs/">The API, to read and to try</a> (<a href="/openapi.json">openapi.json</a>)</li>
<li><code>/v1/forms</code>, <code>/v1/indicators</code>, <code>/v1/units</code>: what is reported by whom; with a key</li>
<li><a href="/problems">What problems mean</a></li>
<li><a href="/readyz">Whether the service works</a></li>
</ul>"#;

/// The page at the root of the service.
pub(crate) async fn get_index() -> HttpResponse {
    page("tonghop", INDEX)
}

/// From the address without a slash to the one with it, against which the page's own addresses are meant.
pub(crate) async fn redirect_docs() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header((LOCATION, "/docs/"))
        .finish()
}

/// The interactive page about the API. All its files come from this service.
pub(crate) fn docs() -> impl HttpServiceFactory {
    let config = Config::from("/openapi.json")
        .validator_url("none")
        .use_base_layout();
    let policy = DefaultHeaders::new().add((CONTENT_SECURITY_POLICY, DOCS_POLICY));
    scope("/docs")
        .wrap(policy)
        .service(SwaggerUi::new("/{_:.*}").config(config))
}

/// Read this document
///
/// The OpenAPI document of the service.
#[utoipa::path(tag = "service", responses((status = 200, description = "The document", body = Object), BadRequest))]
#[get("/openapi.json")]
pub(crate) async fn get_openapi(
    request: HttpRequest,
    document: Data<Document>,
) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, JSON))
        .insert_header((CACHE_CONTROL, "no-cache"));
    Ok(response.body(document.0.clone()))
}

/// List the kinds of problem
///
/// A page for people, in English and Vietnamese.
#[utoipa::path(
    tag = "service",
    responses((status = 200, description = "The page", body = String, content_type = "text/html"), BadRequest)
)]
#[get("/problems")]
pub(crate) async fn list_problems(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    let entry = |code: &Code| {
        let (slug, status) = (code.slug(), code.status().as_u16());
        let (en, vi) = (code.title(), code.title());
        let (en, vi) = (en.get(Language::En), vi.get(Language::Vi));
        format!(
            "<li><a href=\"/problems/{slug}\">{slug}</a> ({status}): {en} <span lang=\"vi\">({vi})</span></li>\n"
        )
    };
    let entries: String = Code::ALL.iter().map(entry).collect();
    Ok(page(
        "Problems",
        &format!("<h1>Problems</h1>\n<ul>\n{entries}</ul>"),
    ))
}

/// Read about a kind of problem
///
/// The page to which the `type` of a problem leads, in English and Vietnamese.
#[utoipa::path(
    tag = "service",
    params(("code" = String, Path, description = "The problem's code", example = "revision-conflict")),
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        BadRequest, NotFound
    )
)]
#[get("/problems/{code}")]
pub(crate) async fn get_problem(request: HttpRequest, code: Path<String>) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    let code = Code::of_slug(&code).ok_or(Problem::NotFound(Missing::Problem))?;
    let (title, help, status) = (code.title(), code.help(), code.status().as_u16());
    let part = |language: Language| {
        let (tag, title, help) = (language.tag(), title.get(language), help.get(language));
        format!("<section lang=\"{tag}\">\n<h1>{title}</h1>\n<p>{help}</p>\n</section>\n")
    };
    let (en, vi) = (part(Language::En), part(Language::Vi));
    let rest = format!(
        "<p><code>{}</code>, HTTP {status}. <a href=\"/problems\">All problems</a></p>",
        code.slug()
    );
    Ok(page(title.get(Language::En), &format!("{en}{vi}{rest}")))
}

fn page(title: &str, body: &str) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, "text/html; charset=utf-8"));
    response.insert_header((CONTENT_SECURITY_POLICY, POLICY));
    response.body(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>body {{ font: 1.1em/1.5 sans-serif; max-width: 45em; margin: 2em auto; padding: 0 1em }}</style>\n\
         </head>\n<body>\n{body}\n</body>\n</html>\n"
    ))
}
