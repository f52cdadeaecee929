//! Renders models' Markdown as HTML that is safe to put into a page.
//!
//! Invariant: the result contains only the elements listed below, no style, no script, no image, and links to `http`,
//! `https` and `mailto` only. HTML in a model's text is shown as text.

mod highlight;
mod line;

pub use line::plain_line;

use crate::fence::Fenced;
use ammonia::{Builder, UrlRelative};
use domain::id::MessageId;
use highlight::Highlighter;
use moka::sync::Cache;
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::{Arc, LazyLock},
};

const ELEMENTS: [&str; 25] = [
    "a",
    "blockquote",
    "br",
    "code",
    "del",
    "em",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "ol",
    "p",
    "pre",
    "span",
    "strong",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
    "sup",
];

/// Deeper quotes and lists are cut off: they are unreadable, and HTML parsers handle them badly.
const MAX_DEPTH: usize = 32;

static SANITISER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::empty();
    builder
        .tags(HashSet::from(ELEMENTS))
        .tag_attributes(HashMap::from([
            ("a", HashSet::from(["href", "title"])),
            ("code", HashSet::from(["class"])),
            ("ol", HashSet::from(["start"])),
            ("span", HashSet::from(["class"])),
        ]))
        .attribute_filter(|element, attribute, value| match (element, attribute) {
            ("span", "class") => is_kind(value).then_some(Cow::Borrowed(value)),
            (_, "class") => is_language(value).then_some(Cow::Borrowed(value)),
            _ => Some(Cow::Borrowed(value)),
        })
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        // A relative link would point into this application.
        .url_relative(UrlRelative::Deny)
        .link_rel(Some("noopener nofollow"));
    builder
});

/// Size of the HTML cache, in bytes.
const KEPT: u64 = 16 * 1024 * 1024;
/// Approximate overhead of a cache entry, in bytes.
const ENTRY: usize = 256;

/// A cache of rendered HTML.
#[derive(Clone)]
pub(crate) struct Rendered(Cache<(MessageId, usize), Arc<str>>);

impl Rendered {
    pub fn new() -> Self {
        let bytes =
            |_: &(MessageId, usize), html: &Arc<str>| (html.len() + ENTRY).try_into().unwrap_or(u32::MAX);
        Self(Cache::builder().weigher(bytes).max_capacity(KEPT).build())
    }

    /// The answer's HTML, from the cache if possible. The cache key contains the length, because a message's text
    /// changes once: from nothing to its run's output.
    pub fn of_answer(&self, message: MessageId, text: &str) -> String {
        self.0.get_with((message, text.len()), || of_answer(text).into()).to_string()
    }
}

/// A run's output: JSON as code, anything else as Markdown.
fn of_answer(text: &str) -> String {
    let is_json = text.starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    if is_json { to_html(&Fenced { language: "json", text, whole: text }.to_string()) } else { to_html(text) }
}

/// Sanitised HTML. Headings start at level three; pages use the levels above.
fn to_html(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut depth = 0_usize;
    let events = Parser::new_ext(markdown, options).map(lowered).filter(move |event| match event {
        Event::Start(Tag::BlockQuote(_) | Tag::List(_) | Tag::Item) => {
            depth += 1;
            depth <= MAX_DEPTH
        }
        Event::End(TagEnd::BlockQuote(_) | TagEnd::List(_) | TagEnd::Item) => {
            depth -= 1;
            depth < MAX_DEPTH
        }
        _ => true,
    });
    let mut unsafe_html = String::with_capacity(markdown.len() * 3 / 2);
    html::push_html(&mut unsafe_html, coloured(events));
    framed(&SANITISER.clean(&unsafe_html).to_string())
}

/// Highlights code blocks.
fn coloured<'e>(events: impl Iterator<Item = Event<'e>>) -> impl Iterator<Item = Event<'e>> {
    let highlighter = Highlighter::new();
    // The open block: its language and its text so far.
    let mut open: Option<(String, String)> = None;
    events
        .filter_map(move |event| match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(ref language))) => {
                open = Some((language.to_string(), String::new()));
                Some(vec![event])
            }
            Event::Text(text) if open.is_some() => {
                if let Some((_, code)) = &mut open {
                    code.push_str(&text);
                }
                None
            }
            Event::End(TagEnd::CodeBlock) => {
                let inside = open.take().map(|(language, code)| match highlighter.html(&language, &code) {
                    Some(html) => Event::Html(html.into()),
                    None => Event::Text(code.into()),
                });
                Some(inside.into_iter().chain([event]).collect())
            }
            other => Some(vec![other]),
        })
        .flatten()
}

/// Wraps each code block in a frame with a copy button. This runs after sanitising, which leaves `<pre>` only at the
/// beginning of code blocks.
fn framed(html: &str) -> String {
    html.replace(
        "<pre>",
        "<div class=\"code-frame\"><button type=\"button\" class=\"code-take\" data-take>Copy</button>\
         <pre tabindex=\"0\">",
    )
    .replace("</pre>", "</pre></div>")
}

