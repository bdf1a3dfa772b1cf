//! Indirect counters and registers (P4Runtime 9.3, 9.7).

use p4_engine::Value;
use p4runtime_proto::p4::v1::{
    CounterEntry, Index, P4Data, RegisterEntry, p4_data::Data, update::Type,
};

use super::table_entry::counter_value;
use crate::{
    failure::Failure,
    operation::{Cells, Operation},
    pipeline::{CellType, Counter, Pipeline, Register},
};

/// The counter array that an entity names.
pub(super) fn counter(pipeline: &Pipeline, id: u32) -> Result<&Counter, Failure> {
    pipeline.counter(id).ok_or_else(|| {
        Failure::invalid(format!(
            "There is no indirect counter {}",
            pipeline.describe(id)
        ))
    })
}

/// The register array that an entity names.
pub(super) fn register(pipeline: &Pipeline, id: u32) -> Result<&Register, Failure> {
    pipeline
        .register(id)
        .ok_or_else(|| Failure::invalid(format!("There is no register {}", pipeline.describe(id))))
}

/// The cells that an index means in an array of `size`.
pub(super) fn cells(index: Option<&Index>, size: usize, what: &str) -> Result<Cells, Failure> {
    let Some(Index { index }) = index else {
        return Ok(Cells::All);
    };
    match usize::try_from(*index) {
        Ok(cell) if cell < size => Ok(Cells::One(cell)),
        Ok(cell) => Err(Failure::out_of_range(format!(
            "{what} has {size} cells, so there is no {cell}"
        ))),
        Err(_) => Err(Failure::invalid(format!(
            "Index {index} of {what} is negative"
        ))),
    }
}

pub(super) fn update_counter(
    pipeline: &Pipeline,
    change: Type,
    given: &CounterEntry,
) -> Result<Operation, Failure> {
    if change != Type::Modify {
        return Err(Failure::invalid("A counter can only be modified"));
    }
    let counter = counter(pipeline, given.counter_id)?;
    let cells = cells(given.index.as_ref(), counter.size, &counter.name)?;
    Ok(match &given.data {
        Some(data) => Operation::Counter {
            counter: counter.index,
            cells,
            value: counter_value(data)?,
        },
        None => Operation::Nothing,
    })
}

pub(super) fn update_register(
    pipeline: &Pipeline,
    change: Type,
    given: &RegisterEntry,
) -> Result<Operation, Failure> {
    if change != Type::Modify {
        return Err(Failure::invalid("A register can only be modified"));
    }
    let register = register(pipeline, given.register_id)?;
    let cells = cells(given.index.as_ref(), register.size, &register.name)?;
    let value = cell_value(register, given.data.as_ref())?;
    Ok(Operation::Register {
        register: register.index,
        cells,
        value,
    })
}

fn cell_value(register: &Register, given: Option<&P4Data>) -> Result<Value, Failure> {
    let name = &register.name;
    let data = given.and_then(|given| given.data.as_ref());
    let bits = register.bits;
    match (register.cell, data) {
        (CellType::Unsigned, Some(Data::Bitstring(bytes)))
        | (CellType::Enum, Some(Data::EnumValue(bytes))) => {
            let value = Value::from_be_bytes(bytes);
            if bytes.is_empty() || value.bit_len() > bits {
                return Err(too_wide(register, bytes));
            }
            Ok(value)
        }
        (CellType::Signed, Some(Data::Bitstring(bytes))) => {
            cut_sign(bytes, bits).ok_or_else(|| too_wide(register, bytes))
        }
        (CellType::Bool, Some(Data::Bool(value))) => Ok(Value::from(u64::from(*value))),
        (CellType::Other, _) => Err(Failure::unimplemented(format!(
            "Register {name} has cells of a composite type, which this server does not write"
        ))),
        (kind, _) => Err(Failure::invalid(format!(
            "Register {name} takes a value of kind {kind:?}"
        ))),
    }
}

fn too_wide(register: &Register, bytes: &[u8]) -> Failure {
    Failure::out_of_range(format!(
        "A cell of register {} has {} bits; the value of {} bytes does not fit",
        register.name,
        register.bits,
        bytes.len()
    ))
}

/// The two's complement number cut to `bits`, if what is cut off is only sign.
fn cut_sign(bytes: &[u8], bits: usize) -> Option<Value> {
    let negative = *bytes.first()? & 0x80 != 0;
    let width = bits.div_ceil(8);
    let fill = if negative { 0xff } else { 0 };
    let mut wide = vec![fill; width.saturating_sub(bytes.len())];
    wide.extend_from_slice(bytes);
    let value = Value::from_be_bytes(&wide);
    // All bits from the sign bit of the cell upwards must be equal.
    let total = wide.len() * 8;
    let same = (bits.saturating_sub(1)..total)
        .all(|bit| (value.limb(bit / 64) >> (bit % 64) & 1 == 1) == negative);
    same.then(|| value.and(&Value::ones(bits)))
}

/// The canonical byte string of a signed cell.
pub(super) fn signed_bytes(value: &Value, bits: usize) -> Vec<u8> {
    let mut bytes = value.to_be_bytes(bits);
    let negative = bits > 0 && value.limb((bits - 1) / 64) >> ((bits - 1) % 64) & 1 == 1;
    if negative
        && !bits.is_multiple_of(8)
        && let Some(first) = bytes.first_mut()
    {
        *first |= 0xff << (bits % 8);
    }
    let sign = if negative { 0xff } else { 0 };
    let redundant = bytes
        .windows(2)
        .take_while(|pair| pair[0] == sign && (pair[1] & 0x80 != 0) == negative)
        .count();
    bytes.split_off(redundant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_cells_follow_the_table_of_the_specification() {
        // P4Runtime 8.4, valid and invalid encodings.
        let valid: [(usize, &[u8], u64, &[u8]); 6] = [
            (8, &[0x63], 0x63, &[0x63]),
            (8, &[0x9d], 0x9d, &[0x9d]),
            (8, &[0xff, 0x9d], 0x9d, &[0x9d]),
            (12, &[0xfd, 0x1d], 0xd1d, &[0xfd, 0x1d]),
            (16, &[0, 0], 0, &[0]),
            (16, &[0], 0, &[0]),
        ];
        for (bits, given, cell, canonical) in valid {
            let value = cut_sign(given, bits).expect("valid");
            assert_eq!(value, Value::from(cell), "{given:x?}");
            assert_eq!(signed_bytes(&value, bits), canonical);
        }
        for (bits, given) in [(8, &[0x00, 0x9d][..]), (12, &[0x8d, 0x1d]), (16, &[])] {
            assert_eq!(cut_sign(given, bits), None, "{given:x?}");
        }
    }

    #[test]
    fn indices_are_judged_by_the_array() {
        use tonic::Code;
        let index = |index| Index { index };
        assert_eq!(cells(None, 4, "c"), Ok(Cells::All));
        assert_eq!(cells(Some(&index(3)), 4, "c"), Ok(Cells::One(3)));
        assert_eq!(
            cells(Some(&index(4)), 4, "c").expect_err("above").code,
            Code::OutOfRange
        );
        assert_eq!(
            cells(Some(&index(-1)), 4, "c").expect_err("below").code,
            Code::InvalidArgument
        );
    }
}
