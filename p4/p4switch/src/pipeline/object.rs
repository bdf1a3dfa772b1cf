//! Indirect counters and meters, action profiles, value sets and digests.

use p4_engine::{CounterIndex, MeterIndex, ProfileIndex, Program, ValueSetIndex};
use p4runtime_proto::p4::config::v1::{
    self as info, action_profile::SelectorSizeSemantics, meter_spec,
};

use super::{
    PipelineError,
    data::{Shape, Types},
    named,
    table::{Field, Table, value_set_fields},
};

/// An indirect counter.
#[derive(Debug)]
pub(crate) struct Counter {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) index: CounterIndex,
    pub(crate) size: usize,
}

/// An indirect meter.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) index: MeterIndex,
    pub(crate) size: usize,
    pub(crate) rates: Rates,
}

/// What a meter's configuration may say (P4Runtime 9.4).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Rates {
    /// RFC 2698.
    #[default]
    Two,
    /// RFC 2697, which the engine does not run.
    OneThreeColours,
    /// Peak and committed rate are the same.
    One,
}

/// An action profile, with or without selector.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) index: ProfileIndex,
    /// Id of a table that uses it; all that do have the same actions.
    pub(crate) table: u32,
    pub(crate) selector: bool,
    /// Most members or weights of a group; 0 leaves it open.
    pub(crate) max_group_size: i32,
    pub(crate) counts: GroupSize,
    pub(crate) weights_disallowed: bool,
}

/// What the size of a group counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum GroupSize {
    Weights,
    Members {
        /// Largest weight of one; 0 leaves it open.
        max_weight: i32,
    },
}

/// A parser value set.
#[derive(Debug)]
pub(crate) struct ValueSet {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) index: ValueSetIndex,
    pub(crate) size: usize,
    pub(crate) fields: Vec<Field>,
}

/// A digest. The program has a list for each call; controllers see one.
#[derive(Debug)]
pub(crate) struct Digest {
    pub(crate) id: u32,
    pub(crate) name: String,
    /// Positions in the program's list.
    pub(crate) lists: Vec<usize>,
    pub(crate) shape: Shape,
}

fn missing(kind: &'static str, name: &str) -> PipelineError {
    PipelineError::Missing {
        kind,
        name: name.to_owned(),
    }
}

fn shape(name: &str, problem: impl Into<String>) -> PipelineError {
    PipelineError::Shape {
        name: name.to_owned(),
        problem: problem.into(),
    }
}

impl Counter {
    pub(super) fn load(counter: &info::Counter, program: &Program) -> Result<Self, PipelineError> {
        let (id, name) = named(counter.preamble.as_ref());
        let index = program
            .counter(name)
            .ok_or_else(|| missing("counter", name))?;
        Ok(Self {
            id,
            name: name.into(),
            index,
            size: program.counters()[index.position()].size,
        })
    }
}

impl Meter {
    pub(super) fn load(meter: &info::Meter, program: &Program) -> Result<Self, PipelineError> {
        let (id, name) = named(meter.preamble.as_ref());
        let index = program.meter(name).ok_or_else(|| missing("meter", name))?;
        Ok(Self {
            id,
            name: name.into(),
            index,
            size: program.meters()[index.position()].size,
            rates: Rates::of(meter.spec.as_ref()),
        })
    }
}

impl Rates {
    pub(super) fn of(spec: Option<&info::MeterSpec>) -> Self {
        match spec.map(|spec| meter_spec::Type::try_from(spec.r#type)) {
            Some(Ok(meter_spec::Type::SingleRateThreeColor)) => Self::OneThreeColours,
            Some(Ok(meter_spec::Type::SingleRateTwoColor)) => Self::One,
            _ => Self::Two,
        }
    }
}

impl Profile {
    pub(super) fn load(
        profile: &info::ActionProfile,
        tables: &[Table],
        program: &Program,
    ) -> Result<Self, PipelineError> {
        let (id, name) = named(profile.preamble.as_ref());
        let index = program
            .profile(name)
            .ok_or_else(|| missing("action profile", name))?;
        let table = tables.iter().find(|table| table.profile == Some(index));
        let table = table.ok_or_else(|| shape(name, "no table of the p4info uses it"))?;
        if profile.with_selector != program.profiles()[index.position()].selector {
            return Err(shape(name, "only one of both has a selector for it"));
        }
        Ok(Self {
            id,
            name: name.to_owned(),
            index,
            table: table.id,
            selector: profile.with_selector,
            max_group_size: profile.max_group_size,
            counts: match &profile.selector_size_semantics {
                Some(SelectorSizeSemantics::SumOfMembers(members)) => GroupSize::Members {
                    max_weight: members.max_member_weight,
                },
                Some(SelectorSizeSemantics::SumOfWeights(_)) | None => GroupSize::Weights,
            },
            weights_disallowed: profile.weights_disallowed,
        })
    }
}

impl ValueSet {
    pub(super) fn load(
        set: &info::ValueSet,
        types: &Types<'_>,
        program: &Program,
    ) -> Result<Self, PipelineError> {
        let (id, name) = named(set.preamble.as_ref());
        let index = program
            .value_set(name)
            .ok_or_else(|| missing("value set", name))?;
        let fields = value_set_fields(name, &set.r#match, types)?;
        let bits: usize = fields.iter().map(|field| field.bits).sum();
        let engine = program.value_sets()[index.position()].bits;
        if bits != engine {
            return Err(shape(
                name,
                format!("{bits} bits in the p4info and {engine} in the program"),
            ));
        }
        Ok(Self {
            id,
            name: name.to_owned(),
            index,
            size: usize::try_from(set.size).unwrap_or(0),
            fields,
        })
    }
}

impl Digest {
    pub(super) fn load(
        digest: &info::Digest,
        types: &Types<'_>,
        program: &Program,
    ) -> Result<Self, PipelineError> {
        let (id, name) = named(digest.preamble.as_ref());
        let lists: Vec<_> = (0..program.digests().len())
            .filter(|at| program.digests()[*at].name == name)
            .collect();
        let Some(first) = lists.first() else {
            return Err(missing("digest", name));
        };
        let spec = digest.type_spec.as_ref();
        let data = Shape::load(spec, types)
            .ok_or_else(|| shape(name, "its type is not one that digests can have here"))?;
        let fields = program.digests()[*first].fields.len();
        let leaves = data.leaves();
        if fields != leaves {
            return Err(shape(
                name,
                format!("{leaves} values in the p4info and {fields} in the program"),
            ));
        }
        Ok(Self {
            id,
            name: name.to_owned(),
            lists,
            shape: data,
        })
    }
}
