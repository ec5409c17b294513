//! Changes to the URLs of databases and brokers.

/// Returns the URL with another database, on the same server and with the same options.
pub(crate) fn with_database(url: &str, name: &str) -> String {
    let authority = url.find("://").map_or(0, |scheme| scheme + 3);
    let path = url[authority..]
        .find(['/', '?'])
        .map_or(url.len(), |end| authority + end);
    let options = url[path..]
        .find('?')
        .map_or("", |question| &url[path + question..]);
    format!("{}/{name}{options}", &url[..path])
}

/// Returns the URL with another user; everything else stays the same, including the password.
pub(crate) fn with_user(url: &str, user: &str) -> String {
    let start = url.find("://").map_or(0, |scheme| scheme + 3);
    let (scheme, rest) = url.split_at(start);
    let (before, host) = rest.split_once('@').unwrap_or(("", rest));
    let password = before.find(':').map_or("", |colon| &before[colon..]);
    format!("{scheme}{user}{password}@{host}")
}

/// Returns the range of `host:port` in a URL.
pub(crate) fn address_range(url: &str) -> std::ops::Range<usize> {
    let authority = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url[authority..]
        .find(['/', '?'])
        .map_or(url.len(), |length| authority + length);
    let start = url[authority..end]
        .rfind('@')
        .map_or(authority, |at| authority + at + 1);
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_of_a_url_is_replaced() {
        for (url, expected) in [
            (
                "postgres://postgres@127.0.0.1:5432/postgres",
                "postgres://postgres@127.0.0.1:5432/fresh",
            ),
            ("postgres://u:p@host", "postgres://u:p@host/fresh"),
            (
                "postgres://u@host:1/a?sslmode=disable",
                "postgres://u@host:1/fresh?sslmode=disable",
            ),
            ("postgres://u@host?a=b/c", "postgres://u@host/fresh?a=b/c"),
        ] {
            assert_eq!(with_database(url, "fresh"), expected);
        }
    }

    #[test]
    fn only_the_user_of_a_url_is_replaced() {
        for (url, expected) in [
            (
                "postgres://u:p@host:5432/a?x=1",
                "postgres://other:p@host:5432/a?x=1",
            ),
            ("postgres://u@host/a", "postgres://other@host/a"),
            ("postgres://host/a", "postgres://other@host/a"),
        ] {
            assert_eq!(with_user(url, "other"), expected);
        }
    }
}
