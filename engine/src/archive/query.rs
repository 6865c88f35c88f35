//! What a search asks: conditions, order, page. The grammar is Conductor's: `field OP value` joined by ` AND `.

use crate::machine::status::WorkflowStatus;
use crate::machine::workflow::Workflow;
use std::cmp::Ordering;

/// Hits are counted up to here unless the exact number is asked for.
pub const COUNTED: u64 = 10_000;
/// Results on one page at most; Conductor refuses more.
pub const MAX_PAGE: usize = 5000;
/// Conditions and sort keys in one query at most.
const MAX_PARTS: usize = 32;

/// A field that conditions may name and results can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `workflowId`.
    Id,
    /// `workflowType`.
    Name,
    /// `version`.
    Version,
    /// `status`.
    Status,
    /// `correlationId`.
    CorrelationId,
    /// `startTime`.
    Created,
    /// `updateTime`.
    Updated,
    /// `endTime`.
    Ended,
}

/// Every field with its name on the wire.
pub const FIELDS: [(&str, Field); 8] = [
    ("workflowId", Field::Id),
    ("workflowType", Field::Name),
    ("version", Field::Version),
    ("status", Field::Status),
    ("correlationId", Field::CorrelationId),
    ("startTime", Field::Created),
    ("updateTime", Field::Updated),
    ("endTime", Field::Ended),
];

/// What a field is compared with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operand {
    /// An instant or a version.
    Number(u64),
    /// Anything else.
    Text(String),
}

/// How a field is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// `=` or `IN`: one of these.
    OneOf(Vec<Operand>),
    /// `=` with `*` in the value: the pieces between the stars, in order.
    Like(String),
    /// `<`.
    Less(Operand),
    /// `>`.
    Greater(Operand),
}

/// A condition on a field of a workflow or of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition<F = Field> {
    /// What is looked at.
    pub field: F,
    /// What must hold.
    pub test: Test,
}

/// A search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// All of them must hold.
    pub conditions: Vec<Condition>,
    /// Order; `true` = descending. After these keys come the start and the id, in the direction of the last key;
    /// without keys the newest come first.
    pub sort: Vec<(Field, bool)>,
    /// Hits to pass over.
    pub start: usize,
    /// Hits on the page at most.
    pub size: usize,
    /// Count all hits, however many.
    pub exact: bool,
}

/// What a search found.
#[derive(Debug, Default)]
pub struct Page {
    /// Hits; at most [`COUNTED`] when `exact` is false.
    pub total: u64,
    /// True when `total` is the number of all hits.
    pub exact: bool,
    /// The page.
    pub workflows: Vec<Workflow>,
}

impl Query {
    /// Reads Conductor's `query` and `sort`.
    ///
    /// # Errors
    /// What is wrong, and what would be accepted.
    pub fn parse(query: &str, sort: &str, start: usize, size: usize, exact: bool) -> Result<Self, String> {
        if size > MAX_PAGE {
            return Err(format!("size is {size}, it must be at most {MAX_PAGE}"));
        }
        let (conditions, sort) = (parse_conditions(query)?, parse_sort(sort)?);
        if sort.iter().any(|(field, _)| *field == Field::Version) {
            let why = "results can't be sorted by version; sort by startTime or workflowType";
            return Err(why.to_owned());
        }
        Ok(Self { conditions, sort, start, size, exact })
    }

    /// The workflows of a definition that carry a client's name for them.
    #[must_use]
    pub fn of_correlation(name: &str, correlation_id: &str) -> Self {
        let is =
            |field, text: &str| Condition { field, test: Test::OneOf(vec![Operand::Text(text.to_owned())]) };
        let conditions = vec![is(Field::CorrelationId, correlation_id), is(Field::Name, name)];
        Self { conditions, sort: Vec::new(), start: 0, size: MAX_PAGE, exact: false }
    }

    /// True when a workflow matches.
    #[must_use]
    pub fn matches(&self, workflow: &Workflow) -> bool {
        self.conditions.iter().all(|condition| condition.holds(workflow))
    }

    /// The order of two workflows.
    #[must_use]
    pub fn order(&self, one: &Workflow, other: &Workflow) -> Ordering {
        let keys = self.keys().map(|(field, descending)| {
            let order = field.of(one).cmp(&field.of(other));
            if descending { order.reverse() } else { order }
        });
        keys.fold(Ordering::Equal, Ordering::then)
    }

