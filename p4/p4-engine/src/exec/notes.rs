//! Notes of traced code.

use super::Run;
use crate::ir::Note;
use crate::trace::TraceEvent;
use crate::wide::Registers;

impl<R: Registers + ?Sized> Run<'_, R> {
    pub(super) fn note(&mut self, x: u32) {
        let event = match &self.code.notes[x as usize] {
            Note::State(name) => TraceEvent::ParserState { name: name.clone() },
            Note::Condition { text, result } => TraceEvent::Condition {
                text: text.clone(),
                result: *result,
            },
            Note::Action(name) => TraceEvent::Action { name: name.clone() },
            Note::Primitive { op, place } => TraceEvent::Primitive {
                name: op.clone(),
                place: place.clone(),
            },
        };
        self.trace.push(event);
    }
}
