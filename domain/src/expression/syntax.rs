//! The syntax of expressions: what is allowed, what is read, and how far values can grow.
//!
//! Kept: values, operators, filters, tests, `if`, `for`, `with`, `set`, `range`. Left out: whatever loads, defines,
//! captures, recurses or calls, because it is not needed in a prompt and would make time and memory hard to bound.
//!
//! Always true of a text that passed: its tree is shallow, `context` is followed by a fixed name everywhere, and no
//! value it builds with operators is larger than [`Analysis::weight`] times what it is given.

use minijinja::machinery::ast::{Expr, Stmt};
use minijinja::machinery::{Token, parse, parse_expr, tokenize};
use minijinja::syntax::SyntaxConfig;

use super::sandbox::explain;
use super::walk::Walk;
use super::{ExpressionError, Reads};

/// Most tokens between one pair of braces. Bounds the depth of the tree, which is walked by recursion.
const MAX_TOKENS_PER_TAG: usize = 400;
/// Most `{% %}` in a text: `elif` nests one level per tag.
const MAX_STATEMENTS: usize = 200;

/// How a text is evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// No braces at all: the text is its own value.
    Literal,
    /// One expression; the range of its source within the text.
    Expression(std::ops::Range<usize>),
    /// Anything else.
    Text,
}

/// A part of a text that only names values between literal parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(String),
    /// Those names, root first.
    Path(Vec<String>),
}

/// A text looked at once.
#[derive(Debug)]
pub(super) struct Analysis {
    pub form: Form,
    pub reads: Reads,
    /// For a text with nothing in its braces but names: what it is made of, in order.
    pub pieces: Option<Vec<Piece>>,
    /// For an expression that only follows names, such as `context.input.code`: those names, root first.
    pub path: Option<Vec<String>>,
    /// How many times larger than all its inputs a value built on the way may get.
    pub weight: u64,
    /// Whether a filter is used that makes texts larger.
    pub grows: bool,
}

impl Analysis {
    fn new(walk: Walk, form: Form, path: Option<Vec<String>>) -> Self {
        Self { form, reads: walk.reads, pieces: None, path, weight: walk.weight, grows: walk.grows }
    }

    /// A text with `{{ }}`.
    pub fn of_text(text: &str) -> Result<Self, ExpressionError> {
        if !text.contains("{{") && !text.contains("{%") && !text.contains("{#") {
            return Ok(Self::new(Walk::default(), Form::Literal, None));
        }
        bound(text, false)?;
        let tree = parse(text, "text", SyntaxConfig::default()).map_err(explain)?;
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

    /// A text with `{{ }}` around all of it, or a bare expression.
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

/// Refuses what could not be walked safely, before a tree is made of it.
fn bound(text: &str, expression: bool) -> Result<(), ExpressionError> {
    let (mut tokens, mut statements) = (0, 0);
    for token in tokenize(text, expression, SyntaxConfig::default()) {
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

/// The expression of a text that is nothing else but white space.
fn single<'t, 'a>(tree: &'t Stmt<'a>) -> Option<&'t Expr<'a>> {
    let Stmt::Template(template) = tree else { return None };
    let blank = |statement: &&Stmt<'_>| matches!(statement, Stmt::EmitRaw(raw) if raw.raw.trim().is_empty());
    let mut statements = template.children.iter().filter(|statement| !blank(statement));
    match (statements.next(), statements.next()) {
        (Some(Stmt::EmitExpr(emit)), None) => Some(&emit.expr),
        _ => None,
    }
}

/// The pieces of a text, if there is nothing else in it.
fn pieces(tree: &Stmt<'_>) -> Option<Vec<Piece>> {
    let Stmt::Template(template) = tree else { return None };
    let piece = |statement: &Stmt<'_>| match statement {
        Stmt::EmitRaw(raw) => Some(Piece::Literal(raw.raw.to_owned())),
        Stmt::EmitExpr(emit) => names(&emit.expr).map(Piece::Path),
        _ => None,
    };
    template.children.iter().map(piece).collect()
}

/// Where the expression stands in a text of the form `{{ … }}`.
fn inside(text: &str) -> Option<std::ops::Range<usize>> {
    let start = text.len() - text.trim_start().len();
    let trimmed = text.trim();
    let inner = trimmed.strip_prefix("{{")?.strip_suffix("}}")?;
    let (mut from, mut to) = (start + 2, start + 2 + inner.len());
    if inner.starts_with(['-', '+']) {
        // `{{-1}}` is a dash that trims, then 1, to minijinja's lexer as well.
        from += 1;
    }
    if to > from && inner.ends_with(['-', '+']) {
        to -= 1;
    }
    Some(from..to)
}

/// The names of an expression that only follows names.
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
