//! A guard: SQLite's plan for every statement of the store, on the migrated schema without statistics. The test refuses
//! a statement that reads all of a large table, or all rows of a project or a conversation in it, or that sorts, unless
//! `ALLOWED` lists it with a reason.

mod explain;
pub(super) mod source;
mod work;

use super::{
    beginnings, log_rows,
    statement::{StatementCache, TransactionBounds},
};
use crate::store::{Store, comparisons};
use explain::Explainer;
use source::{Found, statements};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

const PEOPLE: &str = "people and what they keep are few";
const SHOWN: &str = "it sorts what one page shows";
const NEWEST: &str = "it reads the newest few of an index, in its order";
const KEPT: &str = "it walks over the changes that are kept, whose number is bounded";
const LIVE: &str = "the index holds live runs alone, and all of them are wanted";
const FILES: &str = "all files of the conversation or the run are wanted";
const VERDICTS: &str = "a person judges one run at a time";

/// The place of a statement, the plan's step, and the reason why it is allowed.
const ALLOWED: [(&str, &str, &str); 31] = [
    ("accounts::api_tokens", "USE TEMP B-TREE FOR ORDER BY", PEOPLE),
    ("branches::newest", "SEARCH message USING INDEX message_task (task_id=?)", NEWEST),
    ("sqlite::json::replacing", "USE TEMP B-TREE FOR ORDER BY", SHOWN),
    ("changes::after", "SEARCH l USING COVERING INDEX change_project (project_id=?)", NEWEST),
    ("changes::newest", "SEARCH change USING COVERING INDEX change_project (project_id=?)", NEWEST),
    ("changes::overdue", "SEARCH c USING COVERING INDEX change_project (project_id=?)", KEPT),
    ("comparisons::scores", "USE TEMP B-TREE FOR DISTINCT", VERDICTS),
    ("comparisons::scores", "USE TEMP B-TREE FOR GROUP BY", VERDICTS),
    ("comparisons::scores", "USE TEMP B-TREE FOR ORDER BY", VERDICTS),
    ("comparisons::verdicts", "USE TEMP B-TREE FOR ORDER BY", VERDICTS),
    ("conversations::task", "SEARCH m USING INDEX message_task (task_id=?)", NEWEST),
    ("conversations::task", "SEARCH r USING COVERING INDEX run_task (task_id=?)", NEWEST),
    ("conversations::task", "SEARCH r USING INDEX run_task (task_id=?)", NEWEST),
    ("conversations::tasks", "SEARCH m USING INDEX message_task (task_id=?)", NEWEST),
    ("conversations::tasks", "SEARCH r USING COVERING INDEX run_task (task_id=?)", NEWEST),
    ("conversations::tasks", "SEARCH r USING INDEX run_task (task_id=?)", NEWEST),
    ("sqlite::json::live_runs", "SEARCH r USING INDEX run_live_recent (project_id=?)", NEWEST),
    ("sqlite::files_on_path::newest", "SEARCH f USING PRIMARY KEY (task_id=?)", FILES),
    ("files::of_run", "SEARCH f USING INDEX file_run (run_id=?)", FILES),
    ("files::of_run", "SEARCH h USING INDEX file_run (run_id=?)", FILES),
    ("files::of_run", "USE TEMP B-TREE FOR ORDER BY", FILES),
    ("inbox::counts", "SEARCH r USING INDEX run_task (task_id=?)", NEWEST),
    ("inbox::counts", "SEARCH task USING INDEX task_root (project_id=?)", NEWEST),
    ("sqlite::json::messages", "USE TEMP B-TREE FOR ORDER BY", SHOWN),
    ("prices::models_in_use", "USE TEMP B-TREE FOR DISTINCT", PEOPLE),
    ("projects::members", "USE TEMP B-TREE FOR ORDER BY", PEOPLE),
    ("projects::projects", "USE TEMP B-TREE FOR ORDER BY", PEOPLE),
    ("runs::unfinished", "SCAN r USING INDEX run_live_recent", LIVE),
    ("runs::unfinished", "USE TEMP B-TREE FOR ORDER BY", LIVE),
    ("servers::callers", "SCAN p USING INDEX run_live_recent", LIVE),
    ("servers::unattended", "SCAN run USING INDEX run_live_recent", LIVE),
];

/// Statements that are built at run time, by place.
fn built() -> BTreeMap<&'static str, Vec<String>> {
    let row = |texts: &StatementCache| vec![texts.of(1, TransactionBounds::Between).0.to_owned()];
    BTreeMap::from([
        ("comparisons::scores", comparisons::totals().to_vec()),
        ("sqlite::beginnings::insert", row(&beginnings::TEXTS)),
        ("sqlite::log_rows::insert", row(&log_rows::TEXTS)),
        // Savepoints only.
        ("sqlite::writer::commit", Vec::new()),
        ("sqlite::writer::open", Vec::new()),
    ])
}

