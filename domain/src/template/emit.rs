//! Serialises a template as text: fields in the documented order, without defaults, with prompts as literal blocks.
//!
//! The text reads back as the same template.

use super::check::{Format, parse};
use super::document::Template;

impl Template {
    /// The document as YAML. Multi-line texts are literal blocks wherever YAML allows it.
    pub fn to_yaml(&self) -> String {
        let options = serde_saphyr::ser_options! {
            // Folding would wrap the long lines of a prompt, which look like line breaks to a reader.
            folded_wrap_chars: usize::MAX,
            compact_list_indent: false,
        };
        let Ok(yaml) = serde_saphyr::to_string_with_options(self, options) else {
            // JSON is valid YAML: if the serialiser ever rejects a text, the document stays readable.
            return self.to_json();
        };
        // The serialiser indents the empty lines of a block. They read better without indentation, unless a text has
        // lines that consist of spaces only.
        let tidy: String =
            yaml.split_inclusive('\n').map(|line| if line.trim().is_empty() { "\n" } else { line }).collect();
        if tidy != yaml && parse(&tidy, Format::Yaml).as_ref() == Ok(self) { tidy } else { yaml }
    }

    /// The document as indented JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}
