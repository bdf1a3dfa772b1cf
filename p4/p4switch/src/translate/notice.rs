//! What the switch tells by itself: digests and idle entries (P4Runtime 16.3, 16.4).

use std::time::{SystemTime, UNIX_EPOCH};

use p4_engine::Value;
use p4runtime_proto::p4::v1::{
    DigestList, IdleTimeoutNotification, P4Data, P4StructLike, p4_data::Data,
};

use super::{answer::Answer, array::signed_bytes};
use crate::{
    device::Learned,
    operation::Idle,
    pipeline::{Form, Pipeline, Shape},
};

/// A list of digests; nothing if the pipeline has no such digest.
pub(crate) fn digest_list(pipeline: &Pipeline, learned: Learned) -> Option<DigestList> {
    let digest = pipeline.digests.get(learned.digest)?;
    let data = learned
        .messages
        .iter()
        .map(|message| data(&digest.shape, &mut message.iter()));
    Some(DigestList {
        digest_id: digest.id,
        list_id: learned.list_id,
        data: data.collect(),
        timestamp: now_ns(),
    })
}

/// A notification about idle entries; nothing if there are none.
pub(crate) fn idle_entries(
    pipeline: &Pipeline,
    idle: Vec<Idle>,
) -> Option<IdleTimeoutNotification> {
    let mut answer = Answer::new(pipeline);
    let table_entry: Vec<_> = (idle.into_iter())
        .filter_map(|idle| answer.idle_entry(idle))
        .collect();
    (!table_entry.is_empty()).then(|| IdleTimeoutNotification {
        table_entry,
        timestamp: now_ns(),
    })
}

fn data<'v>(shape: &Shape, values: &mut impl Iterator<Item = &'v Value>) -> P4Data {
    let data = match shape {
        Shape::Struct(members) => Data::Struct(P4StructLike {
            members: members.iter().map(|member| data(member, values)).collect(),
        }),
        Shape::Tuple(members) => Data::Tuple(P4StructLike {
            members: members.iter().map(|member| data(member, values)).collect(),
        }),
        leaf => {
            // The pipeline was checked to have as many values as leaves.
            let zero = Value::zero();
            let value = values.next().unwrap_or(&zero);
            match leaf {
                Shape::Unsigned(Form::Name(names)) => Data::Bitstring(names.name(value)),
                Shape::Signed(bits) => Data::Bitstring(signed_bytes(value, *bits).into()),
                Shape::Bool => Data::Bool(!value.is_zero()),
                Shape::Enum => Data::EnumValue(value.to_canonical_bytes().into()),
                _ => Data::Bitstring(value.to_canonical_bytes().into()),
            }
        }
    };
    P4Data { data: Some(data) }
}

fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    })
}
