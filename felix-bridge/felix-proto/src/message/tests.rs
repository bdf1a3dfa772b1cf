use bytes::Bytes;

use super::*;

fn frame(body: &[u8]) -> Frame {
    Frame {
        index: 7,
        offset: 99,
        body: Bytes::copy_from_slice(body),
    }
}

#[test]
fn a_payload_of_a_newer_release_is_named_not_lost() {
    // Field 90, length 2; then sequence 4.
    let message = decode(&frame(&[0xd2, 0x05, 0x02, 0x08, 0x01, 0x78, 0x04])).unwrap();
    assert_eq!((message.sequence, message.payload), (4, None));
    assert_eq!(message.unknown.len(), 1);
    assert_eq!(message.unknown[0].to_string(), "field 90 of ToDataplane");
}

#[test]
fn a_body_that_is_no_message_says_where() {
    let error = decode(&frame(&[0x3a, 0x7f, 0x00])).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("frame 7 at byte 99"), "{text}");
}

#[test]
fn a_virtual_machine_of_3_30_decodes() {
    let message = decode(&frame(b"\x5a\x0b\x2a\x09\x12\x05cali1\x70\x01")).unwrap();
    let Some(to_dataplane::Payload::WorkloadEndpointUpdate(update)) = message.payload else {
        panic!("not an endpoint update");
    };
    assert_eq!(update.endpoint.unwrap().workload_type, 1);
    assert_eq!(message.unknown, []);
}
