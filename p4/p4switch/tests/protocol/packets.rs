//! Packets to and from the controller, and the packet socket.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
};

use p4runtime_proto::{
    bytestring::encode,
    client::Event,
    p4::v1::{PacketMetadata, PacketOut},
};
use p4switch::{Config, Switch};
use tonic::Code;

use crate::support::{
    BY_MAC, CPU, action, connect, entry, exact, frame, insert, mac_entry, primary, ready,
    switch_config, write,
};

fn metadata(metadata_id: u32, value: u128) -> PacketMetadata {
    PacketMetadata {
        metadata_id,
        value: encode(value),
    }
}

#[tokio::test]
async fn packets_reach_the_primary_with_their_header() {
    let (switch, mut client) = ready().await;
    let punt = entry(BY_MAC, vec![exact(1, 1)], action("to_controller", &[]));
    write(&client, vec![insert(punt)]).await;
    let outputs = switch.inject(300, &frame(1, 2, 3));
    assert_eq!(outputs.len(), 1);
    assert_eq!(outputs[0].0, CPU);
    let Event::Packet(packet) = client.event().await.expect("a packet") else {
        panic!("not a packet")
    };
    // The second one is the padding to whole bytes.
    assert_eq!(packet.metadata, [metadata(1, 300), metadata(2, 0)]);
    assert_eq!(packet.payload, frame(1, 2, 3));
    assert_eq!(switch.stats().packet_in, 1);
    switch.shutdown();
}

#[tokio::test]
async fn packets_of_the_primary_leave_by_the_port_they_name() {
    let (switch, mut client) = ready().await;
    let port = switch.listen(6).expect("listening");
    let packet = PacketOut {
        payload: frame(1, 2, 3).into(),
        metadata: vec![metadata(1, 6), metadata(2, 0)],
    };
    client.packet_out(packet.clone()).await.expect("sent");
    let wait = std::time::Duration::from_secs(10);
    let received = tokio::task::spawn_blocking(move || port.recv_timeout(wait));
    assert_eq!(
        received.await.expect("joined").expect("a frame"),
        frame(1, 2, 3)
    );

    // Metadata that does not fit is answered with an error that holds the packet.
    for metadata in [
        vec![],
        vec![metadata(1, 512), metadata(2, 0)],
        vec![metadata(7, 1)],
    ] {
        let wrong = PacketOut {
            metadata,
            ..packet.clone()
        };
        client.packet_out(wrong.clone()).await.expect("sent");
        let Event::Error(error) = client.event().await.expect("an answer") else {
            panic!("not an error")
        };
        let code = Code::from_i32(error.canonical_code);
        assert!(
            matches!(code, Code::InvalidArgument | Code::OutOfRange),
            "{error:?}"
        );
        assert!(!error.message.is_empty());
    }
    switch.shutdown();
}

#[tokio::test]
async fn a_deposed_primary_may_not_send_packets() {
    let (switch, mut client) = ready().await;
    let _other = primary(&switch, 2).await;
    let Event::Arbitration {
        code: Code::AlreadyExists,
        ..
    } = client.event().await.expect("told")
    else {
        panic!("not told")
    };
    client.packet_out(PacketOut::default()).await.expect("sent");
    let Event::Error(error) = client.event().await.expect("an answer") else {
        panic!("not an error")
    };
    assert_eq!(Code::from_i32(error.canonical_code), Code::PermissionDenied);
    switch.shutdown();
}

#[test]
fn frames_before_a_program_are_dropped() {
    let switch = crate::support::empty();
    assert_eq!(switch.inject(1, &frame(1, 2, 3)), []);
    assert_eq!(switch.stats().no_program, 1);
    switch.shutdown();
}

/// One request of the packet socket.
fn request(sequence: u64, port: u16, frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(10 + frame.len()).expect("a short frame");
    let mut request = length.to_le_bytes().to_vec();
    request.extend(sequence.to_le_bytes());
    request.extend(port.to_le_bytes());
    request.extend(frame);
    request
}

type Reply = (u64, Vec<(u16, Vec<u8>)>);

fn reply(stream: &mut UnixStream) -> std::io::Result<Reply> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut body = vec![0; u32::from_le_bytes(length) as usize];
    stream.read_exact(&mut body)?;
    let sequence = u64::from_le_bytes(body[..8].try_into().expect("eight bytes"));
    let count = u16::from_le_bytes([body[8], body[9]]);
    let mut rest = &body[10..];
    let mut outputs = Vec::new();
    for _ in 0..count {
        let port = u16::from_le_bytes([rest[0], rest[1]]);
        let length = usize::from(u16::from_le_bytes([rest[2], rest[3]]));
        outputs.push((port, rest[4..4 + length].to_vec()));
        rest = &rest[4 + length..];
    }
    assert!(rest.is_empty(), "bytes behind the outputs");
    Ok((sequence, outputs))
}

#[tokio::test]
async fn the_packet_socket_answers_each_frame_in_order() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("packets.sock");
    let config = Config {
        packet_socket: Some(path.clone()),
        ..Config::default()
    };
    let switch = Switch::start(config.clone()).expect("the switch starts");
    let client = primary(&switch, 1)
        .await
        .set_pipeline(switch_config(1))
        .await
        .expect("set");
    write(&client, vec![insert(mac_entry(1, 5))]).await;
    let wait = Some(std::time::Duration::from_secs(20));
    tokio::task::spawn_blocking({
        let path = path.clone();
        move || {
            let mut first = UnixStream::connect(&path).expect("connected");
            let mut second = UnixStream::connect(&path).expect("connected");
            first.set_read_timeout(wait).expect("timeout");
            second.set_read_timeout(wait).expect("timeout");
            // Pipelined, cut in odd places, with frames that pass and frames that do not.
            let mut bytes = Vec::new();
            for sequence in 0..2000 {
                bytes.extend(request(sequence, 1, &frame(sequence % 3, 2, 3)));
            }
            let mut writer = first.try_clone().expect("cloned");
            let sender = std::thread::spawn(move || {
                for part in bytes.chunks(777) {
                    writer.write_all(part).expect("written");
                }
            });
            for sequence in 0..2000 {
                let want: Vec<(u16, Vec<u8>)> = if sequence % 3 == 1 {
                    vec![(5, frame(1, 2, 3))]
                } else {
                    vec![]
                };
                assert_eq!(reply(&mut first).expect("a reply"), (sequence, want));
            }
            sender.join().expect("sent");
            // Another client is served as well, and one that breaks the protocol is dropped alone.
            second
                .write_all(&request(u64::MAX, 1, &frame(1, 2, 3)))
                .expect("written");
            assert_eq!(reply(&mut second).expect("a reply").0, u64::MAX);
            second.write_all(&[3, 0, 0, 0, 1, 2, 3]).expect("written");
            assert!(
                reply(&mut second).is_err(),
                "a request of three bytes was taken"
            );
            first.write_all(&request(7, 1, &[])).expect("written");
            assert_eq!(reply(&mut first).expect("a reply"), (7, vec![]));
        }
    })
    .await
    .expect("all replies");
    switch.shutdown();
    assert!(!path.exists(), "the socket stays behind");
    // A socket that a killed process left is replaced.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("bound"));
    let switch = Switch::start(config).expect("the switch starts again");
    connect(&switch).await;
    switch.shutdown();
}
