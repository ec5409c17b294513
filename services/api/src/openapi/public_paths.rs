//! The paths that need no key.

/// What needs no key: the name of the service, health, and documents.
pub(crate) fn is_public(path: &str) -> bool {
    matches!(path, "/" | "/livez" | "/readyz") || is_document(path)
}

/// Documentation, and pages about problems.
pub(crate) fn is_document(path: &str) -> bool {
    matches!(
        path,
        "/docs" | "/guide" | "/openapi.json" | "/openapi-3.0.json" | "/problems"
    ) || ["/docs/", "/guide/", "/problems/"]
        .iter()
        .any(|folder| path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_health_documentation_and_problem_pages_need_no_key() {
        for path in [
            "/",
            "/docs",
            "/docs/index.html",
            "/guide",
            "/guide/vi/figures",
            "/openapi.json",
            "/openapi-3.0.json",
            "/problems/not-found",
            "/livez",
            "/readyz",
        ] {
            assert!(is_public(path), "{path}");
        }
        for path in [
            "/v1/totals",
            "/metrics",
            "/nothing",
            "/docs.txt",
            "/guides",
            "//docs/",
            "/livez/",
            "/v1/../docs/",
        ] {
            assert!(!is_public(path), "{path}");
        }
    }
}
