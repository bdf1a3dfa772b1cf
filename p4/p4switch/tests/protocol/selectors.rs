//! P4Runtime 9.2: members, groups and one-shot action sets.

use p4runtime_proto::{
    Client,
    client::Ready,
    p4::v1::{
        ActionProfileAction, ActionProfileActionSet, ActionProfileGroup, ActionProfileMember,
        FieldMatch, TableAction, TableEntry, action_profile_action,
        action_profile_group::{Member, member::WatchKind},
        entity::Entity as Kind,
        table_action,
        update::Type,
        write_request::Atomicity,
    },
};
use p4switch::Handle;
use tonic::Code;

use crate::support::{
    Named, branch, code_of, delete, entries, entry, exact, failures, insert, lpm, modify, ports,
    read, update, write,
};

struct Setup {
    program: Named,
    switch: Handle,
    client: Client<Ready>,
}

impl Setup {
    async fn new() -> Self {
        let program = Named::entities();
        let (switch, client) = program.ready().await;
        Self {
            program,
            switch,
            client,
        }
    }

    fn member(&self, profile: &str, member_id: u32, port: u128) -> Kind {
        Kind::ActionProfileMember(ActionProfileMember {
            action_profile_id: self.program.id(profile),
            member_id,
            action: Some(self.program.call("forward", &[port])),
        })
    }

    fn group(&self, group_id: u32, members: Vec<Member>) -> Kind {
        Kind::ActionProfileGroup(ActionProfileGroup {
            action_profile_id: self.program.id("spread"),
            group_id,
            members,
            max_size: 0,
        })
    }

