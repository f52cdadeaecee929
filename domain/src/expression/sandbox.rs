//! The environment in which expressions run: a list of harmless filters and tests, and bounds on work and memory.
//!
//! minijinja's fuel counts instructions alone. A filter is one instruction however long its list, so each filter
//! here pays for what it looks at and for what it makes, out of one [`Budget`] per evaluation.

use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior};

use super::{ExpressionError, filters};

/// Instructions per evaluation.
pub const FUEL: u64 = 500_000;
/// The longest text that rendering makes, and the most that filters may make on the way, in bytes.
pub const MAX_TEXT: usize = 4 * 1024 * 1024;
/// The most that operators may make of their inputs, in bytes.
pub(super) const MAX_GROWN: u64 = 64 * 1024 * 1024;
/// List items and 16-byte pieces of text that filters may look at per evaluation.
const MAX_WORK: usize = 4_000_000;

/// What is left for filters in this evaluation.
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

/// Pays for looking at a value once.
pub(super) fn look(state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let cost = match value.as_str() {
        Some(text) => text.len() / 16 + 1,
        None => value.len().unwrap_or(0) + 1,
    };
    let budget = budget(state);
    budget.work = budget.work.checked_sub(cost).ok_or_else(too_much)?;
    Ok(())
}

/// Pays for a text before it is made.
pub(super) fn make(state: &mut State<'_, '_>, bytes: usize) -> Result<(), Error> {
    let budget = budget(state);
    budget.text = budget.text.checked_sub(bytes).ok_or_else(too_large)?;
    Ok(())
}

/// The environment: immutable once made, so one serves any number of evaluations at once.
pub(super) fn environment() -> Environment<'static> {
    let mut env = Environment::empty();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_formatter(write_value);
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(50);
    env.set_debug(false);
    filters::add_all(&mut env);
    env
}

/// Strings as they are, anything else as JSON.
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

/// A buffer that refuses to grow over a bound.
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

/// minijinja's error in our words: no file names, no internals.
pub(super) fn explain(error: Error) -> ExpressionError {
    explain_in("", error)
}

/// As [`explain`], with the part of the source that the error is about.
pub(super) fn explain_in(source: &str, error: Error) -> ExpressionError {
    let line = error.line().and_then(|line| u32::try_from(line).ok()).filter(|line| *line > 0);
    let detail = error.detail().unwrap_or_default();
    let message = match error.kind() {
        ErrorKind::OutOfFuel => "takes too long: it loops too often or over too much".to_owned(),
        ErrorKind::UndefinedError => {
            let what = error.range().map(|range| widen(source, range)).filter(|what| what.len() < 200);
            absent(what.filter(|what| !what.is_empty()).unwrap_or("something that is read here"))
        }
        ErrorKind::SyntaxError => format!("this is no valid expression: {detail}"),
        ErrorKind::InvalidOperation if !detail.is_empty() => detail.to_owned(),
        ErrorKind::WriteFailure => too_large().detail().unwrap_or_default().to_owned(),
        kind if detail.is_empty() => kind.to_string(),
        kind => format!("{kind}: {detail}"),
    };
    ExpressionError { path: String::new(), line, message }
}

/// The message for reading what does not exist.
pub(super) fn absent(what: &str) -> String {
    format!("{what} is not there; 'is defined' asks first, '| default(…)' helps out")
}

/// minijinja marks the end of a chain of names, such as `.code`: this is the chain from its root.
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
