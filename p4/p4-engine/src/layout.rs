//! Where every header, field, stack and union lies in the register file.

use std::collections::HashMap;

use crate::error::LoadError;
use crate::ir::Slot;
use crate::json;

/// Slots in all; operations name them with 16 bits.
pub(crate) const SLOTS: usize = 1 << 16;

/// Slots for temporaries of one statement.
const TEMPORARIES: usize = 2048;

/// Bits of the widest field or parameter.
pub(crate) const MAX_BITS: usize = 1 << 14;

/// A field of a header instance.
#[derive(Clone, Debug)]
pub(crate) struct FieldLayout {
    pub(crate) name: String,
    /// Width; of a varbit field the largest.
    pub(crate) bits: u16,
    pub(crate) signed: bool,
    /// One slot that says where in the packet the bits are: bit offset << 32 | bit length.
    pub(crate) varbit: bool,
    pub(crate) slot: Slot,
    pub(crate) limbs: u16,
}

/// A header or metadata instance: the validity slot, then the fields.
#[derive(Clone, Debug)]
pub(crate) struct HeaderLayout {
    pub(crate) name: String,
    pub(crate) type_name: String,
    pub(crate) metadata: bool,
    pub(crate) valid: Slot,
    /// One more than the byte of the packet where it was extracted, zero if it was made on the
    /// way. Metadata and headers of variable length have none.
    pub(crate) origin: Option<Slot>,
    /// First slot of the fields.
    pub(crate) base: Slot,
    /// Slots of all fields.
    pub(crate) limbs: u16,
    pub(crate) fields: Vec<FieldLayout>,
    /// Bits without the varbit field.
    pub(crate) fixed_bits: u32,
    /// Index of the varbit field.
    pub(crate) varbit: Option<usize>,
    /// Largest length in bytes of a header with a varbit field.
    pub(crate) max_bytes: u32,
    /// The union that it belongs to.
    pub(crate) union: Option<u16>,
}

impl HeaderLayout {
    pub(crate) fn field(&self, name: &str) -> Option<&FieldLayout> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// A header stack.
#[derive(Clone, Debug)]
pub(crate) struct StackLayout {
    pub(crate) name: String,
    /// Index of the next free element.
    pub(crate) next: Slot,
    pub(crate) headers: Vec<u16>,
}

/// A header union.
#[derive(Clone, Debug)]
pub(crate) struct UnionLayout {
    pub(crate) name: String,
    pub(crate) type_name: String,
    pub(crate) headers: Vec<u16>,
}

/// A stack of header unions.
#[derive(Clone, Debug)]
pub(crate) struct UnionStackLayout {
    pub(crate) name: String,
    pub(crate) next: Slot,
    pub(crate) unions: Vec<u16>,
    /// Names of the members, in order.
    pub(crate) members: Vec<String>,
}

/// The register file's map.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    pub(crate) headers: Vec<HeaderLayout>,
    pub(crate) stacks: Vec<StackLayout>,
    pub(crate) unions: Vec<UnionLayout>,
    pub(crate) union_stacks: Vec<UnionStackLayout>,
    /// Slots `0..fields_end` are the packet's own state, zero when it comes in.
    pub(crate) fields_end: usize,
    /// Metadata occupies `0..metadata_end`.
    pub(crate) metadata_end: usize,
    /// First slot of action parameters.
    pub(crate) params: usize,
    /// First slot of temporaries.
    pub(crate) temporaries: usize,
    /// First slot of constants.
    pub(crate) constants: usize,
    by_name: HashMap<String, u16>,
}

impl Layout {
    pub(crate) fn build(document: &json::Document) -> Result<Self, LoadError> {
        let mut layout = Self::default();
        let types: HashMap<&str, &json::HeaderType> = document
            .header_types
            .iter()
            .map(|kind| (kind.name.as_str(), kind))
            .collect();
        let mut cursor = 0usize;
        let mut ids = HashMap::new();
        // Metadata first, so that it is one range.
        let ordered = document.headers.iter().filter(|header| header.metadata);
        let ordered = ordered.chain(document.headers.iter().filter(|header| !header.metadata));
        for header in ordered {
            let kind = types.get(header.header_type.as_str()).ok_or_else(|| {
                unresolved(
                    "Header type",
                    &header.header_type,
                    &format!("header {}", header.name),
                )
            })?;
            let index = index_of(layout.headers.len(), "headers")?;
            layout
                .headers
                .push(header_layout(header, kind, &mut cursor)?);
            layout.by_name.insert(header.name.clone(), index);
            ids.insert(header.id, index);
            if header.metadata {
                layout.metadata_end = cursor;
            }
        }
        layout.group(document, &ids, &mut cursor)?;
        layout.fields_end = cursor;
        layout.params = cursor;
        let params = document.actions.iter().map(param_limbs).max().unwrap_or(0);
        layout.temporaries = layout.params + params;
        layout.constants = layout.temporaries + TEMPORARIES;
        if layout.constants + 4096 > SLOTS {
            return Err(LoadError::TooLarge {
                what: "limbs of header fields and action parameters",
                have: layout.temporaries,
                limit: SLOTS - 4096 - TEMPORARIES,
            });
        }
        Ok(layout)
    }

