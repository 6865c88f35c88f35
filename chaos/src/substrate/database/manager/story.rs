//! Transcripts of the machine: what it sees, one look a line, and what it does and tells for that.

use super::super::event::Shown;
use super::super::settings::{Fence, Replication, Settings};
use super::super::{Phase, Side};
use super::machine::{Look, Machine, Peer};
use super::step::{How, Step};
use Side::{First, Second};

const INTERVAL_NS: u64 = 500_000_000;

/// A machine whose looks are an interval apart, and the steps that it was told are done or failed.
struct Story {
    machine: Machine,
    at_ns: u64,
}

impl Story {
    fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        change(&mut settings);
        Self { machine: Machine::new(settings), at_ns: 0 }
    }

    fn look(&mut self, change: impl FnOnce(&mut Look)) -> &mut Self {
        self.at_ns += INTERVAL_NS;
        let (write, peer) = (Ok(self.at_ns), Peer::Streams(self.at_ns));
        let mut look = Look { at_ns: self.at_ns, write, primary_gone: false, peer, waits_ns: 0 };
        change(&mut look);
        self.machine.look(&look);
        self
    }

    /// A look at a primary that does not write.
    fn dead(&mut self, peer: Peer) -> &mut Self {
        self.look(|look| {
            look.write = Err("refused".to_owned());
            (look.primary_gone, look.peer) = (true, peer);
        })
    }

    /// As many such looks as it takes.
    fn lost(&mut self) {
        self.dead(Peer::Answers).dead(Peer::Answers).dead(Peer::Answers);
    }

    /// A look at a primary that writes.
    fn well(&mut self, peer: Peer) -> &mut Self {
        self.look(|look| look.peer = peer)
    }

    /// Everything that is to be done is done; returns it.
    fn does(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        while let Some(step) = self.machine.next(self.at_ns) {
            self.machine.done(step, self.at_ns, Shown::default());
            steps.push(step);
        }
        steps
    }

    /// The next step fails, and time goes on until the next attempt.
    fn fails(&mut self) -> Option<Step> {
        let step = self.machine.next(self.at_ns)?;
        self.machine.failed(step, self.at_ns, "it failed".to_owned());
        assert_eq!(self.machine.next(self.at_ns), None, "it waits before it tries again");
        self.at_ns += INTERVAL_NS;
        Some(step)
    }

    fn tells(&mut self) -> Vec<Phase> {
        self.machine.take_events().into_iter().map(|event| event.phase).collect()
    }
}

fn failover() -> Vec<Step> {
    vec![Step::Fence(First), Step::Promote(Second), Step::AwaitWritable(Second), Step::Repoint(Second)]
}

#[test]
fn one_write_that_fails_is_no_failure_three_are() {
    let mut story = Story::new(|_| ());
    let there = Peer::Answers;
    assert_eq!(story.dead(there).dead(there).does(), []);
    assert_eq!(story.well(Peer::Streams(0)).dead(there).dead(there).does(), [], "counted from 1 again");
    assert_eq!(story.tells(), [Phase::FailedFirstProbe, Phase::FailedFirstProbe]);
    assert_eq!(story.dead(there).does(), [failover(), vec![Step::TryLate(First)]].concat());
    let told = [Phase::Detected, Phase::Fenced, Phase::Promoted, Phase::Writable, Phase::Repointed];
    assert_eq!(story.tells(), [&told[..], &[Phase::LateWrites]].concat());
    assert_eq!(story.machine.primary(), Second);
    assert!(!story.machine.is_redundant());
}

#[test]
fn the_old_primary_is_rewound_and_commits_wait_again_once_it_has_everything() {
    let mut story = Story::new(|_| ());
    story.lost();
    story.does();
    assert_eq!(story.well(Peer::Gone).does(), [Step::Rejoin(First, How::Rewind)]);
    story.tells();
    // It streams what was written before this look, and not yet what was written by then.
    assert_eq!(story.well(Peer::Streams(1)).does(), []);
    assert_eq!(story.tells(), [Phase::Rejoined]);
    assert_eq!(story.well(Peer::Streams(1)).does(), [], "it hangs");
    let target = story.at_ns;
    assert_eq!(story.well(Peer::Streams(target)).does(), [Step::Restore(Second)]);
    assert_eq!(story.tells(), [Phase::RedundancyRestored]);
    assert!(story.machine.is_redundant());
}

