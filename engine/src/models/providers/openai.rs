//! OpenAI itself.

use genai::adapter::AdapterKind;
use genai::chat::{ChatOptions, ReasoningEffort};

use super::{Defaults, Keyless, MANY};

pub(super) const DEFAULTS: Defaults = Defaults {
    key_variable: Some("OPENAI_API_KEY"),
    base_url: Some("https://api.openai.com/v1/"),
    needs_key: true,
    max_concurrent: MANY,
    adapter: AdapterKind::OpenAI,
    prepare: keep_model_name,
    keyless: Keyless::Impossible,
    converses,
};

/// `genai` reads `-low`, `-max` and the like at the end of a model's name as a reasoning effort and cuts it off:
/// `qwen-max` would become `qwen`. An explicit effort prevents that; this protocol has no field for a token budget, so
/// nothing is sent.
pub(super) fn keep_model_name(options: &mut ChatOptions) {
    options.reasoning_effort = Some(ReasoningEffort::Budget(0));
}

fn converses(name: &str) -> bool {
    const OTHERS: [&str; 10] = [
        "text-embedding",
        "whisper",
        "tts",
        "dall-e",
        "omni-moderation",
        "text-moderation",
        "davinci",
        "babbage",
        "gpt-image",
        "sora",
    ];
    !OTHERS.iter().any(|other| name.starts_with(other))
        && !["-tts", "-transcribe", "-realtime"].iter().any(|part| name.contains(part))
}
