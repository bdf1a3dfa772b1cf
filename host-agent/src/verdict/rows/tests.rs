//! Explanations of random flows in random worlds: verdict and rule are the evaluator's, and the steps
//! are the rows that a packet takes.

use policy_compiler::generate::{Choices, Edges, Size, change, flow, site, world};
use policy_model::{Action, Protocol};
use table_model::{Atomicity, Capability, Flip};

use super::*;

/// Worlds; each is tried as it is and after a few changes.
const WORLDS: u64 = 40;
/// Flows tried in each of their states.
const FLOWS: usize = 40;

fn compiler(semantics: &Semantics, seed: u64) -> Compiler {
    let capability = Capability {
        target: String::new(),
        flip: Flip::Modify,
        atomicity: Atomicity::Dataplane,
        batch: 1000,
        limits: Vec::new(),
    };
    let compiler = Compiler::new(capability, semantics.clone());
    if seed.is_multiple_of(2) {
        compiler.with_short_leg(0)
    } else {
        compiler
    }
}

fn of_pod(endpoint: &str) -> bool {
    endpoint.starts_with("endpoints/")
}

fn check(explained: &Explained, verdict: &Verdict) {
    let Explained { answer, verdicts } = explained;
    assert_eq!(answer.allow, verdict.allow);
    assert_eq!(answer.rows_allow, verdict.allow, "{answer:#?}");
    assert!(answer.rule_agrees, "{answer:#?}");
    assert_eq!(answer.drop.is_empty(), verdict.allow);
    assert_eq!(answer.out_port.is_some(), verdict.allow);
    assert!(answer.row_legs.len() <= answer.legs.len());
    // Host endpoints may have nothing to say at an address, and no rows then: `rule_agrees` is about
    // them as well.
    let rows = answer.row_legs.iter().zip(verdicts);
    for (leg, key) in rows.filter(|(leg, _)| of_pod(&leg.endpoint)) {
        let mut legs = answer.legs.iter();
        let said = legs
            .find(|said| (&said.endpoint, said.direction) == (&leg.endpoint, leg.direction))
            .unwrap();
        if said.steps.is_empty() {
            assert!(leg.steps.is_empty() && key.is_none(), "{answer:#?}");
            continue;
        }
        let rule = |decision: &host::Decision| host::Decision {
            reason: String::new(),
            ..decision.clone()
        };
        assert_eq!(rule(&leg.decision), rule(&said.decision));
        assert!(key.is_some(), "a verdict row is counted: {answer:#?}");
        let last = leg.steps.last().unwrap();
        assert_eq!(last.says, if leg.allow { "allow" } else { "deny" });
        for step in &leg.steps {
            assert_eq!(step.rows[0].table, STEP, "{answer:#?}");
        }
        let between = &leg.steps[..leg.steps.len() - 1];
        for step in between {
            assert!(
                matches!(&*step.says, "next_policy" | "next_tier"),
                "{answer:#?}"
            );
        }
    }
}

#[test]
fn verdict_and_rule_are_those_of_the_evaluator() {
    let mut legs = 0;
    let mut chains = 0;
    for seed in 0..WORLDS {
        let semantics = Semantics {
            policy_only: seed % 4 < 2,
            node: site().node(),
            ..Semantics::default()
        };
        let mut choices = Choices::new(seed);
        let mut model = PolicyModel::new();
        for update in world(&mut choices, Size::SMALL) {
            model.apply(update).unwrap();
        }
        let mut compiler = compiler(&semantics, seed);
        for _ in 0..2 {
            let changes = model.take_changes();
            compiler.commit(&model, &changes, &site()).unwrap();
            let edges = Edges::of(&model);
            for _ in 0..FLOWS {
                let Some(flow) = flow(&mut choices, &edges) else {
                    continue;
                };
                let explained = explain(&model, &semantics, &compiler, &site(), &flow);
                check(&explained, &evaluate(&model, &semantics, &flow));
                legs += explained.answer.row_legs.len();
                let steps = explained.answer.row_legs.iter().map(|leg| leg.steps.len());
                chains += usize::from(steps.max() > Some(1));
            }
            for _ in 0..4 {
                let update = change(&mut choices, Size::SMALL, &model);
                model.apply(update).unwrap();
            }
        }
    }
    assert!(legs > 1000, "{legs} legs");
    assert!(chains > 100, "{chains} legs of several steps");
}

#[test]
fn the_rule_is_told_as_the_user_wrote_it() {
    let semantics = Semantics::default();
    let mut choices = Choices::new(3);
    let mut model = PolicyModel::new();
    for update in world(&mut choices, Size::SMALL) {
        model.apply(update).unwrap();
    }
    let (id, workload) = model.workloads().next().unwrap();
    let (id, mut workload) = (id.clone(), workload.clone());
    let (policy_id, policy) = model.policies().find(|(id, _)| !id.is_staged()).unwrap();
    let (policy_id, mut policy) = (policy_id.clone(), policy.clone());
    let mut rule = model
        .policies()
        .find_map(|(_, policy)| policy.inbound.first())
        .unwrap()
        .clone();
    rule.action = Action::Allow;
    (rule.family, rule.protocol, rule.not_protocol) = (None, Some(Protocol::UDP), None);
    (rule.icmp, rule.not_icmp, rule.http) = (None, None, None);
    (rule.src, rule.dst) = Default::default();
    rule.notes = std::sync::Arc::new(policy_model::RuleNotes {
        written: BTreeMap::from([("original_src_selector".into(), "app == 'x'".into())]),
        annotations: BTreeMap::from([("ticket".into(), "42".into())]),
    });
    policy.inbound = vec![rule];
    workload.active = true;
    workload.invalid.clear();
    workload.tiers = vec![policy_model::Tier {
        name: "default".into(),
        ingress: vec![policy_id.clone()],
        egress: Vec::new(),
        default_pass: false,
    }];
    let address = workload.addresses().next().unwrap();
    for update in [
        policy_model::Update::Policy(policy_id, policy),
        policy_model::Update::Workload(id, workload),
    ] {
        model.apply(update).unwrap();
    }
    let mut compiler = compiler(&semantics, 1);
    let changes = model.take_changes();
    compiler.commit(&model, &changes, &site()).unwrap();
    let flow = Flow {
        src: [198, 51, 100, 1].into(),
        dst: address,
        protocol: Protocol::UDP,
        l4: policy_model::L4::Ports { src: 9, dst: 53 },
    };
    let Explained { answer, .. } = explain(&model, &semantics, &compiler, &site(), &flow);
    assert!(answer.agrees(), "{answer:#?}");
    // A host endpoint may have been asked before.
    let mut rows = answer.row_legs.iter();
    let rows = rows.find(|leg| of_pod(&leg.endpoint)).unwrap();
    let mut legs = answer.legs.iter();
    let leg = legs.find(|leg| of_pod(&leg.endpoint)).unwrap();
    for decision in [&rows.decision, &leg.decision] {
        assert_eq!(decision.written["original_src_selector"], "app == 'x'");
        assert_eq!(decision.annotations["ticket"], "42");
    }
}
