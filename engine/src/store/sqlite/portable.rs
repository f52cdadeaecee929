//! A guard: the statements of the store, except those of this folder, parse as PostgreSQL's, and call only functions
//! that PostgreSQL has, too. It checks the language, not the types.

use super::plans;
use sqlparser::{
    ast::{
        BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Insert, ObjectName,
        ObjectNamePart, Statement, visit_expressions, visit_relations, visit_statements,
    },
    dialect::PostgreSqlDialect,
    parser::Parser,
};
use std::ops::ControlFlow;

/// Functions that mean the same in both, with at most so many arguments.
const FUNCTIONS: [(&str, usize); 10] = [
    ("abs", 1),
    ("coalesce", 9),
    ("concat_ws", 9),
    ("count", 1),
    ("lower", 1),
    // With two arguments these are SQLite's alone.
    ("max", 1),
    ("min", 1),
    ("octet_length", 1),
    ("substr", 3),
    ("sum", 1),
];

/// Names that are words of PostgreSQL's language unless they are quoted.
const RESERVED: [&str; 4] = ["user", "order", "group", "table"];

/// How the names of SQLite's own tables and table functions begin.
const SQLITES: [&str; 4] = ["json_each", "json_tree", "pragma_", "sqlite_"];

/// Why PostgreSQL would refuse the text.
fn refusals(sql: &str) -> Vec<String> {
    let statements = match Parser::parse_sql(&PostgreSqlDialect {}, sql) {
        Ok(statements) => statements,
        Err(error) => return vec![error.to_string()],
    };
    let mut found = Vec::new();
    let _ = visit_statements(&statements, |statement: &Statement| {
        match statement {
            Statement::Insert(Insert { or: Some(_), .. }) => found.push("INSERT OR … is SQLite's".to_owned()),
            Statement::Pragma { .. } => found.push("PRAGMA is SQLite's".to_owned()),
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    let _ = visit_relations(&statements, |ObjectName(parts): &ObjectName| {
        for part in parts {
            let ObjectNamePart::Identifier(name) = part else { continue };
            let word = name.value.to_lowercase();
            if name.quote_style.is_none() && RESERVED.contains(&word.as_str()) {
                found.push(format!("'{word}' is a reserved word"));
            }
            if SQLITES.iter().any(|start| word.starts_with(start)) {
                found.push(format!("{word} is SQLite's"));
            }
        }
        ControlFlow::<()>::Continue(())
    });
    let _ = visit_expressions(&statements, |expression: &Expr| {
        if let Expr::Function(call) = expression {
            let name = call.name.to_string().to_lowercase();
            let arguments = match &call.args {
                FunctionArguments::List(list) => list.args.len(),
                FunctionArguments::Subquery(_) => 1,
                FunctionArguments::None => 0,
            };
            let is_comparison = |argument: &FunctionArg| {
                matches!(
                    argument,
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::BinaryOp {
                        op: BinaryOperator::Eq,
                        ..
                    }))
                )
            };
            if let FunctionArguments::List(list) = &call.args
                && name == "sum"
                && list.args.iter().any(is_comparison)
            {
                found.push("a comparison is no number".to_owned());
            }
            if !FUNCTIONS.iter().any(|(known, most)| *known == name && arguments <= *most) {
                found.push(format!("there is no {name} with {arguments} arguments"));
            }
        }
        ControlFlow::<()>::Continue(())
    });
    found
}

#[test]
fn other_statements_are_not_sqlites_alone() {
    let (mut checked, mut refused) = (0, Vec::new());
    for (place, sql) in plans::all().into_iter().filter(|(place, _)| !place.starts_with("sqlite::")) {
        checked += 1;
        refused.extend(refusals(&sql).into_iter().map(|why| format!("{place}: {why}\n  {sql}")));
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(checked > 100, "{checked} statements");
}

#[test]
fn what_only_sqlite_takes_is_found() {
    for sql in [
        "INSERT OR IGNORE INTO run (id) VALUES ($1)",
        "SELECT id FROM run WHERE branch IS $1",
        "SELECT value FROM json_each($1)",
        "SELECT max(number, $1) FROM run",
        "SELECT id FROM user",
        "SELECT unhex($1)",
        "PRAGMA data_version",
        "SELECT sum(outcome = 'won') FROM verdict_side",
        "SELECT m.id FROM message m WHERE EXISTS (SELECT group_concat(id) FROM run)",
    ] {
        assert!(!refusals(sql).is_empty(), "{sql}");
    }
    assert_eq!(refusals("SELECT id FROM \"user\" WHERE a IS NOT DISTINCT FROM $1"), [""; 0]);
}