#[test]
fn an_old_primary_is_asked_once_what_it_has_before_it_is_rewound() {
    let mut story = Story::new(|settings| settings.compare = Some("SELECT 1".to_owned()));
    story.lost();
    story.does();
    story.tells();
    assert_eq!(story.well(Peer::Gone).does(), [Step::Compare(First)]);
    assert_eq!(story.tells(), [Phase::Compared]);
    assert_eq!(story.well(Peer::Gone).does(), [Step::Rejoin(First, How::Rewind)]);
    // One that can't be asked is rewound all the same.
    let mut story = Story::new(|settings| settings.compare = Some("SELECT 1".to_owned()));
    story.lost();
    story.does();
    story.well(Peer::Gone);
    assert_eq!(story.fails(), Some(Step::Compare(First)));
    assert_eq!(story.well(Peer::Gone).does(), [Step::Rejoin(First, How::Rewind)]);
}

#[test]
fn where_rewinding_fails_or_does_not_help_it_is_copied() {
    let mut story = Story::new(|_| ());
    story.lost();
    story.does();
    story.well(Peer::Gone);
    assert_eq!(story.fails(), Some(Step::Rejoin(First, How::Rewind)));
    assert_eq!(story.well(Peer::Gone).does(), [Step::Rejoin(First, How::Copy)]);
    // 15 s without a stream.
    let steps: Vec<Step> = (0..31).flat_map(|_| story.well(Peer::Answers).does()).collect();
    assert_eq!(steps, [Step::Stop(First)]);
    assert_eq!(story.well(Peer::Gone).does(), [Step::Rejoin(First, How::Copy)]);
}

#[test]
fn without_room_what_is_there_is_kept() {
    let mut story = Story::new(|_| ());
    story.lost();
    story.does();
    story.well(Peer::Gone);
    let rewind = Step::Rejoin(First, How::Rewind);
    story.machine.postponed(rewind, story.at_ns, "no room".to_owned());
    story.at_ns += INTERVAL_NS;
    assert_eq!(story.well(Peer::Gone).does(), [rewind]);
}

#[test]
fn a_hung_primary_that_was_only_cut_off_is_tried_and_stopped_when_it_is_back() {
    let mut story = Story::new(|settings| settings.fence = Fence::Link);
    story.lost();
    assert_eq!(story.does(), failover());
    assert_eq!(story.well(Peer::Hung).well(Peer::Hung).does(), [], "nothing can be tried while it hangs");
    assert_eq!(story.well(Peer::Answers).does(), [Step::TryLate(First), Step::Stop(First)]);
    assert_eq!(story.well(Peer::Gone).does(), [Step::Rejoin(First, How::Rewind)]);
}

#[test]
fn nobody_is_promoted_before_the_fence_holds_and_a_promotion_is_brought_to_its_end() {
    let mut story = Story::new(|_| ());
    story.lost();
    assert_eq!(story.fails(), Some(Step::Fence(First)));
    assert_eq!(story.machine.next(story.at_ns), Some(Step::Fence(First)));
    let fenced = Step::Fence(First);
    story.machine.done(fenced, story.at_ns, Shown::default());
    assert_eq!(story.fails(), Some(Step::Promote(Second)));
    // The old one would be there again: it may have been promoted already.
    story.well(Peer::Answers);
    assert_eq!(story.machine.next(story.at_ns), Some(Step::Promote(Second)));
}

#[test]
fn a_standby_that_is_silent_is_not_waited_for_and_then_not_promoted() {
    let mut story = Story::new(|_| ());
    let wait = |waits_ns| move |look: &mut Look| (look.waits_ns, look.peer) = (waits_ns, Peer::Away);
    assert_eq!(story.look(wait(2_900_000_000)).does(), []);
    assert_eq!(story.look(wait(3_000_000_000)).does(), [Step::Degrade(First)]);
    assert_eq!(story.tells(), [Phase::Degraded]);
    // It lacks what was acknowledged since: the old primary is started where it was.
    let steps: Vec<Step> = (0..3).flat_map(|_| story.dead(Peer::Answers).does()).collect();
    assert_eq!(steps, [Step::Restart(First)]);
    assert_eq!(story.well(Peer::Gone).does(), [Step::Rejoin(Second, How::Start)]);
    let position = story.at_ns + INTERVAL_NS;
    assert_eq!(story.well(Peer::Streams(position)).does(), [Step::Restore(First)]);
}

#[test]
fn an_order_whose_answer_was_lost_makes_nobody_believe_that_the_standby_has_everything() {
    let mut story = Story::new(|_| ());
    let wait = |look: &mut Look| (look.waits_ns, look.peer) = (3_000_000_000, Peer::Hung);
    story.look(wait);
    // It may have been carried out: commits may go on alone from now on.
    assert_eq!(story.fails(), Some(Step::Degrade(First)));
    let steps: Vec<Step> = (0..4).flat_map(|_| story.dead(Peer::Hung).does()).collect();
    assert!(!steps.contains(&Step::Promote(Second)), "{steps:?}");
    // Or it was not, and they wait: then it is given once more.
    let mut story = Story::new(|_| ());
    story.look(wait);
    assert_eq!(story.fails(), Some(Step::Degrade(First)));
    story.well(Peer::Hung);
    assert_eq!(story.look(wait).does(), [Step::Degrade(First)]);
}

