//! Register arrays.

use p4_engine::{Program, RegisterIndex};
use p4runtime_proto::p4::config::v1::{
    self as info, P4Info, p4_bitstring_like_type_spec::TypeSpec as Bits,
    p4_data_type_spec::TypeSpec, p4_new_type_spec::Representation,
    p4_new_type_translation::SdnType,
};

use super::{PipelineError, named};

/// A register array.
#[derive(Debug)]
pub(crate) struct Register {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) index: RegisterIndex,
    pub(crate) size: usize,
    pub(crate) bits: usize,
    pub(crate) cell: CellType,
}

/// How a cell looks on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CellType {
    Unsigned,
    Signed,
    Bool,
    /// An enum with an underlying type.
    Enum,
    /// A structure or a string, which this server does not take apart.
    Other,
}

impl Register {
    pub(super) fn load(
        register: &info::Register,
        p4info: &P4Info,
        program: &Program,
    ) -> Result<Self, PipelineError> {
        let (id, name) = named(register.preamble.as_ref());
        let index = program
            .register(name)
            .ok_or_else(|| PipelineError::Missing {
                kind: "register",
                name: name.to_owned(),
            })?;
        let engine = &program.registers()[index.position()];
        let spec = register
            .type_spec
            .as_ref()
            .and_then(|spec| spec.type_spec.as_ref());
        Ok(Self {
            id,
            name: name.to_owned(),
            index,
            size: engine.size,
            bits: engine.bits,
            cell: cell_type(spec, p4info, 8),
        })
    }
}

/// `depth` bounds chains of new types.
fn cell_type(spec: Option<&TypeSpec>, p4info: &P4Info, depth: usize) -> CellType {
    match spec {
        Some(TypeSpec::Bitstring(bits)) => match bits.type_spec {
            Some(Bits::Bit(_)) => CellType::Unsigned,
            Some(Bits::Int(_)) => CellType::Signed,
            Some(Bits::Varbit(_)) | None => CellType::Other,
        },
        Some(TypeSpec::Bool(_)) => CellType::Bool,
        Some(TypeSpec::SerializableEnum(_)) => CellType::Enum,
        Some(TypeSpec::NewType(name)) if depth > 0 => {
            let types = p4info.type_info.as_ref();
            let found = types.and_then(|types| types.new_types.get(&name.name));
            match found.and_then(|found| found.representation.as_ref()) {
                Some(Representation::OriginalType(original)) => {
                    cell_type(original.type_spec.as_ref(), p4info, depth - 1)
                }
                Some(Representation::TranslatedType(translation)) => match translation.sdn_type {
                    Some(SdnType::SdnString(_)) => CellType::Other,
                    _ => CellType::Unsigned,
                },
                None => CellType::Other,
            }
        }
        _ => CellType::Other,
    }
}
