//! The filters, tests and the one function that expressions can use. They are minijinja's, except `string`, `tojson`
//! and `join`, which write plain JSON, and `map` and `sum`, which are restricted.
//!
//! Each filter charges the budget for the values that it reads; filters that produce text charge for it before they
//! do.

use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, filters, tests};

use super::sandbox::{Bounded, budget, look, make, to_json, too_large};
use crate::json::is_whole;

/// Longest list that `range` produces.
const MAX_RANGE: usize = 10_000;

/// All filters.
pub(super) const FILTERS: &str = "abs attr bool capitalize count d default dictsort first float indent int items join \
                                  last length lines list lower map max min reject rejectattr replace reverse round \
                                  select selectattr sort split string sum title tojson trim unique upper";

/// The filters whose output can be longer than their input.
pub(super) const GROWING_FILTERS: &str = "indent join map replace string tojson";

/// The filters that `map` may apply: their output is small for a small item.
const MAPPED_FILTERS: &str =
    "abs bool capitalize first float int last length lower round string title tojson trim upper";

/// All tests.
pub(super) const TESTS: &str = "boolean defined divisibleby endingwith eq equalto even false float ge gt in int integer \
                                iterable le lower lt mapping ne none number odd sequence startingwith string true \
                                undefined upper";

/// Whether a space-separated list of words contains `word`.
pub(super) fn has(words: &str, word: &str) -> bool {
    words.split(' ').any(|known| known == word)
}

/// Registers all filters, tests and functions.
pub(super) fn add_all(env: &mut Environment<'static>) {
    add_filters(env);
    add_tests(env);
    env.add_function("range", range);
}

fn json_text(state: &mut State<'_, '_>, value: &Value, pretty: bool) -> Result<Value, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let mut out = Bounded { left: budget(state).text, text: Vec::new() };
    to_json(&mut out, value, pretty)?;
    make(state, out.text.len())?;
    out.into_string().map(Value::from)
}

/// Registers filters that charge the budget for their value and then call minijinja's filter.
macro_rules! paying {
    ($env:ident; $($name:literal => $filter:path),+ $(,)?) => {
        $({
            let inner = Value::from_function($filter);
            $env.add_filter($name, move |state: &mut State<'_, '_>, args: Rest<Value>| {
                if let Some(value) = args.first() {
                    look(state, value)?;
                }
                inner.call(state, &args)
            });
        })+
    };
}

fn add_filters(env: &mut Environment<'static>) {
    paying! { env;
        "abs" => filters::abs, "attr" => filters::attr, "bool" => filters::bool, "capitalize" => filters::capitalize,
        "count" => filters::length, "d" => filters::default, "default" => filters::default,
        "dictsort" => filters::dictsort, "first" => filters::first, "float" => filters::float,
        "items" => filters::items, "last" => filters::last, "length" => filters::length, "lines" => filters::lines,
        "list" => filters::list, "lower" => filters::lower, "max" => filters::max, "min" => filters::min,
        "reject" => filters::reject, "rejectattr" => filters::rejectattr, "reverse" => filters::reverse,
        "round" => filters::round, "select" => filters::select, "selectattr" => filters::selectattr,
        "sort" => filters::sort, "split" => filters::split, "title" => filters::title, "trim" => filters::trim,
        "unique" => filters::unique, "upper" => filters::upper,
    }
    env.add_filter("string", |state: &mut State<'_, '_>, value: Value| {
        look(state, &value)?;
        if value.kind() == ValueKind::String { Ok(value) } else { json_text(state, &value, false) }
    });
    env.add_filter(
        "tojson",
        |state: &mut State<'_, '_>, value: Value, pretty: Option<Value>, more: Kwargs| {
            look(state, &value)?;
            let pretty = match pretty {
                Some(pretty) => Some(pretty),
                None => more.get::<Option<Value>>("indent")?,
            };
            more.assert_all_used()?;
            json_text(state, &value, pretty.is_some_and(|pretty| pretty.is_true()))
        },
    );
    let int = Value::from_function(filters::int);
    env.add_filter("int", move |state: &mut State<'_, '_>, args: Rest<Value>| {
        if let Some(value) = args.first() {
            look(state, value)?;
            refuse_long(value)?;
        }
        int.call(state, &args)
    });
    env.add_filter("join", join);
    env.add_filter("replace", replace);
    env.add_filter("indent", indent);
    env.add_filter("map", map);
    env.add_filter("sum", sum);
}