#[test]
fn a_standby_that_goes_while_it_is_made_the_one_to_wait_for_holds_nobody_up_for_ever() {
    let mut story = Story::new(|_| ());
    let wait = |look: &mut Look| (look.waits_ns, look.peer) = (3_000_000_000, Peer::Away);
    assert_eq!(story.look(wait).does(), [Step::Degrade(First)]);
    let position = story.at_ns + 2 * INTERVAL_NS;
    story.well(Peer::Streams(position));
    assert_eq!(story.fails(), Some(Step::Restore(First)));
    story.well(Peer::Away);
    assert_eq!(story.look(wait).does(), [Step::Degrade(First)]);
}

#[test]
fn an_asynchronous_standby_takes_over_while_it_streams_however_far_behind() {
    let mut story = Story::new(|settings| settings.replication = Replication::Asynchronous);
    story.well(Peer::Streams(0));
    story.lost();
    assert_eq!(story.does()[..4], failover());
    let mut story = Story::new(|settings| settings.replication = Replication::Asynchronous);
    for _ in 0..7 {
        story.well(Peer::Away);
    }
    assert_eq!(story.tells(), [Phase::Degraded]);
    let steps: Vec<Step> = (0..3).flat_map(|_| story.dead(Peer::Answers).does()).collect();
    assert_eq!(steps, [Step::Restart(First)]);
}

#[test]
fn a_switchover_stops_first_and_one_that_cannot_be_is_taken_back() {
    let mut story = Story::new(|_| ());
    story.machine.switch(story.at_ns);
    let steps = [Step::StopInOrder(First), Step::Promote(Second), Step::AwaitWritable(Second)];
    assert_eq!(story.does(), [&steps[..], &[Step::Repoint(Second)]].concat());
    story.tells();
    story.machine.switch(story.at_ns);
    assert_eq!(story.tells(), [Phase::SwitchoverRefused], "nobody could take over");

    let mut story = Story::new(|_| ());
    story.machine.switch(story.at_ns);
    assert_eq!(story.fails(), Some(Step::StopInOrder(First)));
    assert_eq!(story.does(), [Step::Restart(First)]);
    assert_eq!(story.tells(), [Phase::SwitchoverBegun, Phase::SwitchoverRefused, Phase::Restarted]);
    assert_eq!(story.machine.primary(), First);
}

#[test]
fn after_a_disaster_nobody_is_started_before_the_backup_is_put_back_and_the_standby_is_copied_anew() {
    let mut story = Story::new(|_| ());
    story.machine.put_back();
    assert_eq!(story.does(), [], "nothing was destroyed");
    story.machine.destroy();
    assert_eq!(story.does(), [Step::Destroy(First)]);
    let steps: Vec<Step> = (0..9).flat_map(|_| story.dead(Peer::Gone).does()).collect();
    assert_eq!(steps, [], "on empty folders");
    story.machine.switch(story.at_ns);
    assert_eq!(story.tells(), [Phase::Destroyed, Phase::SwitchoverRefused]);
    story.machine.put_back();
    assert_eq!(story.fails(), Some(Step::PutBack(First)));
    let steps = [Step::PutBack(First), Step::Replay(First), Step::AwaitWritable(First), Step::Repoint(First)];
    assert_eq!(story.does(), steps);
    let told = [Phase::Trouble, Phase::PutBack, Phase::Replayed, Phase::Writable, Phase::Repointed];
    assert_eq!(story.tells(), told);
    assert!(!story.machine.is_redundant());
    assert_eq!(story.well(Peer::Gone).does(), [Step::Rejoin(Second, How::Copy)]);
    let position = story.at_ns + INTERVAL_NS;
    assert_eq!(story.well(Peer::Streams(position)).does(), [Step::Restore(First)]);
    assert_eq!(story.tells(), [Phase::Rejoined, Phase::RedundancyRestored]);
}

#[test]
fn a_disaster_in_the_middle_of_a_failover_ends_that() {
    let mut story = Story::new(|_| ());
    story.lost();
    assert_eq!(story.fails(), Some(Step::Fence(First)));
    story.machine.destroy();
    assert_eq!(story.does(), [Step::Destroy(First)]);
    assert_eq!(story.dead(Peer::Gone).dead(Peer::Gone).dead(Peer::Gone).does(), []);
}
