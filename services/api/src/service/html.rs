//! Pages for people: their frame, their style, and the language of their reader.

use std::sync::LazyLock;

use actix_web::http::header::{CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY};
use actix_web::{HttpRequest, HttpResponse};

use crate::problem::Problem;
use crate::problem::text::Language;
use crate::request::names::{NamesLanguage, read_language};
use crate::request::parameters::query_parameters;
use crate::request::query::Query;
use crate::service::static_file::{Lifetime, StaticFile};

/// The pages load their style, and nothing else.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; object-src 'none'; form-action 'none'; frame-ancestors 'none'";

static STYLE: LazyLock<Result<StaticFile, String>> = LazyLock::new(|| {
    let text = include_str!("html/page.css");
    let file = StaticFile::new("text/css; charset=utf-8", text.as_bytes(), Lifetime::Forever);
    file.map_err(|error| error.to_string())
});

query_parameters! {
    /// The query parameter that selects the language of a page.
    pub(crate) struct LanguageQuery {
        /// The language of the page; without it, the one that `Accept-Language` prefers
        #[param(value_type = Option<NamesLanguage>, inline)]
        language: Option<Language> = read_language,
    }
}

/// The style of all pages, and its path below `/guide/`, which names its content.
pub(crate) fn style() -> Result<(String, StaticFile), Problem> {
    let file = STYLE.as_ref().map_err(|error| Problem::Internal(error.clone()))?;
    Ok((format!("{}/page.css", file.digest()), file.clone()))
}

/// The language in which the reader wants a page; the query has nothing else.
pub(crate) fn reader_language(request: &HttpRequest) -> Result<Language, Problem> {
    let mut query = Query::of(request);
    let LanguageQuery { language } = LanguageQuery::read(&mut query);
    query.finish()?;
    Ok(language.unwrap_or_else(|| Language::of_reader(request.headers())))
}

/// A page whose language depends on the request. The other language is at the same path.
pub(crate) fn page(
    language: Language,
    path: &str,
    title: &str,
    content: &str,
) -> Result<HttpResponse, Problem> {
    let other = other_language(language).tag();
    let content = format!("<div class=\"single\">\n<main id=\"text\">\n{content}</main>\n</div>\n");
    let body = frame(language, title, &format!("{path}?language={other}"), &content)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_LANGUAGE, language.tag()))
        .insert_header((VARY, "Accept-Language"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .body(body))
}

/// The HTML of a page: links to the pages of the service and to the same page in the other language, and the content.
pub(crate) fn frame(
    language: Language,
    title: &str,
    in_other_language: &str,
    content: &str,
) -> Result<String, Problem> {
    let (style, _) = style()?;
    let (tag, other) = (language.tag(), other_language(language).tag());
    let [skip, guide, documentation, problems, others_name] = match language {
        Language::En => [
            "Skip to the text",
            "Guide",
            "API reference",
            "Problems",
            "Tiếng Việt",
        ],
        Language::Vi => ["Đến nội dung", "Hướng dẫn", "Tài liệu API", "Các lỗi", "English"],
    };
    Ok(format!(
        "<!doctype html>\n<html lang=\"{tag}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"/guide/{style}\">\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#text\">{skip}</a>\n<header>\n<a href=\"/?language={tag}\">tonghop</a>\n\
         <a href=\"/guide/{tag}/\">{guide}</a>\n<a href=\"/docs/\">{documentation}</a>\n\
         <a href=\"/problems?language={tag}\">{problems}</a>\n\
         <a href=\"{in_other_language}\" lang=\"{other}\" hreflang=\"{other}\">{others_name}</a>\n</header>\n\
         {content}</body>\n</html>\n"
    ))
}

fn other_language(language: Language) -> Language {
    match language {
        Language::En => Language::Vi,
        Language::Vi => Language::En,
    }
}
