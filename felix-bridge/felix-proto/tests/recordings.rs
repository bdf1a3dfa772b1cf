//! The recordings' own decodings, made by Felix's own message types, against ours.
//!
//! Each frame goes through the generated types and back to bytes, and those bytes through the
//! descriptors to protobuf's JSON form: so both the numbers and the generated code are held to it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as expected"
)]

use std::fs;
use std::path::PathBuf;

use felix_proto::felix::ToDataplane;
use felix_proto::{Decoder, Frame, PolicyRef};
use prost::Message as _;
use protox::prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};
use serde_json::{Map, Value as Json, json};

/// Recordings whose decoding is checked in.
const NAMES: [&str; 9] = [
    "overlay",
    "restart-1",
    "restart-2",
    "services",
    "small-v3.30",
    "small-v3.31",
    "small-v3.32",
    "small",
    "tiers",
];

fn cases() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testbed/cases/felix-streams")
}

fn pool() -> DescriptorPool {
    let protos = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("proto");
    let mut compiler = protox::Compiler::new([protos]).unwrap();
    compiler.include_imports(true);
    compiler.open_file("felix/envelope.proto").unwrap();
    compiler.descriptor_pool()
}

fn frames(name: &str) -> Vec<Frame> {
    let mut decoder = Decoder::default();
    decoder.push(&fs::read(cases().join(format!("{name}.felix"))).unwrap());
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next_frame().unwrap() {
        frames.push(frame);
    }
    decoder.finish().unwrap();
    frames
}

#[test]
fn every_frame_says_what_its_decoding_says() {
    let pool = pool();
    let envelope = pool.get_message_by_name("felix.ToDataplane").unwrap();
    for name in NAMES {
        let lines = fs::read_to_string(cases().join(format!("{name}.json"))).unwrap();
        let frames = frames(name);
        assert_eq!(lines.lines().count(), frames.len(), "{name}");
        for (line, frame) in lines.lines().zip(&frames) {
            let line: Json = serde_json::from_str(line).unwrap();
            assert_eq!(line["frame"], json!(frame.index), "{name}");
            assert_eq!(line["offset"], json!(frame.offset), "{name}");
            assert_eq!(line["length"], json!(frame.body.len()), "{name}");
            let found = render(&envelope, frame);
            let mut expected = line["toDataplane"].clone();
            types_as_mask(&mut expected);
            assert_eq!(found, expected, "{name} frame {}", frame.index);
        }
    }
}

/// Frame to generated types to bytes to JSON.
fn render(envelope: &MessageDescriptor, frame: &Frame) -> Json {
    let message = felix_proto::decode(frame).unwrap();
    assert_eq!(message.unknown, [], "frame {}", frame.index);
    let again = ToDataplane {
        sequence_number: message.sequence,
        payload: message.payload,
    };
    let bytes = again.encode_to_vec();
    object(&DynamicMessage::decode(envelope.clone(), &bytes[..]).unwrap())
}

fn object(message: &DynamicMessage) -> Json {
    let mut fields = Map::new();
    for (field, value) in message.fields() {
        let rendered = if is_policy_list(&field) {
            Json::Array(value.as_list().unwrap().iter().map(policy).collect())
        } else {
            json_of(&field.kind(), value)
        };
        fields.insert(field.json_name().to_owned(), rendered);
    }
    Json::Object(fields)
}

fn json_of(kind: &Kind, value: &Value) -> Json {
    match value {
        Value::Bool(value) => json!(value),
        Value::I32(value) => json!(value),
        Value::U32(value) => json!(value),
        Value::I64(value) => json!(value.to_string()),
        Value::U64(value) => json!(value.to_string()),
        Value::String(value) => json!(value),
        Value::EnumNumber(number) => match kind.as_enum().unwrap().get_value(*number) {
            Some(value) => json!(value.name()),
            None => json!(number),
        },
        Value::Message(message) => object(message),
        Value::List(values) => values.iter().map(|value| json_of(kind, value)).collect(),
        Value::Map(entries) => {
            let entry = kind.as_message().unwrap().map_entry_value_field();
            let name = |key: &MapKey| match key {
                MapKey::String(key) => key.clone(),
                MapKey::U32(key) => key.to_string(),
                other => panic!("a map by {other:?}"),
            };
            Json::Object(
                entries
                    .iter()
                    .map(|(key, value)| (name(key), json_of(&entry.kind(), value)))
                    .collect(),
            )
        }
        other => panic!("no field holds {other:?}"),
    }
}

fn is_policy_list(field: &FieldDescriptor) -> bool {
    field.parent_message().name() == "TierInfo"
        && matches!(field.name(), "ingress_policies" | "egress_policies")
}

/// Text until 3.31, an object since.
fn policy(entry: &Value) -> Json {
    match PolicyRef::try_from(&entry.as_bytes().unwrap()[..]).unwrap() {
        PolicyRef::Text(text) => json!(text),
        PolicyRef::Id(id) => {
            let mut fields = Map::new();
            for (name, value) in [
                ("name", id.name),
                ("namespace", id.namespace),
                ("kind", id.kind),
            ] {
                if !value.is_empty() {
                    fields.insert(name.to_owned(), json!(value));
                }
            }
            Json::Object(fields)
        }
    }
}

/// Felix declares the mask as an enum, so its JSON has a name where one fits.
fn types_as_mask(message: &mut Json) {
    let Some(types) = message
        .get_mut("routeUpdate")
        .and_then(|update| update.get_mut("types"))
    else {
        return;
    };
    let mask = match types.as_str() {
        None => return,
        Some("REMOTE_WORKLOAD") => 1,
        Some("REMOTE_HOST") => 2,
        Some("LOCAL_WORKLOAD") => 4,
        Some("LOCAL_HOST") => 8,
        Some("REMOTE_TUNNEL") => 16,
        Some("LOCAL_TUNNEL") => 32,
        Some(other) => panic!("route type {other}"),
    };
    *types = json!(mask);
}
