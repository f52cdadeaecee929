//! Reading JSON from outside without losing digits of whole numbers.
//!
//! A value holds whole numbers of up to 64 bits. `serde_json` reads a longer one as a float and silently drops its
//! last digits, so all JSON from outside is read here, and a number that would lose digits is rejected with its
//! position. A number with a decimal point or an exponent is a float on purpose and stays one.

use crate::problem::{Problem, shorten, write_key};
use serde::de::DeserializeOwned;
use serde_json::Number;
use std::{fmt::Write as _, ops::Range};

/// The message for a whole number of more than 64 bits.
pub const TOO_LONG: &str = "a whole number of more than 64 bits would lose its last digits: put it in quotes, or write it as in 1.2e29 \
     where it may be rounded";

/// The same for a number in a form field, which cannot be put in quotes.
pub const TOO_LONG_TYPED: &str =
    "has more than 64 bits and would lose its last digits: write it as in 1.2e29 if it may be rounded";

/// Why a text cannot be read as a value.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("is no JSON: {0}")]
    Syntax(#[from] serde_json::Error),
    #[error("{0}")]
    TooLong(Problem),
}

/// Parses a JSON text and keeps every digit of its whole numbers. `root` is the first segment of a problem's path,
/// such as `input`.
///
/// # Errors
/// The text is not JSON of that type, or has a whole number of more than 64 bits.
pub fn read<T: DeserializeOwned>(text: &[u8], root: &str) -> Result<T, ReadError> {
    let value = serde_json::from_slice(text)?;
    match too_long(text, root) {
        Some(problem) => Err(ReadError::TooLong(problem)),
        None => Ok(value),
    }
}

/// The first whole number of more than 64 bits in a valid JSON text.
pub fn too_long(json: &[u8], root: &str) -> Option<Problem> {
    let number = find(json)?;
    let (path, line, column) = locate(json, number.start, root);
    let digits = String::from_utf8_lossy(json.get(number).unwrap_or_default());
    let message = format!("{}: {TOO_LONG}", shorten(&digits, 40));
    Some(Problem { path, line: Some(line), column: Some(column), message })
}

/// The whole number that a text of digits, with an optional sign, represents, if it has at most 64 bits.
pub fn whole(digits: &str) -> Option<Number> {
    let negative = || digits.parse::<i64>().ok().map(Number::from);
    digits.parse::<u64>().ok().map(Number::from).or_else(negative)
}

/// Whether a text consists of digits only, with an optional sign.
pub fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn find(json: &[u8]) -> Option<Range<usize>> {
    let mut at = 0;
    while let Some(&byte) = json.get(at) {
        match byte {
            b'"' => at = after_string(json, at),
            b'-' | b'0'..=b'9' => {
                let end = after_number(json, at);
                // Every number of up to 18 digits fits in 64 bits.
                let text = json.get(at..end).unwrap_or_default();
                if text.len() > 18
                    && let Ok(text) = str::from_utf8(text)
                    && is_whole(text)
                    && whole(text).is_none()
                {
                    return Some(at..end);
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    None
}

/// The end of the string that starts here.
fn after_string(json: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = json.get(at) {
        at += 1;
        match byte {
            b'"' => break,
            b'\\' => at += 1,
            _ => {}
        }
    }
    at
}

fn after_number(json: &[u8], start: usize) -> usize {
    let rest = json.get(start..).unwrap_or_default();
    let of_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
    start + rest.iter().take_while(|byte| of_number(byte)).count()
}

/// A list or an object that contains the position.
enum Level {
    Index(usize),
    /// The range of the current entry's name, once it has been read.
    Key(Option<Range<usize>>),
}

/// Path, line and column of a position in a valid JSON text.
fn locate(json: &[u8], place: usize, root: &str) -> (String, u32, u32) {
    let (mut levels, mut at) = (Vec::new(), 0);
    while at < place {
        let Some(&byte) = json.get(at) else { break };
        match (byte, levels.last_mut()) {
            (b'{', _) => levels.push(Level::Key(None)),
            (b'[', _) => levels.push(Level::Index(0)),
            (b'}' | b']', _) => {
                levels.pop();
            }
            (b',', Some(Level::Index(index))) => *index += 1,
            (b',', Some(Level::Key(name))) => *name = None,
            (b'"', level) => {
                let end = after_string(json, at);
                if let Some(Level::Key(name @ None)) = level {
                    *name = Some(at..end);
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    let mut path = root.to_owned();
    for level in &levels {
        let first = path.is_empty();
        // Writing to a String cannot fail.
        let _ = match level {
            Level::Index(index) => write!(path, "[{index}]"),
            Level::Key(name) => {
                let name =
                    name.clone().and_then(|name| serde_json::from_slice::<String>(json.get(name)?).ok());
                write_key(&mut path, &name.unwrap_or_default(), first)
            }
        };
    }
    let before = String::from_utf8_lossy(json.get(..place).unwrap_or_default());
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    (path, number(line), number(column))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn a_whole_number_of_more_than_64_bits_is_refused_at_its_place() {
        for (text, told) in [
            ("18446744073709551616", "line 1: 18446744073709551616: "),
            ("{\"n\": -9223372036854775809}", "line 1, n: -9223372036854775809: "),
            (
                "{\"a\": [1, {\"x, y\": \"[\\\"{\", \"b \\u0041\":\n 123456789012345678901234567890}]}",
                "line 2, a[1][\"b A\"]: 123456789012345678901234567890: ",
            ),
            ("[[], {}, {\"a\": {}}, [0, 99999999999999999999]]", "line 1, [3][1]: 99999999999999999999: "),
        ] {
            let error = read::<Value>(text.as_bytes(), "").unwrap_err().to_string();
            assert!(error.starts_with(told) && error.ends_with(TOO_LONG), "{error}");
        }
        let error = read::<Value>(b"{\"n\": 99999999999999999999}", "input").unwrap_err().to_string();
        assert!(error.starts_with("line 1, input.n: "), "{error}");
    }

    #[test]
    fn what_keeps_its_digits_or_is_a_float_is_read() {
        for text in [
            "18446744073709551615",
            "-9223372036854775808",
            "{\"n\": \"99999999999999999999\", \"99999999999999999999\": 0}",
            "[1.2e29, 123456789012345678901234567890.0, -1e30, 0.12345678901234567890123]",
            "[\"\\\\\", 1]",
        ] {
            assert_eq!(too_long(text.as_bytes(), ""), None, "{text}");
            assert!(read::<Value>(text.as_bytes(), "").is_ok(), "{text}");
        }
        assert!(matches!(read::<Value>(b"{99999999999999999999", ""), Err(ReadError::Syntax(_))));
    }

    proptest! {
        #[test]
        fn a_number_is_read_as_it_was_written_or_refused(
            digits in "-?(0|[1-9][0-9]{0,40})",
            before in prop::collection::vec("[ -~]{0,6}", 0..3),
        ) {
            let list: Vec<Value> = before.into_iter().map(Value::from).collect();
            let text = format!("{{\"list\": {}, \"n\": {digits}}}", Value::from(list));
            match read::<Value>(text.as_bytes(), "") {
                Ok(value) if digits == "-0" => prop_assert_eq!(value["n"].as_f64(), Some(0.0)),
                Ok(value) => prop_assert_eq!(value["n"].to_string(), digits),
                Err(error) => {
                    prop_assert!(digits.parse::<i64>().is_err() && digits.parse::<u64>().is_err());
                    prop_assert!(error.to_string().contains("n: "));
                }
            }
        }
    }
}