/// Turns raw HTML into text and an image into a link, and lowers a heading by two levels.
fn lowered(event: Event<'_>) -> Event<'_> {
    match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::HtmlBlock) => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::HtmlBlock) => Event::End(TagEnd::Paragraph),
        Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Link { link_type, dest_url, title, id })
        }
        Event::End(TagEnd::Image) => Event::End(TagEnd::Link),
        Event::Start(Tag::Heading { level, .. }) => Event::Start(Tag::Heading {
            level: below(level),
            id: None,
            classes: Vec::new(),
            attrs: Vec::new(),
        }),
        Event::End(TagEnd::Heading(level)) => Event::End(TagEnd::Heading(below(level))),
        other => other,
    }
}

fn below(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 => HeadingLevel::H3,
        HeadingLevel::H2 => HeadingLevel::H4,
        HeadingLevel::H3 => HeadingLevel::H5,
        HeadingLevel::H4 | HeadingLevel::H5 | HeadingLevel::H6 => HeadingLevel::H6,
    }
}

/// Whether the class is one of the highlighter's.
fn is_kind(class: &str) -> bool {
    class
        .strip_prefix(highlight::PREFIX)
        .is_some_and(|kind| !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase()))
}

fn is_language(class: &str) -> bool {
    class.strip_prefix("language-").is_some_and(|language| {
        (1..=40).contains(&language.len())
            && language.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '#' | '.' | '_'))
    })
}

#[cfg(test)]
mod tests {
    use super::{SANITISER, to_html};

    #[test]
    fn what_reviews_are_made_of_is_rendered() {
        let table = [
            ("# One\n\n#### Four", "<h3>One</h3>\n<h6>Four</h6>\n"),
            ("a *b* **c** `d` ~~e~~", "<p>a <em>b</em> <strong>c</strong> <code>d</code> <del>e</del></p>\n"),
            (
                "```rust\nlet a = 1 < 2;\n```",
                "<div class=\"code-frame\"><button type=\"button\" class=\"code-take\" data-take>Copy</button>\
                 <pre tabindex=\"0\"><code class=\"language-rust\"><span class=\"hl-keyword\">let</span> a = \
                 <span class=\"hl-number\">1</span> &lt; <span class=\"hl-number\">2</span>;\n</code></pre></div>\n",
            ),
            ("3. x\n4. y", "<ol start=\"3\">\n<li>x</li>\n<li>y</li>\n</ol>\n"),
            (
                "|a|b|\n|-|-:|\n|1|2|",
                "<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody>\n<tr><td>1</td><td>2</td></tr>\n</tbody></table>\n",
            ),
            (
                "[x](https://example.org/a)",
                "<p><a href=\"https://example.org/a\" rel=\"noopener nofollow\">x</a></p>\n",
            ),
        ];
        for (markdown, html) in table {
            assert_eq!(to_html(markdown), html);
        }
    }

    #[test]
    fn html_of_the_model_is_shown_as_text() {
        for html in [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "<a href=\"javascript:alert(1)\">x</a>",
            "<div style=\"position:fixed\">x</div>",
            "<iframe src=\"https://example.org\"></iframe>",
            "<svg><style><a id=\"</style><img src=1 onerror=alert(1)>\">",
        ] {
            let shown = to_html(html);
            let elements = shown.replace("<p>", "").replace("</p>", "");
            assert!(!elements.contains('<'), "{html}: {shown}");
        }
        assert_eq!(to_html("<b>x</b>"), "<p>&lt;b&gt;x&lt;/b&gt;</p>\n");
    }

    #[test]
    fn links_and_classes_say_only_what_is_allowed() {
        for markdown in [
            "[x](javascript:alert(1))",
            "[x](data:text/html;base64,AAAA)",
            "[x](/settings)",
            "[x](//example.org)",
            "![x](data:image/png;base64,AAAA)",
            "```\"onload=alert(1)\ncode\n```",
            "```a\"b\ncode\n```",
        ] {
            let html = to_html(markdown).replace(" class=\"code-", "");
            for bad in ["href=", "src=", "class=", "<img"] {
                assert!(!html.contains(bad), "{markdown}: {html}");
            }
        }
    }

    #[test]
    fn classes_are_the_highlighter_s_own() {
        for (given, kept) in [
            ("<span class=\"hl-string\">a</span>", true),
            ("<span class=\"hl-\">a</span>", false),
            ("<span class=\"hl-a button\">a</span>", false),
            ("<span class=\"button\">a</span>", false),
            ("<p class=\"hl-string\">a</p>", false),
        ] {
            assert_eq!(SANITISER.clean(given).to_string().contains("class="), kept, "{given}");
        }
    }

    #[test]
    fn an_image_is_a_link() {
        assert_eq!(
            to_html("![a cat](https://example.org/cat.png)"),
            "<p><a href=\"https://example.org/cat.png\" rel=\"noopener nofollow\">a cat</a></p>\n"
        );
    }

    #[test]
    fn depth_is_no_weapon() {
        for nest in [">".repeat(20_000), "- ".repeat(5_000), "*a ".repeat(5_000), "[".repeat(20_000)] {
            assert!(to_html(&format!("{nest} x")).contains('x'));
        }
    }
}