    fn by(&self, table: &str, key: u128, kind: table_action::Type) -> TableEntry {
        let action = TableAction { r#type: Some(kind) };
        entry(self.program.id(table), vec![exact(1, key)], action)
    }

    fn set(&self, field: FieldMatch, actions: Vec<ActionProfileAction>) -> TableEntry {
        let set = ActionProfileActionSet {
            action_profile_actions: actions,
            ..ActionProfileActionSet::default()
        };
        let action = TableAction {
            r#type: Some(table_action::Type::ActionProfileActionSet(set)),
        };
        entry(self.program.id("by_set"), vec![field], action)
    }

    fn one(&self, port: u128, weight: i32, watch: &'static [u8]) -> ActionProfileAction {
        ActionProfileAction {
            action: Some(self.program.call("forward", &[port])),
            weight,
            watch_kind: (!watch.is_empty())
                .then(|| action_profile_action::WatchKind::WatchPort(watch.into())),
        }
    }

    async fn code(&self, change: Type, kind: Kind) -> Code {
        code_of(&self.client, update(change, kind)).await
    }

    /// How often each port takes a frame of a thousand flows.
    fn shares(&self, table: u8, key: u16) -> std::collections::BTreeMap<Vec<u16>, usize> {
        let mut shares = std::collections::BTreeMap::new();
        for flow in 0..1000 {
            let out = ports(&self.switch, &branch(table, key, flow * 7919, 0));
            *shares.entry(out).or_default() += 1;
        }
        shares
    }
}

fn member(member_id: u32, weight: i32, watch: &'static [u8]) -> Member {
    Member {
        member_id,
        weight,
        watch_kind: (!watch.is_empty()).then(|| WatchKind::WatchPort(watch.into())),
    }
}

#[tokio::test]
async fn entries_share_the_action_of_their_member() {
    let setup = Setup::new().await;
    let two = setup.member("listed", 2, 5);
    assert_eq!(setup.code(Type::Modify, two.clone()).await, Code::NotFound);
    assert_eq!(setup.code(Type::Delete, two.clone()).await, Code::NotFound);
    assert_eq!(setup.code(Type::Insert, two.clone()).await, Code::Ok);
    assert_eq!(
        setup.code(Type::Insert, two.clone()).await,
        Code::AlreadyExists
    );
    let use_two = setup.by("by_member", 9, table_action::Type::ActionProfileMemberId(2));
    let use_three = setup.by("by_member", 8, table_action::Type::ActionProfileMemberId(3));
    assert_eq!(
        code_of(&setup.client, insert(use_three)).await,
        Code::NotFound
    );
    write(&setup.client, vec![insert(use_two.clone())]).await;
    assert_eq!(
        entries(&setup.client, setup.program.id("by_member")).await,
        std::slice::from_ref(&use_two)
    );
    assert_eq!(ports(&setup.switch, &branch(1, 9, 0, 0)), [5]);
    let changed = setup.member("listed", 2, 6);
    assert_eq!(setup.code(Type::Modify, changed.clone()).await, Code::Ok);
    assert_eq!(ports(&setup.switch, &branch(1, 9, 0, 0)), [6]);
    assert_eq!(
        setup.code(Type::Delete, changed.clone()).await,
        Code::FailedPrecondition
    );
    write(&setup.client, vec![delete(use_two)]).await;
    assert_eq!(setup.code(Type::Delete, changed).await, Code::Ok);

    // The profile holds eight.
    for id in 1..=8 {
        assert_eq!(
            setup
                .code(Type::Insert, setup.member("listed", id, 1))
                .await,
            Code::Ok
        );
    }
    assert_eq!(
        setup.code(Type::Insert, setup.member("listed", 9, 1)).await,
        Code::ResourceExhausted
    );
    setup.switch.shutdown();
}

#[tokio::test]
async fn a_group_spreads_flows_by_weight_and_leaves_dead_ports_out() {
    let setup = Setup::new().await;
    for (id, port) in [(1, 11), (2, 12)] {
        write(
            &setup.client,
            vec![update(Type::Insert, setup.member("spread", id, port))],
        )
        .await;
    }
    let group = setup.group(7, vec![member(1, 3, &[11]), member(2, 1, &[])]);
    assert_eq!(setup.code(Type::Insert, group.clone()).await, Code::Ok);
    assert_eq!(
        setup.code(Type::Insert, group.clone()).await,
        Code::AlreadyExists
    );
    let by_group = setup.by("by_group", 1, table_action::Type::ActionProfileGroupId(7));
    write(&setup.client, vec![insert(by_group.clone())]).await;
    assert_eq!(
        entries(&setup.client, setup.program.id("by_group")).await,
        std::slice::from_ref(&by_group)
    );
    let shares = setup.shares(2, 1);
    assert_eq!(shares.keys().collect::<Vec<_>>(), [&vec![11], &vec![12]]);
    let first = shares[&vec![11]];
    assert!((650..850).contains(&first), "{shares:?}");

    setup.switch.set_port(11, false).expect("taken");
    assert_eq!(setup.shares(2, 1).keys().collect::<Vec<_>>(), [&vec![12]]);
    // A member of which the group is short at the moment is still part of it.
    assert_eq!(
        setup.code(Type::Delete, setup.member("spread", 1, 0)).await,
        Code::FailedPrecondition
    );
    assert_eq!(
        read(&setup.client, setup.group(7, vec![])).await,
        std::slice::from_ref(&group)
    );
    setup.switch.set_port(11, true).expect("taken");
    assert_eq!(setup.shares(2, 1), shares);

    assert_eq!(
        setup.code(Type::Delete, group).await,
        Code::FailedPrecondition
    );
    // An empty group does nothing to the packet, which was marked to drop before.
    let empty = setup.group(7, vec![]);
    assert_eq!(setup.code(Type::Modify, empty.clone()).await, Code::Ok);
    assert_eq!(
        setup.shares(2, 1).keys().collect::<Vec<_>>(),
        [&Vec::<u16>::new()]
    );
    write(&setup.client, vec![delete(by_group)]).await;
    assert_eq!(setup.code(Type::Delete, empty.clone()).await, Code::Ok);
    assert_eq!(setup.code(Type::Delete, empty).await, Code::NotFound);
    setup.switch.shutdown();
}

#[tokio::test]
async fn members_and_groups_are_read_by_profile_and_id() {
    let setup = Setup::new().await;
    let mut all = Vec::new();
    for (profile, id) in [("listed", 1), ("spread", 1), ("spread", 2)] {
        let member = setup.member(profile, id, u128::from(id));
        write(&setup.client, vec![update(Type::Insert, member.clone())]).await;
        all.push(member);
    }
    let query = |profile: &str, member_id| {
        let action_profile_id = if profile.is_empty() {
            0
        } else {
            setup.program.id(profile)
        };
        Kind::ActionProfileMember(ActionProfileMember {
            action_profile_id,
            member_id,
            action: None,
        })
    };
    let found = read(&setup.client, query("", 0)).await;
    assert_eq!(found.len(), 3);
    assert!(all.iter().all(|member| found.contains(member)));
    assert_eq!(read(&setup.client, query("spread", 0)).await, all[1..]);
    assert_eq!(read(&setup.client, query("spread", 2)).await, all[2..]);
    assert_eq!(read(&setup.client, query("spread", 3)).await, []);
    let groups = [
        setup.group(1, vec![member(1, 1, &[])]),
        setup.group(2, vec![]),
    ];
    for group in &groups {
        write(&setup.client, vec![update(Type::Insert, group.clone())]).await;
    }
    let all = Kind::ActionProfileGroup(ActionProfileGroup::default());
    assert_eq!(read(&setup.client, all).await, groups);
    setup.switch.shutdown();
}

#[tokio::test]
async fn wrong_groups_are_refused_by_the_code_of_the_specification() {
    let setup = Setup::new().await;
    write(
        &setup.client,
        vec![update(Type::Insert, setup.member("spread", 1, 1))],
    )
    .await;
    let group = |members, max_size| {
        Kind::ActionProfileGroup(ActionProfileGroup {
            action_profile_id: setup.program.id("spread"),
            group_id: 1,
            members,
            max_size,
        })
    };
    for (kind, wanted) in [
        (group(vec![member(1, 0, &[])], 0), Code::InvalidArgument),
        (group(vec![member(1, -1, &[])], 0), Code::InvalidArgument),
        (group(vec![member(0, 1, &[])], 0), Code::InvalidArgument),
        (
            group(vec![member(1, 1, &[]), member(1, 1, &[])], 0),
            Code::InvalidArgument,
        ),
        (
            group(vec![member(1, 1, &[1, 0, 0])], 0),
            Code::InvalidArgument,
        ),
        (group(vec![], -1), Code::InvalidArgument),
        (group(vec![member(2, 1, &[])], 0), Code::NotFound),
        (group(vec![member(1, 3, &[])], 2), Code::ResourceExhausted),
        (
            group(vec![member(1, i32::MAX, &[])], 0),
            Code::ResourceExhausted,
        ),
        (group(vec![], i32::MAX), Code::ResourceExhausted),
        (setup.group(0, vec![]), Code::InvalidArgument),
        (setup.member("spread", 0, 1), Code::InvalidArgument),
        (setup.member("spread", 5, 512), Code::InvalidArgument),
        (
            Kind::ActionProfileGroup(ActionProfileGroup {
                action_profile_id: setup.program.id("listed"),
                group_id: 1,
                ..ActionProfileGroup::default()
            }),
            Code::InvalidArgument,
        ),
    ] {
        assert_eq!(
            setup.code(Type::Insert, kind.clone()).await,
            wanted,
            "{kind:?}"
        );
    }
    // The size is for good.
    assert_eq!(setup.code(Type::Insert, group(vec![], 4)).await, Code::Ok);
    assert_eq!(
        setup.code(Type::Modify, group(vec![], 5)).await,
        Code::InvalidArgument
    );
    // A direct action in a table with a profile, and a group in one without selector.
    let direct = setup
        .program
        .entry("by_group", 1, setup.program.call("forward", &[1]));
    let grouped = setup.by("by_member", 1, table_action::Type::ActionProfileGroupId(1));
    for wrong in [direct, grouped] {
        assert_eq!(
            code_of(&setup.client, insert(wrong)).await,
            Code::InvalidArgument
        );
    }
    setup.switch.shutdown();
}

#[tokio::test]
async fn a_set_comes_and_goes_with_its_entry() {
    let setup = Setup::new().await;
    let field = || lpm(1, 0x0100, 8);
    let first = setup.set(
        field(),
        vec![
            setup.one(11, 1, &[11]),
            setup.one(12, 1, &[]),
            setup.one(12, 1, &[]),
        ],
    );
    write(&setup.client, vec![insert(first.clone())]).await;
    assert_eq!(
        entries(&setup.client, setup.program.id("by_set")).await,
        std::slice::from_ref(&first)
    );
    let shares = setup.shares(3, 0x0102);
    assert_eq!(shares.keys().collect::<Vec<_>>(), [&vec![11], &vec![12]]);
    setup.switch.set_port(11, false).expect("taken");
    assert_eq!(
        setup.shares(3, 0x0102).keys().collect::<Vec<_>>(),
        [&vec![12]]
    );
    setup.switch.set_port(11, true).expect("taken");
    assert_eq!(setup.shares(3, 0x0102), shares);

    // The members that the switch makes are not the controller's to see.
    let all = Kind::ActionProfileMember(ActionProfileMember::default());
    assert_eq!(read(&setup.client, all).await, []);

    let second = setup.set(field(), vec![setup.one(13, 2, &[])]);
    write(&setup.client, vec![modify(second.clone())]).await;
    assert_eq!(
        setup.shares(3, 0x0102).keys().collect::<Vec<_>>(),
        [&vec![13]]
    );
    // Taken back as a whole with its batch.
    let batch = vec![
        modify(first.clone()),
        delete(second.clone()),
        insert(first.clone()),
        insert(first.clone()),
    ];
    let failed = failures(&setup.client, batch, Atomicity::RollbackOnError).await;
    assert_eq!(failed[3].code, Code::AlreadyExists);
    assert_eq!(
        entries(&setup.client, setup.program.id("by_set")).await,
        std::slice::from_ref(&second)
    );
    assert_eq!(
        setup.shares(3, 0x0102).keys().collect::<Vec<_>>(),
        [&vec![13]]
    );
    write(&setup.client, vec![delete(second)]).await;

    // Many times over: nothing of a set stays behind, or the profile would be full.
    for _ in 0..200 {
        write(&setup.client, vec![insert(first.clone())]).await;
        write(&setup.client, vec![delete(first.clone())]).await;
    }
    for (wrong, wanted) in [
        (setup.one(11, 0, &[]), Code::InvalidArgument),
        (setup.one(512, 1, &[]), Code::InvalidArgument),
        (setup.one(11, i32::MAX, &[]), Code::ResourceExhausted),
    ] {
        let entry = setup.set(field(), vec![wrong]);
        assert_eq!(code_of(&setup.client, insert(entry)).await, wanted);
    }
    setup.switch.shutdown();
}

#[tokio::test]
async fn sets_and_groups_do_not_mix_in_one_selector() {
    let setup = Setup::new().await;
    let set = setup.set(lpm(1, 0x0100, 8), vec![setup.one(11, 1, &[])]);
    write(&setup.client, vec![insert(set.clone())]).await;
    assert_eq!(
        setup.code(Type::Insert, setup.member("shot", 1, 1)).await,
        Code::InvalidArgument
    );
    write(&setup.client, vec![delete(set.clone())]).await;
    assert_eq!(
        setup.code(Type::Insert, setup.member("shot", 1, 1)).await,
        Code::Ok
    );
    assert_eq!(
        code_of(&setup.client, insert(set)).await,
        Code::InvalidArgument
    );
    setup.switch.shutdown();
}
