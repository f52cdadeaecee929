//! Code fences, by CommonMark (section 4.5). A block ends with a line that has only the character of its opening fence,
//! at least as often. Shorter fences, and those of the other character, are content.

use std::fmt::{self, Display};

/// The shortest fence, in characters.
const SHORTEST: usize = 3;
/// A fence that is indented further is code.
const MOST_SPACES: usize = 3;

/// A text between fences that none of its lines can close.
pub(crate) struct Fenced<'t> {
    pub language: &'t str,
    pub text: &'t str,
    /// The text for which the fences must be safe; `text` may be a part of it.
    pub whole: &'t str,
}

impl<'t> From<&'t str> for Fenced<'t> {
    fn from(text: &'t str) -> Self {
        Self { language: "", text, whole: text }
    }
}

impl Display for Fenced<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Counts any run of the character at the beginning of a line, however far it is indented: some readers ignore
        // the rule.
        let runs = lines(self.whole).map(|line| run(line.trim_start(), '`'));
        let fence = "`".repeat(runs.max().map_or(SHORTEST, |longest| SHORTEST.max(longest + 1)));
        write!(f, "{fence}{}\n{}\n{fence}", self.language, self.text)
    }
}

/// The content of each fenced block of a text. An unclosed block extends to the text's end.
pub(crate) fn blocks(text: &str) -> Vec<&str> {
    scan(text, opening)
}

/// Like [`blocks`], but a block may also begin at the end of a sentence, as models sometimes write it.
pub(crate) fn blocks_anywhere(text: &str) -> Vec<&str> {
    scan(text, opening_anywhere)
}

fn scan(text: &str, opening: fn(&str) -> Option<(char, usize)>) -> Vec<&str> {
    let mut blocks = Vec::new();
    let mut open: Option<(char, usize, usize)> = None;
    let mut at = 0;
    for line in lines(text) {
        let (start, end) = (at, at + line.len());
        at = end;
        match open {
            None => open = opening(line).map(|(mark, length)| (mark, length, end)),
            Some((mark, length, from)) if closes(line, mark, length) => {
                blocks.push(&text[from..start]);
                open = None;
            }
            Some(_) => {}
        }
    }
    blocks.extend(open.map(|(_, _, from)| &text[from..]));
    blocks
}

/// The lines of a text with their line endings, which may be a single carriage return.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = match rest.find(['\n', '\r']) {
            Some(at) if rest[at..].starts_with("\r\n") => at + 2,
            Some(at) => at + 1,
            None => rest.len(),
        };
        let (line, after) = rest.split_at(end);
        rest = after;
        (!line.is_empty()).then_some(line)
    })
}

/// The character and length of the fence that opens a block on this line.
fn opening(line: &str) -> Option<(char, usize)> {
    let fence = line.trim_start_matches(' ');
    let mark = fence.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let length = run(fence, mark);
    // The info string of a backtick fence has no backtick; otherwise the line is inline code.
    let is_fence = line.len() - fence.len() <= MOST_SPACES
        && length >= SHORTEST
        && (mark == '~' || !fence[length..].contains('`'));
    is_fence.then_some((mark, length))
}

/// Like [`opening`], but the fence may follow words; only a language may follow the fence.
fn opening_anywhere(line: &str) -> Option<(char, usize)> {
    opening(line).or_else(|| {
        let before = line.trim_end().trim_end_matches(is_of_language);
        let mark = before.chars().next_back().filter(|mark| matches!(mark, '`' | '~'))?;
        let length = before.len() - before.trim_end_matches(mark).len();
        (length >= SHORTEST).then_some((mark, length))
    })
}

fn is_of_language(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '+' | '-' | '#' | '.' | '_')
}

fn closes(line: &str, mark: char, length: usize) -> bool {
    let fence = line.trim_start_matches(' ');
    let found = run(fence, mark);
    line.len() - fence.len() <= MOST_SPACES && found >= length && fence[found..].trim().is_empty()
}