/// Rejects a number text of more than 128 bits, which minijinja would round.
fn refuse_long(value: &Value) -> Result<(), Error> {
    match value.as_str().map(str::trim) {
        Some(text) if is_whole(text) && text.parse::<i128>().is_err() => {
            let what = "reads whole numbers of at most 128 bits: a longer one would lose digits";
            Err(Error::new(ErrorKind::InvalidOperation, what))
        }
        _ => Ok(()),
    }
}

fn join(
    state: &mut State<'_, '_>,
    value: Value,
    joiner: Option<String>,
    attribute: Option<String>,
    more: Kwargs,
) -> Result<Value, Error> {
    look(state, &value)?;
    let attribute = match attribute {
        Some(attribute) => Some(attribute),
        None => more.get::<Option<String>>("attribute")?,
    };
    more.assert_all_used()?;
    let joiner = joiner.unwrap_or_default();
    let left = budget(state).text;
    let mut text = String::new();
    for (index, item) in value.try_iter()?.enumerate() {
        let item = match &attribute {
            Some(attribute) => item.get_attr(attribute)?,
            None => item,
        };
        if index > 0 {
            text.push_str(&joiner);
        }
        match item.as_str() {
            Some(item) if text.len() + item.len() <= left => text.push_str(item),
            Some(_) => return Err(too_large()),
            None if item.is_undefined() => return Err(Error::from(ErrorKind::UndefinedError)),
            None => {
                let mut json = Bounded { left: left.saturating_sub(text.len()), text: Vec::new() };
                to_json(&mut json, &item, false)?;
                text.push_str(&json.into_string()?);
            }
        }
        if text.len() > left {
            return Err(too_large());
        }
    }
    make(state, text.len())?;
    Ok(Value::from(text))
}

fn replace(state: &mut State<'_, '_>, value: Value, from: String, to: String) -> Result<Value, Error> {
    look(state, &value)?;
    let text =
        value.as_str().ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "replaces in texts only"))?;
    let times = text.matches(from.as_str()).count();
    let bytes = times.saturating_mul(to.len()).saturating_add(text.len());
    make(state, bytes)?;
    Ok(Value::from(text.replace(from.as_str(), &to)))
}

fn indent(
    state: &mut State<'_, '_>,
    value: Value,
    width: Option<usize>,
    first: Option<bool>,
    more: Kwargs,
) -> Result<Value, Error> {
    look(state, &value)?;
    let width = match width {
        Some(width) => width,
        None => more.get::<Option<usize>>("width")?.unwrap_or(4),
    };
    let first = match first {
        Some(first) => first,
        None => more.get::<Option<bool>>("first")?.unwrap_or(false),
    };
    more.assert_all_used()?;
    if width > 100 {
        return Err(Error::new(ErrorKind::InvalidOperation, "indents by at most 100"));
    }
    let text = value.as_str().ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "indents texts only"))?;
    make(state, (text.matches('\n').count() + 1) * width + text.len())?;
    let mut indented = String::new();
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            indented.push('\n');
        }
        if !line.is_empty() && (index > 0 || first) {
            indented.extend(std::iter::repeat_n(' ', width));
        }
        indented.push_str(line);
    }
    Ok(Value::from(indented))
}

