//! What clients hear: every answer goes to the oracle.

use crate::oracle::{Handed, Moment, What};
use crate::requests::{Answer, Asked, Seen, Wish, view};
use crate::world::{Told, World};
use shakedown_engine::archive::Query;
use shakedown_engine::machine::Rejection;
use shakedown_engine::machine::id::WorkflowId;
use shakedown_engine::machine::workflow::TaskInContext;
use shakedown_engine::writer::{Failure, Unavailable};

impl World {
    pub fn hear(&mut self, ended: bool) -> Told {
        let asked = std::mem::take(&mut self.asked);
        // Whoever waits may be handed what another request made ready.
        let (waiting, direct): (Vec<Asked>, Vec<Asked>) =
            asked.into_iter().partition(|asked| matches!(asked.what, Wish::Poll { .. } | Wish::Next { .. }));
        for Asked { number, what } in direct.into_iter().chain(waiting) {
            if let Some(what) = self.hear_one(number, what)? {
                let may_wait = matches!(&what, Wish::Poll { until, .. } if *until > self.now());
                if !ended && !may_wait {
                    return Err(format!("request {number} was never answered"));
                }
                self.asked.push(Asked { number, what });
            }
        }
        Ok(())
    }

    /// Hears an answer; gives the request back when there is none.
    fn hear_one(&mut self, number: u64, what: Wish) -> Result<Option<Wish>, String> {
        let taken = |answer: &Answer| answer.lock().unwrap().take();
        match &what {
            Wish::Define(answer) => {
                let Some(heard) = taken(answer) else { return Ok(Some(what)) };
                if let Err(failure) = heard {
                    self.refused(number, None, &failure)?;
                }
            }
            Wish::Start { correlation, name, answer } => {
                let Some(heard) = taken(answer) else { return Ok(Some(what)) };
                self.hear_start(number, correlation, name, heard)?;
            }
            Wish::Change { id, what: change, answer } => {
                let Some(heard) = taken(answer) else { return Ok(Some(what)) };
                match heard {
                    Ok(seen) => self.hear_change(number, *id, change, &seen)?,
                    Err(failure) => self.refused(number, Some(*id), &failure)?,
                }
            }
            Wish::Read { id, answer } => {
                let Some(heard) = taken(answer) else { return Ok(Some(what)) };
                if let Ok(seen) = heard {
                    self.show(number, *id, &seen)?;
                }
            }
            Wish::Settle { correlation, answer } => {
                let Some(heard) = taken(answer) else { return Ok(Some(what)) };
                match heard {
                    Ok(seen) => self.hear_of_start(correlation, seen.correlated)?,
                    Err(_) => self.open_starts.push(correlation.clone()),
                }
            }
            Wish::Poll { .. } | Wish::Next { .. } | Wish::Check(_) => return self.hear_worker(number, what),
        }
        Ok(None)
    }

    fn hear_worker(&mut self, number: u64, mut what: Wish) -> Result<Option<Wish>, String> {
        match &mut what {
            Wish::Poll { queue, answer, .. } => match answer.try_recv() {
                Ok(Ok(tasks)) => {
                    let of_queue =
                        |task: &TaskInContext| task.snapshot.node(task.task.node).task.name == *queue;
                    if !tasks.iter().all(of_queue) {
                        return Err(format!("a poll of {queue} was handed another queue's task"));
                    }
                    tasks.iter().try_for_each(|task| self.hand(number, task))?;
                }
                Ok(Err(failure)) => self.note(&failure),
                Err(_) => return Ok(Some(what)),
            },
            Wish::Next { task, answer } => {
                let task = *task;
                match answer.try_recv() {
                    Ok(Ok(next)) => next.iter().try_for_each(|task| self.hand(number, task))?,
                    Ok(Err(failure)) => self.refused(number, Some(task.workflow), &failure)?,
                    Err(_) => return Ok(Some(what)),
                }
            }
            Wish::Check(answer) => match answer.try_recv() {
                Ok(Ok(())) => self.full = false,
                Ok(Err(failure)) => self.note(&failure),
                Err(_) => return Ok(Some(what)),
            },
            _ => {}
        }
        Ok(None)
    }

