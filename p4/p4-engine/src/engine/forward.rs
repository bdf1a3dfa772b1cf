//! What happens to a packet between and after the pipelines: clone, digest, resubmit, multicast,
//! drop, egress, deparser, recirculate, in the order of bmv2's simple_switch.

mod copies;

use std::sync::Arc;

use super::{Engine, EngineConfig};
use crate::exec::{Machine, Pass, Run, external};
use crate::ir::Slot;
use crate::lower::{Standard, StandardField};
use crate::output::{Digest, Outputs};
use crate::program::{DigestIndex, Program};
use crate::state::State;
use crate::trace::{DropReason, Instance, Trace, TraceEvent};
use crate::value::Value;
use crate::wide::File;

/// Where a packet's bytes are: as they came in (`None`), or made on the way.
type Bytes = Option<Arc<Vec<u8>>>;

/// Fields that survive, as slots and limbs.
type Kept = Vec<(Slot, u64)>;

/// A packet that waits for its next pass.
#[derive(Debug)]
pub(super) enum Job {
    Ingress {
        data: Bytes,
        kept: Kept,
        instance: Instance,
        length: u64,
    },
    Egress {
        data: Bytes,
        /// Slots of the packet's own state.
        registers: Vec<u64>,
        carried: Carried,
        port: u16,
        instance: Instance,
        replica: Option<u16>,
    },
}

/// What goes from ingress to egress besides the registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carried {
    cursor: usize,
    length: u64,
    ingress_length: u64,
    truncate: Option<usize>,
}

impl Carried {
    /// At the beginning of a packet.
    pub(super) fn start(length: u64) -> Self {
        Self {
            cursor: 0,
            length,
            ingress_length: length,
            truncate: None,
        }
    }

    pub(super) fn pass<'p>(self, data: &'p [u8], now_us: u64, config: &EngineConfig) -> Pass<'p> {
        Pass {
            data,
            cursor: self.cursor,
            now_us,
            ingress_length: self.ingress_length,
            length: self.length,
            parser_error: None,
            clone: None,
            digest: None,
            resubmit: None,
            recirculate: None,
            truncate: self.truncate,
            failed: None,
            drop_port: u64::from(config.drop_port),
            steps: config.max_steps,
        }
    }

    fn of(pass: &Pass<'_>) -> Self {
        Self {
            cursor: pass.cursor,
            length: pass.length,
            ingress_length: pass.ingress_length,
            truncate: pass.truncate,
        }
    }
}

/// All of an engine that a packet touches, borrowed apart.
struct Drive<'e> {
    program: &'e Program,
    state: &'e mut State,
    machine: &'e mut Machine,
    jobs: &'e mut std::collections::VecDeque<Job>,
    out: &'e mut Outputs,
    trace: &'e mut Trace,
    now_us: u64,
    config: &'e EngineConfig,
    passes: u32,
    standard: &'e Standard,
}

impl Engine {
    pub(super) fn drive<const TRACED: bool>(
        &mut self,
        port: u16,
        packet: &[u8],
        now_us: u64,
        out: &mut Outputs,
        trace: &mut Trace,
    ) {
        let program = &*self.program;
        let Some(standard) = &program.standard else {
            return;
        };
        let mut drive = Drive {
            program,
            state: &mut self.state,
            machine: &mut self.machine,
            jobs: &mut self.jobs,
            out,
            trace,
            now_us,
            config: &self.config,
            passes: self.config.max_passes,
            standard,
        };
        let length = packet.len() as u64;
        drive.clear();
        drive.set(standard.ingress_port, u64::from(port));
        drive.set(standard.packet_length, length);
        drive.set_if(standard.ingress_global_timestamp, now_us);
        drive.ingress::<TRACED>(packet, &None, port, length, Instance::Normal);
        while let Some(job) = drive.jobs.pop_front() {
            match job {
                Job::Ingress {
                    data,
                    kept,
                    instance,
                    length,
                } => {
                    let bytes = data.as_ref().map_or(packet, |data| data.as_slice());
                    drive.clear();
                    drive.restore(&kept);
                    drive.set(standard.instance_type, instance.number());
                    drive.set(standard.packet_length, length);
                    // bmv2 leaves zero here, so a program that remembers times would see the
                    // beginning of the world after a resubmit.
                    drive.set_if(standard.ingress_global_timestamp, now_us);
                    drive.ingress::<TRACED>(bytes, &data, port, length, instance);
                }
                Job::Egress {
                    data,
                    registers,
                    carried,
                    port,
                    instance,
                    replica,
                } => {
                    let bytes = data.as_ref().map_or(packet, |data| data.as_slice());
                    drive.load(&registers);
                    if let (Some(rid), Some(field)) = (replica, standard.egress_rid) {
                        drive.set(field, u64::from(rid));
                    }
                    let mut pass = drive.pass(bytes, carried);
                    drive.egress::<TRACED>(&mut pass, &data, port, instance);
                }
            }
        }
    }
}

