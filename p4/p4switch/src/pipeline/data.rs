//! Types of `P4Data` (P4Runtime 8.5), as digests have them.

use p4runtime_proto::p4::config::v1::{
    P4DataTypeSpec, P4Info, P4NamedType, P4TypeInfo, p4_bitstring_like_type_spec::TypeSpec as Bits,
    p4_data_type_spec::TypeSpec, p4_new_type_spec::Representation,
};

use super::names::{Form, NamedTypes};

/// Nested types; deeper ones are refused.
const DEPTH: usize = 16;

/// What a program says of its types.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Types<'a> {
    info: Option<&'a P4TypeInfo>,
    named: &'a NamedTypes,
}

impl<'a> Types<'a> {
    pub(super) fn new(p4info: &'a P4Info, named: &'a NamedTypes) -> Self {
        Self {
            info: p4info.type_info.as_ref(),
            named,
        }
    }

    /// How values of a type are written.
    pub(super) fn form(&self, of: Option<&P4NamedType>) -> Form {
        self.named.form(of)
    }
}

/// How values of the data plane become `P4Data`.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    Unsigned(Form),
    /// With its width.
    Signed(usize),
    Bool,
    Enum,
    Struct(Vec<Shape>),
    Tuple(Vec<Shape>),
}

impl Shape {
    /// `None` for what no digest of the engine can hold.
    pub(super) fn load(spec: Option<&P4DataTypeSpec>, types: &Types<'_>) -> Option<Self> {
        Self::nested(spec, types, DEPTH)
    }

    fn nested(spec: Option<&P4DataTypeSpec>, types: &Types<'_>, depth: usize) -> Option<Self> {
        let depth = depth.checked_sub(1)?;
        match spec?.type_spec.as_ref()? {
            TypeSpec::Bitstring(bits) => match bits.type_spec.as_ref()? {
                Bits::Bit(_) => Some(Self::Unsigned(Form::Number)),
                Bits::Int(int) => Some(Self::Signed(usize::try_from(int.bitwidth).ok()?)),
                Bits::Varbit(_) => None,
            },
            TypeSpec::Bool(_) => Some(Self::Bool),
            TypeSpec::SerializableEnum(_) => Some(Self::Enum),
            TypeSpec::Struct(name) => {
                let found = types.info?.structs.get(&name.name)?;
                let members = found.members.iter();
                members
                    .map(|member| Self::nested(member.type_spec.as_ref(), types, depth))
                    .collect::<Option<_>>()
                    .map(Self::Struct)
            }
            TypeSpec::Tuple(tuple) => tuple
                .members
                .iter()
                .map(|member| Self::nested(Some(member), types, depth))
                .collect::<Option<_>>()
                .map(Self::Tuple),
            TypeSpec::NewType(name) => {
                let found = types.info?.new_types.get(&name.name)?;
                match found.representation.as_ref()? {
                    Representation::OriginalType(original) => {
                        Self::nested(Some(original), types, depth)
                    }
                    Representation::TranslatedType(_) => {
                        Some(Self::Unsigned(types.named.form(Some(name))))
                    }
                }
            }
            _ => None,
        }
    }

    /// Values of the data plane in it.
    pub(super) fn leaves(&self) -> usize {
        match self {
            Self::Unsigned(_) | Self::Signed(_) | Self::Bool | Self::Enum => 1,
            Self::Struct(members) | Self::Tuple(members) => members.iter().map(Self::leaves).sum(),
        }
    }
}
