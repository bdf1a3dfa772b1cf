//! What people are told of a running chain: which rule counted what, over an edit and over killed
//! processes, what decides a flow, and that all sides hold the same rows.

use std::collections::BTreeMap;

use felix_proto::felix::to_dataplane::Payload;
use felix_proto::felix::{PortRange, Rule, ToDataplane};
use offload_api::host::{FlowQuestion, HostClient, Policy};
use policy_model::{Flow, L4};
use prost::Message;

use super::rig::{Rig, SNAPSHOT, block_on};
use crate::demo::Stream;
use crate::demo::kill::Victim;

/// The policy of `shop/db-0`, as Felix said it in the snapshot.
fn recorded() -> Payload {
    let frames = Stream::open("small").unwrap().frames;
    let payloads = frames[..=SNAPSHOT].iter().filter_map(|frame| {
        let message = ToDataplane::decode(frame.body.clone()).unwrap();
        message.payload
    });
    let mut ours = payloads.filter(|payload| {
        let Payload::ActivePolicyUpdate(update) = payload else {
            return false;
        };
        let id = update.id.as_ref().unwrap();
        id.name.ends_with("db-only-api")
    });
    ours.next().unwrap()
}

/// The same policy with a rule in front of its own, which keep their ids.
fn edited() -> (Payload, Vec<String>) {
    let mut payload = recorded();
    let Payload::ActivePolicyUpdate(update) = &mut payload else {
        panic!("it is a policy");
    };
    let rules = &mut update.policy.as_mut().unwrap().inbound_rules;
    let ids = rules.iter().map(|rule| rule.rule_id.clone()).collect();
    let front = Rule {
        action: "deny".to_owned(),
        dst_ports: vec![PortRange { first: 1, last: 2 }],
        protocol: rules[0].protocol.clone(),
        rule_id: "a-rule-in-front".to_owned(),
        ..Rule::default()
    };
    rules.insert(0, front);
    (payload, ids)
}

async fn people(rig: &Rig) -> HostClient {
    let socket = rig.chain.host_socket();
    HostClient::connect(&socket).await.unwrap()
}

/// Packets by policy, and by the ids of the rules of one of them.
async fn counts(rig: &Rig) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
    let policies = people(rig).await.policies().await.unwrap();
    let packets = |policy: &Policy| policy.hits.unwrap().packets;
    let ours = policies
        .iter()
        .find(|policy| policy.name.ends_with("db-only-api"))
        .unwrap();
    let rules = ours
        .rules
        .iter()
        .map(|rule| (rule.id.clone(), rule.packets.unwrap()));
    let rules = rules.collect();
    let all = policies
        .iter()
        .map(|policy| (policy.name.clone(), packets(policy)));
    (all.collect(), rules)
}

fn question(flow: &Flow) -> FlowQuestion {
    let mut question = FlowQuestion {
        source: flow.src.to_string(),
        destination: flow.dst.to_string(),
        protocol: flow.protocol.0.into(),
        ..FlowQuestion::default()
    };
    match flow.l4 {
        L4::Ports { src, dst } => {
            question.source_port = src.into();
            question.destination_port = dst.into();
        }
        L4::Icmp { kind, code } => {
            question.icmp_type = kind.into();
            question.icmp_code = code.into();
        }
        L4::Other => {}
    }
    question
}

#[test]
fn counts_outlive_an_edit_and_every_process() {
    let (edit, ids) = edited();
    block_on(async move {
        let mut rig = Rig::start(vec![edit]).await;
        rig.agrees(0).await;
        let (policies, rules) = counts(&rig).await;
        let hits: u64 = ids.iter().map(|id| rules[id]).sum();
        assert!(hits > 0, "{rules:?}");
        assert!(policies.values().sum::<u64>() > hits, "{policies:?}");

        rig.chain.play(SNAPSHOT + 1).await.unwrap();
        let (after, edited) = counts(&rig).await;
        assert_eq!(after, policies, "an edit loses nothing");
        for id in &ids {
            assert_eq!(edited[id], rules[id], "a rule that moved keeps its count");
        }
        assert_eq!(edited["a-rule-in-front"], 0);

        for victim in [Victim::HostAgent, Victim::DpuAgent, Victim::P4switch] {
            rig.chain.restart(victim).await.unwrap();
            if matches!(victim, Victim::P4switch) {
                rig.reconnect().await;
            }
            let (now, _) = counts(&rig).await;
            assert_eq!(now, policies, "{victim:?} was killed");
        }
        rig.agrees(1).await;
        let (more, rules) = counts(&rig).await;
        assert!(
            more.values().sum::<u64>() > policies.values().sum(),
            "{more:?}"
        );
        assert!(rules["a-rule-in-front"] > 0 || rules.values().sum::<u64>() > hits);
    });
}

#[test]
fn what_is_explained_is_what_packets_do_and_what_counts() {
    block_on(async {
        let mut rig = Rig::start(Vec::new()).await;
        // So each packet below is the first of a connection, and each flow was tried.
        rig.agrees(0).await;
        let mut people = people(&rig).await;
        let mut counted = 0;
        for case in &rig.plan.stages[0].cases {
            let answer = people.explain(question(&case.probe.flow)).await.unwrap();
            assert!(answer.agrees(), "{answer:#?}");
            assert_eq!(answer.allow, case.verdict.allow, "{answer:#?}");
            let last = answer.row_legs.last();
            let row = last.filter(|leg| !leg.steps.is_empty());
            let Some(leg) = row else { continue };
            assert_eq!(leg.hits_error, "", "{answer:#?}");
            // The packet of this very flow is among them, unless it was told apart before policy.
            assert!(leg.hits.unwrap().packets > 0, "{answer:#?}");
            counted += 1;
        }
        assert!(counted > 100, "{counted}");

        let diff = people.diff(5).await.unwrap();
        assert!(diff.is_equal(), "{diff:#?}");
        let rows: u64 = diff.tables.iter().map(|table| table.target).sum();
        assert_eq!(rows, people.status().await.unwrap().dpu.rows);
        rig.chain.device().await.unwrap();
    });
}
