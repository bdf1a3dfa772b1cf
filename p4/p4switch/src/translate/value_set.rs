//! Parser value sets (P4Runtime 9.6).

use std::collections::HashSet;

use p4_engine::{KeyPart, Value};
use p4runtime_proto::p4::v1::{ValueSetEntry, ValueSetMember, update::Type};

use super::key::part;
use crate::{
    failure::Failure,
    operation::Operation,
    pipeline::{Pipeline, ValueSet},
};

/// The value set that an entity names.
pub(super) fn value_set(pipeline: &Pipeline, id: u32) -> Result<&ValueSet, Failure> {
    pipeline
        .value_set(id)
        .ok_or_else(|| Failure::invalid(format!("There is no value set {}", pipeline.describe(id))))
}

pub(super) fn update(
    pipeline: &Pipeline,
    change: Type,
    given: &ValueSetEntry,
) -> Result<Operation, Failure> {
    if change != Type::Modify {
        return Err(Failure::invalid("A value set can only be modified"));
    }
    let set = value_set(pipeline, given.value_set_id)?;
    if given.members.len() > set.size {
        return Err(Failure::exhausted(format!(
            "Value set {} holds {} members, {} given",
            set.name,
            set.size,
            given.members.len()
        )));
    }
    let mut seen = HashSet::new();
    let members = given
        .members
        .iter()
        .map(|given| {
            let value = member(set, given)?;
            if !seen.insert(value.clone()) {
                return Err(Failure::exists(format!(
                    "Two members of value set {} are the same",
                    set.name
                )));
            }
            Ok(value)
        })
        .collect::<Result<_, _>>()?;
    Ok(Operation::ValueSet {
        set: set.index,
        members,
    })
}

/// The fields of a member, side by side; the first is the top.
fn member(set: &ValueSet, given: &ValueSetMember) -> Result<Value, Failure> {
    let total: usize = set.fields.iter().map(|field| field.bits).sum();
    let mut limbs = vec![0_u64; total.div_ceil(64).max(1)];
    let mut below = total;
    for field in &set.fields {
        let mut own = (given.r#match.iter()).filter(|given| given.field_id == field.id);
        let (Some(given), None) = (own.next(), own.next()) else {
            return Err(Failure::invalid(format!(
                "A member of value set {} needs exactly one value of field {}",
                set.name, field.name
            )));
        };
        let KeyPart::Exact(value) = part(&set.name, field, given, true)? else {
            continue;
        };
        below -= field.bits;
        for bit in (0..field.bits).filter(|bit| value.limb(bit / 64) >> (bit % 64) & 1 == 1) {
            limbs[(below + bit) / 64] |= 1 << ((below + bit) % 64);
        }
    }
    if given.r#match.len() != set.fields.len() {
        return Err(Failure::invalid(format!(
            "A member of value set {} has {} fields, {} given",
            set.name,
            set.fields.len(),
            given.r#match.len()
        )));
    }
    Ok(Value::from_limbs(&limbs))
}

/// The fields of a member again, in order.
pub(super) fn fields(set: &ValueSet, member: &Value) -> Vec<Value> {
    let mut below: usize = set.fields.iter().map(|field| field.bits).sum();
    set.fields
        .iter()
        .map(|field| {
            below -= field.bits;
            let mut limbs = vec![0_u64; field.bits.div_ceil(64).max(1)];
            for bit in 0..field.bits {
                let from = below + bit;
                limbs[bit / 64] |= (member.limb(from / 64) >> (from % 64) & 1) << (bit % 64);
            }
            Value::from_limbs(&limbs)
        })
        .collect()
}
