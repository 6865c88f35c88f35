//! Search in SQL. Values are bound, never written into a statement; names of columns come from a closed list.

use crate::archive::query::{COUNTED, Condition, Field, Operand, Query, Test};
use crate::postgres::head::{signed, unsigned};
use crate::postgres::session::{Session, Trouble};
use tokio_postgres::types::ToSql;

/// Hits counted, whether that is all of them, and the bodies on the page.
pub type Found = (u64, bool, Vec<Vec<u8>>);

/// Columns whose indexes are over their first bytes.
const LONG: [Field; 2] = [Field::Name, Field::CorrelationId];

enum Value {
    Number(i64),
    Bytes(Vec<u8>),
}

impl Value {
    fn of(operand: &Operand) -> Self {
        match operand {
            Operand::Number(wanted) => Self::Number(signed(*wanted)),
            Operand::Text(text) => Self::Bytes(text.clone().into_bytes()),
        }
    }

    fn parameter(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Number(number) => number,
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// Finds one page, in one statement, so that the count and the page are of one instant.
pub fn find(session: &mut Session, query: &Query) -> Result<Found, Trouble> {
    let (clause, values) = conditions(&query.conditions);
    let limit = if query.exact { String::new() } else { format!(" LIMIT {}", COUNTED + 1) };
    let (order, size, start) = (order(query), query.size, signed(query.start as u64));
    let sql = format!(
        "SELECT counted.hits, page.body
         FROM (SELECT count(*) AS hits FROM (SELECT 1 FROM workflow{clause}{limit}) AS hit) AS counted
         LEFT JOIN (
             SELECT sorted.body, row_number() OVER () AS place FROM (
                 SELECT body FROM workflow{clause} ORDER BY {order} LIMIT {size} OFFSET {start}) AS sorted
         ) AS page ON true
         ORDER BY page.place"
    );
    let parameters: Vec<_> = values.iter().map(Value::parameter).collect();
    let rows = session.query(&sql, &parameters)?;
    let hits = rows.first().map_or(0, |row| unsigned(row.get(0)));
    let exact = query.exact || hits <= COUNTED;
    let bodies = rows.iter().filter_map(|row| row.get::<_, Option<Vec<u8>>>(1)).collect();
    Ok((if exact { hits } else { COUNTED }, exact, bodies))
}

fn column(field: Field) -> &'static str {
    match field {
        Field::Id => "id",
        Field::Name => "name",
        Field::Version => "version",
        Field::Status => "status",
        Field::CorrelationId => "correlation_id",
        Field::Created => "created_at",
        Field::Updated => "updated_at",
        Field::Ended => "ended_at",
    }
}

/// The order, each column once. What has no value comes before what has one.
fn order(query: &Query) -> String {
    let mut seen = Vec::new();
    let mut keys = Vec::new();
    for (field, descending) in query.keys() {
        if !seen.contains(&field) {
            seen.push(field);
            let nulls = match (field, descending) {
                (Field::CorrelationId, false) => " NULLS FIRST",
                (Field::CorrelationId, true) => " NULLS LAST",
                _ => "",
            };
            keys.push(format!("{}{}{nulls}", column(field), if descending { " DESC" } else { "" }));
        }
    }
    keys.join(", ")
}

/// A WHERE clause and the values of its marks.
fn conditions(conditions: &[Condition]) -> (String, Vec<Value>) {
    let mut values = Vec::new();
    let mut clauses = Vec::new();
    for Condition { field, test } in conditions {
        let column = column(*field);
        let kind = if field.is_text() { "bytea" } else { "bigint" };
        if *field == Field::Ended {
            // 0 stands for "not yet", which is neither before nor after anything.
            clauses.push(format!("{column} > 0"));
        }
        let mut mark = |value: Value| {
            values.push(value);
            format!("${}::{kind}", values.len())
        };
        clauses.push(match test {
            Test::OneOf(operands) if operands.is_empty() => "false".to_owned(),
            Test::OneOf(operands) => {
                let marks: Vec<_> = operands.iter().map(|operand| mark(Value::of(operand))).collect();
                let all = format!("{column} IN ({})", marks.join(", "));
                let shorts: Vec<_> = marks.iter().map(|mark| format!("substr({mark}, 1, 200)")).collect();
                match LONG.contains(field) {
                    true => format!("substr({column}, 1, 200) IN ({}) AND {all}", shorts.join(", ")),
                    false => all,
                }
            }
            Test::Like(pattern) => format!("{column} LIKE {}", mark(Value::Bytes(like(pattern)))),
            Test::Less(operand) => format!("{column} < {}", mark(Value::of(operand))),
            Test::Greater(operand) => format!("{column} > {}", mark(Value::of(operand))),
        });
    }
    let clause = if clauses.is_empty() { String::new() } else { format!(" WHERE {}", clauses.join(" AND ")) };
    (clause, values)
}

/// A pattern with stars as LIKE has it, where `%`, `_` and `\` mean something too.
fn like(pattern: &str) -> Vec<u8> {
    let mut text = String::new();
    for c in pattern.chars() {
        match c {
            '*' => text.push('%'),
            '%' | '_' | '\\' => {
                text.push('\\');
                text.push(c);
            }
            _ => text.push(c),
        }
    }
    text.into_bytes()
}