    fn hear_start(
        &mut self,
        number: u64,
        as_: &str,
        name: &'static str,
        heard: Result<Seen, Failure>,
    ) -> Told {
        match heard {
            Ok(Seen { started: Some(id), workflow: Some(workflow), .. }) => {
                self.tell(format!("{as_} is {id}"));
                self.exists(as_, name, id);
                self.oracle.show(id, view(&workflow), self.moment(number))
            }
            Ok(_) => Err(format!("{as_} was started and is not there")),
            Err(failure) => {
                self.starts.remove(as_);
                self.refused(number, None, &failure)
            }
        }
    }

    fn hear_change(&mut self, number: u64, id: WorkflowId, what: &What, seen: &Seen) -> Told {
        if *what == What::Remove {
            self.oracle.removed(id);
            return Ok(());
        }
        let Some(workflow) = &seen.workflow else { return self.oracle.miss(id, self.now()) };
        let shown = view(workflow);
        self.tell(format!("{number} done: {}", shown.status));
        self.oracle.accept(id, what, &shown, self.now())?;
        self.oracle.show(id, shown, self.moment(number))
    }

    pub fn moment(&self, number: u64) -> Moment {
        let now = self.now();
        Moment { number, now, timers: now >= self.quiet_until && !self.full }
    }

    /// Nothing happened; that a workflow is not found is only true of one that is forgotten.
    fn refused(&mut self, number: u64, id: Option<WorkflowId>, failure: &Failure) -> Told {
        self.tell(format!("{number} refused: {failure}"));
        if let Failure::Unavailable(unavailable) = failure {
            self.note(unavailable);
        }
        let missing = matches!(failure, Failure::Rejected(Rejection::NotFound(_)));
        let Some(id) = id else { return if missing { Err(failure.to_string()) } else { Ok(()) } };
        self.oracle.refuse(number, id);
        if failure.to_string().starts_with("No such task") && self.oracle.may_lack_records(id) {
            return Ok(());
        }
        if missing { self.oracle.miss(id, self.now()) } else { Ok(()) }
    }

    fn note(&mut self, unavailable: &Unavailable) {
        self.full |= matches!(unavailable, Unavailable::Full(_));
    }

    /// A workflow, in memory or archived, as `GET` reads it.
    fn show(&mut self, number: u64, id: WorkflowId, seen: &Seen) -> Told {
        let moment = self.moment(number);
        if let Some(workflow) = &seen.workflow {
            return self.oracle.show(id, view(workflow), moment);
        }
        if seen.removed {
            return self.oracle.miss(id, self.now());
        }
        let Some((_, archive)) = &self.engine else { return Ok(()) };
        match archive.load(id) {
            Ok(Some(workflow)) => self.oracle.show(id, view(&workflow), moment),
            Ok(None) => self.oracle.miss(id, self.now()),
            // The disk is gone, and the engine ends with it.
            Err(_) => Ok(()),
        }
    }

    fn hand(&mut self, number: u64, handed: &TaskInContext) -> Told {
        let task = handed.workflow.task(handed.task.seq);
        let correlation = handed.start.correlation_id.as_deref().unwrap_or_default();
        let Some((name, _)) = self.starts.get(correlation).copied() else {
            return Err(format!("{task} was handed out, its start {correlation} was refused"));
        };
        self.exists(correlation, name, handed.workflow);
        let reference = handed.snapshot.node(handed.task.node).task.task_reference_name.clone();
        self.tell(format!("{number} is handed {reference} {task} attempt {}", handed.task.attempt));
        self.tasks.push(task);
        let (polls, ready_at) = (handed.task.poll_count, handed.task.ready_at);
        let input = handed.task.input.value();
        let now = self.now();
        self.oracle.hand(Handed { task, reference, polls, ready_at, input }, number, now)
    }

    /// A start whose answer was lost is found in memory or in the archive, or never was.
    fn hear_of_start(&mut self, correlation: &str, mut found: Vec<WorkflowId>) -> Told {
        let Some((name, _)) = self.starts.get(correlation).copied() else { return Ok(()) };
        let Some((_, archive)) = &self.engine else { return Ok(()) };
        let Ok(page) = archive.search(&Query::of_correlation(name, correlation)) else {
            self.open_starts.push(correlation.to_owned());
            return Ok(());
        };
        found.extend(page.workflows.iter().map(|workflow| workflow.id));
        found.sort_unstable();
        found.dedup();
        match found.as_slice() {
            [] => drop(self.starts.remove(correlation)),
            [id] => self.exists(correlation, name, *id),
            more => return Err(format!("{correlation} was started {} times", more.len())),
        }
        Ok(())
    }
}
