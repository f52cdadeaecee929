//! The last visited project. The frame stores it in a cookie, so that the server can redirect to it.

use domain::key::ProjectKey;

const COOKIE: &str = "troupe_project";

pub fn read(parts: &axum::http::request::Parts) -> Option<ProjectKey> {
    let cookies = parts.headers.get_all(axum::http::header::COOKIE);
    let mut pairs = cookies.iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
    pairs.find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE).then(|| ProjectKey::parse(value).ok()).flatten()
    })
}
