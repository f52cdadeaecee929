use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::super::{Checked, Format, MAX_BYTES, MAX_STEPS, check};
use super::{shown, with_steps};

/// Checks a document, and asserts that it does not take long, even in a debug build on a busy machine.
fn soon(source: &str, format: Format) -> Checked {
    let start = Instant::now();
    let checked = check(source, format);
    let head: String = source.chars().take(40).collect();
    assert!(start.elapsed() < Duration::from_secs(10), "{head:?} took {:?}", start.elapsed());
    checked
}

fn filled(unit: &str) -> String {
    unit.repeat(MAX_BYTES / unit.len())
}

#[test]
fn hostile_documents_end_soon_with_a_problem() {
    let mut laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for letter in 'b'..='z' {
        let before = char::from(letter as u8 - 1);
        writeln!(laughs, "{letter}: &{letter} [{}]", vec![format!("*{before}"); 9].join(", ")).unwrap();
    }
    let many_steps =
        |n: usize| with_steps(&(0..n).map(|i| format!("  - {{name: S{i}}}\n")).collect::<String>());
    let yaml = [
        filled("x") + "more",
        laughs,
        filled("["),
        filled("{a: "),
        filled("- "),
        filled("? "),
        filled("a: "),
        filled("[],"),
        format!("[{}]", &filled("[],")[..MAX_BYTES - 10]),
        filled("'"),
        filled("&a "),
        filled("!a "),
        filled("#\n"),
        filled("\n"),
        filled("|\n"),
        filled("a\n"),
        format!("{}: 1", &filled("k")[..MAX_BYTES - 10]),
        (0..90_000).map(|i| format!("k{i}: 1\n")).collect::<String>(),
        many_steps(MAX_STEPS + 1),
        with_steps(
            &(0..4000)
                .map(|i| format!("  - {{name: S{i}, dependsOn: [T{i}, U{i}, V{i}], role: x}}\n"))
                .collect::<String>(),
        ),
        with_steps(
            &(0..4000)
                .map(|i| format!("  - {{name: S{i}, dependsOn: [S{}]}}\n", (i + 1) % 4000))
                .collect::<String>(),
        ),
        with_steps(
            &(0..5000)
                .map(|i| format!("  - {{name: S{i}, parallelGroup: g{}}}\n", i / 2500))
                .collect::<String>(),
        ),
        with_steps(&format!("  - name: A\n    prompt: \"{}\"\n", "{{ context['x'] }}".repeat(50_000))),
        with_steps(&format!("  - name: A\n    prompt: \"{}\"\n", "{{ ".repeat(300_000))),
        with_steps(&format!("  - name: A\n    prompt: \"{}\"\n", "{% if 1 %}".repeat(90_000))),
    ];
    let json =
        [filled("["), filled("{\"a\":"), filled("\""), "[".repeat(100) + &"]".repeat(100), filled("[],")];
    let all: Vec<String> = yaml
        .iter()
        .map(|source| (source, Format::Yaml))
        .chain(json.iter().map(|source| (source, Format::Json)))
        .map(|(source, format)| {
            let checked = soon(source, format);
            assert!(checked.plan.is_none());
            let head: String =
                source.chars().skip(if source.len() > 200 { 52 } else { 0 }).take(48).collect();
            let shown = shown(&checked);
            format!(
                "{head:?} ({} problems)\n{}",
                checked.problems.len(),
                shown.lines().next().unwrap_or_default()
            )
        })
        .collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn large_documents_are_fine() {
    let line = with_steps(
        &(0..MAX_STEPS).map(|i| format!("  - {{name: S{i}, prompt: hello}}\n")).collect::<String>(),
    );
    let checked = soon(&line, Format::Yaml);
    assert_eq!(shown(&checked), "");
    assert_eq!(checked.plan.unwrap().steps[MAX_STEPS - 1].wave, 4999);

    let prompt = "word ".repeat(200_000);
    let checked = soon(&with_steps(&format!("  - name: A\n    prompt: {prompt}\n")), Format::Yaml);
    assert_eq!(shown(&checked), "");
}
