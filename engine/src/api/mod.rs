//! The REST API: routes ↔ commands. Nothing is decided here.

pub mod problem;
pub mod query;
mod v1;

use crate::writer::Handle;
use axum::Router;

/// What every route needs.
#[derive(Clone)]
pub struct Api {
    /// Reaches the writer.
    pub writer: Handle,
}

/// All routes.
pub fn routes(api: Api) -> Router {
    v1::routes().with_state(api)
}
