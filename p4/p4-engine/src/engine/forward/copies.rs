//! Clones and replicas.

use super::{Bytes, Carried, Drive, Job, Stage};
use crate::exec::Pass;
use crate::replicate::{CloneSession, Replica};
use crate::trace::{Instance, TraceEvent};

impl Drive<'_> {
    /// The packet as it came into this pass, parsed once more, with the kept fields.
    pub(super) fn clone_ingress<const TRACED: bool>(
        &mut self,
        pass: &Pass<'_>,
        data: &Bytes,
        port: u16,
        session: u16,
        list: u16,
    ) {
        let Some(config) = self.state.sessions.get(&session).cloned() else {
            return;
        };
        let instance = Instance::IngressClone;
        if TRACED {
            self.trace.push(TraceEvent::Cloned { session, instance });
        }
        let before = self.save();
        let kept = self.kept(list);
        self.clear();
        self.set(self.standard.ingress_port, u64::from(port));
        let start = Carried {
            cursor: 0,
            length: pass.ingress_length,
            ingress_length: pass.ingress_length,
            truncate: None,
        };
        let mut copy = self.pass(pass.data, start);
        // Not traced: the steps are those of the original.
        self.run::<false>(&mut copy, Stage::Parser);
        self.clear_metadata();
        self.restore(&kept);
        self.set(self.standard.instance_type, instance.number());
        let registers = self.save();
        let carried = Carried {
            cursor: copy.cursor,
            length: pass.ingress_length,
            ..start
        };
        self.send_clones(&config, registers, data, carried, instance);
        self.load(&before);
    }

    /// The packet as egress left it, without its metadata.
    pub(super) fn clone_egress<const TRACED: bool>(
        &mut self,
        pass: &Pass<'_>,
        data: &Bytes,
        session: u16,
        list: u16,
    ) {
        let Some(config) = self.state.sessions.get(&session).cloned() else {
            return;
        };
        let instance = Instance::EgressClone;
        if TRACED {
            self.trace.push(TraceEvent::Cloned { session, instance });
        }
        let before = self.save();
        let kept = self.kept(list);
        self.clear_metadata();
        self.restore(&kept);
        self.set(self.standard.instance_type, instance.number());
        let registers = self.save();
        self.send_clones(&config, registers, data, Carried::of(pass), instance);
        self.load(&before);
    }

    pub(super) fn send_clones(
        &mut self,
        config: &CloneSession,
        registers: Vec<u64>,
        data: &Bytes,
        carried: Carried,
        instance: Instance,
    ) {
        let limit = config
            .truncate
            .and_then(|limit| usize::try_from(limit).ok());
        let truncate = match (carried.truncate, limit) {
            (Some(own), Some(limit)) => Some(own.min(limit)),
            (own, limit) => own.or(limit),
        };
        let carried = Carried {
            truncate,
            ..carried
        };
        if let Some(group) = config.multicast_group {
            self.multicast(&registers, data, carried, group, instance);
        }
        self.replicate(&registers, data, carried, &config.replicas, instance);
    }

    pub(super) fn multicast(
        &mut self,
        registers: &[u64],
        data: &Bytes,
        carried: Carried,
        group: u16,
        instance: Instance,
    ) -> usize {
        let replicas = self.state.groups.get(&group).cloned().unwrap_or_default();
        self.replicate(registers, data, carried, &replicas, instance);
        replicas.len()
    }

    pub(super) fn replicate(
        &mut self,
        registers: &[u64],
        data: &Bytes,
        carried: Carried,
        replicas: &[Replica],
        instance: Instance,
    ) {
        for replica in replicas {
            self.jobs.push_back(Job::Egress {
                data: data.clone(),
                registers: registers.to_vec(),
                carried,
                port: replica.port,
                instance,
                replica: Some(replica.instance),
            });
        }
    }
}
