//! Runs the queries of the log alerts and of the workbook over recorded rows: the part of Kusto that they use.
//!
//! Operators: `let`, `where`, `extend`, `project`, `distinct`, `mv-expand` of one array, [`summarize`], `join` with
//! `kind=inner` and `kind=leftanti` on one column. [`expression`] has the scalar part. Anything else is an error, and so is
//! a column that does not exist.

mod expression;
mod summarize;
mod syntax;

use std::collections::{BTreeMap, BTreeSet};

use expression::Expression;
use summarize::summarize;
use syntax::{Result, Tokens};

/// A value of a column. Times and durations are in seconds, and all numbers are `real`.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Time(i64),
    Span(i64),
    Dynamic(String),
}

pub(crate) type Row = BTreeMap<String, Value>;

/// Rows with the columns that each of them has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub(crate) columns: BTreeSet<String>,
    pub(crate) rows: Vec<Row>,
}

pub(crate) type Tables = BTreeMap<String, Table>;

/// Returns the result of a query at the time `now`.
pub(crate) fn run(query: &str, tables: &Tables, now: i64) -> Result<Table> {
    let mut tokens = Tokens::of(query)?;
    let mut known = tables.clone();
    while tokens.take("let") {
        let name = tokens.name()?;
        tokens.expect("=")?;
        let table = pipeline(&mut tokens, &known, now)?;
        tokens.expect(";")?;
        known.insert(name, table);
    }
    let table = pipeline(&mut tokens, &known, now)?;
    tokens.end()?;
    Ok(table)
}

fn pipeline(tokens: &mut Tokens, known: &Tables, now: i64) -> Result<Table> {
    let mut table = source(tokens, known)?;
    while tokens.take("|") {
        let operator = tokens.name()?;
        table = match operator.as_str() {
            "where" => filter(table, &Expression::parse(tokens)?, now)?,
            "extend" => extend(table, tokens, now)?,
            "project" => project(&table, tokens, now)?,
            "distinct" => distinct(&table, tokens)?,
            "mv" => expand(&table, tokens, now)?,
            "summarize" => summarize(&table, tokens, now)?,
            "join" => join(&table, tokens, known)?,
            other => return Err(format!("operator {other}")),
        };
    }
    Ok(table)
}

fn source(tokens: &mut Tokens, known: &Tables) -> Result<Table> {
    let name = tokens.name()?;
    known.get(&name).cloned().ok_or_else(|| format!("table {name}"))
}

fn filter(table: Table, condition: &Expression, now: i64) -> Result<Table> {
    condition.check(&table.columns)?;
    let mut rows = Vec::new();
    for row in table.rows {
        if condition.value(&row, now)? == Value::Bool(true) {
            rows.push(row);
        }
    }
    Ok(Table { rows, ..table })
}

/// Reads `name = expression` or a column's name, separated by commas.
fn named(tokens: &mut Tokens) -> Result<Vec<(String, Expression)>> {
    let mut list = Vec::new();
    loop {
        list.push(match tokens.name_before("=") {
            Some(name) => (name, Expression::parse(tokens)?),
            None => {
                let expression = Expression::parse(tokens)?;
                (expression.column().ok_or("an expression without a name")?, expression)
            }
        });
        if !tokens.take(",") {
            return Ok(list);
        }
    }
}

fn extend(mut table: Table, tokens: &mut Tokens, now: i64) -> Result<Table> {
    for (name, expression) in named(tokens)? {
        expression.check(&table.columns)?;
        for row in &mut table.rows {
            let value = expression.value(row, now)?;
            row.insert(name.clone(), value);
        }
        table.columns.insert(name);
    }
    Ok(table)
}

fn project(table: &Table, tokens: &mut Tokens, now: i64) -> Result<Table> {
    let list = named(tokens)?;
    let mut projected = Table::default();
    for (name, expression) in &list {
        expression.check(&table.columns)?;
        projected.columns.insert(name.clone());
    }
    for row in &table.rows {
        let values = list
            .iter()
            .map(|(name, expression)| Ok((name.clone(), expression.value(row, now)?)));
        projected.rows.push(values.collect::<Result<Row>>()?);
    }
    Ok(projected)
}

/// `mv-expand name = expression`: one row for each element of an array.
fn expand(table: &Table, tokens: &mut Tokens, now: i64) -> Result<Table> {
    tokens.expect("-")?;
    tokens.expect("expand")?;
    let (name, expression) = named(tokens)?.remove(0);
    expression.check(&table.columns)?;
    let mut expanded = Table {
        columns: table.columns.iter().chain([&name]).cloned().collect(),
        rows: Vec::new(),
    };
    for row in &table.rows {
        let Value::Dynamic(json) = expression.value(row, now)? else {
            return Err(format!("{name} is not dynamic"));
        };
        let elements: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap_or_default();
        for element in elements {
            let mut row = row.clone();
            row.insert(name.clone(), Value::Dynamic(element.to_string()));
            expanded.rows.push(row);
        }
    }
    Ok(expanded)
}

fn distinct(table: &Table, tokens: &mut Tokens) -> Result<Table> {
    let columns = columns(tokens, table)?;
    let mut kept = Table {
        columns: columns.iter().cloned().collect(),
        rows: Vec::new(),
    };
    for row in &table.rows {
        let row: Row = columns.iter().map(|name| (name.clone(), row[name].clone())).collect();
        if !kept.rows.contains(&row) {
            kept.rows.push(row);
        }
    }
    Ok(kept)
}

/// Reads names of columns, separated by commas.
fn columns(tokens: &mut Tokens, table: &Table) -> Result<Vec<String>> {
    let mut names = Vec::new();
    loop {
        let name = tokens.name()?;
        if !table.columns.contains(&name) {
            return Err(format!("column {name}"));
        }
        names.push(name);
        if !tokens.take(",") {
            return Ok(names);
        }
    }
}

fn join(left: &Table, tokens: &mut Tokens, known: &Tables) -> Result<Table> {
    tokens.expect("kind")?;
    tokens.expect("=")?;
    let kind = tokens.name()?;
    let right = source(tokens, known)?;
    tokens.expect("on")?;
    let column = columns(tokens, left)?.remove(0);
    if !right.columns.contains(&column) {
        return Err(format!("column {column} of the right side"));
    }
    let mut joined = Table {
        columns: left.columns.clone(),
        rows: Vec::new(),
    };
    if kind == "inner" {
        joined.columns.extend(right.columns.iter().cloned());
    }
    for row in &left.rows {
        let mut matches = right
            .rows
            .iter()
            .filter(|other| other[&column] == row[&column])
            .peekable();
        match kind.as_str() {
            "leftanti" if matches.peek().is_none() => joined.rows.push(row.clone()),
            "leftanti" => {}
            // Columns of the left side win, as Kusto gives those of the right side other names.
            "inner" => joined
                .rows
                .extend(matches.map(|other| other.clone().into_iter().chain(row.clone()).collect())),
            other => return Err(format!("join of kind {other}")),
        }
    }
    Ok(joined)
}
