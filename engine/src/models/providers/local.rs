//! The small model that comes with the product. Its server speaks OpenAI's protocol, at an address that its supervisor
//! knows.

use genai::adapter::AdapterKind;

use super::{Defaults, Keyless, all, openai};

pub(super) const DEFAULTS: Defaults = Defaults {
    key_variable: None,
    base_url: None,
    needs_key: false,
    // It has four slots; more would only wait inside it, unseen.
    max_concurrent: 4,
    adapter: AdapterKind::OpenAI,
    prepare: openai::keep_model_name,
    keyless: Keyless::Path("chat/completions"),
    converses: all,
};
