//! Parsing at the edge: names and titles, and the cursors of lists.

use crate::{Error, Result};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::view::Page;
use serde::{Serialize, de::DeserializeOwned};

/// The longest cursor that is parsed, in bytes; real ones are far shorter.
const MAX_CURSOR: usize = 1_000;

/// A name or title: one line of 1 to `most` characters, without spaces around it.
pub(crate) fn line(path: &str, text: &str, most: usize) -> Result<String> {
    let text = text.trim();
    let length = text.chars().count();
    if length == 0 {
        return Err(Error::invalid(path, "must not be empty"));
    }
    if length > most {
        return Err(Error::invalid(path, format!("has at most {most} characters, this has {length}")));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::invalid(path, "must not have line breaks or control characters"));
    }
    Ok(text.to_owned())
}

/// The sort key in a cursor, or `start` without a cursor.
pub(crate) fn after<K: DeserializeOwned>(cursor: Option<&str>, start: K) -> Result<K> {
    let Some(cursor) = cursor else { return Ok(start) };
    let bad =
        || Error::invalid("cursor", "is not a cursor that this list gave out; leave it out to begin anew");
    if cursor.len() > MAX_CURSOR {
        return Err(bad());
    }
    let key = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad())?;
    serde_json::from_slice(&key).map_err(|_| bad())
}

/// The cursor for this sort key.
pub(crate) fn cursor<K: Serialize>(key: &K) -> Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(key).map_err(Error::internal)?))
}

/// A page of `size` items from the rows of a query that asked for one more. `key` is the sort key of the list.
pub(crate) fn page<R, K: Serialize, T>(
    mut rows: Vec<R>,
    size: usize,
    key: impl Fn(&R) -> K,
    item: impl FnMut(R) -> Result<T>,
) -> Result<Page<T>> {
    let more = rows.len() > size;
    rows.truncate(size);
    let next = match rows.last().filter(|_| more) {
        Some(last) => Some(cursor(&key(last))?),
        None => None,
    };
    Ok(Page { items: rows.into_iter().map(item).collect::<Result<_>>()?, next })
}

/// Checks that any text that parses as a cursor can be written and parsed again with the same result.
pub fn fuzzed(text: &str) {
    fn same<K: DeserializeOwned + Serialize>(text: &str) {
        let key = after::<Option<K>>(Some(text), None);
        if let Ok(Some(key)) = key {
            let written = cursor(&key).expect("a key is written");
            let again = after::<Option<K>>(Some(&written), None).ok().flatten().expect("it is read again");
            assert_eq!(cursor(&again).ok(), Some(written), "{text}");
        }
    }
    same::<i64>(text);
    same::<uuid::Uuid>(text);
    same::<(i64, uuid::Uuid)>(text);
    same::<(i64, String)>(text);
    same::<(i64, u32)>(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_continue_where_they_ended() {
        let all: Vec<u32> = (0..7).collect();
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let from: u32 = after(cursor.as_deref(), 0).unwrap();
            let rows: Vec<u32> = all.iter().copied().filter(|n| *n >= from).take(4).collect();
            let page = page(rows, 3, |last| last + 1, Ok).unwrap();
            seen.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn a_bad_cursor_is_named() {
        for bad in ["!", "e30", &"A".repeat(5_000)] {
            let error = after(Some(bad), 0_u32).unwrap_err();
            assert!(error.to_string().starts_with("cursor: "), "{error}");
        }
    }

    #[test]
    fn lines_are_trimmed_and_bounded() {
        assert_eq!(line("name", "  Demo ", 10).unwrap(), "Demo");
        for bad in ["", "  ", "a\nb", "elevenchars"] {
            assert!(line("name", bad, 10).is_err(), "{bad:?}");
        }
    }
}
