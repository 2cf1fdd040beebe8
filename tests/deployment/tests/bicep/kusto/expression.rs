//! Scalar expressions: `and`, `or`, comparisons, `in`, `has`, `!has`, `has_any`, `contains`, `endswith`, arithmetic of numbers,
//! time minus duration, paths into dynamic values (`a.b`, `a["b"]`), and the functions `ago`, `bin`, `iff`, `isnull`,
//! `parse_json`, `strcat`, `todatetime`, `toreal` and `tostring`.

use std::collections::BTreeSet;

use super::syntax::{Result, Token, Tokens};
use super::{Row, Value};

#[derive(Debug)]
pub(super) enum Expression {
    Constant(Value),
    Column(String),
    /// A property of a dynamic value.
    Path(Box<Expression>, String),
    Call(String, Vec<Expression>),
    Binary(String, Box<Expression>, Box<Expression>),
    /// `in` and `has_any`, with the texts of the list.
    OneOf(String, Box<Expression>, Vec<String>),
}

use Expression::{Binary, Call, Column, Constant, OneOf, Path};

/// Operators from the weakest to the strongest.
const LEVELS: [&[&str]; 5] = [
    &["or"],
    &["and"],
    &["==", "!=", "<=", ">=", "<", ">", "has", "!has", "contains", "endswith"],
    &["+", "-"],
    &["*", "/"],
];

impl Expression {
    pub(super) fn parse(tokens: &mut Tokens) -> Result<Self> {
        Self::level(tokens, 0)
    }

    fn level(tokens: &mut Tokens, level: usize) -> Result<Self> {
        let Some(operators) = LEVELS.get(level) else {
            return Self::primary(tokens);
        };
        let mut left = Self::level(tokens, level + 1)?;
        loop {
            if let Some(operator) = operators.iter().find(|operator| tokens.take(operator)) {
                let right = Self::level(tokens, level + 1)?;
                left = Binary((*operator).to_owned(), left.into(), right.into());
            } else if let Some(operator) = ["in", "has_any"]
                .into_iter()
                .find(|operator| level == 2 && tokens.take(operator))
            {
                left = OneOf(operator.to_owned(), left.into(), Self::texts(tokens)?);
            } else {
                return Ok(left);
            }
        }
    }

    fn texts(tokens: &mut Tokens) -> Result<Vec<String>> {
        tokens.expect("(")?;
        let mut texts = Vec::new();
        loop {
            match tokens.next()? {
                Token::Text(text) => texts.push(text),
                other => return Err(format!("{other:?} in a list")),
            }
            if !tokens.take(",") {
                tokens.expect(")")?;
                return Ok(texts);
            }
        }
    }

    fn primary(tokens: &mut Tokens) -> Result<Self> {
        let mut expression = match tokens.next()? {
            Token::Text(text) => Constant(Value::Text(text)),
            Token::Number(number) => Constant(Value::Number(number)),
            Token::Span(seconds) => Constant(Value::Span(seconds)),
            Token::Word(word) if word == "(" => {
                let inner = Self::parse(tokens)?;
                tokens.expect(")")?;
                inner
            }
            Token::Word(name) if tokens.take("(") => {
                let mut arguments = vec![Self::parse(tokens)?];
                while tokens.take(",") {
                    arguments.push(Self::parse(tokens)?);
                }
                tokens.expect(")")?;
                Call(name, arguments)
            }
            Token::Word(name) => Column(name),
        };
        loop {
            if tokens.take(".") {
                expression = Path(expression.into(), tokens.name()?);
            } else if tokens.take("[") {
                let Token::Text(name) = tokens.next()? else {
                    return Err("an index that is not a text".to_owned());
                };
                tokens.expect("]")?;
                expression = Path(expression.into(), name);
            } else {
                return Ok(expression);
            }
        }
    }

    /// Returns the name that Kusto gives the result: that of the column, also behind `bin`.
    pub(super) fn column(&self) -> Option<String> {
        match self {
            Column(name) => Some(name.clone()),
            Call(function, arguments) if function == "bin" => arguments[0].column(),
            _ => None,
        }
    }

    /// Checks that each column exists.
    pub(super) fn check(&self, columns: &BTreeSet<String>) -> Result<()> {
        match self {
            Constant(_) => Ok(()),
            Column(name) if columns.contains(name) => Ok(()),
            Column(name) => Err(format!("column {name}")),
            Path(inner, _) | OneOf(_, inner, _) => inner.check(columns),
            Call(_, arguments) => arguments.iter().try_for_each(|argument| argument.check(columns)),
            Binary(_, left, right) => left.check(columns).and_then(|()| right.check(columns)),
        }
    }

