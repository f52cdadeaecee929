//! The environment in which expressions run: harmless filters and tests, with limits on work and memory.
//!
//! minijinja's fuel counts instructions only, and a filter is one instruction however long its list. Each filter here
//! therefore charges the values that it reads and the text that it produces to one [`Budget`] per evaluation.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior};

use super::{ExpressionError, filters};

/// Instructions per evaluation.
pub const FUEL: u64 = 500_000;
/// Maximum length in bytes of a rendered text, and of all text that filters produce in one evaluation.
pub const MAX_TEXT: usize = 4 * 1024 * 1024;
/// Maximum size in bytes that operators may make of their inputs.
pub(super) const MAX_GROWN: u64 = 64 * 1024 * 1024;
/// Number of list items and 16-byte pieces of text that filters may read per evaluation.
const MAX_WORK: usize = 4_000_000;

/// The filters' remaining budget in this evaluation.
pub(super) struct Budget {
    work: usize,
    pub text: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { work: MAX_WORK, text: MAX_TEXT }
    }
}

pub(super) fn budget<'s>(state: &'s mut State<'_, '_>) -> &'s mut Budget {
    state.get_or_insert_extension_with(Budget::default)
}

fn too_much() -> Error {
    Error::new(ErrorKind::OutOfFuel, "")
}

pub(super) fn too_large() -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("makes a text of more than {} MB", MAX_TEXT >> 20))
}

/// Charges for reading a value once.
pub(super) fn look(state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let cost = match value.as_str() {
        Some(text) => text.len() / 16 + 1,
        None => value.len().unwrap_or(0) + 1,
    };
    let budget = budget(state);
    budget.work = budget.work.checked_sub(cost).ok_or_else(too_much)?;
    Ok(())
}

/// Charges for a text before it is produced.
pub(super) fn make(state: &mut State<'_, '_>, bytes: usize) -> Result<(), Error> {
    let budget = budget(state);
    budget.text = budget.text.checked_sub(bytes).ok_or_else(too_large)?;
    Ok(())
}

/// The comment delimiter for minijinja, which always has one. [`Analysis`](super::syntax::Analysis) rejects texts that
/// contain it, so no text ever has a comment.
pub(super) const NO_COMMENT: &str = "{{\0";

/// The syntax of texts: `{{ }}` and `{% %}`. `{#` is plain text, since it occurs in Markdown and CSS; as a comment it
/// would silently drop everything up to the next `#}`.
pub(super) fn syntax() -> SyntaxConfig {
    SyntaxConfig::builder()
        .comment_delimiters(NO_COMMENT, "\0}}")
        .build()
        .expect("the delimiters are distinct and none is empty")
}

/// The environment: immutable, so one instance serves concurrent evaluations.
pub(super) fn environment() -> Environment<'static> {
    let mut env = Environment::empty();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_syntax(syntax());
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_formatter(write_value);
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(50);
    env.set_debug(false);
    filters::add_all(&mut env);
    env
}

/// Writes strings verbatim and other values as JSON.
fn write_value(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    if let Some(text) = value.as_str() {
        return out.write_str(text).map_err(Error::from);
    }
    let mut json = Bounded { left: MAX_TEXT, text: Vec::new() };
    to_json(&mut json, value, false)?;
    out.write_str(&json.into_string()?).map_err(Error::from)
}

/// A buffer that refuses to grow beyond a limit.
pub(super) struct Bounded {
    pub left: usize,
    pub text: Vec<u8>,
}

impl Bounded {
    pub fn into_string(self) -> Result<String, Error> {
        String::from_utf8(self.text).map_err(|_| Error::new(ErrorKind::InvalidOperation, "makes broken text"))
    }
}

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::FileTooLarge)?;
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(super) fn to_json(out: &mut Bounded, value: &Value, pretty: bool) -> Result<(), Error> {
    let written =
        if pretty { serde_json::to_writer_pretty(out, value) } else { serde_json::to_writer(out, value) };
    written.map_err(|error| {
        if error.is_io() {
            too_large()
        } else {
            Error::new(ErrorKind::BadSerialization, "cannot be written as JSON")
        }
    })
}

/// Translates minijinja's error for users: no file names, no internals.
pub(super) fn explain(error: Error) -> ExpressionError {
    explain_in("", error)
}

/// As [`explain`], with the part of the source that caused the error.
pub(super) fn explain_in(source: &str, error: Error) -> ExpressionError {
    let line = error.line().and_then(|line| u32::try_from(line).ok()).filter(|line| *line > 0);
    let detail = error.detail().unwrap_or_default();
    let message = match error.kind() {
        ErrorKind::OutOfFuel => "takes too long: it loops too often or over too much".to_owned(),
        ErrorKind::UndefinedError => {
            let what = error.range().map(|range| widen(source, range)).filter(|what| what.len() < 200);
            absent(what.filter(|what| !what.is_empty()).unwrap_or("something that is read here"))
        }
        ErrorKind::SyntaxError if detail.starts_with("unknown statement") => format!(
            "this is no valid expression: {detail}; text that only looks like one stands between {{% raw %}} and {{% endraw %}}"
        ),
        ErrorKind::SyntaxError => format!("this is no valid expression: {detail}"),
        ErrorKind::InvalidOperation if !detail.is_empty() => detail.to_owned(),
        ErrorKind::WriteFailure => too_large().detail().unwrap_or_default().to_owned(),
        kind if detail.is_empty() => kind.to_string(),
        kind => format!("{kind}: {detail}"),
    };
    ExpressionError { path: String::new(), line, message }
}

/// The message for reading an undefined value.
pub(super) fn absent(what: &str) -> String {
    format!("{what} is not there; 'is defined' asks first, '| default(…)' helps out")
}

/// minijinja marks only the last segment of a path, such as `.code`; this returns the whole path from its root.
fn widen(source: &str, range: std::ops::Range<usize>) -> &str {
    let before = source.get(..range.start).unwrap_or_default();
    let mut start = before.len();
    while let Some(last) = before[..start].chars().next_back() {
        start = match last {
            c if c.is_alphanumeric() || c == '_' || c == '.' => start - c.len_utf8(),
            ']' => match before[..start].rfind('[') {
                Some(open) => open,
                None => break,
            },
            _ => break,
        };
    }
    source.get(start..range.end).unwrap_or_default().trim()
}
