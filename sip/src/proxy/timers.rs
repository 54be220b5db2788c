use core::cmp::Reverse;

use machine::Instant;

use super::context::Best;
use super::{Output, Proxy};
use crate::transaction::Due;

impl Proxy {
    pub(super) fn run_timers(&mut self, now: Instant) {
        while let Some(Reverse((at, index, generation))) = self.timers.peek().copied() {
            if at > now {
                return;
            }
            self.timers.pop();
            let slot = &mut self.slots[index as usize];
            if slot.generation != generation {
                continue;
            }
            if let Some(context) = slot
                .context
                .as_deref_mut()
                .filter(|one| one.scheduled == Some(at))
            {
                context.scheduled = None;
                self.settle(index, now);
            }
        }
    }

    /// Does what is due in a context, and sees to the next time: called after everything that changes it. A deadline
    /// that moved away leaves its timer where it is.
    pub(super) fn settle(&mut self, index: u32, now: Instant) {
        let due = loop {
            let Some(context) = self.context(index) else {
                return;
            };
            match context.poll_timeout() {
                Some(at) if at <= now => self.fire(index, now),
                due => break due,
            }
        };
        let Some(context) = self.context(index) else {
            return;
        };
        if context.is_over() {
            self.remove(index);
        } else if let Some(due) = due
            && context.scheduled.is_none_or(|at| due < at)
        {
            context.scheduled = Some(due);
            let generation = self.slots[index as usize].generation;
            self.timers.push(Reverse((due, index, generation)));
        }
    }

    fn fire(&mut self, index: u32, now: Instant) {
        let Some(context) = self.context(index) else {
            return;
        };
        if context.asked.is_some_and(|at| at <= now) {
            context.asked = None;
            let problem = "the search for the user took too long";
            context.best = Some(Best::Local {
                status: 504,
                problem,
            });
            self.conclude(index, now);
        }
        let Some(context) = self.context(index) else {
            return;
        };
        if let Some(server) = &mut context.server {
            match server.handle_timeout(now) {
                Some(Due::Again) => {
                    if let Some(message) = context.last.clone() {
                        let peer = context.upstream;
                        self.outbox.push(Output::Send { peer, message });
                    }
                }
                Some(Due::TimedOut | Due::Over) => {
                    context.server = None;
                    context.last = None;
                }
                None => {}
            }
        }
        let mut number = 0;
        while let Some(context) = self.context(index)
            && usize::from(number) < context.branches.len()
        {
            self.fire_branch(index, number, now);
            number += 1;
        }
    }
}
