//! `summarize`: groups rows, with the aggregates `count`, `sum`, `sumif`, `min`, `max`, `arg_max` and `take_any`.

use super::expression::Expression;
use super::syntax::{Result, Tokens};
use super::{Row, Table, Value, columns, named};

enum Aggregate {
    Count,
    /// The sum of the values, of the rows for which the condition holds if there is one.
    Sum(Expression, Option<Expression>),
    Min(Expression),
    Max(Expression),
    /// The columns of the row with the highest value of the first one.
    ArgMax(Vec<String>),
    TakeAny(Vec<String>),
}

use Aggregate::{ArgMax, Count, Max, Min, Sum, TakeAny};

/// Reads the aggregates with the columns that they make.
fn aggregates(tokens: &mut Tokens, table: &Table) -> Result<Vec<(Vec<String>, Aggregate)>> {
    let mut list = Vec::new();
    loop {
        let name = tokens.name_before("=");
        let function = tokens.name()?;
        tokens.expect("(")?;
        let aggregate = match function.as_str() {
            "count" => Count,
            "sum" => Sum(argument(tokens, table)?, None),
            "sumif" => {
                let value = argument(tokens, table)?;
                tokens.expect(",")?;
                Sum(value, Some(argument(tokens, table)?))
            }
            "min" => Min(argument(tokens, table)?),
            "max" => Max(argument(tokens, table)?),
            "arg_max" => ArgMax(columns(tokens, table)?),
            "take_any" => TakeAny(columns(tokens, table)?),
            other => return Err(format!("aggregate {other}")),
        };
        tokens.expect(")")?;
        let made = match &aggregate {
            ArgMax(names) | TakeAny(names) => names.clone(),
            Count => vec![name.unwrap_or_else(|| "count_".to_owned())],
            _ => vec![name.ok_or("an aggregate without a name")?],
        };
        list.push((made, aggregate));
        if !tokens.take(",") {
            return Ok(list);
        }
    }
}

fn argument(tokens: &mut Tokens, table: &Table) -> Result<Expression> {
    let expression = Expression::parse(tokens)?;
    expression.check(&table.columns)?;
    Ok(expression)
}

pub(super) fn summarize(table: &Table, tokens: &mut Tokens, now: i64) -> Result<Table> {
    let aggregates = aggregates(tokens, table)?;
    let groups = if tokens.take("by") { named(tokens)? } else { Vec::new() };
    let mut summary = Table::default();
    for (name, expression) in &groups {
        expression.check(&table.columns)?;
        summary.columns.insert(name.clone());
    }
    summary
        .columns
        .extend(aggregates.iter().flat_map(|(names, _)| names.clone()));
    let mut members: Vec<(Row, Vec<&Row>)> = Vec::new();
    // Without groups the result is one row, also of an empty table:
    // https://learn.microsoft.com/kusto/query/summarize-operator
    if groups.is_empty() {
        members.push((Row::new(), table.rows.iter().collect()));
    }
    for row in table.rows.iter().filter(|_| !groups.is_empty()) {
        let values = groups
            .iter()
            .map(|(name, expression)| Ok((name.clone(), expression.value(row, now)?)));
        let group = values.collect::<Result<Row>>()?;
        match members.iter_mut().find(|(known, _)| *known == group) {
            Some((_, rows)) => rows.push(row),
            None => members.push((group, vec![row])),
        }
    }
    for (mut group, rows) in members {
        for (names, aggregate) in &aggregates {
            group.extend(names.iter().cloned().zip(aggregate.values(names, &rows, now)?));
        }
        summary.rows.push(group);
    }
    Ok(summary)
}

impl Aggregate {
    /// Returns the values of the columns `names` for one group.
    fn values(&self, names: &[String], rows: &[&Row], now: i64) -> Result<Vec<Value>> {
        let of_rows = |expression: &Expression| -> Result<Vec<Value>> {
            let values: Result<Vec<Value>> = rows.iter().map(|row| expression.value(row, now)).collect();
            Ok(values?.into_iter().filter(|value| *value != Value::Null).collect())
        };
        let compare = |a: &Value, b: &Value| a.partial_cmp(b).unwrap();
        let row = match self {
            Count => {
                let count = f64::from(u32::try_from(rows.len()).unwrap());
                return Ok(vec![Value::Number(count)]);
            }
            Sum(value, condition) => {
                let mut sum = 0.0;
                for row in rows {
                    let counts = match condition {
                        Some(condition) => condition.value(row, now)? == Value::Bool(true),
                        None => true,
                    };
                    match value.value(row, now)? {
                        Value::Number(number) if counts => sum += number,
                        Value::Number(_) | Value::Null => {}
                        other => return Err(format!("the sum of {other:?}")),
                    }
                }
                return Ok(vec![Value::Number(sum)]);
            }
            Min(value) => return Ok(vec![of_rows(value)?.into_iter().min_by(compare).unwrap_or(Value::Null)]),
            Max(value) => return Ok(vec![of_rows(value)?.into_iter().max_by(compare).unwrap_or(Value::Null)]),
            ArgMax(_) => rows.iter().max_by(|a, b| compare(&a[&names[0]], &b[&names[0]])),
            TakeAny(_) => rows.first(),
        };
        let value = |name: &String| row.map_or(Value::Null, |row| row[name].clone());
        Ok(names.iter().map(value).collect())
    }
}
