//! Bad input to a running chain: each gives a message that says what is wrong, and nothing that was
//! enforced before is lost.

use felix_proto::felix::to_dataplane::Payload;
use felix_proto::felix::{
    ActivePolicyUpdate, Policy, PolicyId, PortRange, Protocol, Rule, WorkloadEndpoint,
    WorkloadEndpointId, WorkloadEndpointUpdate, protocol,
};

use super::rig::{Rig, SNAPSHOT, block_on, frame};
use crate::demo::kill::Victim;

/// The policy of `shop/db-0` with these inbound rules.
fn policy(inbound_rules: Vec<Rule>) -> Payload {
    Payload::ActivePolicyUpdate(ActivePolicyUpdate {
        id: Some(PolicyId {
            name: "default.db-only-api".to_owned(),
            namespace: "shop".to_owned(),
            kind: "NetworkPolicy".to_owned(),
            ..PolicyId::default()
        }),
        policy: Some(Policy {
            namespace: "shop".to_owned(),
            tier: "default".to_owned(),
            inbound_rules,
            ..Policy::default()
        }),
    })
}

fn named(name: &str) -> Option<Protocol> {
    Some(Protocol {
        number_or_name: Some(protocol::NumberOrName::Name(name.to_owned())),
    })
}

/// A header that promises 4 GiB: the relay ends, Felix starts anew, and all stands as before.
#[test]
fn a_frame_of_four_gibibytes_costs_a_session_and_nothing_else() {
    block_on(async {
        let mut rig = Rig::start(Vec::new()).await;
        let before = rig.entries().await;
        let written = rig.chain.writes().await.unwrap();
        rig.chain.player().say((1u64 << 32).to_le_bytes().to_vec());
        rig.log_says("felix-bridge", &["4294967296 bytes", "the limit is"])
            .await;
        let mut talk = rig.chain.player().talk();
        talk.wait_for(|talk| talk.sessions == 2).await.unwrap();
        rig.chain.whole().await.unwrap();
        assert_eq!(rig.entries().await, before);
        assert_eq!(rig.chain.writes().await.unwrap(), written);
        rig.agrees(0).await;
    });
}

/// A frame that is cut off by the end of Felix: what came before it stands.
#[test]
fn a_truncated_frame_leaves_what_is_enforced() {
    block_on(async {
        let mut rig = Rig::start(Vec::new()).await;
        let before = rig.entries().await;
        let mut half = 100u64.to_le_bytes().to_vec();
        half.extend([0; 40]);
        rig.chain.player().say(half);
        rig.chain.restart(Victim::Relay).await.unwrap();
        assert_eq!(rig.entries().await, before);
        rig.agrees(0).await;
    });
}

/// A message of a newer Felix is skipped and told of; what follows is enforced.
#[test]
fn an_unknown_message_is_told_of_and_skipped() {
    block_on(async {
        let mut rig = Rig::start(Vec::new()).await;
        let before = rig.entries().await;
        // Field 90 with the two bytes "hi", then the sequence number, which is field 15.
        let mut body = vec![0xd2, 0x05, 2, b'h', b'i', 15 << 3];
        body.push(u8::try_from(SNAPSHOT + 1).unwrap());
        let mut bytes = (body.len() as u64).to_le_bytes().to_vec();
        bytes.extend(body);
        rig.chain.player().say(bytes);
        rig.log_says("host-agent", &["90"]).await;
        assert_eq!(rig.entries().await, before);
        rig.agrees(0).await;
    });
}

#[test]
fn an_unknown_protocol_name_closes_the_endpoint_and_is_listed() {
    let rule = Rule {
        action: "allow".to_owned(),
        protocol: named("carrier-pigeon"),
        ..Rule::default()
    };
    refused(policy(vec![rule]), &["carrier-pigeon"]);
}

#[test]
fn a_rule_that_names_a_missing_set_closes_the_endpoint_and_is_listed() {
    let rule = Rule {
        action: "allow".to_owned(),
        protocol: named("tcp"),
        dst_ports: vec![PortRange {
            first: 5432,
            last: 5432,
        }],
        src_ip_set_ids: vec!["s:nobody-has-sent-this".to_owned()],
        ..Rule::default()
    };
    refused(policy(vec![rule]), &["s:nobody-has-sent-this"]);
}

