//! Suspicious steps in SQLite's query plan of a statement.

use crate::store::sqlite::{beginnings, log_rows, search_index};
use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{collections::HashMap, path::Path};

/// The tables that grow with use.
const LARGE: [&str; 8] = ["run", "event", "message", "session", "change", "content", "task", "file"];

pub struct Explainer {
    db: SqliteConnection,
}

impl Explainer {
    /// Opens a migrated database.
    pub async fn open(data: &Path) -> Self {
        let options = SqliteConnectOptions::new().filename(data.join("troupe.db"));
        let mut db = SqliteConnection::connect_with(&options).await.unwrap();
        search_index::attach(&mut db, data).await.unwrap();
        log_rows::prepare(&mut db).await.unwrap();
        beginnings::prepare(&mut db).await.unwrap();
        let statistics: i64 =
            sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'sqlite_stat%'")
                .fetch_one(&mut db)
                .await
                .unwrap();
        assert_eq!(statistics, 0);
        Self { db }
    }

    /// The statements inside each trigger, which `EXPLAIN` does not cover.
    pub async fn triggers(&mut self) -> Vec<(String, String)> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' \
             UNION ALL SELECT name, sql FROM sqlite_temp_schema WHERE type = 'trigger'",
        )
        .fetch_all(&mut self.db)
        .await
        .unwrap();
        let bodies = rows.into_iter().map(|(name, sql)| {
            let (head, body) = sql.split_once(" BEGIN").unwrap_or_else(|| panic!("{name} has no body"));
            let body = body.trim_end().strip_suffix("END").unwrap_or_else(|| panic!("{name} has no end"));
            assert!(head.contains("TRIGGER"));
            (name, as_arguments(body))
        });
        bodies.collect()
    }

    /// The plan's steps that read all of a large table, or all rows of one project or conversation in it, or that sort.
    pub async fn findings(&mut self, sql: &str) -> Vec<String> {
        let mut found = Vec::new();
        for statement in statements(sql) {
            let first = statement.split_whitespace().next().unwrap_or_default().to_uppercase();
            // Triggers' bodies are explained separately.
            if first == "CREATE" {
                break;
            }
            if !["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "REPLACE"].contains(&first.as_str()) {
                continue;
            }
            let names = names(&statement);
            let plan = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")))
                .fetch_all(&mut self.db)
                .await
                .unwrap_or_else(|error| panic!("{error}: {statement}"));
            for row in plan {
                let step: String = row.get("detail");
                if is_suspicious(&step, &names) {
                    found.push(step);
                }
            }
        }
        found
    }
}

/// Replaces `new.column` and `old.column` by parameters.
fn as_arguments(body: &str) -> String {
    let body = body.replace("raise(FAIL, 'fenced')", "NULL");
    let mut written = String::new();
    let mut rest = body.as_str();
    while let Some(at) = ["new.", "old."].iter().filter_map(|name| rest.find(name)).min() {
        written.push_str(&rest[..at]);
        written.push('?');
        rest = rest[at + 4..].trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
    }
    written + rest
}

/// Splits a text into statements; a semicolon within quotes does not end one.
fn statements(sql: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut quoted = false;
    for c in sql.chars() {
        quoted ^= c == '\'';
        match c {
            ';' if !quoted => found.push(String::new()),
            c => found.last_mut().unwrap().push(c),
        }
    }
    found.into_iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect()
}

/// The aliases of the statement's tables.
fn names(sql: &str) -> HashMap<String, Vec<String>> {
    let spaced = sql.replace(',', " , ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<_> = spaced.split_whitespace().collect();
    let mut names: HashMap<String, Vec<String>> = HashMap::new();
    for (at, word) in words.iter().enumerate() {
        let after = at.checked_sub(1).map(|before| words[before]);
        if !after.is_some_and(|after| ["FROM", "JOIN", "UPDATE", "INTO", ","].contains(&after)) {
            continue;
        }
        names.entry((*word).to_owned()).or_default().push((*word).to_owned());
        let alias = match words.get(at + 1) {
            Some(&"AS") => words.get(at + 2),
            alias => alias,
        };
        if let Some(alias) = alias.filter(|alias| alias.chars().all(|c| c.is_ascii_lowercase())) {
            names.entry((*alias).to_owned()).or_default().push((*word).to_owned());
        }
    }
    names
}

fn is_suspicious(step: &str, names: &HashMap<String, Vec<String>>) -> bool {
    let words: Vec<_> = step.split_whitespace().collect();
    let is_large = |name: &str| {
        names.get(name).is_some_and(|tables| tables.iter().any(|table| LARGE.contains(&table.as_str())))
    };
    match words[..] {
        ["USE", "TEMP", "B-TREE", ..] => true,
        ["SCAN", name, ..] => is_large(name),
        // Searches by one column that many rows share, and automatic indexes, which SQLite builds from the whole table.
        ["SEARCH", name, ..] => {
            let many = ["(project_id=?)", "(task_id=?)", "(run_id=?)"];
            is_large(name) && (step.contains("AUTOMATIC") || many.iter().any(|by| step.ends_with(by)))
        }
        _ => false,
    }
}
