//! Search in SQL. Values are bound, never written into a statement; names of columns come from a closed list.

use super::number;
use crate::archive::query::{COUNTED, Condition, Field, Operand, Query, Test};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

/// Hits counted, whether that is all of them, and the bodies on the page.
pub type Found = (u64, bool, Vec<Vec<u8>>);

/// Finds one page. First the hits are counted up to a bound, by the indexes of the conditions. Few hits are sorted;
/// among many the page is found by walking an index that has the order, and conditions that would lead away from it
/// use none (`+column`).
pub fn find(reader: &Connection, query: &Query) -> Result<Found, rusqlite::Error> {
    // One transaction, so that the count, the page and the bodies are of one instant.
    let reader = reader.unchecked_transaction()?;
    let (counted, values) = conditions(&query.conditions, |_| "");
    let limit = if query.exact { String::new() } else { format!(" LIMIT {}", COUNTED + 1) };
    let count = format!("SELECT count(*) FROM (SELECT 1 FROM workflow{counted}{limit})");
    let hits: i64 =
        reader.prepare_cached(&count)?.query_row(params_from_iter(values.iter()), |row| row.get(0))?;
    let hits = hits.unsigned_abs();
    let exact = query.exact || hits <= COUNTED;
    let page = page(query, hits > COUNTED);
    let mut select = reader.prepare_cached(&page)?;
    let rows = select.query_map(params_from_iter(values.iter()), |row| row.get::<_, i64>(0))?;
    let mut body = reader.prepare_cached("SELECT body FROM body WHERE n = ?1")?;
    let bodies = rows.map(|n| body.query_row([n?], |row| row.get(0))).collect::<Result<_, _>>()?;
    Ok((if exact { hits } else { COUNTED }, exact, bodies))
}

/// The statement that finds a page: by the conditions, or by the order when the hits are many.
fn page(query: &Query, many: bool) -> String {
    let by_start = query.keys().next().is_some_and(|(field, _)| field == Field::Created);
    let walked =
        conditions(&query.conditions, |one| if many && !(by_start && is_ordered(one)) { "+" } else { "" });
    // Beyond SQLite's integers there is nothing either.
    let (order, size, start) = (order(query), query.size, super::number(query.start as u64));
    format!("SELECT n FROM workflow{} ORDER BY {order} LIMIT {size} OFFSET {start}", walked.0)
}

/// True for a condition whose index has its hits in the order of their starts.
fn is_ordered(condition: &Condition) -> bool {
    let is_one = matches!(&condition.test, Test::OneOf(operands) if operands.len() == 1);
    match condition.field {
        Field::Name | Field::Status | Field::CorrelationId => is_one,
        field => field == Field::Created,
    }
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

/// The order, each column once.
fn order(query: &Query) -> String {
    let mut seen = Vec::new();
    let mut keys = Vec::new();
    for (field, descending) in query.keys() {
        if !seen.contains(&field) {
            seen.push(field);
            keys.push(format!("{}{}", column(field), if descending { " DESC" } else { "" }));
        }
    }
    keys.join(", ")
}

/// A WHERE clause and the values of its marks.
fn conditions(conditions: &[Condition], prefix: impl Fn(&Condition) -> &'static str) -> (String, Vec<Value>) {
    let mut values = Vec::new();
    let mut clauses = Vec::new();
    for condition in conditions {
        let Condition { field, test } = condition;
        let column = format!("{}{}", prefix(condition), column(*field));
        if *field == Field::Ended {
            // 0 stands for "not yet", which is neither before nor after anything.
            clauses.push(format!("{column} > 0"));
        }
        clauses.push(match test {
            Test::OneOf(operands) => {
                let marks = vec!["?"; operands.len()].join(",");
                values.extend(operands.iter().map(value));
                format!("{column} IN ({marks})")
            }
            Test::Like(pattern) => {
                // In GLOB `?` and `[` mean something too; in brackets they mean themselves.
                let escaped = pattern.replace('[', "[[]").replace('?', "[?]");
                values.push(Value::Text(escaped));
                format!("{column} GLOB ?")
            }
            Test::Less(operand) => {
                values.push(value(operand));
                format!("{column} < ?")
            }
            Test::Greater(operand) => {
                values.push(value(operand));
                format!("{column} > ?")
            }
        });
    }
    let clause = if clauses.is_empty() { String::new() } else { format!(" WHERE {}", clauses.join(" AND ")) };
    (clause, values)
}

fn value(operand: &Operand) -> Value {
    match operand {
        Operand::Number(wanted) => Value::Integer(number(*wanted)),
        Operand::Text(text) => Value::Text(text.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_hits_are_found_in_their_order_and_not_among_all_others() {
        let dir = tempfile::tempdir().unwrap();
        let connection = super::super::schema::open(&dir.path().join("plans")).unwrap();
        for (query, sort, index) in [
            ("", "", "by_created_at"),
            ("status = FAILED", "", "by_status (status=?"),
            ("status = FAILED AND startTime > 5", "", "by_status (status=? AND created_at>?"),
            (
                "workflowType = w AND status = FAILED",
                "startTime:ASC",
                "by_name_and_status (name=? AND status=?",
            ),
            ("workflowType = w AND status IN (FAILED,TIMED_OUT)", "", "by_name (name=?"),
            ("status = FAILED", "updateTime:DESC", "by_updated_at"),
            ("status IN (FAILED,TIMED_OUT)", "", "by_created_at"),
        ] {
            let asked = Query::parse(query, sort, 0, 100, false).unwrap();
            let values = conditions(&asked.conditions, |_| "").1;
            let explained = format!("EXPLAIN QUERY PLAN {}", page(&asked, true));
            let mut plan = connection.prepare(&explained).unwrap();
            let lines = plan.query_map(params_from_iter(values), |row| row.get::<_, String>(3)).unwrap();
            let plan = lines.collect::<Result<Vec<_>, _>>().unwrap().join("; ");
            assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{query}, {sort}: {plan}");
        }
    }
}