    /// The whole order: what was asked for, then the start, then the id.
    pub fn keys(&self) -> impl Iterator<Item = (Field, bool)> {
        let down = self.sort.last().is_none_or(|(_, descending)| *descending);
        self.sort.iter().copied().chain([(Field::Created, down), (Field::Id, down)])
    }
}

impl Condition {
    fn holds(&self, workflow: &Workflow) -> bool {
        self.field.of(workflow).is_some_and(|value| self.test.holds(&value))
    }
}

impl Test {
    /// True when a value passes.
    #[must_use]
    pub fn holds(&self, value: &Operand) -> bool {
        match self {
            Self::OneOf(operands) => operands.contains(value),
            Self::Less(operand) => value < operand,
            Self::Greater(operand) => value > operand,
            Self::Like(pattern) => matches!(value, Operand::Text(text) if like(pattern, text)),
        }
    }
}

/// A set of fields that conditions can name.
pub trait Searched: Copy + 'static {
    /// Every field with its name on the wire.
    const FIELDS: &'static [(&'static str, Self)];
    /// What has these fields.
    const WHAT: &'static str;

    /// True for instants and other numbers.
    fn is_number(self) -> bool;

    /// True when only a name of a closed list is a value.
    fn is_status(self) -> bool;

    /// True for such a name.
    fn knows_status(name: &str) -> bool;
}

impl Searched for Field {
    const FIELDS: &'static [(&'static str, Self)] = &FIELDS;
    const WHAT: &'static str = "workflows";

    fn is_number(self) -> bool {
        matches!(self, Self::Version | Self::Created | Self::Updated | Self::Ended)
    }

    fn is_status(self) -> bool {
        self == Self::Status
    }

    fn knows_status(name: &str) -> bool {
        WorkflowStatus::from_name(name).is_some()
    }
}

impl Field {
    /// True for what is compared as text.
    #[must_use]
    pub fn is_text(self) -> bool {
        !self.is_number()
    }

    /// A workflow's value; `None` = it has none.
    #[must_use]
    pub fn of(self, workflow: &Workflow) -> Option<Operand> {
        let text = |text: &str| Some(Operand::Text(text.to_owned()));
        match self {
            Self::Id => text(&workflow.id.to_string()),
            Self::Name => text(&workflow.snapshot.def.name),
            Self::Version => Some(Operand::Number(workflow.snapshot.def.version.unsigned_abs())),
            Self::Status => text(workflow.status.name()),
            Self::CorrelationId => text(workflow.start.correlation_id.as_deref()?),
            Self::Created => Some(Operand::Number(workflow.created_at)),
            Self::Updated => Some(Operand::Number(workflow.updated_at)),
            Self::Ended => (workflow.ended_at > 0).then_some(Operand::Number(workflow.ended_at)),
        }
    }
}

/// Conditions joined by ` AND `.
///
/// # Errors
/// What is wrong, and what would be accepted.
pub fn parse_conditions<F: Searched>(query: &str) -> Result<Vec<Condition<F>>, String> {
    let parts = query.split(" AND ").map(str::trim).filter(|part| !part.is_empty());
    bounded(parts.map(condition).collect::<Result<Vec<_>, _>>()?)
}

/// Sort keys joined by `|`; `true` = descending. As in Conductor, a key without a direction is passed over.
///
/// # Errors
/// What is wrong, and what would be accepted.
pub fn parse_sort<F: Searched>(sort: &str) -> Result<Vec<(F, bool)>, String> {
    let keys = sort.split('|').filter_map(|key| key.trim().split_once(':'));
    bounded(keys.map(sort_key).collect::<Result<Vec<_>, _>>()?)
}

fn bounded<T>(parts: Vec<T>) -> Result<Vec<T>, String> {
    let few = parts.len() <= MAX_PARTS;
    if few {
        Ok(parts)
    } else {
        Err(format!("a query may have at most {MAX_PARTS} conditions and sort keys"))
    }
}

fn named<F: Searched>(name: &str) -> Result<F, String> {
    let found = F::FIELDS.iter().find(|(known, _)| *known == name);
    found.map(|(_, field)| *field).ok_or_else(|| {
        let known: Vec<&str> = F::FIELDS.iter().map(|(known, _)| *known).collect();
        format!("'{name}' is not a field of {}; use one of {}", F::WHAT, known.join(", "))
    })
}

