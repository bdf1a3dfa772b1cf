//! From the JSON to a [`Program`]: names become indexes, expressions become operations.
//!
//! Everything is checked here. What the engine cannot do is refused by name and source line, so
//! that no packet ever meets it.

mod actions;
mod calculations;
mod control;
mod parser;
mod tables;

pub(crate) use parser::MAX_SELECT_BYTES;
pub(crate) use tables::MAX_KEY_LIMBS;

use std::collections::HashMap;

use crate::builder::{Builder, Fault, Pool};
use crate::error::LoadError;
use crate::ir::{Code, Slot};
use crate::json::Document;
use crate::layout::{Layout, index_of};
use crate::program::{
    ActionInfo, CounterInfo, DigestInfo, FieldInfo, HeaderInfo, MeterInfo, ParamInfo, Program,
    RegisterInfo, TableIndex, ValueSetInfo,
};
use crate::usage::Usage;

/// Slots of `standard_metadata` that the engine itself reads or writes, through the aliases.
#[derive(Clone, Debug)]
pub(crate) struct Standard {
    pub(crate) ingress_port: StandardField,
    pub(crate) packet_length: StandardField,
    pub(crate) egress_spec: StandardField,
    pub(crate) egress_port: StandardField,
    pub(crate) instance_type: StandardField,
    pub(crate) parser_error: Option<StandardField>,
    pub(crate) checksum_error: Option<StandardField>,
    pub(crate) ingress_global_timestamp: Option<StandardField>,
    pub(crate) egress_global_timestamp: Option<StandardField>,
    pub(crate) mcast_grp: Option<StandardField>,
    pub(crate) egress_rid: Option<StandardField>,
    pub(crate) enq_timestamp: Option<StandardField>,
}

/// A field of at most 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StandardField {
    pub(crate) slot: Slot,
    pub(crate) mask: u64,
}

/// Codes of the core library's errors.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ErrorCodes {
    pub(crate) packet_too_short: u64,
    pub(crate) stack_out_of_bounds: u64,
    pub(crate) header_too_short: u64,
    pub(crate) parser_timeout: u64,
    pub(crate) parser_invalid_argument: u64,
}

/// What all parts of the lowering look up.
pub(crate) struct Context<'a> {
    pub(crate) document: &'a Document,
    pub(crate) layout: &'a Layout,
    pub(crate) standard: &'a Standard,
    pub(crate) tables: HashMap<&'a str, TableIndex>,
    /// Positions by JSON id.
    pub(crate) actions: HashMap<i64, u16>,
    pub(crate) counters: HashMap<&'a str, u16>,
    pub(crate) meters: HashMap<&'a str, u16>,
    pub(crate) calculations: HashMap<&'a str, u16>,
    /// Positions by JSON id; list 0 is the empty one.
    pub(crate) field_lists: HashMap<i64, u16>,
    pub(crate) learn_lists: HashMap<i64, u16>,
}

/// Lowers a document.
pub(crate) fn lower(document: &Document) -> Result<Program, LoadError> {
    if let Some((major, minor)) = document.meta.version
        && major != 2
    {
        return Err(LoadError::Version { major, minor });
    }
    if let Some(instance) = document.extern_instances.first() {
        let construct = format!("extern {} of type {}", instance.name, instance.kind);
        return Err(Fault::Unsupported(construct).at("the program", None));
    }
    let layout = Layout::build(document)?;
    check_memory(document)?;
    let standard = standard(document, &layout)?;
    let mut program = tables::infos(document, &layout)?;
    let counters = named(program.counters.iter().map(|counter| counter.name.as_str()))?;
    let meters = named(program.meters.iter().map(|meter| meter.name.as_str()))?;
    let registers: HashMap<String, (u16, u16)> = document
        .register_arrays
        .iter()
        .enumerate()
        .map(|(at, array)| {
            let bits = index_of(program.registers[at].bits, "bits in a register")?;
            Ok((array.name.clone(), (index_of(at, "register arrays")?, bits)))
        })
        .collect::<Result<_, LoadError>>()?;
    let cells = program
        .registers
        .iter()
        .map(|one| index_of(one.bits.div_ceil(64), "limbs of a register"))
        .collect::<Result<Vec<u16>, LoadError>>()?;
    let context = Context {
        document,
        layout: &layout,
        standard: &standard,
        tables: document
            .pipelines
            .iter()
            .flat_map(|pipeline| &pipeline.tables)
            .zip(0u32..)
            .map(|(table, at)| (table.name.as_str(), TableIndex(at)))
            .collect(),
        actions: positions(document.actions.iter().map(|action| action.id))?,
        counters,
        meters,
        calculations: named(document.calculations.iter().map(|one| one.name.as_str()))?,
        field_lists: positions(
            std::iter::once(0).chain(document.field_lists.iter().map(|list| list.id)),
        )?,
        learn_lists: positions(document.learn_lists.iter().map(|list| list.id))?,
    };
    let mut pool = Pool::default();
    let mut fast = code(&context, &program, &mut pool, false, &registers)?;
    let traced = code(&context, &program, &mut pool, true, &registers)?;
    crate::order::note_copies(&mut fast, layout.constants, pool.values());
    let initial = tables::initial_entries(&context, &program)?;
    program.initial = initial;
    program.fast = fast;
    program.traced = traced;
    program.constants = pool.values().to_vec();
    program.errors = document
        .errors
        .iter()
        .map(|(name, code)| (*code, name.clone()))
        .collect();
    program.error_codes = error_codes(document);
    program.deparse = document
        .deparsers
        .first()
        .map(|deparser| {
            let find = |name: &String| {
                let found = layout.header_index(name);
                found.ok_or_else(|| {
                    Fault::Unresolved("Header", name.clone()).at(&deparser.name, None)
                })
            };
            if let Some(primitive) = deparser.primitives.first() {
                let construct = format!("primitive {} in a deparser", primitive.op);
                return Err(Fault::Unsupported(construct).at(&deparser.name, None));
            }
            deparser
                .order
                .iter()
                .map(find)
                .collect::<Result<Vec<u16>, LoadError>>()
        })
        .transpose()?
        .unwrap_or_default();
    let usage = Usage::of(&layout, &standard, &cells, [&program.fast, &program.traced]);
    program.wires = crate::wire::wires(&layout, &usage);
    program.cleared = usage.cleared(&layout, &program.wires);
    program.standard = Some(standard);
    program.layout = layout;
    Ok(program)
}

