//! The guide for integrators, in Vietnamese and English: the pages and programs of `docs/guide`.

use std::collections::HashMap;
use std::sync::LazyLock;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, HeaderValue, LOCATION, VARY,
};
use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use crate::problem::text::Language;
use crate::problem::{Missing, Problem};
use crate::service::html::{POLICY, frame, style};
use crate::service::static_file::{Lifetime, StaticFile};

const HTML: &str = "text/html; charset=utf-8";
const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

macro_rules! guide_file {
    ($path:expr) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/", $path))
    };
}

macro_rules! pages {
    ($($name:literal),+ $(,)?) => {
        [$(Source {
            name: $name,
            en: guide_file!(concat!("en/", $name, ".md")),
            vi: guide_file!(concat!("vi/", $name, ".md")),
        }),+]
    };
}

macro_rules! programs {
    ($($path:literal),+ $(,)?) => {
        [$(($path, guide_file!($path))),+]
    };
}

/// A page in Markdown.
struct Source {
    name: &'static str,
    en: &'static str,
    vi: &'static str,
}

/// The pages, in the order in which they are read.
const PAGES: [Source; 13] = pages![
    "index",
    "first-report",
    "codes",
    "figures",
    "corrections",
    "batches",
    "totals",
    "staying-in-sync",
    "errors",
    "limits",
    "events",
    "proxies",
    "programs",
];

/// The programs to which the pages lead.
const PROGRAMS: [(&str, &str); 7] = programs![
    "programs/curl/story.sh",
    "programs/python/story.py",
    "programs/java/Story.java",
    "programs/csharp/Program.cs",
    "programs/csharp/story.csproj",
    "programs/php/story.php",
    "programs/node/story.mjs",
];

/// The pages and programs by their paths below `/guide/`.
static FILES: LazyLock<Result<HashMap<String, StaticFile>, String>> =
    LazyLock::new(|| files().map_err(|problem| format!("{problem:?}")));

/// Leads to the first page in the reader's language.
pub(crate) async fn redirect_guide(request: HttpRequest) -> HttpResponse {
    let language = Language::of_reader(request.headers());
    HttpResponse::TemporaryRedirect()
        .insert_header((LOCATION, format!("/guide/{}/", language.tag())))
        .insert_header((VARY, "Accept-Language"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .finish()
}

/// A page, or a program.
pub(crate) async fn get_guide(request: HttpRequest, path: Path<String>) -> Result<HttpResponse, Problem> {
    if path.is_empty() {
        return Ok(redirect_guide(request).await);
    }
    if matches!(path.as_str(), "en" | "vi") {
        return Ok(HttpResponse::PermanentRedirect()
            .insert_header((LOCATION, format!("/guide/{path}/")))
            .insert_header((CACHE_CONTROL, "no-cache"))
            .finish());
    }
    let files = FILES.as_ref().map_err(|error| Problem::Internal(error.clone()))?;
    let file = files.get(path.as_str()).ok_or(Problem::NotFound(Missing::Path))?;
    let mut response = file.response(&request)?;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    let language = [Language::En, Language::Vi]
        .into_iter()
        .find(|language| path.split('/').next() == Some(language.tag()));
    if let Some(language) = language {
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
    }
    Ok(response)
}

fn files() -> Result<HashMap<String, StaticFile>, Problem> {
    let file = |content_type, text: &str| {
        let file = StaticFile::new(content_type, text.as_bytes(), Lifetime::UntilChanged);
        file.map_err(|error| Problem::Internal(error.to_string()))
    };
    let mut files = HashMap::from([style()?]);
    for language in [Language::En, Language::Vi] {
        for page in &PAGES {
            let path = format!("{}/{}", language.tag(), page.address());
            files.insert(path, file(HTML, &render(page, language)?)?);
        }
    }
    for (path, text) in PROGRAMS {
        files.insert(path.to_owned(), file(PLAIN_TEXT, text)?);
    }
    Ok(files)
}

impl Source {
    /// The last part of its path, which is empty for the first page.
    fn address(&self) -> &'static str {
        match self.name {
            "index" => "",
            name => name,
        }
    }

    fn text(&self, language: Language) -> &'static str {
        match language {
            Language::En => self.en,
            Language::Vi => self.vi,
        }
    }

    /// The heading of the page.
    fn title(&self, language: Language) -> &'static str {
        let first = self.text(language).lines().next().unwrap_or_default();
        first.trim_start_matches("# ")
    }
}

