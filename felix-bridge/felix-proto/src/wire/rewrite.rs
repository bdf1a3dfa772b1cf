//! `WorkloadEndpoint` field 14: an enum in Felix 3.30, a message since 3.31.

use prost::encoding::{encode_key, encode_varint};

use super::{Value, next_field};

/// `ToDataplane.workload_endpoint_update`.
const UPDATE: u32 = 11;
/// `WorkloadEndpointUpdate.endpoint`.
const ENDPOINT: u32 = 5;
/// The number in question.
const FOURTEEN: u32 = 14;
/// `WorkloadEndpoint.workload_type` of these messages.
const WORKLOAD_TYPE: u32 = 30_014;

/// Gives the number 14 of a Felix 3.30 endpoint the number under which these messages know it.
/// None if the body holds no such thing.
pub(crate) fn move_workload_type(body: &[u8]) -> Option<Vec<u8>> {
    let mut moved = false;
    let out = rewrite(body, &[UPDATE, ENDPOINT], &mut moved)?;
    moved.then_some(out)
}

fn rewrite(mut rest: &[u8], way: &[u32], moved: &mut bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(rest.len() + 8);
    while !rest.is_empty() {
        let (number, value, after) = next_field(rest)?;
        let whole = rest.get(..rest.len() - after.len())?;
        rest = after;
        match (way, value) {
            ([next, further @ ..], Value::Bytes(inner)) if number == *next => {
                let inner = rewrite(inner, further, moved)?;
                encode_key(number, prost::encoding::WireType::LengthDelimited, &mut out);
                encode_varint(inner.len() as u64, &mut out);
                out.extend_from_slice(&inner);
            }
            ([], Value::Varint(kind)) if number == FOURTEEN => {
                encode_key(WORKLOAD_TYPE, prost::encoding::WireType::Varint, &mut out);
                encode_varint(kind, &mut out);
                *moved = true;
            }
            _ => out.extend_from_slice(whole),
        }
    }
    Some(out)
}
