//! The interactive page about the API. All its files come from this service.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION};
use actix_web::web::{Bytes, Path};
use actix_web::{HttpRequest, HttpResponse};
use utoipa_swagger_ui::{Config, serve};

use crate::problem::{Missing, Problem};
use crate::service::static_file::{Lifetime, StaticFile};

/// The page loads nothing from elsewhere, and sends requests only to the service itself.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; object-src 'none'; frame-ancestors 'none'";

const INDEX: &str = include_str!("docs_page/index.html");
const STYLE: &str = include_str!("docs_page/page.css");
const SCRIPT: &str = include_str!("docs_page/page.js");
const ICON: &str = include_str!("docs_page/icon.svg");

/// The files of Swagger UI that the page loads.
const SWAGGER_FILES: [(&str, &str); 2] = [
    ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("swagger-ui.css", "text/css; charset=utf-8"),
];

/// The page and its files, by their paths below `/docs/`.
static FILES: LazyLock<Result<HashMap<String, StaticFile>, String>> =
    LazyLock::new(|| files().map_err(|error| error.to_string()));

/// Redirects to the address with a slash, to which the links of the page are relative.
pub(crate) async fn redirect_docs() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header((LOCATION, "/docs/"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .finish()
}

/// The page, or one of its files.
pub(crate) async fn get_docs(request: HttpRequest, path: Path<String>) -> Result<HttpResponse, Problem> {
    let files = FILES.as_ref().map_err(|error| Problem::Internal(error.clone()))?;
    let file = files.get(path.as_str()).ok_or(Problem::NotFound(Missing::Path))?;
    let mut response = file.response(&request)?;
    let policy = actix_web::http::header::HeaderValue::from_static(POLICY);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

fn files() -> Result<HashMap<String, StaticFile>, Box<dyn std::error::Error>> {
    let own = [
        ("page.css", "text/css; charset=utf-8", STYLE),
        ("page.js", "text/javascript; charset=utf-8", SCRIPT),
        ("icon.svg", "image/svg+xml", ICON),
    ];
    let mut named = Vec::new();
    for (name, content_type, text) in own {
        named.push((
            name,
            StaticFile::new(content_type, text.as_bytes(), Lifetime::Forever)?,
        ));
    }
    let config = Arc::new(Config::from("/openapi.json"));
    for (name, content_type) in SWAGGER_FILES {
        let file = serve(name, config.clone())?.ok_or(format!("Swagger UI has no {name}"))?;
        let bytes = Bytes::from(file.bytes.into_owned());
        let file = match file.gzpipped {
            true => StaticFile::of_gzip(content_type, bytes, Lifetime::Forever)?,
            false => StaticFile::new(content_type, &bytes, Lifetime::Forever)?,
        };
        named.push((name, file));
    }
    let mut index = INDEX.to_owned();
    let mut files = HashMap::new();
    for (name, file) in named {
        // A file with another content has another path.
        let path = format!("{}/{name}", file.digest());
        index = index.replace(&format!("\"{name}\""), &format!("\"{path}\""));
        files.insert(path, file);
    }
    let index = StaticFile::new(
        "text/html; charset=utf-8",
        index.as_bytes(),
        Lifetime::UntilChanged,
    )?;
    files.insert(String::new(), index.clone());
    files.insert("index.html".to_owned(), index);
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_each_of_its_files_by_content() {
        let files = files().unwrap();
        assert_eq!(files.len(), 7);
        for name in [
            "swagger-ui-bundle.js",
            "swagger-ui.css",
            "page.css",
            "page.js",
            "icon.svg",
        ] {
            assert!(INDEX.contains(&format!("\"{name}\"")), "{name}");
            assert!(
                files.keys().any(|path| path.ends_with(&format!("/{name}"))),
                "{name}"
            );
        }
    }
}
