//! Comparisons of runs: launched together, judged by people, counted per role (C7).

use crate::stage::{Stage, THREE_STEPS, assign, code, status};
use domain::{comparison::Score, id::RunNumber, key::RoleKey, run::RunStatus};
use engine::{Error, Launch, VerdictDraft};
use scripted::Rule;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::{sleep, timeout};

const JUNIOR_AND_SENIOR: [(&str, &str); 2] = [("Analyze", "general_worker"), ("Report", "general_worker")];

async fn two(stage: &Stage) -> Vec<RunNumber> {
    stage.models.script(vec![Rule::text("{{model}}: {{last_user}}")]);
    let key = stage.template(THREE_STEPS).await;
    let launch = Launch {
        input: code(),
        role_assignments: assign(&JUNIOR_AND_SENIOR),
        idempotency_key: Some("both".into()),
        ..Launch::default()
    };
    let others = vec![assign(&[("Analyze", "general_worker"), ("Report", "senior")])];
    let first = stage
        .engine
        .execute_side_by_side(&stage.admin, &stage.project, &key, launch.clone(), others.clone())
        .await
        .unwrap();
    // The response was lost: the same request again launches nothing.
    let again =
        stage.engine.execute_side_by_side(&stage.admin, &stage.project, &key, launch, others).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(first[0].task_id, first[1].task_id);
    let runs: Vec<_> = first.iter().map(|launched| launched.run).collect();
    for run in &runs {
        assert_eq!(status(&stage.end(*run).await), RunStatus::Completed);
    }
    runs
}

fn draft(runs: &[RunNumber], step: Option<&str>, winner: Option<RunNumber>) -> VerdictDraft {
    VerdictDraft { runs: runs.to_vec(), step: step.map(str::to_owned), winner, note: " clearer ".into() }
}

#[tokio::test]
async fn one_input_and_two_assignments_are_launched_as_one_and_judged() {
    let stage = Stage::new().await;
    let runs = two(&stage).await;
    let Stage { engine, admin, project, .. } = &stage;
    // The input lines, which distinguish runs of one template.
    let inputs = engine.input_lines(admin, project, &runs).await.unwrap();
    assert_eq!(inputs, ["code: fn main() {}", "code: fn main() {}"]);
    let list = engine.comparisons(admin, project, None).await.unwrap().items;
    assert_eq!((list.len(), list[0].runs.as_slice(), list[0].verdicts), (1, runs.as_slice(), 0));

    engine.judge(admin, project, draft(&runs, Some("Report"), Some(runs[0]))).await.unwrap();
    // A later verdict replaces the first. The order of the runs does not matter.
    let reversed: Vec<_> = runs.iter().rev().copied().collect();
    engine.judge(admin, project, draft(&reversed, Some("Report"), Some(runs[1]))).await.unwrap();
    engine.judge(admin, project, draft(&runs, None, Some(runs[1]))).await.unwrap();
    let verdicts = engine.verdicts(admin, project, &reversed).await.unwrap();
    let said: Vec<_> =
        verdicts.iter().map(|one| (one.step.as_deref(), one.winner, one.note.as_str(), one.mine)).collect();
    assert_eq!(
        said,
        [(Some("Report"), Some(runs[1]), "clearer", true), (None, Some(runs[1]), "clearer", true)]
    );

    let scores = engine.scores(admin, project, None).await.unwrap();
    let roles: Vec<_> =
        scores.roles.iter().map(|one| (one.step.as_str(), one.role.as_str(), &one.score)).collect();
    // On the step itself, and on the whole, where only 'Report' had different roles.
    assert_eq!(
        roles,
        [
            ("Report", "senior", &Score { won: 2, lost: 0, same: 0 }),
            ("Report", "general_worker", &Score { won: 0, lost: 2, same: 0 }),
        ]
    );
    assert_eq!(scores.versions.len(), 1);
    assert_eq!(scores.versions[0].score, Score { won: 2, lost: 2, same: 0 });

    engine.withdraw_verdict(admin, project, &runs, None).await.unwrap();
    let again = engine.withdraw_verdict(admin, project, &runs, None).await;
    assert!(matches!(again, Err(Error::NotFound { .. })), "{again:?}");
    let scores = engine.scores(admin, project, None).await.unwrap();
    assert_eq!(scores.roles[0].score, Score { won: 1, lost: 0, same: 0 });
}

