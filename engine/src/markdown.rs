//! Markdown of models, made into HTML that is safe to put into a page.
//!
//! Always true: the result has the elements listed below and no others, no style, no script, no image, and links to
//! `http`, `https` and `mailto` only. HTML that a model writes is shown as the text that it is.

use ammonia::{Builder, UrlRelative};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

const ELEMENTS: [&str; 24] = [
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

/// Deeper quotes and lists are cut off: nobody reads them, and parsers of HTML dislike them.
const MAX_DEPTH: usize = 32;

static SANITISER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::empty();
    builder
        .tags(HashSet::from(ELEMENTS))
        .tag_attributes(HashMap::from([
            ("a", HashSet::from(["href", "title"])),
            ("code", HashSet::from(["class"])),
            ("ol", HashSet::from(["start"])),
        ]))
        .attribute_filter(|_, attribute, value| match attribute {
            "class" => is_language(value).then_some(Cow::Borrowed(value)),
            _ => Some(Cow::Borrowed(value)),
        })
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        // A relative link would point into this application.
        .url_relative(UrlRelative::Deny)
        .link_rel(Some("noopener nofollow"));
    builder
});

/// What a run came to: JSON as code, all else as Markdown.
pub(crate) fn of_answer(text: &str) -> String {
    let is_json = text.starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    // A fence of four: no JSON document has a line that begins with one.
    if is_json { to_html(&format!("````json\n{text}\n````")) } else { to_html(text) }
}

/// Sanitised HTML. Headings begin at the third level: pages have the two above.
pub(crate) fn to_html(markdown: &str) -> String {
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
    html::push_html(&mut unsafe_html, events);
    SANITISER.clean(&unsafe_html).to_string()
}

/// Raw HTML becomes text, an image becomes a link to it, and a heading goes down two levels.
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

fn is_language(class: &str) -> bool {
    class.strip_prefix("language-").is_some_and(|language| {
        (1..=40).contains(&language.len())
            && language.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '#' | '.' | '_'))
    })
}

#[cfg(test)]
mod tests {
    use super::to_html;

    #[test]
    fn what_reviews_are_made_of_is_rendered() {
        let table = [
            ("# One\n\n#### Four", "<h3>One</h3>\n<h6>Four</h6>\n"),
            ("a *b* **c** `d` ~~e~~", "<p>a <em>b</em> <strong>c</strong> <code>d</code> <del>e</del></p>\n"),
            (
                "```rust\nlet a = 1 < 2;\n```",
                "<pre><code class=\"language-rust\">let a = 1 &lt; 2;\n</code></pre>\n",
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
            let html = to_html(markdown);
            for bad in ["href=", "src=", "class=", "<img"] {
                assert!(!html.contains(bad), "{markdown}: {html}");
            }
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