fn operand<F: Searched>(field: F, text: &str) -> Result<Operand, String> {
    if field.is_status() && !F::knows_status(text) {
        return Err(format!("'{text}' is not a status of {}", F::WHAT));
    }
    if !field.is_number() {
        return Ok(Operand::Text(text.to_owned()));
    }
    let number = text.parse().map(Operand::Number);
    number.map_err(|_| format!("'{text}' is not a number; times are milliseconds since the epoch"))
}

fn condition<F: Searched>(text: &str) -> Result<Condition<F>, String> {
    let refuse =
        || format!("'{text}' is not a condition; write 'field = value', with = < > or IN, joined by ' AND '");
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).ok_or_else(refuse)?;
    let (name, rest) = text.split_at(end);
    let rest = rest.trim_start();
    let field: F = named(name)?;
    let plain = |value: &str| value.replace(['"', '\'', '(', ')'], "").trim().to_owned();
    let test = if let Some(list) = rest.strip_prefix("IN") {
        let values = plain(list);
        let values = values.split(',').map(str::trim).filter(|value| !value.is_empty());
        Test::OneOf(values.map(|value| operand(field, value)).collect::<Result<_, _>>()?)
    } else if let Some(value) = rest.strip_prefix('=') {
        let value = plain(value);
        if value.contains('*') && !field.is_number() && !field.is_status() {
            Test::Like(value)
        } else {
            Test::OneOf(vec![operand(field, &value)?])
        }
    } else if let Some(value) = rest.strip_prefix('<') {
        Test::Less(operand(field, &plain(value))?)
    } else if let Some(value) = rest.strip_prefix('>') {
        Test::Greater(operand(field, &plain(value))?)
    } else {
        return Err(refuse());
    };
    Ok(Condition { field, test })
}

fn sort_key<F: Searched>((field, direction): (&str, &str)) -> Result<(F, bool), String> {
    let descending = match direction.trim().to_ascii_uppercase().as_str() {
        "ASC" => false,
        "DESC" => true,
        other => return Err(format!("'{other}' is not a direction; use ASC or DESC")),
    };
    Ok((named(field.trim())?, descending))
}

/// True when `text` is `pattern`, where a star stands for anything.
fn like(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(query: &str) -> Result<Vec<Condition>, String> {
        Query::parse(query, "", 0, 100, false).map(|query| query.conditions)
    }

    #[test]
    fn quotes_and_brackets_are_passed_over() {
        let one = |text: &str| vec![Operand::Text(text.to_owned())];
        for query in ["workflowType = 'a b'", "workflowType=\"a b\"", "workflowType IN (a b)"] {
            assert_eq!(parsed(query).unwrap()[0].test, Test::OneOf(one("a b")), "{query}");
        }
        let both = parsed("status IN (FAILED, TIMED_OUT) AND startTime > 17").unwrap();
        assert_eq!(both[1].test, Test::Greater(Operand::Number(17)));
        assert!(matches!(&both[0].test, Test::OneOf(two) if two.len() == 2));
    }

    #[test]
    fn what_is_not_a_query_is_refused_with_what_would_be() {
        for (query, part) in [
            ("nonsense", "not a condition"),
            ("colour = red", "use one of workflowId"),
            ("status = RED", "not a status"),
            ("startTime > yesterday", "milliseconds"),
            ("status ! RUNNING", "not a condition"),
        ] {
            let refused = parsed(query).unwrap_err();
            assert!(refused.contains(part), "{query}: {refused}");
        }
        assert!(Query::parse("", "startTime:UP", 0, 1, false).unwrap_err().contains("ASC or DESC"));
        assert!(Query::parse("", "", 0, 5001, false).unwrap_err().contains("5000"));
    }

    #[test]
    fn what_has_not_ended_did_not_end_before_anything() {
        let id = crate::machine::id::WorkflowId::new(1, 1);
        let start = crate::machine::event::Start::default();
        let mut workflow = Workflow::started(1, id, 1, crate::machine::snapshot::Snapshot::none(), start);
        let query = Query::parse("endTime < 9", "", 0, 1, false).unwrap();
        assert!(!query.matches(&workflow));
        workflow.ended_at = 8;
        assert!(query.matches(&workflow));
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, holds) in [
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abc", true),
            ("a*b*c", "aXbYc", true),
            ("a*c", "ab", false),
            ("ab*ba", "aba", false),
            ("a*b*c", "acb", false),
        ] {
            assert_eq!(like(pattern, text), holds, "{pattern} {text}");
        }
    }
}
