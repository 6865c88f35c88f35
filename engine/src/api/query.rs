//! Query strings and bodies, read as leniently as Conductor's clients need: `True` is a boolean, an empty value
//! is none, unknown parameters are ignored, and what can't be read is a 400 that says why.

use super::problem::Problem;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use std::str::FromStr;

/// Bytes that a body may have: the most that Conductor takes inline for a workflow, and a little.
pub const MAX_BODY: usize = 6 << 20;

/// The bytes of a body.
pub struct RequestBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for RequestBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let refuse = |refusal: axum::extract::rejection::BytesRejection| {
            let text = format!("the body can't be read ({refusal}); it may have {MAX_BODY} bytes");
            Problem::new(refusal.status(), text)
        };
        Bytes::from_request(request, state).await.map(RequestBody).map_err(refuse)
    }
}

/// The variable segment of a path, percent-decoded.
pub struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(text)| Self(text))
            .map_err(|refusal| Problem::bad_request(format!("the path: {refusal}")))
    }
}

/// The parameters of a request, in order, repeats included.
pub struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(pairs) = query.map_err(|error| Problem::bad_request(format!("query string: {error}")))?;
        Ok(Self(pairs))
    }
}

impl Parameters {
    /// The value of a parameter, if it is there and not empty.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let mut named = self.0.iter().filter(|(key, value)| key == name && !value.is_empty());
        named.next().map(|(_, value)| value.as_str())
    }

    /// All values of a parameter that are not empty.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(key, value)| key == name && !value.is_empty());
        named.map(|(_, value)| value.as_str())
    }

    /// A number.
    ///
    /// # Errors
    /// 400 when the value is no such number.
    pub fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let parse = |text: &str| {
            text.parse().map_err(|_| {
                Problem::bad_request(format!("parameter {name}: '{text}' is not a usable number"))
            })
        };
        self.text(name).map(parse).transpose()
    }

    /// A boolean: true/false, on/off, yes/no, 1/0, in any case.
    ///
    /// # Errors
    /// 400 when the value is none of these.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, Problem> {
        let Some(text) = self.text(name) else { return Ok(default) };
        match text.to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" | "1" => Ok(true),
            "false" | "off" | "no" | "0" => Ok(false),
            _ => Err(Problem::bad_request(format!("parameter {name}: '{text}' is not true or false"))),
        }
    }
}

/// Reads a JSON body.
///
/// # Errors
/// 400 with the place of the problem.
pub fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::bad_request(format!("the body is not usable: {error}")))
}
