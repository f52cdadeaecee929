//! A template in a URL: `code-review`, `code-review@3`, or `code-review?version=3`.

use domain::key::TemplateKey;
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateAt {
    pub key: TemplateKey,
    /// `None` for the newest.
    pub version: Option<u32>,
}

impl TemplateAt {
    fn read(segment: &str, query: Option<&str>) -> Self {
        let (key, version) = match segment.split_once('@') {
            Some((key, version)) => (key, Some(version)),
            None => (segment, query),
        };
        // An invalid key names a template that cannot exist; the server reports that.
        let key = TemplateKey::parse(key).unwrap_or_else(|_| TemplateKey::from_title(key));
        Self { key, version: version.and_then(|version| version.parse().ok()) }
    }
}

/// The template in the page's URL.
pub fn use_template() -> Memo<TemplateAt> {
    let (params, query) = (use_params_map(), use_query_map());
    Memo::new(move |_| {
        let segment = params.read().get("key").unwrap_or_default();
        TemplateAt::read(&segment, query.read().get("version").as_deref())
    })
}

#[cfg(test)]
mod tests {
    use super::TemplateAt;

    #[test]
    fn a_version_stands_behind_the_key_or_in_the_query() {
        let read = |segment, query| {
            let at = TemplateAt::read(segment, query);
            (at.key.to_string(), at.version)
        };
        assert_eq!(read("code-review", None), ("code-review".into(), None));
        assert_eq!(read("code-review@3", Some("2")), ("code-review".into(), Some(3)));
        assert_eq!(read("code-review", Some("2")), ("code-review".into(), Some(2)));
        assert_eq!(read("code-review@x", None), ("code-review".into(), None));
    }
}