    pub(super) fn value(&self, row: &Row, now: i64) -> Result<Value> {
        Ok(match self {
            Constant(value) => value.clone(),
            Column(name) => row[name].clone(),
            Path(inner, name) => match inner.value(row, now)? {
                Value::Dynamic(json) => {
                    let value: serde_json::Value = serde_json::from_str(&json).unwrap_or_default();
                    Value::Dynamic(value[name].to_string())
                }
                other => return Err(format!("a property of {other:?}")),
            },
            Call(function, arguments) => {
                let values: Result<Vec<Value>> = arguments.iter().map(|argument| argument.value(row, now)).collect();
                call(function, &values?, now)?
            }
            OneOf(operator, inner, texts) => {
                let found = text(inner.value(row, now)?)?;
                let is_one = |text: &String| {
                    if operator == "in" {
                        *text == found
                    } else {
                        has(&found, text)
                    }
                };
                Value::Bool(texts.iter().any(is_one))
            }
            Binary(operator, left, right) => {
                let left = left.value(row, now)?;
                match operator.as_str() {
                    "and" if left == Value::Bool(false) => left,
                    "or" if left == Value::Bool(true) => left,
                    "and" | "or" => right.value(row, now)?,
                    _ => operate(operator, left, right.value(row, now)?)?,
                }
            }
        })
    }
}

fn call(function: &str, arguments: &[Value], now: i64) -> Result<Value> {
    Ok(match (function, arguments) {
        ("ago", [Value::Span(seconds)]) => Value::Time(now - seconds),
        ("bin", [Value::Time(time), Value::Span(seconds)]) => Value::Time(time - time.rem_euclid(*seconds)),
        ("iff", [Value::Bool(condition), yes, no]) => if *condition { yes } else { no }.clone(),
        ("isnull", [value]) => Value::Bool(*value == Value::Null),
        ("strcat", texts) => {
            let texts: Result<Vec<String>> = texts.iter().cloned().map(text).collect();
            Value::Text(texts?.concat())
        }
        ("toreal", [Value::Dynamic(json)]) => json.parse().map_or(Value::Null, Value::Number),
        ("parse_json", [Value::Text(json)]) => Value::Dynamic(json.clone()),
        ("todatetime", [Value::Text(text)]) => text
            .parse::<jiff::Timestamp>()
            .map_or(Value::Null, |time| Value::Time(time.as_second())),
        ("tostring", [Value::Dynamic(json)]) => Value::Text(match serde_json::from_str(json) {
            Ok(serde_json::Value::String(text)) => text,
            Ok(serde_json::Value::Null) | Err(_) => String::new(),
            Ok(other) => other.to_string(),
        }),
        _ => return Err(format!("{function}({arguments:?})")),
    })
}

/// Returns the result of an operator that is neither `and` nor `or`.
fn operate(operator: &str, left: Value, right: Value) -> Result<Value> {
    match (operator, &left, &right) {
        ("-", Value::Time(time), Value::Span(seconds)) => return Ok(Value::Time(time - seconds)),
        ("+", Value::Number(left), Value::Number(right)) => return Ok(Value::Number(left + right)),
        ("-", Value::Number(left), Value::Number(right)) => return Ok(Value::Number(left - right)),
        ("*", Value::Number(left), Value::Number(right)) => return Ok(Value::Number(left * right)),
        ("/", Value::Number(left), Value::Number(right)) => return Ok(Value::Number(left / right)),
        _ => {}
    }
    if [&left, &right].contains(&&Value::Null) {
        return Ok(Value::Bool(false));
    }
    if std::mem::discriminant(&left) != std::mem::discriminant(&right) {
        return Err(format!("{left:?} {operator} {right:?}"));
    }
    Ok(Value::Bool(match operator {
        "==" => left == right,
        "!=" => left != right,
        "<" => left < right,
        ">" => left > right,
        "<=" => left <= right,
        ">=" => left >= right,
        "has" => has(&text(left)?, &text(right)?),
        "!has" => !has(&text(left)?, &text(right)?),
        "contains" => text(left)?.to_lowercase().contains(&text(right)?.to_lowercase()),
        "endswith" => text(left)?.to_lowercase().ends_with(&text(right)?.to_lowercase()),
        other => return Err(format!("operator {other}")),
    }))
}

fn text(value: Value) -> Result<String> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(format!("{other:?} instead of a text")),
    }
}

/// Returns whether the text has the term: whole words, in any case.
fn has(text: &str, term: &str) -> bool {
    let (text, term) = (text.to_lowercase(), term.to_lowercase());
    text.match_indices(&term).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + term.len()..].chars().next();
        ![before, after].into_iter().flatten().any(char::is_alphanumeric)
    })
}