/// Bytes that counters, meters and registers may take in all.
const MAX_STATE: u64 = 1 << 30;

/// A program cannot ask for more memory than a machine has.
fn check_memory(document: &Document) -> Result<(), LoadError> {
    let counters = document
        .counter_arrays
        .iter()
        .filter(|array| !array.is_direct);
    let counters = counters.map(|array| array.size.unwrap_or(0).saturating_mul(16));
    let meters = document
        .meter_arrays
        .iter()
        .filter(|array| !array.is_direct);
    let meters = meters.map(|array| array.size.saturating_mul(80));
    let registers = document.register_arrays.iter();
    let registers = registers.map(|array| {
        array
            .bitwidth
            .div_ceil(64)
            .saturating_mul(8)
            .saturating_mul(array.size)
    });
    let bytes = counters
        .chain(meters)
        .chain(registers)
        .fold(0, u64::saturating_add);
    if bytes > MAX_STATE {
        return Err(LoadError::TooLarge {
            what: "bytes of counters, meters and registers",
            have: usize::try_from(bytes).unwrap_or(usize::MAX),
            limit: usize::try_from(MAX_STATE).unwrap_or(usize::MAX),
        });
    }
    Ok(())
}

fn code(
    context: &Context<'_>,
    program: &Program,
    pool: &mut Pool,
    traced: bool,
    registers: &HashMap<String, (u16, u16)>,
) -> Result<Code, LoadError> {
    let mut builder = Builder::new(context.layout, pool, traced, registers.clone());
    calculations::lower(context, &mut builder)?;
    calculations::field_lists(context, &mut builder)?;
    parser::lower(context, &mut builder)?;
    let actions = actions::lower_all(context, &mut builder)?;
    control::lower(context, program, &mut builder, &actions)?;
    let mut code = builder
        .finish()
        .map_err(|fault| fault.at("the program", None))?;
    crate::order::arrange(&mut code);
    Ok(code)
}

fn standard(document: &Document, layout: &Layout) -> Result<Standard, LoadError> {
    let find = |header: &str, name: &str| -> Option<StandardField> {
        let alias = format!("{header}.{name}");
        let aliased = document
            .field_aliases
            .iter()
            .find(|(known, _)| *known == alias);
        let (header, name) = match aliased {
            Some((_, (header, name))) => (header.as_str(), name.as_str()),
            None => (header, name),
        };
        let field = layout.field(header, name)?;
        let mask = match field.bits {
            0 => return None,
            bits @ 1..64 => (1 << bits) - 1,
            64 => u64::MAX,
            _ => return None,
        };
        Some(StandardField {
            slot: field.slot,
            mask,
        })
    };
    let need = |name: &str| {
        find("standard_metadata", name).ok_or_else(|| LoadError::Unresolved {
            kind: "Field",
            name: format!("standard_metadata.{name}"),
            referrer: "v1model".to_owned(),
        })
    };
    let either =
        |name: &str| find("intrinsic_metadata", name).or_else(|| find("standard_metadata", name));
    Ok(Standard {
        ingress_port: need("ingress_port")?,
        packet_length: need("packet_length")?,
        egress_spec: need("egress_spec")?,
        egress_port: need("egress_port")?,
        instance_type: need("instance_type")?,
        parser_error: find("standard_metadata", "parser_error"),
        checksum_error: find("standard_metadata", "checksum_error"),
        ingress_global_timestamp: either("ingress_global_timestamp"),
        egress_global_timestamp: either("egress_global_timestamp"),
        mcast_grp: either("mcast_grp"),
        egress_rid: either("egress_rid"),
        enq_timestamp: find("queueing_metadata", "enq_timestamp"),
    })
}

