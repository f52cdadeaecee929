//! F5: items that wait for people, from their creation until a person has handled them.

use crate::stage::Stage;
use domain::{
    access::Permission,
    event::{Decision, EventKind},
    id::RunNumber,
    run::RunStatus,
    view::{InboxItem, InboxKind, LiveFrame, Subject},
};
use engine::{AnswerDraft, Cursor, Fork, User};
use futures::StreamExt;
use scripted::{Fault, Rule};
use secrecy::SecretString;
use serde_json::json;

/// Asks while another step is still running.
const BOTH: &str = "
apiVersion: troupe/v1
key: both
name: Both
steps:
  - {name: Slow, prompt: SLOW, dependsOn: []}
  - {name: Check, uses: approval, dependsOn: []}
";

const FAILS: &str = "
apiVersion: troupe/v1
key: fails
name: Fails
steps: [{name: Break, prompt: BREAK}]
";

async fn inbox(stage: &Stage, user: &User) -> Vec<InboxItem> {
    stage.engine.inbox(user, &stage.project, None).await.unwrap().items
}

async fn kinds(stage: &Stage, user: &User) -> Vec<(InboxKind, u32)> {
    let items = inbox(stage, user).await;
    let count = stage.engine.counts(user, &stage.project).await.unwrap().inbox;
    assert_eq!(count as usize, items.len(), "the count says what the list shows");
    items.iter().map(|item| (item.kind, item.run.number.0)).collect()
}

fn approve(step: &str) -> AnswerDraft {
    AnswerDraft { step_run: step.to_owned(), decision: Decision::Approve, output: None, text: None }
}

async fn member(stage: &Stage, email: &str, permission: Permission) -> User {
    let password = SecretString::from("a long enough password");
    let user = stage.engine.create_user(email, email, password, false).await.unwrap();
    stage.engine.set_member(&stage.admin, &stage.project, email, Some(permission)).await.unwrap();
    user
}

async fn failed(stage: &Stage) -> RunNumber {
    stage.models.script(vec![Rule::fault(Fault::Empty).last_user("BREAK")]);
    let key = match stage.engine.template(&stage.admin, &stage.project, &"fails".parse().unwrap(), None).await
    {
        Ok(detail) => detail.key,
        Err(_) => stage.template(FAILS).await,
    };
    let launched = stage.launch(&key, json!({})).await;
    assert_eq!(stage.end(launched.run).await.summary.status, RunStatus::Failed);
    launched.run
}

/// A question appears as soon as it is asked, for every member, even if the run's status stays the same; lists are told
/// when it appears and when it goes.
#[tokio::test]
async fn a_question_waits_for_everybody_until_it_is_answered() {
    let stage = Stage::alone().await;
    stage.models.script(vec![Rule::text("slow").last_user("SLOW").hold(0)]);
    let key = stage.template(BOTH).await;
    let bob = member(&stage, "bob@example.org", Permission::Viewer).await;
    let from = stage.engine.project_cursor(&stage.admin, &stage.project).await.unwrap();
    let launched = stage.launch(&key, json!({})).await;
    stage.until_waiting(launched.run).await;
    stage.until_answering(1).await;
    let detail = stage.detail(launched.run).await;
    assert_eq!(detail.summary.status, RunStatus::Running, "another step works");
    for user in [&stage.admin, &bob] {
        assert_eq!(kinds(&stage, user).await, [(InboxKind::Question, launched.run.0)]);
    }
    stage.answer(launched.run, approve("1")).await.unwrap();
    assert_eq!(kinds(&stage, &stage.admin).await, []);
    assert_eq!(stage.detail(launched.run).await.summary.status, RunStatus::Running);

    let cursor = Cursor { project: Some(from), ..Cursor::default() };
    let mut changes = stage.engine.live(&stage.admin, &stage.project, cursor).await.unwrap();
    let heard = async {
        let mut of_the_run = 0;
        while of_the_run < 2 {
            if let (_, LiveFrame::Change { change }) = changes.next().await.unwrap().unwrap()
                && matches!(change.subject, Subject::Run { number, .. } if number == launched.run)
            {
                of_the_run += 1;
            }
        }
    };
    tokio::time::timeout(crate::stage::PATIENCE, heard)
        .await
        .expect("the launch, which asks, and the answer are told");
    stage.models.release();
    stage.end(launched.run).await;
    assert_eq!(kinds(&stage, &stage.admin).await, []);
}