/// One live change of policy that cannot be enforced: it is listed with its reason, its endpoint
/// denies, everybody else goes on.
fn refused(change: Payload, words: &[&str]) {
    block_on(async {
        let mut rig = Rig::start(vec![change]).await;
        rig.agrees(0).await;
        rig.chain.play(SNAPSHOT + 1).await.unwrap();
        let refusals = rig.refusals().await;
        let told: Vec<String> = refusals.iter().map(|one| format!("{one:?}")).collect();
        let all = |text: &String| {
            words.iter().all(|word| text.contains(word)) && text.contains("db-only-api")
        };
        assert!(told.iter().any(all), "{told:?}");
        rig.agrees(1).await;
        let closed = rig.plan.stages[1].cases.iter().filter(|case| {
            case.verdict.decided_by.reason.contains("db-only-api") && !case.verdict.allow
        });
        assert!(closed.count() > 10, "nobody is closed by the refusal");
    });
}

/// More addresses than a table holds: the change is refused as a whole and named, and what was
/// enforced stays; the next change that fits is enforced.
#[test]
fn a_full_table_is_named_and_nothing_is_lost() {
    let workload = |count: u16| {
        let nets = (0..count).map(|number| {
            let [high, low] = number.to_be_bytes();
            format!("10.66.{high}.{low}/32")
        });
        Payload::WorkloadEndpointUpdate(WorkloadEndpointUpdate {
            id: Some(WorkloadEndpointId {
                orchestrator_id: "k8s".to_owned(),
                workload_id: "shop/many".to_owned(),
                endpoint_id: "eth0".to_owned(),
            }),
            endpoint: Some(WorkloadEndpoint {
                state: "active".to_owned(),
                name: "calimany".to_owned(),
                profile_ids: vec!["kns.shop".to_owned()],
                ipv4_nets: nets.collect(),
                ..WorkloadEndpoint::default()
            }),
        })
    };
    block_on(async {
        let mut rig = Rig::start(vec![workload(2)]).await;
        let before = rig.entries().await;
        let too_many = frame(SNAPSHOT as u64 + 1, workload(5000));
        let mut bytes = (too_many.body.len() as u64).to_le_bytes().to_vec();
        bytes.extend(&too_many.body);
        rig.chain.player().say(bytes);
        let full = rig.chain.status_when(|status| {
            status.compile_error.contains("endpoint_") || status.dpu.error.contains("endpoint_")
        });
        let full = full.await.unwrap();
        let said = format!("{} {}", full.compile_error, full.dpu.error);
        assert!(said.contains("no room for 5000 more rows"), "{said}");
        assert!(said.contains("are free"), "{said}");
        assert_eq!(rig.entries().await, before);
        rig.agrees(0).await;
        let fits = frame(SNAPSHOT as u64 + 2, workload(2));
        let mut bytes = (fits.body.len() as u64).to_le_bytes().to_vec();
        bytes.extend(&fits.body);
        rig.chain.player().say(bytes);
        let healed = rig.chain.status_when(|status| {
            status.compile_error.is_empty() && status.felix.enforced == SNAPSHOT as u64 + 2
        });
        healed.await.unwrap();
        assert!(rig.entries().await.is_superset(&before));
    });
}

/// The DPU agent's certificate names another than the host agent was told of: both names are in the
/// message, and the tables stay.
#[test]
fn a_certificate_of_the_wrong_name_is_refused_with_both_names() {
    block_on(async {
        let mut rig = Rig::start(Vec::new()).await;
        let before = rig.entries().await;
        rig.chain
            .restart_with(Victim::HostAgent, &["--dpu-name", "dpu-b"])
            .await
            .unwrap();
        let refused = rig.chain.status_when(|status| {
            let error = &status.dpu.error;
            error.contains("spiffe://margay/dpu-agent/dpu-a")
                && error.contains("spiffe://margay/dpu-agent/dpu-b")
        });
        refused.await.unwrap();
        assert_eq!(rig.entries().await, before);
        rig.agrees(0).await;
        assert!(rig.folder().join("pki/ca.pem").exists());
    });
}