/// Codes of the program, or the ones bmv2 appends for errors that the program does not name.
fn error_codes(document: &Document) -> ErrorCodes {
    let mut next = document
        .errors
        .iter()
        .map(|(_, code)| *code)
        .max()
        .map_or(0, |max| max.saturating_add(1));
    let mut code = |name: &str| {
        let declared = document.errors.iter().find(|(known, _)| known == name);
        let code = declared.map_or_else(
            || {
                next = next.saturating_add(1);
                next - 1
            },
            |(_, code)| *code,
        );
        u64::try_from(code).unwrap_or(0)
    };
    let _ = code("NoError");
    let packet_too_short = code("PacketTooShort");
    let _ = code("NoMatch");
    ErrorCodes {
        packet_too_short,
        stack_out_of_bounds: code("StackOutOfBounds"),
        header_too_short: code("HeaderTooShort"),
        parser_timeout: code("ParserTimeout"),
        parser_invalid_argument: code("ParserInvalidArgument"),
    }
}

/// The public view of headers, registers and the like.
pub(crate) fn public_parts(
    document: &Document,
    layout: &Layout,
    program: &mut Program,
) -> Result<(), LoadError> {
    program.headers = layout
        .headers
        .iter()
        .map(|header| HeaderInfo {
            name: header.name.clone(),
            metadata: header.metadata,
            fields: header
                .fields
                .iter()
                .map(|field| FieldInfo {
                    name: field.name.clone(),
                    bits: usize::from(field.bits),
                })
                .collect(),
        })
        .collect();
    program.actions = document
        .actions
        .iter()
        .map(|action| {
            let params = action.runtime_data.iter().map(|param| {
                let bits = tables::bits(param.bitwidth, &action.name)?;
                Ok(ParamInfo {
                    name: param.name.clone(),
                    bits,
                })
            });
            let params = params.collect::<Result<_, LoadError>>()?;
            Ok(ActionInfo {
                name: action.name.clone(),
                params,
            })
        })
        .collect::<Result<_, LoadError>>()?;
    program.registers = document
        .register_arrays
        .iter()
        .map(|array| {
            let bits = tables::bits(array.bitwidth, &array.name)?;
            Ok(RegisterInfo {
                name: array.name.clone(),
                size: tables::size(array.size)?,
                bits,
            })
        })
        .collect::<Result<_, LoadError>>()?;
    program.counters = document
        .counter_arrays
        .iter()
        .map(|array| {
            Ok(CounterInfo {
                name: array.name.clone(),
                size: tables::size(array.size.unwrap_or(0))?,
                table: None,
            })
        })
        .collect::<Result<_, LoadError>>()?;
    program.meters = document
        .meter_arrays
        .iter()
        .map(|array| {
            Ok(MeterInfo {
                name: array.name.clone(),
                size: tables::size(array.size)?,
                bytes: array.kind == "bytes",
                table: None,
            })
        })
        .collect::<Result<_, LoadError>>()?;
    program.value_sets = document
        .parse_vsets
        .iter()
        .map(|set| {
            let bits = tables::bits(set.compressed_bitwidth, &set.name)?;
            Ok(ValueSetInfo {
                name: set.name.clone(),
                bits,
            })
        })
        .collect::<Result<_, LoadError>>()?;
    program.digests = document
        .learn_lists
        .iter()
        .map(|list| {
            let fields = list
                .elements
                .iter()
                .map(|element| digest_field(layout, list, element));
            Ok(DigestInfo {
                name: list.name.clone(),
                fields: fields.collect::<Result<_, LoadError>>()?,
            })
        })
        .collect::<Result<_, LoadError>>()?;
    Ok(())
}

fn digest_field(
    layout: &Layout,
    list: &crate::json::FieldList,
    element: &crate::json::Typed,
) -> Result<FieldInfo, LoadError> {
    let place = format!("digest {}", list.name);
    if element.kind != "field" {
        return Err(
            Fault::Unsupported(format!("digest element of type {}", element.kind)).at(&place, None),
        );
    }
    let pair = crate::expr::pair(&element.value);
    let (header, field) = pair.map_err(|problem| Fault::Malformed(problem).at(&place, None))?;
    let name = format!("{header}.{field}");
    if field == "$valid$" {
        return Ok(FieldInfo { name, bits: 1 });
    }
    let found = layout.field(&header, &field);
    let found = found.ok_or_else(|| Fault::Unresolved("Field", name.clone()).at(&place, None))?;
    Ok(FieldInfo {
        name,
        bits: usize::from(found.bits),
    })
}

fn named<'a>(names: impl Iterator<Item = &'a str>) -> Result<HashMap<&'a str, u16>, LoadError> {
    names
        .enumerate()
        .map(|(at, name)| Ok((name, index_of(at, "objects of one kind")?)))
        .collect()
}

fn positions(ids: impl Iterator<Item = i64>) -> Result<HashMap<i64, u16>, LoadError> {
    ids.enumerate()
        .map(|(at, id)| Ok((id, index_of(at, "objects of one kind")?)))
        .collect()
}
