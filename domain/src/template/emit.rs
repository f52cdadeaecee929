//! A template as text: fields in the order of the design, defaults left out, prompts as literal blocks.
//!
//! What is written reads back as the same template.

use super::check::{Format, parse};
use super::document::Template;

impl Template {
    /// The document as YAML. Texts of several lines stand as literal blocks, where YAML can hold them so.
    pub fn to_yaml(&self) -> String {
        let options = serde_saphyr::ser_options! {
            // Folding would break long lines of a prompt, which a person then reads as line breaks.
            folded_wrap_chars: usize::MAX,
            compact_list_indent: false,
        };
        let Ok(yaml) = serde_saphyr::to_string_with_options(self, options) else {
            // JSON is YAML: should the serialiser ever refuse a text, the document stays readable.
            return self.to_json();
        };
        // An empty line of a block is written with the block's indentation. It reads better without; only a text with
        // lines of nothing but spaces needs them.
        let tidy: String =
            yaml.split_inclusive('\n').map(|line| if line.trim().is_empty() { "\n" } else { line }).collect();
        if tidy != yaml && parse(&tidy, Format::Yaml).as_ref() == Ok(self) { tidy } else { yaml }
    }

    /// The document as indented JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}
