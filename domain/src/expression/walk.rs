//! The walk over a text's syntax tree: it rejects excluded constructs, and records the names read and how far values
//! can grow.

use std::collections::HashMap;

use minijinja::machinery::ast::{BinOpKind, Call, CallArg, Expr, Stmt};
use minijinja::value::ValueKind;

use super::filters::{self, FILTERS, GROWING_FILTERS, TESTS};
use super::{ExpressionError, Reads};

/// Largest number that a text or a list may be multiplied by.
const MAX_REPEAT: i64 = 1_000;

/// The single walk over the tree.
#[derive(Default)]
pub(super) struct Walk {
    pub reads: Reads,
    /// The names that the text defines, innermost scope last, each with the weight of its value.
    scopes: Vec<HashMap<String, u64>>,
    /// Upper bound of the size of any value built during evaluation, as a multiple of the size of all inputs.
    pub weight: u64,
    /// Whether the text uses a filter whose output can be longer than its input.
    pub grows: bool,
}

type Weight = Result<u64, ExpressionError>;

impl Walk {
    fn statements(&mut self, statements: &[Stmt<'_>]) -> Result<(), ExpressionError> {
        statements.iter().try_for_each(|statement| self.statement(statement))
    }

    fn scoped(
        &mut self,
        body: impl FnOnce(&mut Self) -> Result<(), ExpressionError>,
    ) -> Result<(), ExpressionError> {
        self.scopes.push(HashMap::new());
        let result = body(self);
        self.scopes.pop();
        result
    }

    pub fn statement(&mut self, statement: &Stmt<'_>) -> Result<(), ExpressionError> {
        match statement {
            Stmt::Template(template) => self.scoped(|walk| walk.statements(&template.children)),
            Stmt::EmitExpr(emit) => self.expression(&emit.expr).map(|_| ()),
            Stmt::EmitRaw(_) => Ok(()),
            Stmt::IfCond(branch) => {
                self.expression(&branch.expr)?;
                self.statements(&branch.true_body)?;
                self.statements(&branch.false_body)
            }
            Stmt::ForLoop(repeat) => {
                if repeat.recursive {
                    return Err(ExpressionError::new("a 'for' cannot be recursive here"));
                }
                let weight = self.expression(&repeat.iter)?;
                self.scoped(|walk| {
                    walk.define(&repeat.target, weight)?;
                    walk.define_name("loop", 1)?;
                    if let Some(filter) = &repeat.filter_expr {
                        walk.expression(filter)?;
                    }
                    walk.statements(&repeat.body)
                })?;
                self.scoped(|walk| walk.statements(&repeat.else_body))
            }
            Stmt::WithBlock(with) => self.scoped(|walk| {
                for (target, value) in &with.assignments {
                    let weight = walk.expression(value)?;
                    walk.define(target, weight)?;
                }
                walk.statements(&with.body)
            }),
            Stmt::Set(set) => {
                let weight = self.expression(&set.expr)?;
                self.define(&set.target, weight)
            }
            _ => Err(ExpressionError::new(
                "only if, for, with and set can stand in {% %}: blocks, macros, includes and captures are left out; \
                 text that only looks like one stands between {% raw %} and {% endraw %}",
            )),
        }
    }

    fn define(&mut self, target: &Expr<'_>, weight: u64) -> Result<(), ExpressionError> {
        match target {
            Expr::Var(var) => self.define_name(var.id, weight),
            Expr::List(list) => list.items.iter().try_for_each(|item| self.define(item, weight)),
            Expr::Tuple(tuple) => tuple.items.iter().try_for_each(|item| self.define(item, weight)),
            _ => Err(ExpressionError::new("only a plain name can be set")),
        }
    }

    fn define_name(&mut self, name: &str, weight: u64) -> Result<(), ExpressionError> {
        if matches!(name, "context" | "range") {
            return Err(ExpressionError::new(format!("'{name}' has its own meaning: set another name")));
        }
        if let Some(scope) = self.scopes.last_mut() {
            // Another branch may have set the name before: the larger weight counts.
            let known = scope.entry(name.to_owned()).or_default();
            *known = (*known).max(weight);
        }
        Ok(())
    }

    fn defined(&self, name: &str) -> Option<u64> {
        self.scopes.iter().rev().find_map(|scope| scope.get(name)).copied()
    }

    fn sum<'e, 'a: 'e>(&mut self, expressions: impl IntoIterator<Item = &'e Expr<'a>>) -> Weight {
        let mut sum: u64 = 0;
        for expression in expressions {
            sum = sum.saturating_add(self.expression(expression)?);
        }
        Ok(sum)
    }

