//! Ports that are down: backups of replicas take over, selectors leave members out.

use std::collections::BTreeSet;

use p4_engine::{CloneSession, Replica};

use super::Device;
use crate::operation::{Group, ReplicaSpec, Session};

impl Device {
    /// Takes note of the ports that are down now.
    pub(crate) fn set_down(&mut self, down: &BTreeSet<u16>) {
        let flipped: BTreeSet<u16> = self.down.symmetric_difference(down).copied().collect();
        if flipped.is_empty() {
            return;
        }
        self.down.clone_from(down);
        let touched = |replicas: &[ReplicaSpec]| {
            replicas.iter().any(|replica| {
                !replica.backups.is_empty()
                    && (flipped.contains(&replica.port)
                        || (replica.backups.iter()).any(|backup| flipped.contains(&backup.port)))
            })
        };
        let groups: Vec<_> = (self.groups.iter())
            .filter(|(_, group)| touched(&group.replicas))
            .map(|(id, group)| (*id, self.live_replicas(&group.replicas)))
            .collect();
        for (id, replicas) in groups {
            self.engine.set_multicast_group(id, replicas);
        }
        let sessions: Vec<_> = (self.sessions.iter())
            .filter(|(_, session)| touched(&session.replicas))
            .map(|(id, session)| (*id, session.clone()))
            .collect();
        for (id, session) in sessions {
            self.engine
                .set_clone_session(id, self.live_session(&session));
        }
        self.refresh_selectors(&flipped);
    }

    pub(super) fn set_group(&mut self, id: u16, group: Option<Group>) {
        let replicas = group.as_ref().map_or(&[][..], |group| &group.replicas);
        let live = self.live_replicas(replicas);
        self.engine.set_multicast_group(id, live);
        match group {
            Some(group) => self.groups.insert(id, group),
            None => self.groups.remove(&id),
        };
    }

    pub(super) fn set_session(&mut self, id: u16, session: Option<Session>) {
        match session {
            Some(session) => {
                self.engine
                    .set_clone_session(id, self.live_session(&session));
                self.sessions.insert(id, session);
            }
            None => {
                self.engine.remove_clone_session(id);
                self.sessions.remove(&id);
            }
        }
    }

    fn live_session(&self, session: &Session) -> CloneSession {
        CloneSession {
            replicas: self.live_replicas(&session.replicas),
            multicast_group: None,
            truncate: (session.length != 0).then_some(session.length),
        }
    }

    /// The first of each replica and its backups whose port is up; the replica itself if none is,
    /// so that egress has its side effects (9.5.1, the second of the two behaviours).
    fn live_replicas(&self, given: &[ReplicaSpec]) -> Vec<Replica> {
        given
            .iter()
            .map(|replica| {
                let own = (replica.port, replica.instance);
                let backups = replica.backups.iter();
                let mut all = std::iter::once(own)
                    .chain(backups.map(|backup| (backup.port, backup.instance)));
                let (port, instance) = all
                    .find(|(port, _)| !self.down.contains(port))
                    .unwrap_or(own);
                Replica { port, instance }
            })
            .collect()
    }

    pub(super) fn is_down(&self, port: u16) -> bool {
        self.down.contains(&port)
    }
}
