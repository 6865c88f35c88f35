//! Errors as Conductor's clients read them: `{status, message, instance, retryable, validationErrors}`.

use crate::machine::rejection::{Rejection, Violation};
use crate::writer::{Failure, Unavailable};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Marks the answer of a node that does not lead, and so did nothing: another may be asked the same.
pub const NOT_LEADING: HeaderName = HeaderName::from_static("x-shakedown-not-leading");

/// An error answer.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    message: String,
    violations: Vec<Violation>,
    not_leading: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    status: u16,
    message: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    validation_errors: &'a [Violation],
}

impl Problem {
    /// An error with a status and a sentence.
    #[must_use]
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), violations: Vec::new(), not_leading: false }
    }

    /// The request makes no sense: 400.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// This node does not lead, and did nothing: 503.
    #[must_use]
    pub fn not_leading(message: impl Into<String>) -> Self {
        Self { not_leading: true, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message) }
    }

    /// Turns "not there" into "makes no sense", where 404 would be taken for a missing route.
    #[must_use]
    pub fn not_found_as_bad_request(mut self) -> Self {
        if self.status == StatusCode::NOT_FOUND {
            self.status = StatusCode::BAD_REQUEST;
        }
        self
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let status = match &rejection {
            Rejection::NotFound(_) => StatusCode::NOT_FOUND,
            Rejection::Conflict(_) => StatusCode::CONFLICT,
            Rejection::Invalid(_) | Rejection::Violations(_) => StatusCode::BAD_REQUEST,
            Rejection::Unreadable(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Rejection::Away(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let message = match &rejection {
            Rejection::Violations(_) => {
                format!("Validation failed, check below errors for detail. {rejection}")
            }
            other => other.to_string(),
        };
        let violations = match rejection {
            Rejection::Violations(violations) => violations,
            _ => Vec::new(),
        };
        Self { violations, ..Self::new(status, message) }
    }
}

impl From<Unavailable> for Problem {
    fn from(unavailable: Unavailable) -> Self {
        let status = match unavailable {
            Unavailable::Full(_) => StatusCode::INSUFFICIENT_STORAGE,
            Unavailable::NotLeading => return Self::not_leading(unavailable.to_string()),
            Unavailable::Overloaded | Unavailable::RolledBack(_) => StatusCode::SERVICE_UNAVAILABLE,
            Unavailable::Unknown => StatusCode::GATEWAY_TIMEOUT,
            // Not a refusal: it may have happened. Clients read 503 as "nothing was done".
            Unavailable::Stopping => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, unavailable.to_string())
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Rejected(rejection) => rejection.into(),
            Failure::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let retryable = self.status.is_server_error();
        let body = Body {
            status: self.status.as_u16(),
            message: &self.message,
            retryable,
            validation_errors: &self.violations,
        };
        let json = serde_json::to_string(&body).unwrap_or_default();
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/json")], json).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.not_leading {
            response.headers_mut().insert(NOT_LEADING, HeaderValue::from_static("1"));
        }
        response
    }
}
