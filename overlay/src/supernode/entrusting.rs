//! News where not everybody knows everybody.
//!
//! They go round among the members that know all. Whoever of those is left with an arc in which nobody else knows all
//! tells the others in it whose part of the ring the event concerns, in the same way: further halves go to those who
//! know everybody in them. A member that knows a part entrusts what it has to say to two that know all.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use credential::NodeId;
use machine::Instant;

use super::SuperNode;
use super::comparing::YOUNG;
use super::ring::Window;
use super::spreading::Telling;
use crate::peer::Event;

/// How many guides are told.
const TOLD: usize = 2;

impl SuperNode {
    /// Has guides tell everybody.
    pub(super) fn entrust(&mut self, event: Event, now: Instant) {
        let dated = match &event {
            Event::Up(announcement) => announcement.about.incarnation,
            Event::Gone(departure) => departure.gone.at,
        };
        if dated < self.wall(now).saturating_sub(YOUNG) {
            return;
        }
        let (after, until) = (self.own, self.own);
        for guide in self.pick_guides(TOLD, &[], now) {
            let telling = Telling {
                after,
                until,
                event: Arc::new(event.clone()),
            };
            self.news.told.push_back((now, guide, telling));
            self.inform(guide, Vec::from([event.clone()]), now);
        }
    }

    /// Whom to tell on an arc without anybody who knows all, and up to where each is to tell others.
    pub(super) fn hearers(&self, telling: &Telling) -> Vec<(NodeId, NodeId)> {
        let Some(subject) = telling.event.subject() else {
            return Vec::new();
        };
        let arc = self.ring.between(telling.after, telling.until);
        let concerned = arc.iter().filter(|member| {
            let window = Window {
                center: member.node(),
                reach: member.reach(),
            };
            let node = member.node();
            let willing = node != subject && node != self.own && !self.suspects.contains_key(&node);
            willing && member.reach() > 0 && window.covers(subject)
        });
        let concerned: Vec<Window> = concerned
            .map(|member| Window {
                center: member.node(),
                reach: member.reach(),
            })
            .collect();
        let mut hearers = Vec::new();
        let mut arcs = VecDeque::from([(0, concerned.len(), telling.until)]);
        while let Some((first, end, until)) = arcs.pop_front() {
            let Some(&last) = concerned[first..end].last() else {
                continue;
            };
            let middle = (first + end) / 2;
            let half = middle..(first + 3 * (end - first) / 4).max(middle + 1).min(end);
            let linked = half.into_iter().find(|&place| {
                let node = concerned[place].center;
                self.link_to(node).is_some()
            });
            let place = linked.unwrap_or(middle);
            let hearer = concerned[place];
            let node = hearer.center;
            if hearer.covers_onward(last.center) {
                hearers.push((node, until));
            } else {
                // It does not know all of them: it tells nobody.
                let next = concerned.get(place + 1).filter(|_| place + 1 < end);
                hearers.push((node, next.map_or(until, |next| next.center)));
                arcs.push_back((place + 1, end, until));
            }
            arcs.push_back((first, place, node));
        }
        hearers
    }
}
