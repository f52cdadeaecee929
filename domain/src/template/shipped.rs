//! The template documents that ship with the product.

/// "Code Review": analyses code, reports on it, suggests improvements. Part of the demo project.
pub const CODE_REVIEW: &str = include_str!("../../templates/code-review.yaml");

/// "Content Generation": researches, drafts, edits.
pub const CONTENT_GENERATION: &str = include_str!("../../templates/content-generation.yaml");

/// "Data Processing": validates data, transforms it if it is usable, stores it as a file.
pub const DATA_PROCESSING: &str = include_str!("../../templates/data-processing.yaml");

/// "File builder": writes and edits the conversation's files.
pub const FILE_BUILDER: &str = include_str!("../../templates/file-builder.yaml");

/// "Construction plan": ten tasks in waves, the last of them over a list that another task found.
pub const CONSTRUCTION_PLAN: &str = include_str!("../../templates/construction-plan.yaml");

/// The demo project's templates. Lists show the newest first, so the template to try first comes last.
pub const DEMO: [&str; 5] =
    [CONSTRUCTION_PLAN, FILE_BUILDER, DATA_PROCESSING, CONTENT_GENERATION, CODE_REVIEW];

/// "Ask": one step; free text in a conversation runs it.
pub const ASK: &str = include_str!("../../templates/ask.yaml");

/// The JSON Schema of template documents, as published.
pub const DOCUMENT_SCHEMA: &str = include_str!("../../schema/template.v1.json");
