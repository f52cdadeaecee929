//! The redirect after signing in, and checks of required fields.

use domain::problem::Problem;

/// `next` if it is a path of this site, else the start page: a link to the sign-in page must not redirect elsewhere.
pub fn path_of(next: &str) -> &str {
    let inside = next.starts_with('/') && !next.starts_with("//");
    let plain = next.chars().all(|c| c.is_ascii() && !c.is_ascii_control() && c != '\\');
    if inside && plain && !next.starts_with("/sign-in") { next } else { "/" }
}

/// A problem for each empty field of `(path, text, message)`.
pub fn missing(fields: &[(&str, &str, &str)]) -> Vec<Problem> {
    let empty = fields.iter().filter(|(_, text, _)| text.trim().is_empty());
    empty.map(|(path, _, message)| Problem::new(*path, *message)).collect()
}

#[cfg(test)]
mod tests {
    use super::path_of;

    #[test]
    fn only_paths_of_this_site() {
        for good in ["/p/demo/runs/42", "/p/demo/templates/code-review@3?tab=yaml", "/"] {
            assert_eq!(path_of(good), good);
        }
        for bad in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "javascript:x",
            "/a\r\nb",
            "/sign-in",
        ] {
            assert_eq!(path_of(bad), "/", "{bad}");
        }
    }
}