    fn group(
        &mut self,
        document: &json::Document,
        ids: &HashMap<i64, u16>,
        cursor: &mut usize,
    ) -> Result<(), LoadError> {
        let find = |id: &i64, referrer: &str| {
            ids.get(id)
                .copied()
                .ok_or_else(|| unresolved("Header", &id.to_string(), referrer))
        };
        for stack in &document.header_stacks {
            let headers: Result<Vec<u16>, _> = stack
                .header_ids
                .iter()
                .map(|id| find(id, &stack.name))
                .collect();
            let headers = headers?;
            self.check_alike(&headers, &stack.name)?;
            let next = take(cursor, 1)?;
            self.stacks.push(StackLayout {
                name: stack.name.clone(),
                next,
                headers,
            });
        }
        let mut union_ids = HashMap::new();
        for union in &document.header_unions {
            let headers: Result<Vec<u16>, _> = union
                .header_ids
                .iter()
                .map(|id| find(id, &union.name))
                .collect();
            let headers = headers?;
            let index = index_of(self.unions.len(), "header unions")?;
            for header in &headers {
                self.headers[usize::from(*header)].union = Some(index);
            }
            union_ids.insert(union.id, index);
            self.unions.push(UnionLayout {
                name: union.name.clone(),
                type_name: union.union_type.clone(),
                headers,
            });
        }
        for stack in &document.header_union_stacks {
            let unions: Result<Vec<u16>, _> = stack
                .header_union_ids
                .iter()
                .map(|id| {
                    let found = union_ids.get(id).copied();
                    found.ok_or_else(|| unresolved("Header union", &id.to_string(), &stack.name))
                })
                .collect();
            let unions = unions?;
            let kind = unions
                .first()
                .map(|first| &self.unions[usize::from(*first)].type_name);
            let members = document
                .header_union_types
                .iter()
                .find(|candidate| Some(&candidate.name) == kind)
                .map(|kind| kind.headers.iter().map(|(name, _)| name.clone()).collect())
                .unwrap_or_default();
            let lengths = unions
                .iter()
                .map(|union| self.unions[usize::from(*union)].headers.len());
            let members: Vec<String> = members;
            if lengths.into_iter().any(|length| length != members.len()) {
                return Err(malformed(&stack.name, "its unions differ from their type"));
            }
            let next = take(cursor, 1)?;
            self.union_stacks.push(UnionStackLayout {
                name: stack.name.clone(),
                next,
                unions,
                members,
            });
        }
        Ok(())
    }

    fn check_alike(&self, headers: &[u16], stack: &str) -> Result<(), LoadError> {
        let mut kinds = headers
            .iter()
            .map(|header| &self.headers[usize::from(*header)].type_name);
        let first = kinds.next();
        if kinds.any(|kind| Some(kind) != first) {
            return Err(malformed(stack, "its headers are of different types"));
        }
        Ok(())
    }

    pub(crate) fn header_index(&self, name: &str) -> Option<u16> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn header(&self, index: u16) -> &HeaderLayout {
        &self.headers[usize::from(index)]
    }

    /// A field by instance and name, without hidden ones.
    pub(crate) fn field(&self, header: &str, field: &str) -> Option<&FieldLayout> {
        self.header(self.header_index(header)?).field(field)
    }

    pub(crate) fn stack_index(&self, name: &str) -> Option<u16> {
        position(&self.stacks, |stack| stack.name == name)
    }

    pub(crate) fn union_index(&self, name: &str) -> Option<u16> {
        position(&self.unions, |union| union.name == name)
    }

    pub(crate) fn union_stack_index(&self, name: &str) -> Option<u16> {
        position(&self.union_stacks, |stack| stack.name == name)
    }
}

