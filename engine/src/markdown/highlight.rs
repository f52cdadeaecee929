//! Syntax highlighting: marks tokens with classes. The style sheet defines the colours.
//!
//! Bounded: long blocks and unknown languages are not highlighted, and a block that takes too long only up to that
//! point. What counts is the processor time of the thread: on a busy machine, waiting for a turn takes no colour from a
//! text, which would stay in the cache without it.

use pulldown_cmark_escape::escape_html_body_text;
use std::{str::FromStr, sync::LazyLock, time::Duration};
use syntect::{
    parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet},
    util::LinesWithEndings,
};

/// In bytes.
const LONGEST: usize = 100 * 1024;
/// Longer lines are data, not code.
const LONGEST_LINE: usize = 2_000;
/// Processor time for all the code of one text. The first text of a language pays for reading its grammar. Without
/// compiler optimisation, highlighting takes a hundred times as long.
const TIME: Duration = Duration::from_millis(if cfg!(debug_assertions) { 60_000 } else { 500 });

/// The prefix of all classes of the highlighter.
pub(super) const PREFIX: &str = "hl-";

static SYNTAXES: LazyLock<SyntaxSet> = LazyLock::new(two_face::syntax::extra_newlines);

/// The kinds of tokens, special ones before general ones.
static KINDS: LazyLock<Vec<(Scope, &'static str)>> = LazyLock::new(|| {
    let kinds = [
        ("comment", "comment"),
        ("string", "string"),
        ("constant.character.escape", "number"),
        ("constant", "number"),
        ("keyword.operator", ""),
        ("keyword", "keyword"),
        ("storage", "keyword"),
        ("entity.name.tag", "keyword"),
        ("entity.name.function", "name"),
        ("support.function", "name"),
        ("variable.function", "name"),
        ("support.macro", "name"),
        ("entity.name", "type"),
        ("entity.other.inherited-class", "type"),
        ("support.type", "type"),
        ("support.class", "type"),
        ("entity.other.attribute-name", "type"),
        ("markup.inserted", "inserted"),
        ("markup.deleted", "deleted"),
        ("markup.heading", "keyword"),
    ];
    let read = |(scope, kind): (&str, &'static str)| Some((Scope::from_str(scope).ok()?, kind));
    kinds.into_iter().filter_map(read).collect()
});

/// The deadline for highlighting the code of one text.
pub(super) struct Highlighter {
    until: Duration,
}

impl Highlighter {
    pub fn new() -> Self {
        Self::within(TIME)
    }

    fn within(time: Duration) -> Self {
        // Loads the grammars before the text's time starts.
        LazyLock::force(&SYNTAXES);
        Self { until: thread_time() + time }
    }

    /// The code as HTML; `None` if it is not highlighted.
    pub fn html(&self, language: &str, code: &str) -> Option<String> {
        if code.len() > LONGEST {
            return None;
        }
        let mut writer = Writer { html: String::with_capacity(code.len() * 2), open: "" };
        let mut state = ParseState::new(syntax(language)?);
        let mut stack = ScopeStack::new();
        for line in LinesWithEndings::from(code) {
            if line.len() > LONGEST_LINE || thread_time() > self.until {
                writer.write(line, "");
                continue;
            }
            let Ok(changes) = state.parse_line(line, &SYNTAXES) else {
                writer.write(line, "");
                continue;
            };
            let mut from = 0;
            for (at, change) in changes {
                writer.write(line.get(from..at)?, kind(&stack));
                from = at;
                stack.apply(&change).ok()?;
            }
            writer.write(line.get(from..)?, kind(&stack));
        }
        writer.close();
        Some(writer.html)
    }
}

/// The processor time that this thread has used.
#[cfg(unix)]
fn thread_time() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    // Never negative.
    Duration::try_from(used).unwrap_or_default()
}

/// The time since the first call, where the processor time of a thread is not at hand.
#[cfg(not(unix))]
fn thread_time() -> Duration {
    static START: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
    START.elapsed()
}

