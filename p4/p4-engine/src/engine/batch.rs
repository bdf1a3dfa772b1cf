//! Batches of packets: in vectors where that is possible, else one by one, with the same result.

use super::Engine;
use super::forward::Carried;
use crate::exec::external;
use crate::ir::{Pc, Slot};
use crate::lower::StandardField;
use crate::output::{OutputFrame, Outputs};
use crate::trace::Instance;
use crate::vector::{LANES, Lanes, Mask, Vector, first, lanes_of, put, row_of};

/// Fewer packets go one by one.
const MIN_LANES: usize = 4;

/// Headers of a program whose deparser is run for a vector at a time.
const MAX_HEADERS: usize = 32;

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
        clear(&mut lanes);
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
                set(
                    &mut lanes,
                    standard.packet_length,
                    lane,
                    bytes[usize::from(lane)],
                );
            }
            fill(&mut lanes, standard.ingress_global_timestamp, go, now_us);
            let stage = |lanes: &mut Lanes<'_, '_>, start: Pc, go: Mask| {
                lanes.steps = self.config.max_steps;
                lanes.run(start, go & !lanes.bailed);
            };
            stage(&mut lanes, code.parser, go);
            fill(&mut lanes, standard.checksum_error, go, 0);
            stage(&mut lanes, code.verify, go);
            for lane in lanes_of(go) {
                let error = lanes.passes[usize::from(lane)].parser_error;
                if let Some(field) = standard.parser_error {
                    set(&mut lanes, field, lane, error.unwrap_or(0));
                }
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
                set(
                    &mut lanes,
                    standard.egress_port,
                    lane,
                    u64::from(frames[at].port),
                );
                let length = lanes.passes[at].length;
                set(&mut lanes, standard.packet_length, lane, length);
            }
            let normal = Instance::Normal.number();
            fill(&mut lanes, Some(standard.instance_type), leaving, normal);
            fill(
                &mut lanes,
                standard.egress_global_timestamp,
                leaving,
                now_us,
            );
            fill(&mut lanes, standard.enq_timestamp, leaving, now_us);
            let none = u64::from(self.config.drop_port) + 1;
            fill(&mut lanes, Some(standard.egress_spec), leaving, none);
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
            deparse(&mut lanes, leaving, &mut frames);
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
            clear(&mut lanes);
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

/// Nothing is left of the packets before.
fn clear(lanes: &mut Lanes<'_, '_>) {
    for run in &lanes.program.cleared {
        let rows = lanes
            .sheet
            .get_mut(usize::from(run.start)..usize::from(run.end));
        rows.unwrap_or_default().as_flattened_mut().fill(0);
    }
}

fn set(lanes: &mut Lanes<'_, '_>, field: StandardField, lane: u8, value: u64) {
    lanes.put(field.slot, lane, value & field.mask);
}

/// The same value for these lanes; all others are dead or about to be.
fn fill(lanes: &mut Lanes<'_, '_>, field: Option<StandardField>, among: Mask, value: u64) {
    let Some(field) = field else {
        return;
    };
    let (row, value) = (
        &mut lanes.sheet[usize::from(field.slot)],
        value & field.mask,
    );
    if among | lanes.dead == Mask::MAX {
        *row = row_of(value);
        return;
    }
    lanes_of(among).for_each(|lane| put(row, lane, value));
}

/// The lanes of a set in which this field is not zero.
fn set_lanes(lanes: &Lanes<'_, '_>, slot: Slot, among: Mask) -> Mask {
    let row = &lanes.sheet[usize::from(slot)];
    let bits = row.iter().rev();
    bits.fold(0, |mask: Mask, limb| (mask << 1) | Mask::from(*limb != 0)) & among
}

/// As `Drive::deparse`, for these lanes.
fn deparse(lanes: &mut Lanes<'_, '_>, leaving: Mask, frames: &mut [OutputFrame]) {
    let program = lanes.program;
    let mut valid: [(Mask, u16); MAX_HEADERS] = [(0, 0); MAX_HEADERS];
    let mut count = 0;
    let few = program.deparse.len() <= MAX_HEADERS;
    if few {
        for header in &program.deparse {
            let wire = &program.wires[usize::from(*header)];
            let mask = set_lanes(lanes, wire.valid, leaving);
            if mask != 0 {
                valid[count] = (mask, *header);
                count += 1;
            }
        }
    }
    for lane in lanes_of(leaving) {
        let at = usize::from(lane);
        let (data, cursor, truncate) = {
            let pass = &lanes.passes[at];
            (pass.data, pass.cursor, pass.truncate)
        };
        let frame = &mut frames[at].bytes;
        frame.clear();
        let column = lanes.column(lane);
        if few {
            let mut own = [0u16; MAX_HEADERS];
            let mut headers = 0;
            for (_, header) in valid[..count]
                .iter()
                .filter(|(mask, _)| mask >> lane & 1 == 1)
            {
                own[headers] = *header;
                headers += 1;
            }
            external::deparse(&column, program, &own[..headers], data, cursor, frame);
        } else {
            external::deparse(&column, program, &program.deparse, data, cursor, frame);
        }
        if let Some(limit) = truncate {
            frame.truncate(limit);
        }
    }
}
