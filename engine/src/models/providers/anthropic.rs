//! Anthropic.

use genai::adapter::AdapterKind;

use super::{Defaults, Keyless, MANY, all, nothing};

pub(super) const DEFAULTS: Defaults = Defaults {
    key_variable: Some("ANTHROPIC_API_KEY"),
    base_url: Some("https://api.anthropic.com/v1/"),
    needs_key: true,
    max_concurrent: MANY,
    adapter: AdapterKind::Anthropic,
    prepare: nothing,
    keyless: Keyless::Impossible,
    converses: all,
};