/// A failure waits for the user who started the run; the user dismisses it, restores it, or reruns it.
#[tokio::test]
async fn a_failure_waits_for_who_started_the_run() {
    let stage = Stage::new().await;
    let bob = member(&stage, "bob@example.org", Permission::Editor).await;
    let run = failed(&stage).await;
    let (engine, project) = (&stage.engine, &stage.project);
    let waits = [(InboxKind::Failure, run.0)];
    assert_eq!(kinds(&stage, &stage.admin).await, waits);
    assert_eq!(kinds(&stage, &bob).await, []);
    engine.dismiss_failure(&bob, project, run).await.unwrap();
    engine.restore_failure(&bob, project, run).await.unwrap();
    assert_eq!((kinds(&stage, &stage.admin).await, kinds(&stage, &bob).await), (waits.to_vec(), vec![]));

    for _ in 0..2 {
        engine.dismiss_failure(&stage.admin, project, run).await.unwrap();
        assert_eq!(kinds(&stage, &stage.admin).await, []);
    }
    engine.restore_failure(&stage.admin, project, run).await.unwrap();
    assert_eq!(kinds(&stage, &stage.admin).await, waits);

    stage.models.script(vec![]);
    let fork = Fork {
        from_step: "Break".to_owned(),
        items: None,
        input: None,
        role_assignments: Default::default(),
        template_version: None,
        reuse: Vec::new(),
        idempotency_key: None,
    };
    let again = stage.fork(run, fork).await.unwrap();
    assert_eq!(stage.end(again.run).await.summary.status, RunStatus::Completed);
    assert_eq!(kinds(&stage, &stage.admin).await, []);
}

/// A child run's failure is reported by its caller.
#[tokio::test]
async fn a_called_run_s_failure_is_its_caller_s() {
    let stage = Stage::new().await;
    stage.models.script(vec![Rule::fault(Fault::Empty).last_user("BREAK")]);
    stage.template(FAILS).await;
    let caller =
        "{apiVersion: troupe/v1, key: caller, name: Caller, steps: [{name: Call, uses: 'template:fails'}]}";
    let key = stage.template(caller).await;
    let launched = stage.launch(&key, json!({})).await;
    stage.end(launched.run).await;
    assert_eq!(kinds(&stage, &stage.admin).await, [(InboxKind::Failure, launched.run.0)]);
}

#[tokio::test]
async fn long_inboxes_are_read_page_by_page_newest_first() {
    let stage = Stage::new().await;
    let asks = "{apiVersion: troupe/v1, key: asks, name: Asks, steps: [{name: Check, uses: approval}]}";
    let key = stage.template(asks).await;
    for _ in 0..23 {
        let launched = stage.launch(&key, json!({})).await;
        stage
            .until(launched.run, |event| matches!(event.kind, EventKind::Waiting { .. }).then_some(()))
            .await;
    }
    let failed = failed(&stage).await;
    let (mut seen, mut cursor, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = stage.engine.inbox(&stage.admin, &stage.project, cursor.as_deref()).await.unwrap();
        pages += 1;
        seen.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((seen.len(), pages), (24, 2));
    assert_eq!((seen[0].kind, seen[0].run.number), (InboxKind::Failure, failed));
    assert!(seen.is_sorted_by_key(|item| std::cmp::Reverse((item.at, item.run.number))));
}
