//! The smallest programs that tests need, written as JSON without a compiler.

use serde_json::{Value as Json, json};

/// Metadata that v1model asks for.
pub(crate) fn standard_metadata() -> Json {
    json!({"name": "standard_metadata", "id": 1, "fields": [
        ["ingress_port", 9, false], ["egress_spec", 9, false], ["egress_port", 9, false],
        ["instance_type", 32, false], ["packet_length", 32, false], ["mcast_grp", 16, false],
        ["egress_rid", 16, false], ["parser_error", 32, false], ["checksum_error", 1, false],
        ["_padding", 3, false]
    ]})
}

/// A program whose parser extracts header `h` of these fields, whose ingress runs `nodes` (tables
/// and conditions as the JSON has them) from `start`, and whose deparser emits `h`.
pub(crate) fn program(fields: &Json, actions: &Json, tables: &Json, start: &Json) -> Json {
    json!({
        "__meta__": {"version": [2, 23]},
        "header_types": [standard_metadata(), {"name": "h_t", "id": 2, "fields": fields}],
        "headers": [
            {"name": "standard_metadata", "id": 0, "header_type": "standard_metadata", "metadata": true},
            {"name": "h", "id": 1, "header_type": "h_t", "metadata": false}
        ],
        "errors": [["NoError", 0], ["PacketTooShort", 1]],
        "parsers": [{"name": "parser", "id": 0, "init_state": "start", "parse_states": [
            {"name": "start", "id": 0,
             "parser_ops": [{"op": "extract", "parameters": [{"type": "regular", "value": "h"}]}],
             "transitions": [{"type": "default", "value": null, "mask": null, "next_state": null}],
             "transition_key": []}
        ]}],
        "deparsers": [{"name": "deparser", "id": 0, "order": ["h"], "primitives": []}],
        "actions": actions,
        "pipelines": [
            {"name": "ingress", "id": 0, "init_table": start, "tables": tables, "conditionals": []},
            {"name": "egress", "id": 1, "init_table": null, "tables": [], "conditionals": []}
        ]
    })
}

/// A keyless table that runs the action of this id.
pub(crate) fn call(name: &str, action: &str, id: i64) -> Json {
    json!({"name": name, "id": 0, "key": [], "match_type": "exact", "type": "simple",
        "max_size": 1, "action_ids": [id], "actions": [action], "base_default_next": null,
        "next_tables": {action: null},
        "default_entry": {"action_id": id, "action_const": true, "action_data": [],
            "action_entry_const": true}})
}

/// `egress_spec = port`.
pub(crate) fn send_to(port: &str) -> Json {
    json!({"op": "assign", "parameters": [
        {"type": "field", "value": ["standard_metadata", "egress_spec"]},
        {"type": "hexstr", "value": port}]})
}
