//! Parses JSON to a value with places. `serde_json` checks the syntax and reads the scalars; the walk here finds the
//! places, and rejects repeated keys and deeper nesting than a YAML document may have.

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::place::{Located, Path, Place};
use super::yaml::MAX_DEPTH;
use crate::json::{self, is_whole};
use crate::problem::{Problem, shorten};

pub(crate) fn read(source: &str) -> Result<Located, Problem> {
    if source.trim().is_empty() {
        return Err(Problem::new("", "the document is empty: it starts with {\"apiVersion\": \"troupe/v1\""));
    }
    serde_json::from_str::<IgnoredAny>(source).map_err(|error| syntax(&error))?;
    let mut walk = Walk { source, at: 0, line: 1, line_start: 0 };
    let (value, place) = walk.value(&Path::Root, 0)?;
    Ok(Located { value, place })
}

fn syntax(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    // serde_json appends the place to its messages; here it has its own fields.
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    Problem {
        line: Some(number(error.line())),
        column: Some(number(error.column())),
        ..Problem::new("", format!("this is not valid JSON: {message}"))
    }
}

/// Walks a text that is known to be valid JSON.
struct Walk<'s> {
    source: &'s str,
    at: usize,
    line: usize,
    line_start: usize,
}

impl<'s> Walk<'s> {
    fn peek(&self) -> Option<u8> {
        self.source.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no white space.
    fn skip_space(&mut self) -> Option<u8> {
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' => {
                    self.line += 1;
                    self.line_start = self.at + 1;
                }
                b' ' | b'\t' | b'\r' => {}
                other => return Some(other),
            }
            self.at += 1;
        }
        None
    }

    fn place(&self) -> Place {
        let column = self.source.get(self.line_start..self.at).map_or(0, |text| text.chars().count());
        Place { line: number(self.line), column: number(column + 1), ..Place::default() }
    }

    fn value(&mut self, path: &Path<'_>, depth: usize) -> Result<(Value, Place), Problem> {
        let first = self.skip_space();
        let mut place = self.place();
        if depth > MAX_DEPTH {
            return Err(at(&place, &Path::Root, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        match first {
            Some(b'{') => {
                let mut map = Map::new();
                self.at += 1;
                while self.skip_space() != Some(b'}') {
                    let key_place = self.place();
                    let key = self.string().map_err(|message| at(&key_place, path, message))?;
                    let path = path.key(&key);
                    if map.contains_key(&key) {
                        let message = format!("'{}' stands here twice: remove one", shorten(&key, 80));
                        return Err(at(&key_place, &path, message));
                    }
                    self.skip_space();
                    self.at += 1; // ':'
                    let (value, mut child) = self.value(&path, depth + 1)?;
                    (child.line, child.column) = (key_place.line, key_place.column);
                    map.insert(key, value);
                    place.children.push(child);
                    if self.skip_space() == Some(b',') {
                        self.at += 1;
                    }
                    self.more(&place)?;
                }
                self.at += 1;
                Ok((Value::Object(map), place))
            }
            Some(b'[') => {
                let mut items = Vec::new();
                self.at += 1;
                while self.skip_space() != Some(b']') {
                    let (item, child) = self.value(&path.index(items.len()), depth + 1)?;
                    items.push(item);
                    place.children.push(child);
                    if self.skip_space() == Some(b',') {
                        self.at += 1;
                    }
                    self.more(&place)?;
                }
                self.at += 1;
                Ok((Value::Array(items), place))
            }
            Some(b'"') => {
                let text = self.string().map_err(|message| at(&place, path, message))?;
                Ok((Value::String(text), place))
            }
            _ => {
                let start = self.at;
                while self
                    .peek()
                    .is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
                {
                    self.at += 1;
                }
                let scalar = self.source.get(start..self.at).unwrap_or_default();
                if is_whole(scalar) && json::whole(scalar).is_none() {
                    return Err(at(&place, path, format!("{}: {}", shorten(scalar, 40), json::TOO_LONG)));
                }
                let value = serde_json::from_str(scalar).map_err(|_| {
                    at(&place, path, format!("'{}' is no number that can be kept", shorten(scalar, 40)))
                })?;
                Ok((value, place))
            }
        }
    }

    /// Guards the loops: a valid text cannot end inside a list or an object.
    fn more(&self, place: &Place) -> Result<(), Problem> {
        if self.at < self.source.len() {
            Ok(())
        } else {
            Err(at(place, &Path::Root, "this is not valid JSON: it breaks off"))
        }
    }

    fn string(&mut self) -> Result<String, String> {
        let start = self.at;
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += match byte {
                b'\\' => 2,
                b'"' => {
                    self.at += 1;
                    break;
                }
                _ => 1,
            };
        }
        let text = self.source.get(start..self.at).unwrap_or_default();
        serde_json::from_str(text)
            .map_err(|_| "this text has an escape that stands for no character".to_owned())
    }
}

fn at(place: &Place, path: &Path<'_>, message: impl Into<String>) -> Problem {
    Problem { line: Some(place.line), column: Some(place.column), ..Problem::new(path.to_string(), message) }
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn places_are_those_of_keys_and_items() {
        let read = read("{\n  \"a\": [1,\n    {\"é\\\"\": \"x\", \"c\": null}]\n}").unwrap();
        assert_eq!(read.value, json!({"a": [1, {"é\"": "x", "c": null}]}));
        let a = &read.place.children[0];
        assert_eq!((a.line, a.column), (2, 3));
        let c = &a.children[1].children[1];
        assert_eq!((c.line, c.column), (3, 18));
    }

    proptest! {
        #[test]
        fn reads_what_serde_json_reads(value in any_json()) {
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                prop_assert_eq!(&read(&text).unwrap().value, &value);
            }
        }

        #[test]
        fn never_panics(text in r#"[\[\]{}:,"\\a1 \n.e-]{0,40}"#) {
            let _ = read(&text);
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((".{0,5}", inner), 0..5)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }
}
