//! Calculations and field lists.

use crate::builder::{Builder, Built, Fault};
use crate::error::LoadError;
use crate::expr;
use crate::hash::Algorithm;
use crate::hash::term_of;
use crate::ir::{
    CalculationCode, CalculationInput, Deposit, FieldListCode, MAX_WORDS, SumCode, WordsCode,
};
use crate::json::{FieldList, Location, Typed};
use crate::lower::Context;

pub(super) fn lower(context: &Context<'_>, builder: &mut Builder<'_>) -> Result<(), LoadError> {
    for calculation in &context.document.calculations {
        let place = format!("calculation {}", calculation.name);
        let code = calculate(builder, &calculation.algo, &calculation.input);
        let location = calculation.source_info.as_ref();
        let code = code.map_err(|fault| fault.at(&place, Location::publish(location)))?;
        builder.code.calculations.push(code);
    }
    Ok(())
}

pub(super) fn calculate(
    builder: &mut Builder<'_>,
    algorithm: &str,
    input: &[Typed],
) -> Built<CalculationCode> {
    let known = Algorithm::by_name(algorithm);
    let algorithm =
        known.ok_or_else(|| Fault::Unsupported(format!("hash algorithm \"{algorithm}\"")))?;
    let mut code = CalculationCode {
        algorithm,
        inputs: Vec::new(),
        payload: false,
        sum: None,
        words: None,
    };
    for input in input {
        match input.kind.as_str() {
            "field" => {
                let (header, field) = expr::pair(&input.value)?;
                let guard = builder.layout.header(builder.header_index(&header)?);
                let guard = if guard.metadata {
                    builder.small(1)?
                } else {
                    guard.valid
                };
                let input = match builder.varbit_field(&header, &field)? {
                    Some(src) => CalculationInput::Field {
                        src,
                        bits: 0,
                        varbit: true,
                        guard,
                    },
                    None => {
                        let place = builder.field(&header, &field)?;
                        let bits = u16::try_from(place.bits).unwrap_or(u16::MAX);
                        CalculationInput::Field {
                            src: place.slot,
                            bits,
                            varbit: false,
                            guard,
                        }
                    }
                };
                code.inputs.push(input);
            }
            "hexstr" => {
                let (negative, value) = expr::number(&input.value)?;
                let bits = input.bitwidth.and_then(|bits| u16::try_from(bits).ok());
                let bits = bits.ok_or_else(|| {
                    Fault::Malformed("a constant of a calculation has no width".to_owned())
                })?;
                if negative || value.bit_len() > usize::from(bits) {
                    return Err(Fault::Malformed("a constant exceeds its width".to_owned()));
                }
                code.inputs.push(CalculationInput::Constant { value, bits });
            }
            "header" => {
                let name = expr::text(&input.value)?;
                code.inputs
                    .push(CalculationInput::Header(builder.header_index(&name)?));
            }
            "payload" => code.payload = true,
            other => return Err(Fault::Unsupported(format!("calculation input \"{other}\""))),
        }
    }
    if algorithm == Algorithm::Csum16 && !code.payload {
        code.sum = sum(&code.inputs);
    }
    if algorithm.takes_words() && !code.payload {
        code.words = words(&code.inputs);
    }
    Ok(code)
}

/// The checksum as a sum, if every field's place is known.
fn sum(inputs: &[CalculationInput]) -> Option<SumCode> {
    let mut code = SumCode {
        guards: Vec::new(),
        terms: Vec::new(),
        constant: 0,
    };
    let mut end = 0u32;
    // A limb that ends at bit `end` of the whole lacks this much to the end of its word.
    let shift = |end: u32| u8::try_from((16 - end % 16) % 16).unwrap_or(0);
    for input in inputs {
        match input {
            CalculationInput::Field {
                src,
                bits,
                varbit: false,
                guard,
            } => {
                if !code.guards.contains(guard) {
                    code.guards.push(*guard);
                }
                for limb in (0..bits.div_ceil(64)).rev() {
                    end += u32::from((bits - limb * 64).min(64));
                    let wide = bits - limb * 64 > 32;
                    code.terms.push((src + limb, shift(end), wide));
                }
            }
            CalculationInput::Constant { value, bits } => {
                for limb in (0..bits.div_ceil(64)).rev() {
                    end += u32::from((bits - limb * 64).min(64));
                    let term = value.limb(usize::from(limb));
                    code.constant += term_of(term, shift(end));
                }
            }
            CalculationInput::Field { varbit: true, .. } | CalculationInput::Header(_) => {
                return None;
            }
        }
    }
    Some(code)
}

