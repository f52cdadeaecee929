//! Conversion of a provider and of a price between their forms and the engine.

use crate::settings::server::ProviderForm;
use domain::{
    key::{ModelName, ProviderKey},
    price::{Price, Rate},
    problem::Problem,
    provider::ProviderKind,
};

/// The draft for the engine, or the problems of the fields. An `existing` provider keeps its key.
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

/// The price, or the problems of the fields.
pub fn price_draft(
    model: &str,
    input: &str,
    output: &str,
) -> Result<(ModelName, Option<Price>), Vec<Problem>> {
    let mut problems = Vec::new();
    let model = ModelName::parse(model.trim())
        .map_err(|error| problems.push(Problem::new("model", error.to_string())))
        .ok();
    let mut rate = |path: &str, text: &str| {
        let given = text.trim().trim_start_matches('$');
        if given.is_empty() {
            return None;
        }
        Rate::parse(given).map_err(|error| problems.push(Problem::new(path, error.to_string()))).ok()
    };
    let price = match (rate("input", input), rate("output", output)) {
        (Some(input), Some(output)) => Some(Price { input, output }),
        _ => None,
    };
    for (path, own, other) in [("input", input, output), ("output", output, input)] {
        if own.trim().is_empty() && !other.trim().is_empty() {
            problems.push(Problem::new(path, "give both, or neither"));
        }
    }
    match model {
        Some(model) if problems.is_empty() => Ok((model, price)),
        _ => Err(problems),
    }
}
