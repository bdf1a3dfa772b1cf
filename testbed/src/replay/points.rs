//! After which frames flows are made, and how many.

use std::collections::{BTreeMap, BTreeSet};

use super::Args;
use super::player::Part;
use crate::random::Random;

/// Points of the last stream at which flows are tried if nobody says otherwise.
const POINTS: usize = 4;

/// Flows at each point of `--points` without `--generate`.
const FLOWS: usize = 200;

/// One stream among those that are played.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    /// Its place, from 0.
    pub(crate) index: usize,
    /// How many there are.
    pub(crate) of: usize,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Of everything that is chosen.
    pub(crate) seed: u64,
    generate: usize,
    points: Option<usize>,
    until: bool,
}

impl Plan {
    pub(crate) fn new(args: &Args) -> Self {
        Self {
            seed: args.seed,
            generate: args.generate,
            points: args.points.and_then(|points| usize::try_from(points).ok()),
            until: args.until.is_some(),
        }
    }

    /// Whether flows are made in all streams.
    pub(crate) fn everywhere(&self) -> bool {
        self.points.is_some()
    }

    /// All flows after the frame where the last stream is to stop.
    pub(crate) fn there(&self, end: usize) -> Option<(usize, usize)> {
        (self.points.is_none() && self.generate > 0).then_some((end, self.generate))
    }

    /// How many flows to make after which frame, once the stream of `frames` frames is in sync.
    pub(crate) fn points(
        &self,
        part: &Part<'_>,
        in_sync: usize,
        frames: usize,
    ) -> BTreeMap<usize, usize> {
        match self.points {
            Some(points) => self.chosen(points, part.share, in_sync, frames),
            None if part.last && !self.until && self.generate > 0 => self.even(in_sync, frames),
            None => BTreeMap::new(),
        }
    }

    fn even(&self, in_sync: usize, frames: usize) -> BTreeMap<usize, usize> {
        let end = frames.saturating_sub(1);
        let mut points = BTreeMap::new();
        for point in 0..POINTS {
            let at = in_sync + (end - in_sync) * point / (POINTS - 1);
            let share = self.generate / POINTS + usize::from(point < self.generate % POINTS);
            *points.entry(at).or_insert(0) += share;
        }
        points
    }

    /// The in-sync message, and frames behind it: all of them if there are no more than asked for.
    fn chosen(
        &self,
        points: usize,
        share: Share,
        in_sync: usize,
        frames: usize,
    ) -> BTreeMap<usize, usize> {
        let flows = match self.generate {
            0 => FLOWS,
            flows => (flows / (points + share.of)).max(1),
        };
        let wanted = points / share.of + usize::from(share.index < points % share.of);
        let behind = in_sync + 1..frames;
        let mut at = BTreeSet::new();
        if behind.len() <= wanted {
            at.extend(behind);
        } else {
            let mut random = Random::new(self.seed.wrapping_add(share.index as u64));
            while at.len() < wanted {
                at.insert(behind.start + random.below(behind.len()));
            }
        }
        at.insert(in_sync);
        at.into_iter().map(|at| (at, flows)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(generate: usize, points: usize) -> Plan {
        Plan {
            seed: 7,
            generate,
            points: Some(points),
            until: false,
        }
    }

    const ALONE: Share = Share { index: 0, of: 1 };

    #[test]
    fn points_are_the_in_sync_message_and_frames_behind_it() {
        let points = plan(5100, 50).chosen(50, ALONE, 9, 1000);
        assert_eq!(points.len(), 51);
        assert_eq!(points.first_key_value(), Some((&9, &100)));
        assert!(points.keys().all(|at| (9..1000).contains(at)));
        assert_eq!(points, plan(5100, 50).chosen(50, ALONE, 9, 1000));
    }

    #[test]
    fn a_short_stream_is_tried_after_every_frame() {
        let points = plan(0, 50).chosen(50, ALONE, 9, 20);
        let frames: Vec<_> = points.keys().copied().collect();
        assert_eq!(frames, (9..20).collect::<Vec<_>>());
        assert!(points.values().all(|flows| *flows == FLOWS));
    }

    #[test]
    fn streams_share_the_points() {
        let of = |index| plan(0, 5).chosen(5, Share { index, of: 2 }, 0, 100).len();
        assert_eq!([of(0), of(1)], [4, 3], "the in-sync messages come besides");
    }
}
