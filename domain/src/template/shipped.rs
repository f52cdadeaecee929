//! The documents that come with the product.

/// "Code Review": analyse code, report on it, suggest improvements. The demo project has it.
pub const CODE_REVIEW: &str = include_str!("../../templates/code-review.yaml");

/// "Ask": one step, what free text in a conversation runs.
pub const ASK: &str = include_str!("../../templates/ask.yaml");

/// The JSON Schema of template documents, as published.
pub const DOCUMENT_SCHEMA: &str = include_str!("../../schema/template.v1.json");
