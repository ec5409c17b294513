//! The paths that need no key.

/// What needs no key: health, documentation, and pages about problems.
pub(crate) fn is_public(path: &str) -> bool {
    matches!(
        path,
        "/" | "/docs" | "/openapi.json" | "/problems" | "/livez" | "/readyz"
    ) || path.starts_with("/docs/")
        || path.starts_with("/problems/")
}