impl Drive<'_> {
    fn file(&mut self) -> &mut File {
        &mut self.machine.file
    }

    fn set(&mut self, field: StandardField, value: u64) {
        self.machine.file[usize::from(field.slot)] = value & field.mask;
    }

    fn set_if(&mut self, field: Option<StandardField>, value: u64) {
        if let Some(field) = field {
            self.set(field, value);
        }
    }

    fn get(&self, field: StandardField) -> u64 {
        self.machine.file[usize::from(field.slot)]
    }

    fn clear(&mut self) {
        let end = self.program.layout.fields_end;
        self.file()[..end].fill(0);
    }

    fn clear_metadata(&mut self) {
        let end = self.program.layout.metadata_end;
        self.file()[..end].fill(0);
    }

    fn save(&self) -> Vec<u64> {
        self.machine.file[..self.program.layout.fields_end].to_vec()
    }

    fn load(&mut self, registers: &[u64]) {
        self.machine.file[..registers.len()].copy_from_slice(registers);
    }

    fn restore(&mut self, kept: &Kept) {
        for (slot, limb) in kept {
            self.machine.file[usize::from(*slot)] = *limb;
        }
    }

    /// The values of a field list now.
    fn kept(&self, list: u16) -> Kept {
        let list = &self.program.fast.field_lists[usize::from(list)];
        let slots = list
            .fields
            .iter()
            .flat_map(|(slot, limbs)| *slot..*slot + *limbs);
        slots
            .map(|slot| (slot, self.machine.file[usize::from(slot)]))
            .collect()
    }

    fn pass<'p>(&self, data: &'p [u8], carried: Carried) -> Pass<'p> {
        carried.pass(data, self.now_us, self.config)
    }

    fn run<const TRACED: bool>(&mut self, pass: &mut Pass<'_>, stage: Stage) {
        let code = if TRACED {
            &self.program.traced
        } else {
            &self.program.fast
        };
        let start = match stage {
            Stage::Parser => code.parser,
            Stage::Verify => code.verify,
            Stage::Ingress => code.ingress,
            Stage::Egress => code.egress,
            Stage::Update => code.update,
        };
        let mut run = Run {
            program: self.program,
            code,
            state: self.state,
            file: &mut *self.machine.file,
            key: &mut self.machine.key,
            scratch: &mut self.machine.scratch,
            trace: self.trace,
        };
        run.run::<TRACED>(pass, start);
    }

    fn dropped<const TRACED: bool>(&mut self, reason: DropReason, assertion: Option<u16>) {
        if TRACED {
            let asserts = &self.program.traced.asserts;
            let by = match assertion {
                Some(x) => asserts.get(usize::from(x)).cloned(),
                // The last primitive that decided is the one to name.
                None => self
                    .trace
                    .events
                    .iter()
                    .rev()
                    .find_map(|event| match event {
                        TraceEvent::Primitive { name, place } => Some(format!("{name} at {place}")),
                        _ => None,
                    }),
            };
            self.trace.push(TraceEvent::Dropped { reason, by });
        }
    }

    /// Takes one of the packet's passes; false if there is none left.
    fn tick<const TRACED: bool>(&mut self) -> bool {
        match self.passes.checked_sub(1) {
            Some(left) => self.passes = left,
            None => {
                self.dropped::<TRACED>(DropReason::PassLimit, None);
                return false;
            }
        }
        true
    }

    /// Parser and checksum verification.
    fn parse<const TRACED: bool>(&mut self, pass: &mut Pass<'_>) {
        self.run::<TRACED>(pass, Stage::Parser);
        if pass.failed.take().is_some() {
            // The parser's only failures are its loops and assertions.
            pass.parser_error = Some(self.program.error_codes.parser_timeout);
            pass.steps = self.config.max_steps;
        }
        if TRACED && let Some(code) = pass.parser_error {
            let name = i64::try_from(code)
                .ok()
                .and_then(|code| self.program.errors.get(&code));
            let error = name.cloned().unwrap_or_else(|| format!("error {code}"));
            self.trace.push(TraceEvent::ParserError { error });
        }
        // Before verification, which sets it.
        self.set_if(self.standard.checksum_error, 0);
        self.run::<TRACED>(pass, Stage::Verify);
    }

    fn ingress<const TRACED: bool>(
        &mut self,
        bytes: &[u8],
        data: &Bytes,
        port: u16,
        length: u64,
        instance: Instance,
    ) {
        if !self.tick::<TRACED>() {
            return;
        }
        if TRACED {
            self.trace.push(TraceEvent::Ingress {
                port,
                length: bytes.len(),
                instance,
            });
        }
        let start = Carried::start(length);
        let mut pass = self.pass(bytes, start);
        self.parse::<TRACED>(&mut pass);
        self.set_if(self.standard.parser_error, pass.parser_error.unwrap_or(0));
        self.run::<TRACED>(&mut pass, Stage::Ingress);
        if let Some((reason, assertion)) = pass.failed {
            self.dropped::<TRACED>(reason, assertion);
            return;
        }
        if let Some((session, list)) = pass.clone.take() {
            self.clone_ingress::<TRACED>(&pass, data, port, session, list);
        }
        if let Some(list) = pass.digest.take() {
            self.digest::<TRACED>(list);
        }
        if let Some(list) = pass.resubmit.take() {
            if TRACED {
                self.trace.push(TraceEvent::Again {
                    instance: Instance::Resubmit,
                });
            }
            let kept = self.kept(list);
            let instance = Instance::Resubmit;
            self.jobs.push_back(Job::Ingress {
                data: data.clone(),
                kept,
                instance,
                length,
            });
            return;
        }
        let group = self.standard.mcast_grp.map_or(0, |field| self.get(field));
        if group != 0 {
            let instance = Instance::Replication;
            self.set(self.standard.instance_type, instance.number());
            let registers = self.save();
            let group = u16::try_from(group).unwrap_or(0);
            let copies = self.multicast(&registers, data, Carried::of(&pass), group, instance);
            if TRACED {
                self.trace.push(TraceEvent::Multicast { group, copies });
            }
            if copies == 0 {
                self.dropped::<TRACED>(DropReason::NoReplica, None);
            }
            return;
        }
        let to = self.get(self.standard.egress_spec);
        if to == u64::from(self.config.drop_port) {
            self.dropped::<TRACED>(DropReason::IngressDrop, None);
            return;
        }
        let to = u16::try_from(to).unwrap_or(u16::MAX);
        self.set(self.standard.instance_type, Instance::Normal.number());
        if self.jobs.is_empty() {
            let carried = Carried::of(&pass);
            let mut pass = self.pass(bytes, carried);
            self.egress::<TRACED>(&mut pass, data, to, Instance::Normal);
        } else {
            let registers = self.save();
            let carried = Carried::of(&pass);
            self.jobs.push_back(Job::Egress {
                data: data.clone(),
                registers,
                carried,
                port: to,
                instance: Instance::Normal,
                replica: None,
            });
        }
    }

    fn egress<const TRACED: bool>(
        &mut self,
        pass: &mut Pass<'_>,
        data: &Bytes,
        port: u16,
        instance: Instance,
    ) {
        if !self.tick::<TRACED>() {
            return;
        }
        if TRACED {
            self.trace.push(TraceEvent::Egress { port, instance });
        }
        self.set_if(self.standard.egress_global_timestamp, self.now_us);
        self.set_if(self.standard.enq_timestamp, self.now_us);
        self.set(self.standard.egress_port, u64::from(port));
        // Anything but the drop port; bmv2 takes the next one.
        self.set(
            self.standard.egress_spec,
            u64::from(self.config.drop_port) + 1,
        );
        self.set(self.standard.packet_length, pass.length);
        self.run::<TRACED>(pass, Stage::Egress);
        if let Some((reason, assertion)) = pass.failed {
            self.dropped::<TRACED>(reason, assertion);
            return;
        }
        if let Some((session, list)) = pass.clone.take() {
            self.clone_egress::<TRACED>(pass, data, session, list);
        }
        if self.get(self.standard.egress_spec) == u64::from(self.config.drop_port) {
            self.dropped::<TRACED>(DropReason::EgressDrop, None);
            return;
        }
        self.run::<TRACED>(pass, Stage::Update);
        if let Some(list) = pass.recirculate.take() {
            let mut frame = Vec::new();
            self.deparse(pass, &mut frame);
            let kept = self.kept(list);
            let length = frame.len() as u64;
            if TRACED {
                self.trace.push(TraceEvent::Again {
                    instance: Instance::Recirculate,
                });
            }
            self.jobs.push_back(Job::Ingress {
                data: Some(Arc::new(frame)),
                kept,
                instance: Instance::Recirculate,
                length,
            });
            return;
        }
        let mut frame = std::mem::take(self.out.next_frame(port));
        self.deparse(pass, &mut frame);
        if TRACED {
            self.trace.push(TraceEvent::Sent {
                port,
                length: frame.len(),
            });
        }
        self.out.put_back(frame);
    }

    /// Valid headers in order, then what the parser left, cut if asked for.
    fn deparse(&mut self, pass: &Pass<'_>, frame: &mut Vec<u8>) {
        let file = &*self.machine.file;
        let (program, headers) = (self.program, &self.program.deparse);
        external::deparse(file, program, headers, pass.data, pass.cursor, frame);
        if let Some(limit) = pass.truncate {
            frame.truncate(limit);
        }
    }

    fn digest<const TRACED: bool>(&mut self, list: u16) {
        let base = self.program.fast.field_lists.len() - self.program.digests().len();
        let fields = &self.program.fast.field_lists[base + usize::from(list)].fields;
        let values = fields.iter().map(|(slot, limbs)| {
            let at = usize::from(*slot);
            Value::from_limbs(&self.machine.file[at..at + usize::from(*limbs)])
        });
        let values = values.collect();
        if TRACED {
            let name = self.program.digests()[usize::from(list)].name.clone();
            self.trace.push(TraceEvent::Digest { name });
        }
        self.out.push_digest(Digest {
            digest: DigestIndex(u32::from(list)),
            fields: values,
        });
    }
}

#[derive(Clone, Copy)]
enum Stage {
    Parser,
    Verify,
    Ingress,
    Egress,
    Update,
}
