//! What strangers write, taken through the code that reads it: documents, expressions, names, cursors, providers' answers.
//!
//! Each function takes any bytes and panics where a promise is broken. `fuzz/` hands them to libFuzzer; the test beside
//! them mutates seeds for some seconds, on any toolchain.

mod documents;
mod expressions;
mod names;
mod streams;

pub use documents::{json, yaml};
pub use expressions::expressions;
pub use names::{cursors, fences, paths};
pub use streams::streams;

/// Something to fuzz.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: &'static [&'static str],
    /// What means something to the reader, put in now and then.
    pub words: &'static [&'static str],
}

/// All of them.
pub static TARGETS: [Target; 7] = [
    Target { name: "yaml", run: yaml, seeds: documents::YAML, words: documents::YAML_WORDS },
    Target { name: "json", run: json, seeds: documents::JSON, words: documents::JSON_WORDS },
    Target { name: "expressions", run: expressions, seeds: expressions::SEEDS, words: expressions::WORDS },
    Target { name: "paths", run: paths, seeds: names::PATHS, words: names::PATH_WORDS },
    Target { name: "cursors", run: cursors, seeds: names::CURSORS, words: names::CURSOR_WORDS },
    Target { name: "fences", run: fences, seeds: names::FENCES, words: names::FENCE_WORDS },
    Target { name: "streams", run: streams, seeds: streams::SEEDS, words: streams::WORDS },
];
