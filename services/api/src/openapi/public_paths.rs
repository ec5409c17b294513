//! The paths that need no key.

/// What needs no key: the name of the service, health, and documents.
pub(crate) fn is_public(path: &str) -> bool {
    matches!(path, "/" | "/livez" | "/readyz") || is_document(path)
}

/// Documentation, and pages about problems.
pub(crate) fn is_document(path: &str) -> bool {
    matches!(
        path,
        "/docs" | "/openapi.json" | "/openapi-3.0.json" | "/problems"
    ) || path.starts_with("/docs/")
        || path.starts_with("/problems/")
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
            "//docs/",
            "/livez/",
            "/v1/../docs/",
        ] {
            assert!(!is_public(path), "{path}");
        }
    }
}
