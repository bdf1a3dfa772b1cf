use prost::Message as _;

use super::*;
use crate::felix::{
    ActivePolicyUpdate, Policy, PolicyId, Rule, ToDataplane, WorkloadEndpoint,
    WorkloadEndpointUpdate, to_dataplane::Payload,
};

#[test]
fn a_criterion_of_a_newer_release_is_found_in_its_rule() {
    // Rule field 140, varint 1: tag 140 << 3.
    let mut rule = Rule {
        action: "allow".to_owned(),
        ..Rule::default()
    }
    .encode_to_vec();
    rule.extend_from_slice(&[0xe0, 0x08, 0x01]);
    let plain = Rule::default().encode_to_vec();
    let mut policy = Vec::new();
    for body in [plain, rule] {
        policy.push(0x0a);
        policy.push(u8::try_from(body.len()).unwrap());
        policy.extend_from_slice(&body);
    }
    let mut update = vec![0x12, u8::try_from(policy.len()).unwrap()];
    update.extend_from_slice(&policy);
    let mut body = vec![0x3a, u8::try_from(update.len()).unwrap()];
    body.extend_from_slice(&update);

    let found = unknown_fields("ToDataplane", &body);
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].to_string(),
        "field 140 of Rule at active_policy_update.policy.inbound_rules[1]"
    );
}

#[test]
fn known_fields_are_not_found() {
    let message = ToDataplane {
        sequence_number: 9,
        payload: Some(Payload::ActivePolicyUpdate(ActivePolicyUpdate {
            id: Some(PolicyId {
                name: "p".to_owned(),
                ..PolicyId::default()
            }),
            policy: Some(Policy {
                inbound_rules: vec![Rule::default(); 3],
                ..Policy::default()
            }),
        })),
    };
    assert_eq!(unknown_fields("ToDataplane", &message.encode_to_vec()), []);
}

#[test]
fn the_field_table_is_sorted() {
    assert!(MESSAGES.is_sorted_by(|a, b| a.name < b.name));
    for message in MESSAGES {
        assert!(message.fields.is_sorted_by(|a, b| a.number < b.number));
    }
}

#[test]
fn the_enum_of_3_30_moves_and_the_message_of_3_31_stays() {
    let update = |endpoint: Vec<u8>| {
        let mut inner = vec![0x2a, u8::try_from(endpoint.len()).unwrap()];
        inner.extend_from_slice(&endpoint);
        let mut body = vec![0x5a, u8::try_from(inner.len()).unwrap()];
        body.extend_from_slice(&inner);
        body.extend_from_slice(&[0x78, 0x05]);
        body
    };
    // Field 2 "cali1", then field 14 as varint 1.
    let old = update(b"\x12\x05cali1\x70\x01".to_vec());
    let moved = ToDataplane::decode(&move_workload_type(&old).unwrap()[..]).unwrap();
    let Some(Payload::WorkloadEndpointUpdate(WorkloadEndpointUpdate {
        endpoint: Some(endpoint),
        ..
    })) = moved.payload
    else {
        panic!("not an endpoint update");
    };
    assert_eq!(
        endpoint,
        WorkloadEndpoint {
            name: "cali1".to_owned(),
            workload_type: 1,
            ..WorkloadEndpoint::default()
        }
    );
    assert_eq!(moved.sequence_number, 5);
    // Field 14 as a message.
    let new = update(b"\x12\x05cali1\x72\x02\x08\x01".to_vec());
    assert_eq!(move_workload_type(&new), None);
    assert!(ToDataplane::decode(&new[..]).is_ok());
}
