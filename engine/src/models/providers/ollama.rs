//! Ollama, through its own API (`api/chat`), usually on the same machine.

use genai::adapter::AdapterKind;

use super::{Defaults, Keyless, MANY, all, nothing};

pub(super) const DEFAULTS: Defaults = Defaults {
    key_variable: None,
    base_url: Some("http://localhost:11434/"),
    needs_key: false,
    max_concurrent: MANY,
    adapter: AdapterKind::Ollama,
    prepare: nothing,
    keyless: Keyless::Native,
    converses: all,
};
