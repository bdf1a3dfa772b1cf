//! The bmv2 JSON as text types: names and shapes as p4c writes them, nothing resolved yet.
//!
//! Format: behavioral-model `docs/JSON_format.md`, version 2.x. Absent lists read as empty, keys
//! that the engine has no use for are skipped.

use serde::Deserialize;
use serde_json::Value as Raw;

use crate::error::SourceLocation;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Document {
    #[serde(rename = "__meta__")]
    pub(crate) meta: Meta,
    pub(crate) header_types: Vec<HeaderType>,
    pub(crate) headers: Vec<Header>,
    pub(crate) header_stacks: Vec<HeaderStack>,
    pub(crate) header_union_types: Vec<UnionType>,
    pub(crate) header_unions: Vec<Union>,
    pub(crate) header_union_stacks: Vec<UnionStack>,
    pub(crate) field_lists: Vec<FieldList>,
    pub(crate) errors: Vec<(String, i64)>,
    pub(crate) parsers: Vec<Parser>,
    pub(crate) parse_vsets: Vec<ValueSet>,
    pub(crate) deparsers: Vec<Deparser>,
    pub(crate) meter_arrays: Vec<MeterArray>,
    pub(crate) counter_arrays: Vec<CounterArray>,
    pub(crate) register_arrays: Vec<RegisterArray>,
    pub(crate) calculations: Vec<Calculation>,
    pub(crate) learn_lists: Vec<FieldList>,
    pub(crate) actions: Vec<Action>,
    pub(crate) pipelines: Vec<Pipeline>,
    pub(crate) checksums: Vec<Checksum>,
    pub(crate) extern_instances: Vec<ExternInstance>,
    pub(crate) field_aliases: Vec<(String, (String, String))>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Meta {
    pub(crate) version: Option<(i64, i64)>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct HeaderType {
    pub(crate) name: String,
    /// `[name, bits or "*", signed?]`.
    #[serde(default)]
    pub(crate) fields: Vec<Vec<Raw>>,
    #[serde(default)]
    pub(crate) length_exp: Raw,
    #[serde(default)]
    pub(crate) max_length: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Header {
    pub(crate) name: String,
    pub(crate) id: i64,
    pub(crate) header_type: String,
    #[serde(default)]
    pub(crate) metadata: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct HeaderStack {
    pub(crate) name: String,
    pub(crate) header_ids: Vec<i64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct UnionType {
    pub(crate) name: String,
    pub(crate) headers: Vec<(String, String)>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Union {
    pub(crate) name: String,
    pub(crate) id: i64,
    pub(crate) union_type: String,
    pub(crate) header_ids: Vec<i64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct UnionStack {
    pub(crate) name: String,
    pub(crate) header_union_ids: Vec<i64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct FieldList {
    pub(crate) id: i64,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) elements: Vec<Typed>,
}

/// A `{type, value}` object.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Typed {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) value: Raw,
    #[serde(default)]
    pub(crate) bitwidth: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Parser {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) init_state: Option<String>,
    #[serde(default)]
    pub(crate) parse_states: Vec<ParseState>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ParseState {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) parser_ops: Vec<Primitive>,
    #[serde(default)]
    pub(crate) transition_key: Vec<Typed>,
    #[serde(default)]
    pub(crate) transitions: Vec<Transition>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Transition {
    #[serde(rename = "type", default)]
    pub(crate) kind: Option<String>,
    #[serde(default)]
    pub(crate) value: Raw,
    #[serde(default)]
    pub(crate) mask: Raw,
    #[serde(default)]
    pub(crate) next_state: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ValueSet {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) compressed_bitwidth: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Deparser {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) order: Vec<String>,
    #[serde(default)]
    pub(crate) primitives: Vec<Primitive>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct MeterArray {
    pub(crate) name: String,
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) is_direct: bool,
    #[serde(default)]
    pub(crate) binding: Option<String>,
    #[serde(default)]
    pub(crate) result_target: Option<(String, String)>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CounterArray {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) size: Option<u64>,
    #[serde(default)]
    pub(crate) is_direct: bool,
    #[serde(default)]
    pub(crate) binding: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RegisterArray {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) bitwidth: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Calculation {
    pub(crate) name: String,
    pub(crate) algo: String,
    #[serde(default)]
    pub(crate) input: Vec<Typed>,
    #[serde(default)]
    pub(crate) source_info: Option<Location>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Action {
    pub(crate) name: String,
    pub(crate) id: i64,
    #[serde(default)]
    pub(crate) runtime_data: Vec<RuntimeData>,
    #[serde(default)]
    pub(crate) primitives: Vec<Primitive>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RuntimeData {
    pub(crate) name: String,
    pub(crate) bitwidth: u64,
}

/// A primitive of an action or an operation of a parser state.
#[derive(Debug, Deserialize)]
pub(crate) struct Primitive {
    pub(crate) op: String,
    #[serde(default)]
    pub(crate) parameters: Vec<Raw>,
    #[serde(default)]
    pub(crate) source_info: Option<Location>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Pipeline {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) init_table: Option<String>,
    #[serde(default)]
    pub(crate) tables: Vec<Table>,
    #[serde(default)]
    pub(crate) action_profiles: Vec<ActionProfile>,
    #[serde(default)]
    pub(crate) conditionals: Vec<Conditional>,
    #[serde(default)]
    pub(crate) action_calls: Vec<ActionCallNode>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Table {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) source_info: Option<Location>,
    #[serde(default)]
    pub(crate) key: Vec<Key>,
    pub(crate) match_type: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) action_profile: Option<String>,
    #[serde(default)]
    pub(crate) max_size: u64,
    #[serde(default)]
    pub(crate) with_counters: bool,
    #[serde(default)]
    pub(crate) support_timeout: bool,
    #[serde(default)]
    pub(crate) direct_meters: Option<String>,
    #[serde(default)]
    pub(crate) action_ids: Vec<i64>,
    #[serde(default)]
    pub(crate) base_default_next: Option<String>,
    #[serde(default)]
    pub(crate) next_tables: std::collections::BTreeMap<String, Option<String>>,
    #[serde(default)]
    pub(crate) default_entry: Option<DefaultEntry>,
    /// Const entries, unless the program says `entries` without `const`.
    #[serde(default)]
    pub(crate) entries: Vec<TableEntry>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Key {
    pub(crate) match_type: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    pub(crate) target: Raw,
    #[serde(default)]
    pub(crate) mask: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DefaultEntry {
    pub(crate) action_id: i64,
    #[serde(default)]
    pub(crate) action_const: bool,
    #[serde(default)]
    pub(crate) action_data: Vec<String>,
    #[serde(default)]
    pub(crate) action_entry_const: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TableEntry {
    #[serde(default)]
    pub(crate) source_info: Option<Location>,
    pub(crate) match_key: Vec<EntryKey>,
    pub(crate) action_entry: EntryCall,
    #[serde(default)]
    pub(crate) priority: i64,
    #[serde(default)]
    pub(crate) is_const: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct EntryKey {
    pub(crate) match_type: String,
    #[serde(default)]
    pub(crate) key: Raw,
    #[serde(default)]
    pub(crate) mask: Option<String>,
    #[serde(default)]
    pub(crate) prefix_length: Option<u64>,
    #[serde(default)]
    pub(crate) start: Option<String>,
    #[serde(default)]
    pub(crate) end: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct EntryCall {
    pub(crate) action_id: i64,
    #[serde(default)]
    pub(crate) action_data: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ActionProfile {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) max_size: u64,
    #[serde(default)]
    pub(crate) selector: Option<Selector>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Selector {
    pub(crate) algo: String,
    #[serde(default)]
    pub(crate) input: Vec<Typed>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Conditional {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) source_info: Option<Location>,
    pub(crate) expression: Raw,
    #[serde(default)]
    pub(crate) true_next: Option<String>,
    #[serde(default)]
    pub(crate) false_next: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ActionCallNode {
    pub(crate) name: String,
    pub(crate) action_id: i64,
    #[serde(default)]
    pub(crate) next_node: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Checksum {
    pub(crate) name: String,
    pub(crate) target: (String, String),
    pub(crate) calculation: String,
    #[serde(default)]
    pub(crate) update: Option<bool>,
    #[serde(default)]
    pub(crate) verify: Option<bool>,
    #[serde(default)]
    pub(crate) if_cond: Raw,
    #[serde(default)]
    pub(crate) source_info: Option<Location>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ExternInstance {
    pub(crate) name: String,
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Location {
    pub(crate) filename: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) source_fragment: String,
}

impl Location {
    pub(crate) fn publish(this: Option<&Self>) -> Option<SourceLocation> {
        this.map(|at| SourceLocation {
            file: at.filename.clone(),
            line: at.line,
            column: at.column,
            fragment: at.source_fragment.clone(),
        })
    }
}