/// How many times the text begins with `mark`, which is one byte long.
fn run(text: &str, mark: char) -> usize {
    text.chars().take_while(|&character| character == mark).count()
}

/// Checks for any text that the fence around it ends in the right place, and that nothing of the text is lost.
pub fn fuzzed(text: &str) {
    let within = |block: &&str| text.as_bytes().as_ptr_range().contains(&block.as_ptr()) || block.is_empty();
    assert!(blocks(text).iter().all(within), "{text:?}");
    let fenced = format!("before\n{}\nafter", Fenced::from(text));
    assert_eq!(blocks(&fenced), [format!("{text}\n")], "{text:?}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

    /// The text of the first block, as a CommonMark parser reads it.
    fn read(markdown: &str) -> String {
        let mut events = Parser::new(markdown);
        events
            .find(|event| matches!(event, Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_)))))
            .expect("it has a block");
        let inside = events.take_while(|event| !matches!(event, Event::End(TagEnd::CodeBlock)));
        inside
            .map(|event| if let Event::Text(text) = event { text.to_string() } else { String::new() })
            .collect()
    }

    #[test]
    fn nothing_in_a_text_ends_the_fence_around_it() {
        for text in [
            "plain",
            "```\ncode\n```",
            "~~~~\ncode\n~~~~",
            "# Doc\n```js\nlet a;\n```\n\n~~~~\nx\n~~~~\n\n````md\n```\n```\n````\n",
            "   `````\n",
            "a ``` b",
            "````````",
            "a\r```\rb",
            "",
        ] {
            let fenced = format!("before\n\n{}\n\nafter", Fenced::from(text));
            assert_eq!(read(&fenced), format!("{text}\n"), "{fenced}");
            assert_eq!(blocks(&fenced), [format!("{text}\n")], "{fenced}");
        }
        assert_eq!(Fenced::from("x").to_string(), "```\nx\n```");
        let cut = Fenced { language: "md", text: "a\n", whole: "a\n````" };
        assert_eq!(cut.to_string(), "`````md\na\n\n`````");
    }

    #[test]
    fn blocks_end_where_the_rule_says() {
        let cases: &[(&str, &[&str])] = &[
            ("no fence", &[]),
            ("```\na\n```", &["a\n"]),
            ("~~~\na\n~~~", &["a\n"]),
            ("```\na\n~~~\n```", &["a\n~~~\n"]),
            ("~~~~\n```js\na\n```\n~~~~", &["```js\na\n```\n"]),
            ("````\n```\na\n```\n````", &["```\na\n```\n"]),
            ("```\na\n`````  \nb", &["a\n"]),
            ("````\na\n```\nb", &["a\n```\nb"]),
            ("```\na ``` b\n```", &["a ``` b\n"]),
            ("```\na\n``` b\n```", &["a\n``` b\n"]),
            ("```\na\n    ```\n   ```", &["a\n    ```\n"]),
            ("```\na\n```\nthen\n~~~ x ` y\nb\n~~~", &["a\n", "b\n"]),
            ("``` a ` b\n", &[]),
            ("`` a\n", &[]),
            ("Write ``` or ``` before it.\nNo block.", &[]),
            ("```\nnever closed", &["never closed"]),
            ("```", &[""]),
            ("```\r\na\r\n```\r\n", &["a\r\n"]),
            ("```\ra\r```\rb", &["a\r"]),
        ];
        for (text, expected) in cases {
            assert_eq!(&blocks(text), expected, "{text:?}");
        }
        for text in ["Sure: ```json\n{}\n```\n", "Sure:\n```json\n{}\n```\n", "Sure:~~~\n{}\n"] {
            assert_eq!(blocks_anywhere(text), ["{}\n"], "{text:?}");
        }
        assert_eq!(blocks_anywhere("Write ``` or ``` before it.\nNo `block`."), Vec::<&str>::new());
    }
}
