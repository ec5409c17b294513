//! Pages about the kinds of problem, in the reader's language.

use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse, get};
use tonghop_domain::{FieldError, FieldErrorKind, PathSegment};

use crate::openapi::problem_responses::{BadRequest, NotFound};
use crate::problem::body::Context;
use crate::problem::kind::ProblemKind;
use crate::problem::text::Language;
use crate::problem::{Missing, Problem};
use crate::service::guide::{field_errors, to_html};
use crate::service::html::{LanguageQuery, page, reader_language};

/// List the kinds of problem
///
/// A page for people: in the language of the query or of `Accept-Language`, otherwise in Vietnamese.
#[utoipa::path(
    tag = "service",
    params(LanguageQuery),
    responses(
        (status = 200, description = "A page about all kinds of problems", body = String, content_type = "text/html", headers(
            ("Content-Language" = String, description = "The language of the page: `en` or `vi`")
        )),
        BadRequest
    )
)]
#[get("/problems")]
pub(crate) async fn list_problems(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let language = reader_language(&request)?;
    let [heading, code, status, meaning] = match language {
        Language::En => ["Problems", "code", "status", "meaning"],
        Language::Vi => ["Các lỗi", "mã", "mã HTTP", "ý nghĩa"],
    };
    let tag = language.tag();
    let row = |kind: &ProblemKind| {
        let (slug, status, title) = (kind.slug(), kind.status().as_u16(), kind.title());
        let title = title.get(language);
        format!(
            "<tr><td><a href=\"/problems/{slug}?language={tag}\"><code>{slug}</code></a></td><td>{status}</td><td>{title}</td></tr>\n"
        )
    };
    let rows: String = ProblemKind::ALL.iter().map(row).collect();
    let table = format!(
        "<h1>{heading}</h1>\n<div class=\"table\"><table>\n\
         <thead><tr><th>{code}</th><th>{status}</th><th>{meaning}</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    );
    page(language, "/problems", &format!("{heading} – tonghop"), &table)
}

/// Read about a kind of problem
///
/// The page to which the `type` of a problem leads: what to do, and an example. It is in the language of the query or
/// of `Accept-Language`, otherwise in Vietnamese.
#[utoipa::path(
    tag = "service",
    params(("code" = String, Path, description = "The code of the kind of problem", example = "revision-conflict"), LanguageQuery),
    responses(
        (status = 200, description = "A page about this kind of problem", body = String, content_type = "text/html", headers(
            ("Content-Language" = String, description = "The language of the page: `en` or `vi`")
        )),
        BadRequest, NotFound
    )
)]
#[get("/problems/{code}")]
pub(crate) async fn get_problem(request: HttpRequest, code: Path<String>) -> Result<HttpResponse, Problem> {
    let language = reader_language(&request)?;
    let kind = ProblemKind::of_slug(&code).ok_or(Problem::NotFound(Missing::Problem))?;
    let title = format!("{} – tonghop", kind.title().get(language));
    let path = format!("/problems/{}", kind.slug());
    page(language, &path, &title, &describe(kind, language)?)
}

/// What a kind of problem means, as HTML.
fn describe(kind: ProblemKind, language: Language) -> Result<String, Problem> {
    let (title, help) = (kind.title(), kind.help());
    let (title, help) = (title.get(language), to_html(help.get(language)));
    let [remedy, example_heading, all] = match language {
        Language::En => ["What to do", "Example", "All problems"],
        Language::Vi => ["Cách xử lý", "Ví dụ", "Tất cả các lỗi"],
    };
    let (tag, slug, status) = (language.tag(), kind.slug(), kind.status().as_u16());
    let example = example(kind, language)?;
    let fields = match kind {
        ProblemKind::InvalidSubmission | ProblemKind::InvalidKeyRequest => field_errors(language),
        _ => String::new(),
    };
    Ok(format!(
        "<h1>{title}</h1>\n<p><code>{slug}</code>, HTTP {status}</p>\n<h2>{remedy}</h2>\n{help}\
         <h2>{example_heading}</h2>\n<pre><code>{example}</code></pre>\n{fields}\
         <p><a href=\"/problems?language={tag}\">{all}</a></p>\n"
    ))
}

/// A problem of this kind, as HTML.
fn example(kind: ProblemKind, language: Language) -> Result<String, Problem> {
    let instance = match kind {
        ProblemKind::InvalidKeyRequest | ProblemKind::TooManyKeys => "/v1/keys",
        _ => "/v1/submissions",
    };
    let context = Context {
        request_id: "019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11".to_owned(),
        language,
        instance: instance.to_owned(),
    };
    let path = ["figures".into(), "0".into(), "value".into()].map(PathSegment::Field);
    let body = match kind {
        ProblemKind::InvalidSubmission => context.body(&Problem::InvalidSubmission(vec![FieldError {
            path: path.into(),
            kind: FieldErrorKind::BelowMinimum(0),
        }])),
        _ => context.example(kind),
    };
    let text = serde_json::to_string_pretty(&body).map_err(|error| Problem::Internal(error.to_string()))?;
    Ok(text.replace('&', "&amp;").replace('<', "&lt;"))
}
