//! Batches of packets: in vectors where that is possible, else one by one, with the same result.

use super::Engine;
use super::forward::Carried;
use crate::exec::external;
use crate::ir::{Pc, Slot};
use crate::lower::StandardField;
use crate::output::Outputs;
use crate::trace::Instance;
use crate::vector::{LANES, Lanes, Mask, Vector, first, lanes_of, row_of};

/// Fewer packets go one by one.
const MIN_LANES: usize = 4;

/// The longest pause between vectors, in packets.
const MAX_PAUSE: u32 = 1024;

/// A packet of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Port that it came in by.
    pub port: u16,
    /// The frame.
    pub bytes: &'a [u8],
}

impl Engine {
    /// Takes packets through the program, in their order; what they cause is appended to `out` in
    /// that order. The result is that of [`Engine::process`] for one after the other, and several
    /// times faster for 32 and more.
    ///
    /// `now_us` is the time of all of them, as for [`Engine::process`].
    pub fn process_batch(&mut self, packets: &[Packet<'_>], now_us: u64, out: &mut Outputs) {
        if packets.len() < MIN_LANES {
            for one in packets {
                self.process(one.port, one.bytes, now_us, out);
            }
            return;
        }
        self.state.settle();
        let mut vector = match self.vector.take() {
            Some(vector) => vector,
            None => Box::new(Vector::new(&self.program)),
        };
        self.batch(&mut vector, packets, now_us, out);
        self.vector = Some(vector);
    }

    fn batch(
        &mut self,
        vector: &mut Vector,
        packets: &[Packet<'_>],
        now_us: u64,
        out: &mut Outputs,
    ) {
        let mut rest = packets;
        while let Some((one, others)) = rest.split_first() {
            if rest.len() < MIN_LANES || vector.pause > 0 {
                vector.pause = vector.pause.saturating_sub(1);
                self.process(one.port, one.bytes, now_us, out);
                rest = others;
                continue;
            }
            let head = &rest[..rest.len().min(LANES)];
            let done = self.vector(vector, head, now_us, out);
            rest = rest.get(done..).unwrap_or_default();
            if done == head.len() {
                vector.doubt /= 2;
                continue;
            }
            // The one that stopped the vector goes alone; if vectors stop early they cost more
            // than they save.
            if done < head.len() / 2 {
                vector.doubt = (vector.doubt * 2 + 4).min(MAX_PAUSE);
                vector.pause = vector.doubt;
            }
            if let Some((one, others)) = rest.split_first() {
                self.process(one.port, one.bytes, now_us, out);
                rest = others;
            }
        }
    }

    /// Takes a vector of packets through; how many have taken effect.
    fn vector(
        &mut self,
        vector: &mut Vector,
        packets: &[Packet<'_>],
        now_us: u64,
        out: &mut Outputs,
    ) -> usize {
        let program = &*self.program;
        let Some(standard) = &program.standard else {
            return packets.len();
        };
        let code = &program.fast;
        let mut fresh = |lane: usize| {
            let data = packets.get(lane).map_or(&[][..], |packet| packet.bytes);
            let length = data.len() as u64;
            let start = Carried::start(length);
            start.pass(data, now_us, &self.config)
        };
        let passes = std::array::from_fn(&mut fresh);
        let mut go = first(packets.len());
        let mut bytes = [0; LANES];
        for (bytes, packet) in bytes.iter_mut().zip(packets) {
            *bytes = packet.bytes.len() as u64;
        }
        vector.journal.clear();
        let mut frames = std::mem::take(&mut vector.frames);
        let mut sent: Mask = 0;
        let mut lanes = Lanes::new(
            program,
            &mut self.state,
            vector,
            &mut self.machine,
            passes,
            !go,
        );
        for slot in &program.cleared {
            lanes.sheet[usize::from(*slot)] = row_of(0);
        }
        for (lane, packet) in (0u8..).zip(packets) {
            set(
                &mut lanes,
                standard.ingress_port,
                lane,
                u64::from(packet.port),
            );
        }
        let mut passes_left = self.config.max_passes;
        loop {
            // One pass for ingress and one for egress.
            if passes_left < 2 {
                lanes.bailed |= go;
                break;
            }
            passes_left -= 1;
            for lane in lanes_of(go) {
                let at = usize::from(lane);
                set(&mut lanes, standard.packet_length, lane, bytes[at]);
                set_if(&mut lanes, standard.ingress_global_timestamp, lane, now_us);
            }
            let stage = |lanes: &mut Lanes<'_, '_>, start: Pc, go: Mask| {
                lanes.steps = self.config.max_steps;
                lanes.run(start, go & !lanes.bailed);
            };
            stage(&mut lanes, code.parser, go);
            for lane in lanes_of(go) {
                set_if(&mut lanes, standard.checksum_error, lane, 0);
            }
            stage(&mut lanes, code.verify, go);
            for lane in lanes_of(go) {
                let error = lanes.passes[usize::from(lane)].parser_error;
                set_if(&mut lanes, standard.parser_error, lane, error.unwrap_or(0));
            }
            stage(&mut lanes, code.ingress, go);
            go &= !lanes.bailed;
            let again = lanes_of(go)
                .filter(|lane| lanes.passes[usize::from(*lane)].resubmit.is_some())
                .fold(0, |mask: Mask, lane| mask | 1 << lane);
            let mut leaving = go & !again;
            for lane in lanes_of(leaving) {
                let group = standard
                    .mcast_grp
                    .map_or(0, |field| lanes.get(field.slot, lane));
                let to = lanes.get(standard.egress_spec.slot, lane);
                if group != 0 {
                    lanes.bailed |= 1 << lane;
                } else if to != u64::from(self.config.drop_port) {
                    frames[usize::from(lane)].port = u16::try_from(to).unwrap_or(u16::MAX);
                    continue;
                }
                leaving &= !(1 << lane);
                lanes.dead |= 1 << lane;
            }
            for lane in lanes_of(leaving) {
                let at = usize::from(lane);
                let normal = Instance::Normal.number();
                set(&mut lanes, standard.instance_type, lane, normal);
                set_if(&mut lanes, standard.egress_global_timestamp, lane, now_us);
                set_if(&mut lanes, standard.enq_timestamp, lane, now_us);
                set(
                    &mut lanes,
                    standard.egress_port,
                    lane,
                    u64::from(frames[at].port),
                );
                let none = u64::from(self.config.drop_port) + 1;
                set(&mut lanes, standard.egress_spec, lane, none);
                let length = lanes.passes[at].length;
                set(&mut lanes, standard.packet_length, lane, length);
            }
            stage(&mut lanes, code.egress, leaving);
            leaving &= !lanes.bailed;
            for lane in lanes_of(leaving) {
                if lanes.get(standard.egress_spec.slot, lane) == u64::from(self.config.drop_port) {
                    leaving &= !(1 << lane);
                    lanes.dead |= 1 << lane;
                }
            }
            stage(&mut lanes, code.update, leaving);
            leaving &= !lanes.bailed;
            for lane in lanes_of(leaving) {
                let frame = &mut frames[usize::from(lane)].bytes;
                frame.clear();
                deparse(&mut lanes, lane, frame);
            }
            sent |= leaving;
            lanes.dead |= leaving;
            if again == 0 {
                break;
            }
            let mut kept: Vec<(u8, Slot, u64)> = Vec::new();
            for lane in lanes_of(again) {
                let list = lanes.passes[usize::from(lane)].resubmit.unwrap_or(0);
                for (slot, limbs) in &code.field_lists[usize::from(list)].fields {
                    for slot in *slot..*slot + *limbs {
                        kept.push((lane, slot, lanes.get(slot, lane)));
                    }
                }
                lanes.passes[usize::from(lane)] = fresh(usize::from(lane));
            }
            // All other lanes are through.
            for slot in &program.cleared {
                lanes.sheet[usize::from(*slot)] = row_of(0);
            }
            for (lane, slot, limb) in kept {
                lanes.put(slot, lane, limb);
            }
            for lane in lanes_of(again) {
                let again = Instance::Resubmit.number();
                set(&mut lanes, standard.instance_type, lane, again);
            }
            go = again;
        }
        let mut done = packets.len();
        if let Some(lane) = lanes_of(lanes.bailed).next() {
            done = done.min(usize::from(lane));
        }
        if let Some(lane) = vector.journal.conflict() {
            done = done.min(usize::from(lane));
        }
        vector.journal.commit(&mut self.state, done, &bytes, now_us);
        for lane in lanes_of(sent & first(done)) {
            out.swap_frame(&mut frames[usize::from(lane)]);
        }
        vector.frames = frames;
        done
    }
}

fn set(lanes: &mut Lanes<'_, '_>, field: StandardField, lane: u8, value: u64) {
    lanes.put(field.slot, lane, value & field.mask);
}

fn set_if(lanes: &mut Lanes<'_, '_>, field: Option<StandardField>, lane: u8, value: u64) {
    if let Some(field) = field {
        set(lanes, field, lane, value);
    }
}

/// As `Drive::deparse`, for one lane.
fn deparse(lanes: &mut Lanes<'_, '_>, lane: u8, frame: &mut Vec<u8>) {
    let at = usize::from(lane);
    let program = lanes.program;
    let (data, cursor, truncate) = {
        let pass = &lanes.passes[at];
        (pass.data, pass.cursor, pass.truncate)
    };
    let column = lanes.column(lane);
    external::deparse(&column, program, data, cursor, frame);
    if let Some(limit) = truncate {
        frame.truncate(limit);
    }
}
