use super::{shown, with_steps, yaml};
use crate::template::outline;

/// Steps as `name:order:group:type:dependsOn`; trailing parts may be omitted, `-` stands for none.
fn steps(lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        let parts: Vec<&str> = line.split(':').collect();
        text.push_str(&format!("  - name: {}\n", parts[0]));
        for (field, value) in ["order", "parallelGroup", "stepType", "dependsOn"].iter().zip(&parts[1..]) {
            match (*field, *value) {
                (_, "-") => {}
                ("dependsOn", names) => text.push_str(&format!("    dependsOn: [{names}]\n")),
                (field, value) => text.push_str(&format!("    {field}: {value}\n")),
            }
        }
    }
    with_steps(&text)
}

fn flow(lines: &[&str]) -> String {
    let plan = yaml(&steps(lines)).plan.expect("a sound flow");
    let name = |index: &u32| plan.steps[*index as usize].name.as_str();
    plan.steps
        .iter()
        .map(|step| {
            let before: Vec<_> = step.depends_on.iter().map(name).collect();
            format!("{}{}<{}", step.wave, step.name, before.join(","))
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn flows_by_order_and_by_graph() {
    for (lines, expected) in [
        (&["A", "B", "C"][..], "0A< 1B<A 2C<B"),
        // By order, ties in document order.
        (&["A:3", "B:1", "C:1", "D:2"], "3A<D 0B< 1C<B 2D<C"),
        // The default order of a step is its position, from 1.
        (&["A", "B:1", "C"], "0A< 1B<A 2C<B"),
        // Groups: consecutive steps with the same group.
        (&["A", "B:-:g", "C:-:g", "D"], "0A< 1B<A 1C<A 2D<B,C"),
        (&["A:-:g", "B", "C:-:g"], "0A< 1B<A 2C<B"),
        (&["A:-:g", "B:-:g", "C:-:h", "D:-:h"], "0A< 0B< 1C<A,B 1D<A,B"),
        // The order determines which steps are consecutive.
        (&["A:1:g", "B:2", "C:1:g"], "0A< 1B<A,C 0C<"),
        // Parallel steps of equal order run together, other steps do not.
        (&["A", "B:2:-:parallel", "C:2:-:parallel", "D:3:-:parallel"], "0A< 1B<A 1C<A 2D<B,C"),
        (&["A:1:-:parallel", "B:1:-:sequential"], "0A< 1B<A"),
        (&["A:-:-:parallel", "B:-:-:parallel"], "0A< 1B<A"),
        (&["A:1:g:parallel", "B:1:-:parallel"], "0A< 1B<A"),
        // One dependsOn, even an empty one, makes a graph.
        (&["A", "B", "C:-:-:-:"], "0A< 0B< 0C<"),
        (&["A", "B:-:-:-:A", "C:-:-:-:A", "D:-:-:-:B,C,B"], "0A< 1B<A 1C<A 2D<B,C"),
        (&["A:-:-:-:C", "B", "C:-:-:-:B"], "2A<C 0B< 1C<B"),
        (&["A", "B:-:g", "C:-:g:-:A"], "0A< 0B< 1C<A"),
    ] {
        assert_eq!(flow(lines), expected, "{lines:?}");
    }
}

#[test]
fn what_is_no_flow_is_named() {
    let cases = [
        &["A:-:-:-:A"][..],
        &["A:-:-:-:C", "B:-:-:-:A", "C:-:-:-:B", "D:-:-:-:A"],
        &["A:-:-:-:B", "B:-:-:-:A", "C:-:-:-:D", "D:-:-:-:C"],
        &["Analyze", "Report:-:-:-:Analyse", "C:-:-:-:Nothing like it"],
        &["A", "B", "A"],
        &["input", "conversation:-:-:-:input"],
    ];
    let all: Vec<_> = cases.iter().map(|lines| shown(&yaml(&steps(lines)))).collect();
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn an_outline_looks_at_the_flow_alone() {
    // The flow is sound, the expression is not.
    let source = with_steps("  - {name: A, prompt: x, condition: '1 +'}\n  - {name: B, prompt: x}\n");
    let checked = yaml(&source);
    assert!(!checked.problems.is_empty());
    assert_eq!(outline(&checked.template.unwrap()).unwrap().steps.len(), 2);

    let cyclic = yaml(&steps(&["A:-:-:-:B", "B:-:-:-:A"]));
    let problems = outline(&cyclic.template.unwrap()).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
}
