//! Pages about the kinds of problem.

use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse, get};

use crate::openapi::problem_responses::{BadRequest, NotFound};
use crate::problem::kind::ProblemKind;
use crate::problem::text::Language;
use crate::problem::{Missing, Problem};
use crate::request::query::Query;
use crate::service::html::page;

/// List the kinds of problem
///
/// A page for people, in English and Vietnamese.
#[utoipa::path(
    tag = "service",
    responses((status = 200, description = "A page about all kinds of problems", body = String, content_type = "text/html"), BadRequest)
)]
#[get("/problems")]
pub(crate) async fn list_problems(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    let entry = |code: &ProblemKind| {
        let (slug, status) = (code.slug(), code.status().as_u16());
        let (en, vi) = (code.title(), code.title());
        let (en, vi) = (en.get(Language::En), vi.get(Language::Vi));
        format!(
            "<li><a href=\"/problems/{slug}\">{slug}</a> ({status}): {en} <span lang=\"vi\">({vi})</span></li>\n"
        )
    };
    let entries: String = ProblemKind::ALL.iter().map(entry).collect();
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
    params(("code" = String, Path, description = "The code of the kind of problem", example = "revision-conflict")),
    responses(
        (status = 200, description = "A page about this kind of problem", body = String, content_type = "text/html"),
        BadRequest, NotFound
    )
)]
#[get("/problems/{code}")]
pub(crate) async fn get_problem(request: HttpRequest, code: Path<String>) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    let code = ProblemKind::of_slug(&code).ok_or(Problem::NotFound(Missing::Problem))?;
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
