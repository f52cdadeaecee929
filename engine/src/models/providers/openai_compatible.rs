//! Servers with OpenAI's chat completions API at another base URL: vLLM, llama.cpp, LM Studio, LiteLLM, OpenRouter, …

use genai::adapter::AdapterKind;

use super::{Defaults, Keyless, MANY, all, openai};

pub(super) const DEFAULTS: Defaults = Defaults {
    key_variable: None,
    base_url: None,
    needs_key: false,
    max_concurrent: MANY,
    adapter: AdapterKind::OpenAI,
    prepare: openai::keep_model_name,
    keyless: Keyless::Path("chat/completions"),
    converses: all,
};
