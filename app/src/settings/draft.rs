//! A provider between its form and the engine.

use crate::settings::server::ProviderForm;
use domain::{key::ProviderKey, problem::Problem, provider::ProviderKind};

/// What the engine takes, or what is wrong with which field. `existing` keeps its key.
pub fn provider_draft(
    form: ProviderForm,
    existing: Option<&ProviderKey>,
) -> Result<engine::ProviderDraft, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut refuse = |path: &str, message: String| problems.push(Problem::new(path, message));
    let kind = form.kind.parse::<ProviderKind>().map_err(|error| refuse("kind", error.to_string())).ok();
    let key = match (existing, form.key.trim()) {
        (Some(key), _) => Some(key.clone()),
        (None, "") => kind.map(|kind| ProviderKey::from_title(kind.as_str())),
        (None, key) => ProviderKey::parse(key).map_err(|error| refuse("key", error.to_string())).ok(),
    };
    let mut number = |path: &str, text: &str| match text.trim() {
        "" => None,
        text => match text.parse::<u32>() {
            Ok(value) if value > 0 => Some(value),
            _ => {
                refuse(path, "give a whole number above 0, or leave it empty".to_owned());
                None
            }
        },
    };
    let max_concurrent = number("maxConcurrent", &form.max_concurrent);
    let requests_per_minute = number("requestsPerMinute", &form.requests_per_minute);
    let text = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    match (key, kind) {
        (Some(key), Some(kind)) if problems.is_empty() => Ok(engine::ProviderDraft {
            key,
            kind,
            base_url: text(form.base_url),
            api_key: if form.remove_key.is_empty() { text(form.api_key) } else { Some(String::new()) }
                .map(Into::into),
            max_concurrent,
            requests_per_minute,
        }),
        _ => Err(problems),
    }
}
