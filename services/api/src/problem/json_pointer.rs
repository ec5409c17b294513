//! JSON Pointers (RFC 6901) in problems.

use std::fmt::Write;

use tonghop_domain::PathSegment;

/// The JSON Pointer of a path into a request body.
pub(crate) fn json_pointer(path: &[PathSegment]) -> String {
    let mut pointer = String::new();
    for segment in path {
        pointer.push('/');
        match segment {
            PathSegment::Field(name) => {
                for character in name.chars() {
                    match character {
                        '~' => pointer.push_str("~0"),
                        '/' => pointer.push_str("~1"),
                        other => pointer.push(other),
                    }
                }
            }
            // Writing into a string cannot fail.
            PathSegment::Index(index) => write!(pointer, "{index}").unwrap_or_default(),
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_and_tildes_in_names_are_escaped() {
        let path = ["figures", "a/b~c~1", ""].map(|name| PathSegment::Field(name.into()));
        assert_eq!(json_pointer(&path), "/figures/a~1b~0c~01/");
        assert_eq!(
            json_pointer(&[PathSegment::Field("items".into()), PathSegment::Index(10)]),
            "/items/10"
        );
        assert_eq!(json_pointer(&[]), "");
    }
}