fn position<T>(list: &[T], test: impl Fn(&T) -> bool) -> Option<u16> {
    list.iter()
        .position(test)
        .and_then(|at| u16::try_from(at).ok())
}

fn header_layout(
    header: &json::Header,
    kind: &json::HeaderType,
    cursor: &mut usize,
) -> Result<HeaderLayout, LoadError> {
    let valid = take(cursor, 1)?;
    let variable =
        |raw: &Vec<serde_json::Value>| raw.get(1).and_then(serde_json::Value::as_str) == Some("*");
    let origin = if header.metadata || kind.fields.iter().any(variable) {
        None
    } else {
        Some(take(cursor, 1)?)
    };
    let base = slot(*cursor)?;
    let mut fields = Vec::with_capacity(kind.fields.len());
    let mut fixed_bits = 0u32;
    let mut varbit = None;
    for raw in &kind.fields {
        let name = raw.first().and_then(serde_json::Value::as_str);
        let name = name.ok_or_else(|| malformed(&kind.name, "a field has no name"))?;
        let is_varbit = raw.get(1).and_then(serde_json::Value::as_str) == Some("*");
        let signed = raw
            .get(2)
            .and_then(serde_json::Value::as_bool)
            .unwrap_or(false);
        let bits = if is_varbit {
            if varbit.replace(fields.len()).is_some() {
                return Err(malformed(&kind.name, "it has two varbit fields"));
            }
            0
        } else {
            let bits = raw.get(1).and_then(serde_json::Value::as_u64).unwrap_or(0);
            let fits = usize::try_from(bits).is_ok_and(|bits| (1..=MAX_BITS).contains(&bits));
            if !fits {
                return Err(malformed(
                    &kind.name,
                    &format!("field {name} has {bits} bits"),
                ));
            }
            u16::try_from(bits).unwrap_or(u16::MAX)
        };
        fixed_bits += u32::from(bits);
        let limbs = if is_varbit { 1 } else { bits.div_ceil(64) };
        let slot = take(cursor, usize::from(limbs))?;
        fields.push(FieldLayout {
            name: name.to_owned(),
            bits,
            signed,
            varbit: is_varbit,
            slot,
            limbs,
        });
    }
    if varbit.is_some() && !kind.length_exp.is_null() {
        return Err(LoadError::Unsupported {
            construct: "a varbit length in the header type (P4_14 length expression)".to_owned(),
            place: format!("header type {}", kind.name),
            location: None,
        });
    }
    if !header.metadata && !fixed_bits.is_multiple_of(8) {
        return Err(malformed(
            &kind.name,
            "its width is not a multiple of 8 bits",
        ));
    }
    let limbs = index_of(*cursor - usize::from(base), "limbs of a header")?;
    let max_bytes = u32::try_from(kind.max_length.unwrap_or(0)).unwrap_or(u32::MAX);
    Ok(HeaderLayout {
        name: header.name.clone(),
        type_name: header.header_type.clone(),
        metadata: header.metadata,
        valid,
        origin,
        base,
        limbs,
        fields,
        fixed_bits,
        varbit,
        max_bytes,
        union: None,
    })
}

fn param_limbs(action: &json::Action) -> usize {
    action
        .runtime_data
        .iter()
        .map(|param| {
            usize::try_from(param.bitwidth)
                .unwrap_or(MAX_BITS)
                .min(MAX_BITS)
                .div_ceil(64)
        })
        .sum()
}

fn take(cursor: &mut usize, limbs: usize) -> Result<Slot, LoadError> {
    let at = slot(*cursor)?;
    *cursor += limbs;
    Ok(at)
}

fn slot(cursor: usize) -> Result<Slot, LoadError> {
    index_of(cursor, "limbs of header fields")
}

/// Narrows a count to the 16 bits that operations have for it.
pub(crate) fn index_of(count: usize, what: &'static str) -> Result<u16, LoadError> {
    u16::try_from(count).map_err(|_| LoadError::TooLarge {
        what,
        have: count,
        limit: usize::from(u16::MAX),
    })
}

fn unresolved(kind: &'static str, name: &str, referrer: &str) -> LoadError {
    LoadError::Unresolved {
        kind,
        name: name.to_owned(),
        referrer: referrer.to_owned(),
    }
}

fn malformed(place: &str, problem: &str) -> LoadError {
    LoadError::Malformed {
        place: place.to_owned(),
        problem: problem.to_owned(),
        location: None,
    }
}
