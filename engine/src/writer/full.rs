//! While the disk is full: what can still be answered, and when there is space again.

use super::batch::{Batch, Finished};
use super::{Request, Unavailable, Writer, WriterError};
use crate::store::{self, AppendError};
use std::collections::VecDeque;
use std::sync::Arc;

/// A full disk is tried again at most so often, milliseconds.
const TRIAL_EVERY_MS: u64 = 250;
/// The least that a trial append writes. It is twice what failed, or the next batch would fail again.
const TRIAL: usize = 64 * 1024;

/// The disk is full: nothing is decided until a trial append succeeds.
pub(super) struct Full {
    why: Arc<str>,
    trial: usize,
    next_trial: u64,
}

impl Full {
    /// Since a frame of so many bytes did not fit.
    pub fn of(why: &str, bytes: usize, now: u64) -> Self {
        Self { why: why.into(), trial: (bytes * 2).max(TRIAL), next_trial: now + TRIAL_EVERY_MS }
    }
}

impl Writer {
    /// True when a trial append shows that there is space again.
    pub(super) fn try_to_recover(&mut self, now: u64) -> Result<bool, WriterError> {
        let Some(full) = &mut self.full else { return Ok(true) };
        if now < full.next_trial {
            return Ok(false);
        }
        full.next_trial = now + TRIAL_EVERY_MS;
        match self.store.append(self.position, &store::padding(full.trial)) {
            Ok(()) => {
                self.moved_on();
                self.full = None;
                tracing::info!("the disk has space again");
                Ok(true)
            }
            Err(AppendError::Full(_) | AppendError::RolledBack(_)) => Ok(false),
            Err(AppendError::Fenced(why)) => Err(WriterError::Deposed(why)),
            Err(broken) => Err(WriterError::Append(broken)),
        }
    }

    /// Reads see what is durable; everything else is told that the disk is full.
    pub(super) fn refuse_writes(
        &mut self,
        taken: &mut VecDeque<Request>,
        now: u64,
    ) -> Result<(), WriterError> {
        let why = self.full.as_ref().map(|full| Arc::clone(&full.why)).unwrap_or_default();
        let full = Unavailable::Full(why);
        let mut batch = Batch::new(&mut self.state, &mut self.waiting, &self.keeper, now);
        for request in taken.drain(..) {
            match request {
                Request::Read(_) | Request::Drain => batch.take(request),
                // Searches go on with what there is.
                Request::Flush(to) => drop(to.send(())),
                other => other.refuse(&full),
            }
        }
        batch.expire_waiting();
        let Finished { answers, .. } = batch.finish();
        match self.hold() {
            Ok(()) => answers.into_iter().for_each(|answer| answer.send(Ok(()))),
            Err(error) => return self.take_back(error, answers, Vec::new(), now),
        }
        Ok(())
    }
}