fn syntax(language: &str) -> Option<&'static SyntaxReference> {
    let language = language.split([',', ' ', '{']).next().filter(|language| !language.is_empty())?;
    // Language names that models use and grammars do not know.
    let known = match language.to_ascii_lowercase().as_str() {
        "text" | "plain" | "plaintext" | "txt" => return None,
        "shell" | "console" | "zsh" => "bash",
        "golang" => "go",
        "c#" => "cs",
        "jsonc" | "json5" => "json",
        _ => language,
    };
    SYNTAXES.find_syntax_by_token(known).filter(|syntax| syntax.name != "Plain Text")
}

/// The kind of the innermost known scope.
fn kind(stack: &ScopeStack) -> &'static str {
    let known = |scope: &Scope| KINDS.iter().find(|(known, _)| known.is_prefix_of(*scope));
    stack.as_slice().iter().rev().find_map(known).map_or("", |(_, kind)| kind)
}

/// Merges adjacent tokens of one kind into one element.
struct Writer {
    html: String,
    open: &'static str,
}

impl Writer {
    fn write(&mut self, text: &str, kind: &'static str) {
        if text.is_empty() {
            return;
        }
        if kind != self.open {
            self.close();
            // Whitespace has no colour.
            if !kind.is_empty() && !text.trim().is_empty() {
                self.html.push_str("<span class=\"");
                self.html.push_str(PREFIX);
                self.html.push_str(kind);
                self.html.push_str("\">");
                self.open = kind;
            }
        }
        // Writing to a String does not fail.
        _ = escape_html_body_text(&mut self.html, text);
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.html.push_str("</span>");
        }
        self.open = "";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(language: &str, code: &str) -> Option<String> {
        Highlighter::new().html(language, code)
    }

    #[test]
    fn words_of_the_usual_languages_have_kinds() {
        for (language, code, kind) in [
            (
                "rust",
                "let a = \"b\";",
                "<span class=\"hl-keyword\">let</span> a = <span class=\"hl-string\">\"b\"</span>;",
            ),
            ("python", "# no\n", "<span class=\"hl-comment\"># no\n</span>"),
            ("ts", "const a: number = 1;", "<span class=\"hl-keyword\">const</span>"),
            ("sql", "SELECT 1", "<span class=\"hl-keyword\">SELECT</span>"),
            ("toml", "a = 1", "<span class=\"hl-number\">1</span>"),
            ("yaml", "a: 'b'", "hl-string"),
            ("json", "{\"a\": true}", "<span class=\"hl-number\">true</span>"),
            ("bash", "echo \"$A\"", "hl-string"),
            ("shell", "echo \"$A\"", "hl-string"),
            ("diff", "+a\n-b\n", "hl-inserted"),
            ("html", "<b class=\"x\">", "hl-keyword"),
        ] {
            let html = html(language, code).unwrap_or_else(|| panic!("{language} is not known"));
            assert!(html.contains(kind), "{language}: {html}");
        }
    }

    #[test]
    fn what_is_unknown_or_too_long_stays_as_it_is() {
        for language in ["", "text", "klingon", "../../etc"] {
            assert_eq!(html(language, "a"), None, "{language}");
        }
        assert_eq!(html("rust", &"a".repeat(LONGEST + 1)), None);
        let line = "let ".repeat(LONGEST_LINE);
        assert_eq!(html("rust", &line), Some(line));
    }

    #[test]
    fn work_uses_up_the_time_and_waiting_does_not() {
        let code = "let a = 1;";
        assert_eq!(Highlighter::within(Duration::ZERO).html("rust", code).as_deref(), Some(code));
        let (before, wait) = (thread_time(), Duration::from_millis(200));
        std::thread::sleep(wait);
        assert!(thread_time() - before < wait / 2);
    }

    #[test]
    fn every_character_is_kept_and_none_is_markup() {
        let code = "fn f<'a>(x: &'a str) -> &'a str {\n\t\"</span><script>\" // & <b>\n}\n\u{2028}ü";
        let html = html("rust", code).unwrap();
        let plain = html.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text));
        let plain: String = plain.collect();
        let plain = plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        assert_eq!(plain, code);
        assert_eq!(html.matches("<span ").count(), html.matches("</span>").count());
        assert!(!html.contains("<script"), "{html}");
    }
}