fn render(page: &Source, language: Language) -> Result<String, Problem> {
    let (other, pages) = match language {
        Language::En => (Language::Vi, "Pages of the guide"),
        Language::Vi => (Language::En, "Các trang hướng dẫn"),
    };
    let entries: String = PAGES.iter().map(|other| entry(other, page, language)).collect();
    let text = to_html(page.text(language));
    let content = format!(
        "<div class=\"columns\">\n<nav aria-label=\"{pages}\">\n<ol>\n{entries}</ol>\n</nav>\n\
         <main id=\"text\">\n{text}</main>\n</div>\n"
    );
    let title = format!("{} – tonghop", page.title(language));
    let in_other_language = format!("/guide/{}/{}", other.tag(), page.address());
    frame(language, &title, &in_other_language, &content)
}

/// The table of the codes of field errors.
pub(crate) fn field_errors(language: Language) -> String {
    let errors = PAGES.iter().find(|page| page.name == "errors");
    let text = errors.map_or("", |page| page.text(language));
    let (_, section) = text.rsplit_once("\n## ").unwrap_or_default();
    to_html(&format!("## {section}"))
}

/// The line of a page in the list of pages.
fn entry(page: &Source, current: &Source, language: Language) -> String {
    let current = match page.name == current.name {
        true => " aria-current=\"page\"",
        false => "",
    };
    let (tag, address, title) = (language.tag(), page.address(), page.title(language));
    format!("<li><a href=\"/guide/{tag}/{address}\"{current}>{title}</a></li>\n")
}

/// The HTML of a page in Markdown. Its links lead to pages of the service, and each heading has an address.
pub(crate) fn to_html(markdown: &str) -> String {
    let mut events: Vec<Event<'_>> = Parser::new_ext(markdown, Options::ENABLE_TABLES).collect();
    for at in 0..events.len() {
        let address = match &events[at] {
            Event::Start(Tag::Heading { .. }) => heading_address(&events[at + 1..]),
            _ => String::new(),
        };
        match &mut events[at] {
            Event::Start(Tag::Heading { id, .. }) => *id = Some(CowStr::from(address)),
            Event::Start(Tag::Link { dest_url, .. }) => *dest_url = CowStr::from(served_path(dest_url)),
            _ => {}
        }
    }
    let mut text = String::new();
    html::push_html(&mut text, events.into_iter());
    // A wide table scrolls on its own.
    text.replace("<table>", "<div class=\"table\"><table>")
        .replace("</table>", "</table></div>")
}

/// The words of a heading, with hyphens between them.
fn heading_address(following: &[Event<'_>]) -> String {
    let parts = following
        .iter()
        .take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
    let words: String = parts
        .filter_map(|event| match event {
            Event::Text(text) | Event::Code(text) => Some(text.as_ref()),
            _ => None,
        })
        .collect();
    let words = words.to_lowercase();
    let words = words.split(|char: char| !char.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

/// The path of what a link leads to in `docs/guide`.
fn served_path(link: &str) -> String {
    let path = link.strip_suffix("index.md").or_else(|| link.strip_suffix(".md"));
    match path {
        Some("") => "./".to_owned(),
        Some(path) => path.to_owned(),
        None => link.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_of_the_guide_leads_to_a_file_or_a_page() {
        let files = files().unwrap();
        assert_eq!(files.len(), 2 * PAGES.len() + PROGRAMS.len() + 1);
        let mut links = 0;
        for language in [Language::En, Language::Vi] {
            for page in &PAGES {
                let html = render(page, language).unwrap();
                for link in html.split("href=\"").skip(1) {
                    let link = link.split('"').next().unwrap();
                    let path = match link {
                        "/docs/" | "#text" => continue,
                        link if link.starts_with("/?") || link.starts_with("/problems?") => continue,
                        link if link.starts_with("https://") => continue,
                        "./" => format!("{}/", language.tag()),
                        link if link.starts_with("/guide/") => link["/guide/".len()..].to_owned(),
                        link => match link.strip_prefix("../") {
                            Some(path) => path.to_owned(),
                            None => format!("{}/{link}", language.tag()),
                        },
                    };
                    assert!(files.contains_key(&path), "{} leads to {link}", page.name);
                    links += 1;
                }
            }
        }
        assert!(links > 2 * PAGES.len() * PAGES.len());
    }

    #[test]
    fn the_last_section_about_errors_has_the_codes_of_field_errors() {
        for language in [Language::En, Language::Vi] {
            let table = field_errors(language);
            assert!(table.contains("<td><code>below-minimum</code></td>"), "{table}");
            assert!(!table.contains("<code>invalid-json</code>"), "{table}");
        }
    }

    #[test]
    fn headings_have_addresses_and_tables_scroll() {
        let html = to_html("# A `b`, c\n\n| d |\n| --- |\n| e |\n");
        assert!(html.contains("<h1 id=\"a-b-c\">"), "{html}");
        assert!(html.contains("<div class=\"table\"><table>"), "{html}");
    }
}