/// The bytes as limbs, if every field's place is known and they are whole bytes, not too many.
fn words(inputs: &[CalculationInput]) -> Option<WordsCode> {
    let mut code = WordsCode {
        guards: Vec::new(),
        parts: Vec::new(),
        constants: vec![0; MAX_WORDS],
        bytes: 0,
    };
    // From the end: the last input is least significant.
    let mut at = 0usize;
    for input in inputs.iter().rev() {
        let bits = match input {
            CalculationInput::Field {
                src,
                bits,
                varbit: false,
                guard,
            } => {
                if !code.guards.contains(guard) {
                    code.guards.push(*guard);
                }
                for limb in 0..bits.div_ceil(64) {
                    let width = usize::from((bits - limb * 64).min(64));
                    let bit = at + usize::from(limb) * 64;
                    let low = i8::try_from(bit % 64).unwrap_or(0);
                    let mut part = Deposit {
                        src: src + limb,
                        limb: u16::try_from(bit / 64).unwrap_or(u16::MAX),
                        shift: low,
                    };
                    code.parts.push(part);
                    if bit % 64 + width > 64 {
                        part.limb += 1;
                        part.shift = low - 64;
                        code.parts.push(part);
                    }
                }
                *bits
            }
            CalculationInput::Constant { value, bits } => {
                for bit in 0..usize::from(*bits) {
                    let own = value.limb(bit / 64) >> (bit % 64) & 1;
                    let to = at + bit;
                    *code.constants.get_mut(to / 64)? |= own << (to % 64);
                }
                *bits
            }
            CalculationInput::Field { varbit: true, .. } | CalculationInput::Header(_) => {
                return None;
            }
        };
        at += usize::from(bits);
        if at > MAX_WORDS * 64 {
            return None;
        }
    }
    code.constants.truncate(at.div_ceil(64));
    code.bytes = at / 8;
    (at.is_multiple_of(8) && at > 0).then_some(code)
}

/// Field lists in the order of the context: the empty one, the JSON's, then the digests.
pub(super) fn field_lists(
    context: &Context<'_>,
    builder: &mut Builder<'_>,
) -> Result<(), LoadError> {
    builder.code.field_lists.push(FieldListCode::default());
    let lists = context
        .document
        .field_lists
        .iter()
        .chain(&context.document.learn_lists);
    for list in lists {
        let code = field_list(builder, list);
        let code = code.map_err(|fault| fault.at(&format!("field list {}", list.name), None))?;
        builder.code.field_lists.push(code);
    }
    Ok(())
}

fn field_list(builder: &Builder<'_>, list: &FieldList) -> Built<FieldListCode> {
    let mut code = FieldListCode::default();
    for element in &list.elements {
        match element.kind.as_str() {
            "field" => {
                let (header, field) = expr::pair(&element.value)?;
                let place = builder.field(&header, &field)?;
                code.fields
                    .push((place.slot, u16::try_from(place.limbs).unwrap_or(u16::MAX)));
            }
            "header" => {
                let name = expr::text(&element.value)?;
                let header = builder.layout.header(builder.header_index(&name)?);
                code.fields.push((header.base, header.limbs));
            }
            other => {
                return Err(Fault::Unsupported(format!(
                    "field list element \"{other}\""
                )));
            }
        }
    }
    Ok(code)
}