#[tokio::test]
async fn what_cannot_be_compared_is_said_and_nothing_is_launched() {
    let stage = Stage::new().await;
    let Stage { engine, admin, project, .. } = &stage;
    let key = stage.template(THREE_STEPS).await;
    let launch = || Launch { input: code(), ..Launch::default() };
    let unknown: BTreeMap<_, _> = [("Report".to_owned(), RoleKey::parse("nobody").unwrap())].into();
    for (others, path) in [
        (vec![], "others"),
        (vec![BTreeMap::new(); 4], "others"),
        (vec![assign(&JUNIOR_AND_SENIOR), unknown], "others.1.roleAssignments.Report"),
    ] {
        let refused = engine.execute_side_by_side(admin, project, &key, launch(), others).await;
        let Err(Error::Invalid(problems)) = refused else { panic!("{refused:?}") };
        assert_eq!(problems[0].path, path);
    }
    assert!(engine.runs(admin, project, &Default::default(), None).await.unwrap().items.is_empty());

    stage.models.script(vec![Rule::text("said")]);
    let runs = [stage.launch(&key, code()).await.run, stage.launch(&key, code()).await.run];
    for (draft, path) in [
        (draft(&runs[..1], None, None), "runs"),
        (draft(&runs, None, Some(RunNumber(99))), "winner"),
        (draft(&runs, Some("Nowhere"), None), "step"),
        (VerdictDraft { note: "x".repeat(4_001), ..draft(&runs, None, None) }, "note"),
    ] {
        let refused = engine.judge(admin, project, draft).await;
        let Err(Error::Invalid(problems)) = refused else { panic!("{refused:?}") };
        assert_eq!(problems[0].path, path);
    }
    let none = draft(&[runs[0], RunNumber(99)], None, None);
    assert!(matches!(engine.judge(admin, project, none).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn a_repeat_finds_the_runs_though_a_role_has_gone_since() {
    let stage = Stage::new().await;
    let Stage { engine, admin, project, .. } = &stage;
    stage.models.script(vec![Rule::text("said")]);
    let key = stage.template(THREE_STEPS).await;
    let ask = || {
        let launch = Launch { input: code(), idempotency_key: Some("twice".into()), ..Launch::default() };
        engine.execute_side_by_side(admin, project, &key, launch, vec![assign(&[("Report", "senior")])])
    };
    let first = ask().await.unwrap();
    engine.delete_role(admin, project, &RoleKey::parse("senior").unwrap()).await.unwrap();
    assert_eq!(ask().await.unwrap(), first);
}

#[tokio::test]
async fn whoever_hangs_up_leaves_all_of_the_runs_or_none() {
    let stage = Stage::new().await;
    let Stage { engine, admin, project, .. } = &stage;
    stage.models.script(vec![Rule::text("said")]);
    let key = stage.template(THREE_STEPS).await;
    let mut hung_up = 0;
    // Fewer runs than one page holds.
    for moment in 0..16 {
        let launch = Launch { input: code(), ..Launch::default() };
        let others = vec![assign(&JUNIOR_AND_SENIOR), BTreeMap::new()];
        let asking = engine.execute_side_by_side(admin, project, &key, launch, others);
        hung_up += u32::from(timeout(Duration::from_millis(moment), asking).await.is_err());
    }
    assert!(hung_up > 1, "nobody hung up");
    let all_there = async {
        loop {
            let runs = engine.runs(admin, project, &Default::default(), None).await.unwrap().items.len();
            let compared = engine.comparisons(admin, project, None).await.unwrap().items.len();
            if runs == 3 * compared {
                return runs;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let runs =
        timeout(Duration::from_secs(20), all_there).await.expect("some were launched without the others");
    assert!(runs > 0);
}
