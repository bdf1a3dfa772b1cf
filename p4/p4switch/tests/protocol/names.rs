//! P4Runtime 8.4.6: types that controllers see in another form.

use p4runtime_proto::{
    bytestring::encode,
    client::Event,
    p4::v1::{
        Action, DigestEntry, FieldMatch, P4Data, PacketMetadata, PacketOut, TableAction,
        TableEntry, action::Param, digest_entry, entity::Entity as Kind, field_match,
        p4_data::Data, table_action, update::Type,
    },
};
use tonic::Code;

use crate::support::{Named, code_of, delete, entries, frame, insert, ports, update, write};

fn name(field_id: u32, name: &'static str) -> FieldMatch {
    let exact = field_match::Exact { value: name.into() };
    FieldMatch {
        field_id,
        field_match_type: Some(field_match::FieldMatchType::Exact(exact)),
    }
}

fn optional_name(field_id: u32, name: &'static str) -> FieldMatch {
    let optional = field_match::Optional { value: name.into() };
    FieldMatch {
        field_id,
        field_match_type: Some(field_match::FieldMatchType::Optional(optional)),
    }
}

fn does(program: &Named, action: &str, arg: Option<&'static str>) -> TableAction {
    let params = arg.map(|arg| Param {
        param_id: 1,
        value: arg.into(),
    });
    TableAction {
        r#type: Some(table_action::Type::Action(Action {
            action_id: program.id(action),
            params: params.into_iter().collect(),
        })),
    }
}

fn by_port(program: &Named, port: &'static str, action: TableAction) -> TableEntry {
    TableEntry {
        table_id: program.id("by_port"),
        r#match: vec![name(1, port)],
        action: Some(action),
        ..TableEntry::default()
    }
}

#[tokio::test]
async fn ports_and_tenants_have_names() {
    let program = Named::names();
    let (switch, mut client) = program.ready().await;
    // A number is its own name; another name gets a free number.
    let first = by_port(&program, "1", does(&program, "forward", Some("uplink")));
    let second = by_port(&program, "uplink", does(&program, "forward", Some("1")));
    write(&client, vec![insert(first.clone()), insert(second.clone())]).await;
    let out = ports(&switch, &frame(1, 2, 3));
    assert_eq!(out.len(), 1);
    assert_ne!(out, [1]);
    let back = switch.inject(out[0], &frame(1, 2, 3));
    assert_eq!(back[0].0, 1);
    let mut found = entries(&client, program.id("by_port")).await;
    found.sort_by_key(|entry| entry == &second);
    assert_eq!(found, [first.clone(), second.clone()]);

    // Names that nobody gave are not there, and do not come to be by asking.
    let unknown = by_port(&program, "nobody", does(&program, "forward", Some("1")));
    assert_eq!(
        code_of(&client, delete(unknown.clone())).await,
        Code::NotFound
    );
    let empty = by_port(&program, "", does(&program, "forward", Some("1")));
    assert_eq!(code_of(&client, insert(empty)).await, Code::InvalidArgument);

    // Two bits of tenants.
    for (at, (tenant, wanted)) in [
        ("a", Code::Ok),
        ("b", Code::Ok),
        ("c", Code::Ok),
        ("d", Code::Ok),
        ("e", Code::ResourceExhausted),
    ]
    .into_iter()
    .enumerate()
    {
        let entry = TableEntry {
            table_id: program.id("by_label"),
            r#match: vec![
                crate::support::exact(1, 1 + at as u128),
                optional_name(2, tenant),
            ],
            priority: 1,
            action: Some(does(&program, "forward", Some("7"))),
            ..TableEntry::default()
        };
        assert_eq!(code_of(&client, insert(entry)).await, wanted, "{tenant}");
    }

    // Packets of the controller name ports, too.
    let punt = by_port(&program, "8", does(&program, "to_controller", None));
    write(&client, vec![insert(punt)]).await;
    drop(switch.inject(8, &frame(1, 2, 3)));
    let Event::Packet(packet) = client.event().await.expect("told") else {
        panic!("not a packet");
    };
    let metadata = |id, value: &'static [u8]| PacketMetadata {
        metadata_id: id,
        value: value.into(),
    };
    assert_eq!(packet.metadata, [metadata(1, b"8"), metadata(2, &[0])]);
    let listener = switch.listen(out[0]).expect("listening");
    let packet = PacketOut {
        payload: frame(9, 9, 9).into(),
        metadata: vec![metadata(1, b"uplink"), metadata(2, &[0])],
    };
    client.packet_out(packet).await.expect("sent");
    let wait = std::time::Duration::from_secs(10);
    let received = tokio::task::spawn_blocking(move || listener.recv_timeout(wait));
    assert_eq!(
        received.await.expect("joined").expect("a frame"),
        frame(9, 9, 9)
    );

    // And digests.
    let tenant = by_port(&program, "9", does(&program, "set_tenant", Some("b")));
    let config = Kind::DigestEntry(DigestEntry {
        digest_id: program.id("seen_t"),
        config: Some(digest_entry::Config {
            max_list_size: 1,
            ..digest_entry::Config::default()
        }),
    });
    write(&client, vec![insert(tenant), update(Type::Insert, config)]).await;
    drop(switch.inject(9, &frame(1, 2, 2)));
    let Event::Digest(list) = client.event().await.expect("told") else {
        panic!("not a digest");
    };
    let Some(Data::Struct(seen)) = list.data[0].data.clone() else {
        panic!("not a structure");
    };
    let bytes = |value: &'static [u8]| P4Data {
        data: Some(Data::Bitstring(value.into())),
    };
    let ours = P4Data {
        data: Some(Data::Bool(true)),
    };
    assert_eq!(seen.members, [bytes(b"9"), bytes(&[2]), ours]);

    // A reconciled program keeps the names with their numbers.
    let client = client
        .into_primary()
        .reconcile_pipeline(program.config())
        .await
        .expect("reconciled");
    assert_eq!(ports(&switch, &frame(1, 2, 3)), out);
    let found = entries(&client, program.id("by_port")).await;
    assert!(found.contains(&first) && found.contains(&second));
    switch.shutdown();
}

#[tokio::test]
async fn numbers_of_another_width_must_fit_the_data_plane() {
    let program = Named::names();
    let (switch, client) = program.ready().await;
    let by_label = |label: u128| TableEntry {
        table_id: program.id("by_label"),
        r#match: vec![crate::support::exact(1, label)],
        priority: 1,
        action: Some(does(&program, "forward", Some("7"))),
        ..TableEntry::default()
    };
    write(&client, vec![insert(by_label(0xffff))]).await;
    assert_eq!(ports(&switch, &frame(1, 2, 0xffff)), [7]);
    assert_eq!(encode(0x1_0000).len(), 3);
    assert_eq!(
        code_of(&client, insert(by_label(0x1_0000))).await,
        Code::InvalidArgument
    );
    switch.shutdown();
}
