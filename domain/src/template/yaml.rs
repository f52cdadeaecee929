//! Parses YAML to a JSON value with places: YAML 1.2 with the core schema, one document.
//!
//! Rejected, each with its place: anchors and aliases (so that a document does not expand when read), tags outside the
//! core schema, repeated keys, keys that are not texts, and nesting deeper than [`MAX_DEPTH`].

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Number, Value};

use super::place::{Located, Path, Place};
use crate::json::{self, is_whole};
use crate::problem::{Problem, shorten};

/// Maximum nesting of a document, in YAML and in JSON.
pub(crate) const MAX_DEPTH: usize = 64;

pub(crate) fn read(source: &str) -> Result<Located, Problem> {
    let mut reader = Reader { parser: Parser::new_from_str(source), last: None };
    let located = loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
            Event::StreamEnd | Event::DocumentEnd => {
                return Err(Problem::new(
                    "",
                    "the document is empty: it starts with 'apiVersion: troupe/v1'",
                ));
            }
            event => {
                let (value, place) = reader.node(event, span, &Path::Root, 0)?;
                break Located { value, place };
            }
        }
    };
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => return Ok(located),
            Event::DocumentEnd | Event::Nothing => {}
            _ => {
                return Err(at(
                    &span,
                    &Path::Root,
                    "only one document is read: remove '---' and what follows it",
                ));
            }
        }
    }
}

struct Reader<'s> {
    parser: Parser<'s, StrInput<'s>>,
    last: Option<Span>,
}

impl<'s> Reader<'s> {
    fn next(&mut self) -> Result<(Event<'s>, Span), Problem> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                self.last = Some(span);
                Ok((event, span))
            }
            Some(Err(error)) => Err(syntax(&error)),
            None => Err(Problem {
                line: self.last.map(|span| number(span.start.line())),
                ..Problem::new("", "this is not valid YAML: it breaks off")
            }),
        }
    }

    fn node(
        &mut self,
        event: Event<'s>,
        span: Span,
        path: &Path<'_>,
        depth: usize,
    ) -> Result<(Value, Place), Problem> {
        if depth > MAX_DEPTH {
            return Err(at(&span, &Path::Root, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let mut place = place(&span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                refuse_anchor(anchor, &span, path)?;
                if style == ScalarStyle::Literal {
                    // The parser marks a literal block at its first line that is not empty.
                    let empty = text.len() - text.trim_start_matches('\n').len();
                    place.text_line = Some(place.line.saturating_sub(number(empty)));
                }
                let value =
                    scalar(&text, style, tag.as_deref()).map_err(|message| at(&span, path, message))?;
                Ok((value, place))
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_anchor(anchor, &span, path)?;
                refuse_tag(tag.as_deref(), "seq", &span, path)?;
                let mut items = Vec::new();
                loop {
                    let (event, span) = self.next()?;
                    if event == Event::SequenceEnd {
                        return Ok((Value::Array(items), place));
                    }
                    let (item, at) = self.node(event, span, &path.index(items.len()), depth + 1)?;
                    items.push(item);
                    place.children.push(at);
                }
            }
            Event::MappingStart(anchor, tag) => {
                refuse_anchor(anchor, &span, path)?;
                refuse_tag(tag.as_deref(), "map", &span, path)?;
                let mut map = Map::new();
                loop {
                    let (event, span) = self.next()?;
                    let key = match event {
                        Event::MappingEnd => return Ok((Value::Object(map), place)),
                        Event::Scalar(key, ..) => key.into_owned(),
                        Event::Alias(_) => return Err(at(&span, path, NO_ANCHORS)),
                        _ => {
                            return Err(at(
                                &span,
                                path,
                                "a key must be plain text; an expression needs quotes, as in \"{{ context.input.code }}\"",
                            ));
                        }
                    };
                    let path = path.key(&key);
                    if map.contains_key(&key) {
                        return Err(at(
                            &span,
                            &path,
                            format!("'{}' stands here twice: remove one", shorten(&key, 80)),
                        ));
                    }
                    let (event, value_span) = self.next()?;
                    let (value, mut child) = self.node(event, value_span, &path, depth + 1)?;
                    // The place of an entry is its key, because readers look for it there.
                    child.line = number(span.start.line());
                    child.column = number(span.start.col()) + 1;
                    map.insert(key, value);
                    place.children.push(child);
                }
            }
            Event::Alias(_) => Err(at(&span, path, NO_ANCHORS)),
            _ => Err(at(&span, path, "this is not valid YAML")),
        }
    }
}

const NO_ANCHORS: &str = "anchors and aliases (&name, *name) are not read in templates: write the text out";

fn refuse_anchor(anchor: usize, span: &Span, path: &Path<'_>) -> Result<(), Problem> {
    if anchor == 0 { Ok(()) } else { Err(at(span, path, NO_ANCHORS)) }
}

fn refuse_tag(tag: Option<&Tag>, expected: &str, span: &Span, path: &Path<'_>) -> Result<(), Problem> {
    match tag {
        None => Ok(()),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == expected => Ok(()),
        Some(tag) => Err(at(span, path, no_tag(tag))),
    }
}

fn no_tag(tag: &Tag) -> String {
    let name = shorten(&tag.suffix, 40);
    format!("tags such as '!{name}' are not read in templates; a text that starts with '!' needs quotes")
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    match tag {
        Some(tag) if tag.is_yaml_core_schema() => {
            let value = plain(text)?;
            match (tag.suffix.as_str(), &value) {
                ("str", _) => Ok(Value::String(text.to_owned())),
                ("null", Value::Null) | ("bool", Value::Bool(_)) | ("float", Value::Number(_)) => Ok(value),
                ("int", Value::Number(number)) if !number.is_f64() => Ok(value),
                ("null" | "bool" | "float" | "int", _) => {
                    Err(format!("'{}' does not suit its tag '!!{}'", shorten(text, 40), tag.suffix))
                }
                _ => Err(no_tag(tag)),
            }
        }
        // A lone '!' marks the value as text.
        Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => Ok(Value::String(text.to_owned())),
        Some(tag) => Err(no_tag(tag)),
        None if style == ScalarStyle::Plain => plain(text),
        None => Ok(Value::String(text.to_owned())),
    }
}

/// A plain scalar by the core schema of YAML 1.2 (section 10.3.2).
fn plain(text: &str) -> Result<Value, String> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Err(no_number(text)),
        _ => match core_number(text) {
            Some(number) => Value::Number(number.ok_or_else(|| no_number(text))?),
            None => Value::String(text.to_owned()),
        },
    })
}

