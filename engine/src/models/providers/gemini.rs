//! Google's Gemini.

use genai::adapter::AdapterKind;

use super::{Defaults, Keyless, MANY, nothing};

pub(super) const DEFAULTS: Defaults = Defaults {
    key_variable: Some("GEMINI_API_KEY"),
    base_url: Some("https://generativelanguage.googleapis.com/v1beta/"),
    needs_key: true,
    max_concurrent: MANY,
    adapter: AdapterKind::Gemini,
    prepare: nothing,
    keyless: Keyless::Impossible,
    converses,
};

fn converses(name: &str) -> bool {
    const OTHERS: [&str; 6] = ["embedding", "imagen", "veo", "aqa", "-tts", "-image"];
    !OTHERS.iter().any(|other| name.contains(other))
}
