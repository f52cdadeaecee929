//! A text as one line for a list, without its Markdown marks. The stored text keeps them.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use std::ops::Range;

/// `text` may be the beginning of a longer one, so it may contain a mark whose closing mark is missing.
pub fn plain_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for (event, place) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Text(said) if is_half(text, &said, &place) => {}
            Event::Text(said) | Event::Code(said) | Event::Html(said) | Event::InlineHtml(said) => {
                line.push_str(&said);
            }
            // In a list, `__init__` is a name rather than emphasis, and `2*3*4` is a product.
            Event::Start(Tag::Strong) | Event::End(TagEnd::Strong) if is_of_a_word(text, &place) => {
                let marks = place.start..place.start + 2;
                line.push_str(&text[marks]);
            }
            Event::Start(Tag::Emphasis) | Event::End(TagEnd::Emphasis) if is_of_a_word(text, &place) => {
                let mark = place.start..place.start + 1;
                line.push_str(&text[mark]);
            }
            Event::Start(Tag::Item) => {
                line.push(' ');
                // A bullet has no meaning of its own, but a number has.
                let mark = text[place].split_whitespace().next().unwrap_or_default();
                if mark.starts_with(|first: char| first.is_ascii_digit()) {
                    line.push_str(mark);
                    line.push(' ');
                }
            }
            Event::Start(Tag::Strong | Tag::Emphasis | Tag::Link { .. } | Tag::Image { .. })
            | Event::End(TagEnd::Strong | TagEnd::Emphasis | TagEnd::Link | TagEnd::Image) => {}
            _ => line.push(' '),
        }
    }
    let joined = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    match joined(&line) {
        // The text consists of marks only.
        plain if plain.is_empty() => joined(text),
        plain => plain,
    }
}

/// Whether a marked span is within a word, or is a name.
fn is_of_a_word(text: &str, place: &Range<usize>) -> bool {
    let (before, after) = (&text[..place.start], &text[place.end..]);
    text[place.start..].starts_with('_')
        || before.ends_with(char::is_alphanumeric)
        || after.starts_with(char::is_alphanumeric)
}

/// Whether the text is a bold mark whose counterpart is cut off. The stars of `2**10` do not count.
fn is_half(text: &str, said: &str, place: &Range<usize>) -> bool {
    let is_star = said.bytes().all(|byte| byte == b'*');
    let (before, after) =
        (text[..place.start].trim_end_matches('*'), text[place.end..].trim_start_matches('*'));
    let is_bold = text.len() - before.len() - after.len() >= 2;
    let in_word = before.ends_with(char::is_alphanumeric) && after.starts_with(char::is_alphanumeric);
    is_star && is_bold && !in_word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_words_and_no_marks() {
        for (text, line) in [
            ("", ""),
            ("  Plain,  in two\nlines ", "Plain, in two lines"),
            ("# Found **one** <script>alert(1)</script>", "Found one <script>alert(1)</script>"),
            ("**Bold**, *slanted* and ***both***.", "Bold, slanted and both."),
            ("Use `git log --all` first", "Use git log --all first"),
            ("`**kwargs` stay in code", "**kwargs stay in code"),
            ("Title\n=====\n\n> quoted\n\n- one\n- two\n", "Title quoted one two"),
            ("3. Third\n4. Fourth", "3. Third 4. Fourth"),
            ("```rust\nlet a = *b;\n```\nand so on", "let a = *b; and so on"),
            ("```rust\nlet a = 1;", "let a = 1;"),
            ("See [the docs](https://example.org) and ![a chart](chart.png)", "See the docs and a chart"),
            ("| a | b |\n|---|---|\n| 1 | 2 |", "a b 1 2"),
            // A text that is cut off, or an excerpt from the middle.
            ("**Cut off in the mid", "Cut off in the mid"),
            ("\u{2026}the end of it** and on", "\u{2026}the end of it and on"),
            ("## **\u{2}Marked\u{3}** words", "\u{2}Marked\u{3} words"),
            // Text that only looks like marks.
            ("2 * 3 * 4 = 24, 2**10 = 1024", "2 * 3 * 4 = 24, 2**10 = 1024"),
            ("2*3*4, f(x*y, z*w) and a**b**c", "2*3*4, f(x*y, z*w) and a**b**c"),
            ("C#, #42 and 5 > 3", "C#, #42 and 5 > 3"),
            (
                "What does __init__ do in a_long_name, _really_?",
                "What does __init__ do in a_long_name, _really_?",
            ),
            ("int *p = *q;", "int *p = *q;"),
            ("AT&T asks: <b>why?</b>", "AT&T asks: <b>why?</b>"),
            ("---", "---"),
            ("{\"a\": [1, 2]}", "{\"a\": [1, 2]}"),
        ] {
            assert_eq!(plain_line(text), line, "{text:?}");
        }
    }
}