/// Every statement of the store, with its place.
pub(super) fn all() -> Vec<(String, String)> {
    let mut found = statements(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    // Tests access the database as another program does.
    found.retain(|found| !found.place.contains("::tests::"));
    let outside: Vec<_> =
        found.iter().map(|found| &found.place).filter(|at| !at.starts_with("store::")).collect();
    assert_eq!(outside, [""; 0], "SQL stays inside the store");
    let in_store = found.into_iter().map(|Found { place, sql }| (place.replacen("store::", "", 1), sql));
    let (read, unread): (Vec<_>, Vec<_>) = in_store
        .filter(|(place, _)| {
            !(place.starts_with("sqlite::plans::") || place.starts_with("sqlite::upgrade::"))
        })
        .partition(|(_, sql)| sql.is_some());
    let built = built();
    assert_eq!(
        unread.iter().map(|(place, _)| place.as_str()).collect::<BTreeSet<_>>(),
        built.keys().copied().collect(),
        "the texts of statements that cannot be read in the sources are given by `built`"
    );
    let built =
        built.into_iter().flat_map(|(place, texts)| texts.into_iter().map(|sql| (place.to_owned(), sql)));
    read.into_iter().filter_map(|(place, sql)| Some((place, sql?))).chain(built).collect()
}

async fn explainer() -> (Explainer, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    Store::open(folder.path()).await.unwrap().close().await;
    (Explainer::open(folder.path()).await, folder)
}

#[tokio::test]
async fn no_statement_reads_more_than_it_is_asked_for() {
    let (mut explainer, _folder) = explainer().await;
    let mut found = BTreeSet::new();
    for (place, sql) in all().into_iter().chain(explainer.triggers().await) {
        found.extend(explainer.findings(&sql).await.into_iter().map(|step| (place.clone(), step)));
    }
    let allowed = ALLOWED.iter().map(|(place, step, _)| ((*place).to_owned(), (*step).to_owned())).collect();
    let refused: Vec<_> = found.difference(&allowed).collect();
    assert!(refused.is_empty(), "these read more than they are asked for: {refused:#?}");
    let stale: Vec<_> = allowed.difference(&found).collect();
    assert!(stale.is_empty(), "nothing does this any more: {stale:#?}");
}

#[test]
fn statements_are_read_out_of_functions_and_macros() {
    let all = all();
    assert!(all.len() > 100, "{} statements", all.len());
    for (place, part) in [
        ("runs::by_id", "SELECT * FROM run WHERE id = $1"),
        // A macro within a macro.
        ("conversations::tasks", "n.started_by IS DISTINCT FROM $1"),
        ("conversations::tasks", "LIMIT $5"),
        ("sqlite::files_on_path::versions", "f.path = $3"),
        ("log::append", "UPDATE run SET failed_for"),
        ("sqlite::log_rows::insert", "INSERT OR FAIL INTO batch"),
        ("sqlite::connections::open", "PRAGMA user_version"),
    ] {
        assert!(all.iter().any(|(at, sql)| at == place && sql.contains(part)), "{place}: {part}");
    }
}

#[tokio::test]
async fn what_reads_too_much_is_found() {
    let (mut explainer, _folder) = explainer().await;
    for (sql, step) in [
        ("SELECT id FROM run WHERE error = $1", "SCAN run"),
        ("SELECT 1 FROM project p CROSS JOIN run AS r ON r.error = p.name", "SEARCH r USING AUTOMATIC"),
        ("SELECT 1 FROM project p JOIN run AS r", "SCAN r"),
        ("DELETE FROM session WHERE created_at < $1", "SCAN session"),
        ("UPDATE message SET content = ';' WHERE content = ''", "SCAN message"),
        ("SELECT count(*) FROM message m WHERE m.task_id = $1", "SEARCH m USING COVERING INDEX"),
        ("SELECT id FROM run WHERE project_id = $1 ORDER BY error", "USE TEMP B-TREE FOR ORDER BY"),
        ("SELECT 1; SELECT id FROM run WHERE error = $1", "SCAN run"),
    ] {
        let found = explainer.findings(sql).await;
        assert!(found.iter().any(|found| found.starts_with(step)), "{sql}: {found:?}");
    }
    let triggers = explainer.triggers().await;
    for name in ["run_begun", "batch_stored", "message_counted"] {
        assert!(triggers.iter().any(|(trigger, body)| trigger == name && !body.contains("new.")), "{name}");
    }
    for fine in ["SELECT id FROM run WHERE id = $1", "SELECT value FROM json_each($1)", "COMMIT"] {
        assert_eq!(explainer.findings(fine).await, [""; 0], "{fine}");
    }
}
