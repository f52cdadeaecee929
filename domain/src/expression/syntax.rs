//! The syntax of expressions: which constructs are allowed, which names are read, and how far values can grow.
//!
//! Allowed: values, operators, filters, tests, `if`, `for`, `with`, `set`, `range`. Excluded: constructs that load,
//! define, capture, recurse or call, since prompts do not need them and they make time and memory hard to bound.
//!
//! Invariants of an accepted text: its tree is shallow, `context` is always followed by a fixed name, and no value
//! that it builds with operators is larger than [`Analysis::weight`] times its inputs.

use minijinja::machinery::ast::{Expr, Stmt};
use minijinja::machinery::{Token, parse, parse_expr, tokenize};

use super::sandbox::{NO_COMMENT, explain, syntax};
use super::walk::Walk;
use super::{ExpressionError, Reads};

/// Maximum number of tokens between one pair of braces. It bounds the depth of the tree, which is walked recursively.
const MAX_TOKENS_PER_TAG: usize = 400;
/// Maximum number of `{% %}` in a text: `elif` nests one level per tag.
const MAX_STATEMENTS: usize = 200;

/// How a text is evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// No braces: the text is its own value.
    Literal,
    /// A single expression, with the range of its source within the text.
    Expression(std::ops::Range<usize>),
    /// Any other text, rendered as a template.
    Text,
}

/// A part of a text that consists of literal parts and names only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(String),
    /// The names of a path, root first.
    Path(Vec<String>),
}

/// The analysis of a text.
#[derive(Debug)]
pub(super) struct Analysis {
    pub form: Form,
    pub reads: Reads,
    /// For a text with only names in its braces: its parts, in order.
    pub pieces: Option<Vec<Piece>>,
    /// For an expression that is only a path, such as `context.input.code`: its names, root first.
    pub path: Option<Vec<String>>,
    /// Upper bound of the size of any value built during evaluation, as a multiple of the size of all inputs.
    pub weight: u64,
    /// Whether the text uses a filter whose output can be longer than its input.
    pub grows: bool,
}

impl Analysis {
    fn new(walk: Walk, form: Form, path: Option<Vec<String>>) -> Self {
        Self { form, reads: walk.reads, pieces: None, path, weight: walk.weight, grows: walk.grows }
    }

    /// Analyses a text with `{{ }}`.
    pub fn of_text(text: &str) -> Result<Self, ExpressionError> {
        if !text.contains("{{") && !text.contains("{%") {
            return Ok(Self::new(Walk::default(), Form::Literal, None));
        }
        bound(text, false)?;
        let tree = parse(text, "text", syntax()).map_err(explain)?;
        let mut walk = Walk::default();
        walk.statement(&tree)?;
        let (form, path) = match single(&tree) {
            Some(expression) => match inside(text) {
                Some(range) => (Form::Expression(range), names(expression)),
                None => (Form::Text, None),
            },
            None => (Form::Text, None),
        };
        let pieces = if form == Form::Text { pieces(&tree) } else { None };
        Ok(Self { pieces, ..Self::new(walk, form, path) })
    }

    /// Analyses a text that is a single `{{ }}` or an expression without braces.
    pub fn of_bare(text: &str) -> Result<Self, ExpressionError> {
        if text.contains("{{") || text.contains("{%") {
            let analysis = Self::of_text(text)?;
            return match analysis.form {
                Form::Expression(_) => Ok(analysis),
                _ => Err(ExpressionError::new(
                    "must be one expression, such as {{ context['Score'] > 7 }}, with nothing around the braces",
                )),
            };
        }
        bound(text, true)?;
        if text.trim().is_empty() {
            return Err(ExpressionError::new("the expression is empty"));
        }
        let expression = parse_expr(text).map_err(explain)?;
        let mut walk = Walk::default();
        walk.expression(&expression)?;
        Ok(Self::new(walk, Form::Expression(0..text.len()), names(&expression)))
    }
}

/// Rejects a text that cannot be walked safely, before it is parsed into a tree.
fn bound(text: &str, expression: bool) -> Result<(), ExpressionError> {
    if text.contains(NO_COMMENT) {
        return Err(ExpressionError::new("this is no valid expression: a null character follows '{{'"));
    }
    let (mut tokens, mut statements) = (0, 0);
    for token in tokenize(text, expression, syntax()) {
        let (token, span) = token.map_err(explain)?;
        match token {
            Token::TemplateData(_) | Token::VariableStart => tokens = 0,
            Token::BlockStart => {
                tokens = 0;
                statements += 1;
            }
            _ => tokens += 1,
        }
        let message = if tokens > MAX_TOKENS_PER_TAG {
            format!(
                "this expression is too long: at most {MAX_TOKENS_PER_TAG} words and signs between two braces"
            )
        } else if statements > MAX_STATEMENTS {
            format!("too many {{% %}} in one text: at most {MAX_STATEMENTS}")
        } else {
            continue;
        };
        return Err(ExpressionError {
            line: Some(u32::from(span.start_line)),
            ..ExpressionError::new(message)
        });
    }
    Ok(())
}

/// The expression of a text that otherwise contains only white space.
fn single<'t, 'a>(tree: &'t Stmt<'a>) -> Option<&'t Expr<'a>> {
    let Stmt::Template(template) = tree else { return None };
    let blank = |statement: &&Stmt<'_>| matches!(statement, Stmt::EmitRaw(raw) if raw.raw.trim().is_empty());
    let mut statements = template.children.iter().filter(|statement| !blank(statement));
    match (statements.next(), statements.next()) {
        (Some(Stmt::EmitExpr(emit)), None) => Some(&emit.expr),
        _ => None,
    }
}

/// The pieces of a text, if it contains nothing else.
fn pieces(tree: &Stmt<'_>) -> Option<Vec<Piece>> {
    let Stmt::Template(template) = tree else { return None };
    let piece = |statement: &Stmt<'_>| match statement {
        Stmt::EmitRaw(raw) => Some(Piece::Literal(raw.raw.to_owned())),
        Stmt::EmitExpr(emit) => names(&emit.expr).map(Piece::Path),
        _ => None,
    };
    template.children.iter().map(piece).collect()
}

/// The range of the expression in a text of the form `{{ … }}`.
fn inside(text: &str) -> Option<std::ops::Range<usize>> {
    let start = text.len() - text.trim_start().len();
    let trimmed = text.trim();
    let inner = trimmed.strip_prefix("{{")?.strip_suffix("}}")?;
    let (mut from, mut to) = (start + 2, start + 2 + inner.len());
    if inner.starts_with(['-', '+']) {
        // minijinja's lexer also reads `{{-1}}` as a trimming dash followed by 1.
        from += 1;
    }
    if to > from && inner.ends_with(['-', '+']) {
        to -= 1;
    }
    Some(from..to)
}

/// The names of an expression that is only a path.
fn names(expression: &Expr<'_>) -> Option<Vec<String>> {
    let (inner, name) = match expression {
        Expr::Var(var) => return Some(vec![var.id.to_owned()]),
        Expr::GetAttr(get) => (&get.expr, get.name.to_owned()),
        Expr::GetItem(get) => match &get.subscript_expr {
            Expr::Const(key) => (&get.expr, key.value.as_str()?.to_owned()),
            _ => return None,
        },
        _ => return None,
    };
    let mut path = names(inner)?;
    path.push(name);
    Some(path)
}