    fn arguments(&mut self, arguments: &[CallArg<'_>]) -> Weight {
        let mut sum: u64 = 0;
        for argument in arguments {
            match argument {
                CallArg::Pos(value) | CallArg::Kwarg(_, value) => {
                    sum = sum.saturating_add(self.expression(value)?)
                }
                CallArg::PosSplat(_) | CallArg::KwargSplat(_) => {
                    return Err(ExpressionError::new("'*' and '**' before an argument are left out here"));
                }
            }
        }
        Ok(sum)
    }

    /// Checks an expression; returns how many times larger than all inputs together its value may be.
    pub fn expression(&mut self, expression: &Expr<'_>) -> Weight {
        let weight = self.weigh(expression)?;
        self.weight = self.weight.max(weight);
        Ok(weight)
    }

    fn weigh(&mut self, expression: &Expr<'_>) -> Weight {
        match expression {
            Expr::Const(_) => Ok(1),
            Expr::Var(var) => self.variable(var.id),
            Expr::GetAttr(get) => {
                if self.of_input(&get.expr) {
                    self.read_input_field(get.name);
                    return Ok(1);
                }
                if is_context(&get.expr) {
                    self.read_context(get.name);
                    return Ok(1);
                }
                self.expression(&get.expr)
            }
            Expr::GetItem(get) => {
                let key = match &get.subscript_expr {
                    Expr::Const(key) => key.value.as_str(),
                    _ => None,
                };
                if is_context(&get.expr) {
                    let Some(key) = key else {
                        return Err(ExpressionError::new(
                            "context[…] needs a fixed name in quotes, such as context['Analyze Code']: which steps are \
                             read must be known before the run",
                        ));
                    };
                    self.read_context(key);
                    return Ok(1);
                }
                if let (true, Some(key)) = (self.of_input(&get.expr), key) {
                    self.read_input_field(key);
                    return Ok(1);
                }
                let weight = self.expression(&get.expr)?;
                self.expression(&get.subscript_expr)?;
                Ok(weight)
            }
            Expr::Slice(slice) => {
                let bounds = [&slice.start, &slice.stop, &slice.step];
                self.sum(bounds.into_iter().flatten())?;
                self.expression(&slice.expr)
            }
            Expr::UnaryOp(op) => self.expression(&op.expr).map(|_| 1),
            Expr::BinOp(op) => {
                let left = self.expression(&op.left)?;
                let right = self.expression(&op.right)?;
                match op.op {
                    BinOpKind::Add | BinOpKind::Concat => Ok(left.saturating_add(right)),
                    BinOpKind::ScAnd | BinOpKind::ScOr => Ok(left.max(right)),
                    BinOpKind::Mul => product((&op.left, left), (&op.right, right)),
                    _ => Ok(1),
                }
            }
            Expr::Compare(compare) => {
                self.expression(&compare.expr)?;
                self.sum(compare.ops.iter().map(|op| &op.expr))?;
                Ok(1)
            }
            Expr::IfExpr(choice) => {
                self.expression(&choice.test_expr)?;
                let yes = self.expression(&choice.true_expr)?;
                let no = choice.false_expr.as_ref().map_or(Ok(0), |no| self.expression(no))?;
                Ok(yes.max(no))
            }
            Expr::Filter(filter) => {
                if !filters::has(FILTERS, filter.name) {
                    return Err(unknown("filter", filter.name, FILTERS));
                }
                self.grows |= filters::has(GROWING_FILTERS, filter.name);
                let value = filter.expr.as_ref().map_or(Ok(0), |value| self.expression(value))?;
                Ok(value.saturating_add(self.arguments(&filter.args)?))
            }
            Expr::Test(test) => {
                if !filters::has(TESTS, test.name) {
                    return Err(unknown("test", test.name, TESTS));
                }
                self.expression(&test.expr)?;
                self.arguments(&test.args)?;
                Ok(1)
            }
            Expr::Call(call) => self.call(call),
            Expr::List(list) => self.sum(&list.items),
            Expr::Tuple(tuple) => self.sum(&tuple.items),
            Expr::Map(map) => {
                let keys = self.sum(&map.keys)?;
                Ok(keys.saturating_add(self.sum(&map.values)?))
            }
        }
    }

    fn variable(&mut self, name: &str) -> Weight {
        if let Some(weight) = self.defined(name) {
            return Ok(weight);
        }
        if name == "context" {
            return Err(ExpressionError::new(
                "context alone cannot be read: name what you mean, such as context.input.code or context['Analyze Code']",
            ));
        }
        self.reads.names.insert(name.to_owned());
        Ok(1)
    }

    fn call(&mut self, call: &Call<'_>) -> Weight {
        let arguments = self.arguments(&call.args)?;
        match &call.expr {
            Expr::Var(var) if var.id == "range" => Ok(1),
            Expr::GetAttr(get) if matches!(&get.expr, Expr::Var(var) if var.id == "loop") => {
                if matches!(get.name, "cycle" | "changed") && self.defined("loop").is_some() {
                    Ok(arguments)
                } else {
                    Err(ExpressionError::new(format!("loop has no '{}(…)' here", get.name)))
                }
            }
            Expr::GetAttr(get) if filters::has(FILTERS, get.name) => Err(ExpressionError::new(format!(
                "values have no methods: write '| {0}' instead of '.{0}(…)'",
                get.name
            ))),
            _ => Err(ExpressionError::new(
                "only range(…) can be called; filters are written with '|', as in x | length",
            )),
        }
    }

    fn read_context(&mut self, key: &str) {
        self.reads.names.insert("context".to_owned());
        self.reads.context_keys.insert(key.to_owned());
        self.reads.whole_input |= key == "input";
    }

    fn read_input_field(&mut self, field: &str) {
        self.reads.names.insert("context".to_owned());
        self.reads.context_keys.insert("input".to_owned());
        self.reads.input_fields.insert(field.to_owned());
    }

    /// Whether the expression is `context.input`.
    fn of_input(&self, expression: &Expr<'_>) -> bool {
        match expression {
            Expr::GetAttr(get) => is_context(&get.expr) && get.name == "input",
            Expr::GetItem(get) => {
                is_context(&get.expr)
                    && matches!(&get.subscript_expr, Expr::Const(key) if key.value.as_str() == Some("input"))
            }
            _ => false,
        }
    }
}

/// `context` cannot be redefined, so the name alone is sufficient.
fn is_context(expression: &Expr<'_>) -> bool {
    matches!(expression, Expr::Var(var) if var.id == "context")
}

/// The weight of a product: a product of two numbers is small; a text or list times a number is a repetition.
fn product((left, left_weight): (&Expr<'_>, u64), (right, right_weight): (&Expr<'_>, u64)) -> Weight {
    if is_number(left) && is_number(right) {
        return Ok(1);
    }
    for (factor, other) in [(left, right_weight), (right, left_weight)] {
        if let Expr::Const(factor) = factor {
            if let Some(times) = factor.value.as_i64().filter(|times| *times <= MAX_REPEAT) {
                return Ok(other.saturating_mul(u64::try_from(times).unwrap_or(0).max(1)));
            }
            if factor.value.kind() == ValueKind::Number && !factor.value.is_integer() {
                return Ok(1);
            }
        }
    }
    Err(ExpressionError::new(format!(
        "this product may repeat a text: multiply by a number up to {MAX_REPEAT}, or say that both sides are numbers, as \
         in (a | float) * (b | float)"
    )))
}

/// Whether the value is a number for all inputs.
fn is_number(expression: &Expr<'_>) -> bool {
    match expression {
        Expr::Const(constant) => constant.value.kind() == ValueKind::Number,
        Expr::UnaryOp(op) => is_number(&op.expr),
        Expr::BinOp(op) => match op.op {
            BinOpKind::Sub | BinOpKind::Div | BinOpKind::FloorDiv | BinOpKind::Rem | BinOpKind::Pow => true,
            BinOpKind::Add | BinOpKind::Mul => is_number(&op.left) && is_number(&op.right),
            _ => false,
        },
        Expr::Filter(filter) => matches!(filter.name, "int" | "float" | "length" | "count" | "round" | "abs"),
        Expr::GetAttr(get) => {
            matches!(&get.expr, Expr::Var(var) if var.id == "loop") && get.name.contains("index")
        }
        _ => false,
    }
}

fn unknown(what: &str, name: &str, known: &str) -> ExpressionError {
    let near = known
        .split(' ')
        .filter(|_| name.len() <= 40)
        .map(|known| (strsim::osa_distance(name, known), known))
        .min()
        .filter(|(distance, _)| *distance <= 2);
    ExpressionError::new(match near {
        Some((_, near)) => format!("there is no {what} '{name}'; did you mean '{near}'?"),
        None => format!("there is no such {what}: there are {}", known.replace(' ', ", ")),
    })
}