fn map(
    state: &mut State<'_, '_>,
    value: Value,
    filter: Option<String>,
    more: Kwargs,
) -> Result<Value, Error> {
    look(state, &value)?;
    let attribute = more.get::<Option<String>>("attribute")?;
    more.assert_all_used()?;
    let mut items = Vec::new();
    for item in value.try_iter()? {
        items.push(match (&attribute, &filter) {
            (Some(attribute), None) => item.get_attr(attribute)?,
            (None, Some(filter)) if has(MAPPED_FILTERS, filter) => state.apply_filter(filter, &[item])?,
            (None, Some(_)) => {
                let message = format!("map applies one of {}", MAPPED_FILTERS.replace(' ', ", "));
                return Err(Error::new(ErrorKind::InvalidOperation, message));
            }
            _ => {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    "map takes a filter's name or attribute='…'",
                ));
            }
        });
    }
    Ok(Value::from(items))
}

/// Sums numbers only; texts are concatenated with `join`.
fn sum(state: &mut State<'_, '_>, value: Value, more: Kwargs) -> Result<Value, Error> {
    look(state, &value)?;
    let attribute = more.get::<Option<String>>("attribute")?;
    more.assert_all_used()?;
    let (mut whole, mut real, mut exact) = (0i128, 0f64, true);
    for item in value.try_iter()? {
        let item = match &attribute {
            Some(attribute) => item.get_attr(attribute)?,
            None => item,
        };
        if item.kind() != ValueKind::Number {
            return Err(Error::new(ErrorKind::InvalidOperation, "sums numbers only"));
        }
        if item.is_integer() {
            let sum = i128::try_from(item.clone()).ok().and_then(|number| whole.checked_add(number));
            whole =
                sum.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "sums to more than 128 bits"))?;
        } else {
            exact = false;
        }
        real += f64::try_from(item)?;
    }
    Ok(if exact { Value::from(whole) } else { Value::from(real) })
}

fn range(state: &mut State<'_, '_>, from: i64, to: Option<i64>, step: Option<i64>) -> Result<Value, Error> {
    let (from, to) = to.map_or((0, from), |to| (from, to));
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(Error::new(ErrorKind::InvalidOperation, "range needs a step other than 0"));
    }
    let mut numbers = Vec::new();
    let mut next = from;
    while (step > 0 && next < to) || (step < 0 && next > to) {
        if numbers.len() >= MAX_RANGE {
            return Err(Error::new(ErrorKind::InvalidOperation, format!("range counts at most {MAX_RANGE}")));
        }
        numbers.push(Value::from(next));
        match next.checked_add(step) {
            Some(sum) => next = sum,
            None => break,
        }
    }
    let numbers = Value::from(numbers);
    look(state, &numbers)?;
    Ok(numbers)
}

fn add_tests(env: &mut Environment<'static>) {
    env.add_test("boolean", tests::is_boolean);
    env.add_test("defined", tests::is_defined);
    env.add_test("divisibleby", tests::is_divisibleby);
    env.add_test("endingwith", tests::is_endingwith);
    env.add_test("eq", tests::is_eq);
    env.add_test("equalto", tests::is_eq);
    env.add_test("even", tests::is_even);
    env.add_test("false", tests::is_false);
    env.add_test("float", tests::is_float);
    env.add_test("ge", tests::is_ge);
    env.add_test("gt", tests::is_gt);
    env.add_test("in", tests::is_in);
    env.add_test("int", tests::is_integer);
    env.add_test("integer", tests::is_integer);
    env.add_test("iterable", tests::is_iterable);
    env.add_test("le", tests::is_le);
    env.add_test("lower", tests::is_lower);
    env.add_test("lt", tests::is_lt);
    env.add_test("mapping", tests::is_mapping);
    env.add_test("ne", tests::is_ne);
    env.add_test("none", tests::is_none);
    env.add_test("number", tests::is_number);
    env.add_test("odd", tests::is_odd);
    env.add_test("sequence", tests::is_sequence);
    env.add_test("startingwith", tests::is_startingwith);
    env.add_test("string", tests::is_string);
    env.add_test("true", tests::is_true);
    env.add_test("undefined", tests::is_undefined);
    env.add_test("upper", tests::is_upper);
}