fn no_number(text: &str) -> String {
    if is_whole(text) || text.starts_with("0x") || text.starts_with("0o") {
        return format!("{}: {}", shorten(text, 40), json::TOO_LONG);
    }
    format!("'{}' has no place in JSON: numbers must be finite; a text needs quotes", shorten(text, 40))
}

/// `None`: not a number. `Some(None)`: a number that JSON cannot represent.
fn core_number(text: &str) -> Option<Option<Number>> {
    let digits_of = |text: &str, radix| u64::from_str_radix(text, radix).ok().map(Number::from);
    if let Some(octal) = text.strip_prefix("0o") {
        return (!octal.is_empty() && octal.bytes().all(|b| matches!(b, b'0'..=b'7')))
            .then(|| digits_of(octal, 8));
    }
    if let Some(hex) = text.strip_prefix("0x") {
        return (!hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit())).then(|| digits_of(hex, 16));
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Some(None);
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let well_formed = digits(whole)
        && fraction.is_none_or(digits)
        && !(whole.is_empty() && fraction.is_none_or(str::is_empty))
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent));
    if !well_formed {
        return None;
    }
    if is_whole(text) {
        return Some(json::whole(text));
    }
    Some(text.parse::<f64>().ok().and_then(Number::from_f64))
}

fn place(span: &Span) -> Place {
    Place { line: number(span.start.line()), column: number(span.start.col()) + 1, ..Place::default() }
}

fn at(span: &Span, path: &Path<'_>, message: impl Into<String>) -> Problem {
    Problem {
        line: Some(number(span.start.line())),
        column: Some(number(span.start.col()) + 1),
        ..Problem::new(path.to_string(), message)
    }
}

fn syntax(error: &ScanError) -> Problem {
    Problem {
        line: Some(number(error.marker().line())),
        column: Some(number(error.marker().col()) + 1),
        ..Problem::new("", format!("this is not valid YAML: {}", error.info()))
    }
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for (text, value) in [
            ("12", json!(12)),
            ("-0", json!(0)),
            ("+7", json!(7)),
            ("0o17", json!(15)),
            ("0xfF", json!(255)),
            ("1.5", json!(1.5)),
            (".5", json!(0.5)),
            ("1.", json!(1.0)),
            ("1e3", json!(1000.0)),
            ("18446744073709551615", json!(u64::MAX)),
            ("yes", json!("yes")),
            ("no", json!("no")),
            ("1.2.3", json!("1.2.3")),
            ("0x", json!("0x")),
            (".", json!(".")),
            ("-", json!("-")),
            ("e5", json!("e5")),
            ("1e", json!("1e")),
            ("2024-01-01", json!("2024-01-01")),
            ("~", json!(null)),
            ("True", json!(true)),
        ] {
            assert_eq!(plain(text), Ok(value), "{text}");
        }
        for text in [".inf", "-.inf", ".nan", "1e999", "0xfffffffffffffffff", "18446744073709551616"] {
            assert!(plain(text).is_err(), "{text}");
        }
    }

    #[test]
    fn places_are_those_of_keys_and_items() {
        let document = read("a: 1\nb:\n  - x\n  -  c: |\n       one\n       two\n").unwrap();
        assert_eq!(document.value, json!({"a": 1, "b": ["x", {"c": "one\ntwo\n"}]}));
        let b = &document.place.children[1];
        assert_eq!((b.line, b.column), (2, 1));
        assert_eq!((b.children[0].line, b.children[0].column), (3, 5));
        let c = &b.children[1].children[0];
        assert_eq!((c.line, c.column, c.text_line), (4, 6, Some(5)));
        let late = read("a: |\n\n\n  x\n").unwrap();
        assert_eq!(late.place.children[0].text_line, Some(2));
    }
}
