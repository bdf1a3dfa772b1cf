//! Value sets, entries of the program, and keys of odd width.

use p4runtime_proto::p4::v1::{
    TableEntry, ValueSetEntry, ValueSetMember, entity::Entity as Kind, update::Type,
};
use tonic::Code;

use crate::support::{
    Named, branch, code_of, delete, entries, exact, insert, lpm, modify, optional, ports, range,
    read, ternary, update, write,
};

fn set(id: u32, members: &[&[u128]]) -> Kind {
    let members = members.iter().map(|fields| ValueSetMember {
        r#match: (1..)
            .zip(*fields)
            .map(|(field, value)| exact(field, *value))
            .collect(),
    });
    Kind::ValueSetEntry(ValueSetEntry {
        value_set_id: id,
        members: members.collect(),
    })
}

#[tokio::test]
async fn a_value_set_steers_the_parser() {
    let program = Named::entities();
    let (switch, client) = program.ready().await;
    let (kinds, pairs) = (program.id("kinds"), program.id("pairs"));
    let code = async |kind| code_of(&client, update(Type::Modify, kind)).await;
    // The port is 11 for what the set lets through.
    let port = |kind, top: u8| {
        let mut frame = branch(11, 0, 0, kind);
        frame[0] = top;
        ports(&switch, &frame)
    };
    assert_eq!(port(0x22f3, 0), [10]);
    let two = set(kinds, &[&[0x22f3], &[0x893b]]);
    assert_eq!(code(two.clone()).await, Code::Ok);
    assert_eq!(port(0x22f3, 0), [11]);
    assert_eq!(port(0x893b, 0), [11]);
    assert_eq!(port(0x893c, 0), [10]);
    // Fields of members side by side.
    let pair = set(pairs, &[&[0x0102, 3]]);
    assert_eq!(code(pair.clone()).await, Code::Ok);
    assert_eq!(port(0x0102, 3), [11]);
    assert_eq!(port(0x0102, 4), [10]);
    assert_eq!(port(0x0203, 1), [10]);
    assert_eq!(
        read(&client, set(kinds, &[])).await,
        std::slice::from_ref(&two)
    );
    let all = read(&client, set(0, &[])).await;
    assert_eq!(all.len(), 2);
    assert!(all.contains(&two) && all.contains(&pair));
    for (kind, wanted) in [
        (
            set(kinds, &[&[1], &[2], &[3], &[4], &[5]]),
            Code::ResourceExhausted,
        ),
        (set(kinds, &[&[1], &[1]]), Code::AlreadyExists),
        (set(kinds, &[&[0x1_0000]]), Code::InvalidArgument),
        (set(kinds, &[&[]]), Code::InvalidArgument),
        (set(kinds, &[&[1, 2]]), Code::InvalidArgument),
        (set(5, &[]), Code::InvalidArgument),
    ] {
        assert_eq!(code(kind.clone()).await, wanted, "{kind:?}");
    }
    for change in [Type::Insert, Type::Delete] {
        assert_eq!(
            code_of(&client, update(change, two.clone())).await,
            Code::InvalidArgument
        );
    }
    assert_eq!(code(set(kinds, &[])).await, Code::Ok);
    assert_eq!(port(0x22f3, 0), [10]);
    switch.shutdown();
}

#[tokio::test]
async fn entries_of_the_program_can_be_changed_unless_they_are_const() {
    let program = Named::entities();
    let (switch, client) = program.ready().await;
    let forward =
        |table: &str, key, port| program.entry(table, key, program.call("forward", &[port]));
    assert_eq!(ports(&switch, &branch(6, 1, 0, 0)), [1]);
    assert_eq!(
        entries(&client, program.id("started")).await,
        [forward("started", 1, 1), forward("started", 2, 2)]
    );
    write(
        &client,
        vec![
            modify(forward("started", 1, 8)),
            delete(forward("started", 2, 0)),
            insert(forward("started", 3, 9)),
        ],
    )
    .await;
    assert_eq!(ports(&switch, &branch(6, 1, 0, 0)), [8]);
    assert_eq!(ports(&switch, &branch(6, 2, 0, 0)), [0_u16; 0]);
    assert_eq!(ports(&switch, &branch(6, 3, 0, 0)), [9]);

    let fixed = TableEntry {
        is_const: true,
        ..forward("fixed", 7, 7)
    };
    assert_eq!(entries(&client, program.id("fixed")).await, [fixed]);
    for change in [
        modify(forward("fixed", 7, 8)),
        delete(forward("fixed", 7, 8)),
        insert(forward("fixed", 8, 8)),
    ] {
        assert_eq!(code_of(&client, change).await, Code::PermissionDenied);
    }
    switch.shutdown();
}

#[tokio::test]
async fn prefixes_of_odd_width_match_from_the_top_bit() {
    let program = Named::entities();
    let (switch, client) = program.ready().await;
    let by = |field, port| TableEntry {
        r#match: vec![field],
        ..program.entry("by_bits", 0, program.call("forward", &[port]))
    };
    // Eleven bits.
    let (wide, narrow) = (by(lpm(1, 0x400, 1), 3), by(lpm(1, 0x7ff, 11), 4));
    write(&client, vec![insert(wide.clone()), insert(narrow.clone())]).await;
    assert_eq!(ports(&switch, &branch(8, 0x400, 0, 0)), [3]);
    assert_eq!(ports(&switch, &branch(8, 0xfff, 0, 0)), [4]);
    assert_eq!(ports(&switch, &branch(8, 0x3ff, 0, 0)), [0_u16; 0]);
    let mut found = entries(&client, program.id("by_bits")).await;
    found.sort_by_key(|entry| entry == &narrow);
    assert_eq!(found, [wide, narrow]);
    for wrong in [lpm(1, 0x800, 1), lpm(1, 0x7ff, 12), lpm(1, 0x401, 1)] {
        assert_eq!(
            code_of(&client, insert(by(wrong, 1))).await,
            Code::InvalidArgument
        );
    }
    switch.shutdown();
}

#[tokio::test]
async fn entries_with_priorities_match_by_every_kind() {
    let program = Named::entities();
    let (switch, client) = program.ready().await;
    let by = |fields, priority, port| TableEntry {
        r#match: fields,
        priority,
        ..program.entry("by_all", 0, program.call("forward", &[port]))
    };
    let low = by(vec![ternary(1, 0x0100, 0xff00)], 1, 3);
    let high = by(vec![range(2, 5, 9), optional(3, 0)], 2, 4);
    write(&client, vec![insert(low.clone()), insert(high.clone())]).await;
    assert_eq!(ports(&switch, &branch(9, 0x0107, 0, 4)), [3]);
    assert_eq!(ports(&switch, &branch(9, 0x0107, 0, 5)), [4]);
    assert_eq!(ports(&switch, &branch(9, 0x0207, 0, 9)), [4]);
    assert_eq!(ports(&switch, &branch(9, 0x0207, 0, 10)), [0_u16; 0]);
    assert_eq!(entries(&client, program.id("by_all")).await.len(), 2);
    switch.shutdown();
}
