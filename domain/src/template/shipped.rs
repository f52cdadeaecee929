//! The documents that come with the product.

/// "Code Review": analyse code, report on it, suggest improvements. The demo project has it.
pub const CODE_REVIEW: &str = include_str!("../../templates/code-review.yaml");

/// "Content Generation": research, draft, edit.
pub const CONTENT_GENERATION: &str = include_str!("../../templates/content-generation.yaml");

/// "Data Processing": check, transform where it can be used, store as a file.
pub const DATA_PROCESSING: &str = include_str!("../../templates/data-processing.yaml");

/// "File builder": makes and edits the conversation's files.
pub const FILE_BUILDER: &str = include_str!("../../templates/file-builder.yaml");

/// "Construction plan": ten tasks in waves, the last of them over a list found by another.
pub const CONSTRUCTION_PLAN: &str = include_str!("../../templates/construction-plan.yaml");

/// What the demo project has, the first to try last: lists show the newest first.
pub const DEMO: [&str; 5] =
    [CONSTRUCTION_PLAN, FILE_BUILDER, DATA_PROCESSING, CONTENT_GENERATION, CODE_REVIEW];

/// "Ask": one step, what free text in a conversation runs.
pub const ASK: &str = include_str!("../../templates/ask.yaml");

/// The JSON Schema of template documents, as published.
pub const DOCUMENT_SCHEMA: &str = include_str!("../../schema/template.v1.json");
