//! A copy of a template: another key and name, everything else unchanged, including the author's comments.

use super::Document;
use crate::{Error, Result};
use domain::{
    key::{MAX_LENGTH, TemplateKey},
    template::{self, Format, MAX_NAME, Template},
};

/// "code-review-copy", "code-review-copy-2", …
pub(super) fn key(original: &TemplateKey, number: u32) -> Result<TemplateKey> {
    let ending = if number == 1 { "-copy".to_owned() } else { format!("-copy-{number}") };
    // Keys are ASCII, so bytes are characters.
    let kept = original.as_str().len().min(MAX_LENGTH - ending.len());
    TemplateKey::parse(&format!("{}{ending}", &original.as_str()[..kept])).map_err(Error::internal)
}

pub(super) fn under(original: &Document, key: TemplateKey) -> Document {
    let kept: String = original.template.name.chars().take(MAX_NAME - " (copy)".len()).collect();
    let template = Template { key, name: format!("{} (copy)", kept.trim_end()), ..original.template.clone() };
    let source = edited(&original.source, &template).unwrap_or_else(|| template.to_yaml());
    Document { template, source }
}

/// The source with its `key` and `name` replaced; `None` if the result would not read as `wanted` (flow style, an
/// anchor, a name of several lines).
fn edited(source: &str, wanted: &Template) -> Option<String> {
    let name = serde_json::to_string(&wanted.name).ok()?;
    let mut edited = String::with_capacity(source.len() + 32);
    for line in source.split_inclusive('\n') {
        let ending = if line.ends_with('\n') { "\n" } else { "" };
        if line.starts_with("key:") {
            edited.extend(["key: ", wanted.key.as_str(), ending]);
        } else if line.starts_with("name:") {
            // JSON strings are valid YAML.
            edited.extend(["name: ", &name, ending]);
        } else {
            edited.push_str(line);
        }
    }
    (template::parse(&edited, Format::Yaml).ok()? == *wanted).then_some(edited)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(source: &str) -> Document {
        Document { template: template::parse(source, Format::Yaml).unwrap(), source: source.to_owned() }
    }

    #[test]
    fn comments_survive_where_the_source_allows() {
        let source =
            "# why\napiVersion: troupe/v1\nkey: a\nname: A: x\nsteps:\n  - name: S # first\n    prompt: hi\n";
        let original = document(&source.replace("A: x", "'A: x'"));
        let copy = under(&original, TemplateKey::parse("a-copy").unwrap());
        assert_eq!(copy.template.name, "A: x (copy)");
        assert!(copy.source.contains("# why") && copy.source.contains("# first"), "{}", copy.source);
        assert_eq!(template::parse(&copy.source, Format::Yaml).unwrap(), copy.template);

        let flow = document(
            r#"{"apiVersion": "troupe/v1", "key": "a", "name": "A", "steps": [{"name": "S", "prompt": "x"}]}"#,
        );
        let copy = under(&flow, TemplateKey::parse("a-copy").unwrap());
        assert_eq!(template::parse(&copy.source, Format::Yaml).unwrap(), copy.template);
    }

    #[test]
    fn long_keys_make_room_for_the_ending() {
        let long = TemplateKey::parse(&"x".repeat(64)).unwrap();
        assert_eq!(key(&long, 12).unwrap().as_str(), format!("{}-copy-12", "x".repeat(56)));
    }
}
