//! The REST API: routes ↔ commands. Nothing is decided here.

mod metrics;
pub mod problem;
pub mod query;
mod v1;

use crate::archive::{Archive, ArchiveError};
use crate::machine::State;
use crate::machine::id::WorkflowId;
use crate::machine::workflow::Workflow;
use crate::metrics::Metrics;
use crate::writer::Handle;
use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use problem::Problem;
use std::sync::Arc;

/// What every route needs.
#[derive(Clone)]
pub struct Api {
    /// Reaches the writer.
    pub writer: Handle,
    /// Where workflows are that ended.
    pub archive: Arc<dyn Archive>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl Api {
    /// A workflow, wherever it is: in memory, or archived.
    ///
    /// # Errors
    /// [`Problem`] when neither can be read.
    pub async fn workflow(&self, id: WorkflowId) -> Result<Option<Workflow>, Problem> {
        let look = move |state: &State| {
            let is_known = state.removed().contains(&id) || state.workflow(id).is_some();
            is_known.then(|| state.workflow(id).cloned())
        };
        match self.writer.read(look).await? {
            Some(found) => Ok(found),
            // A workflow leaves memory only after it can be read there.
            None => self.archived(move |archive| archive.look(id)).await,
        }
    }

    /// Looks into the archive, on a thread that may wait for the disk.
    ///
    /// # Errors
    /// [`Problem`] when it can't be read.
    pub async fn archived<T: Send + 'static>(
        &self,
        look: impl FnOnce(&dyn Archive) -> Result<T, ArchiveError> + Send + 'static,
    ) -> Result<T, Problem> {
        let archive = Arc::clone(&self.archive);
        let looked = tokio::task::spawn_blocking(move || look(archive.as_ref())).await;
        let looked =
            looked.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        looked.map_err(|error| {
            let status = match &error {
                // Nothing was changed, and another try may succeed.
                ArchiveError::Away { .. } => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            Problem::new(status, error.to_string())
        })
    }
}

/// All routes.
pub fn routes(api: Api) -> Router {
    // A layer wraps the routes that are there before it, so every one is measured.
    let measured = from_fn_with_state(api.clone(), metrics::measure);
    v1::routes().merge(metrics::routes()).route_layer(measured).with_state(api)
}
