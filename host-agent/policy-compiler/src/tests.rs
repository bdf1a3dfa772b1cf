//! The compiler held to the reference evaluator and to itself.

mod agree;
mod cases;
mod full;
mod history;
mod hitless;
mod hosts;
mod reach;

use proptest::prelude::ProptestConfig;

use policy_model::{Flow, HostList, Judge, L4, PolicyModel, Semantics, Update, Verdict, evaluate};
use table_model::{Atomicity, Capability, Flip};

use crate::generate::{Choices, Edges, HOST, Size, UPLINK, flow, site, world};
use crate::{Commit, Compiler, HostAction, LegOwner, RuleHolder, Walker};

/// So many cases, or as many as `PROPTEST_CASES` says. Failing seeds are kept beside the sources.
fn cases(default: u32) -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = default * nightly();
    }
    config
}

/// Ten times as many in a nightly run (`testbed test --nightly`).
fn nightly() -> u32 {
    if std::env::var_os("MARGAY_NIGHTLY").is_some() {
        10
    } else {
        1
    }
}

fn capability() -> Capability {
    Capability {
        target: "test".into(),
        flip: Flip::Modify,
        atomicity: Atomicity::Dataplane,
        batch: 1000,
        limits: Vec::new(),
    }
}

/// Every other seed has a step for each policy, however short the leg.
fn new_compiler(seed: u64, semantics: Semantics) -> Compiler {
    let compiler = Compiler::new(capability(), semantics);
    if seed.is_multiple_of(2) {
        compiler.with_short_leg(0)
    } else {
        compiler
    }
}

fn semantics(policy_only: bool) -> Semantics {
    Semantics {
        policy_only,
        node: site().node(),
        ..Semantics::default()
    }
}

fn model_of(updates: Vec<Update>) -> PolicyModel {
    let mut model = PolicyModel::new();
    for update in updates {
        model.apply(update).unwrap();
    }
    model
}

fn generated(seed: u64, size: Size) -> (Choices, PolicyModel) {
    let mut choices = Choices::new(seed);
    let updates = world(&mut choices, size);
    (choices, model_of(updates))
}

fn commit(compiler: &mut Compiler, model: &mut PolicyModel) -> Commit {
    let changes = model.take_changes();
    compiler.commit(model, &changes, &site()).unwrap()
}

fn apply(walker: &mut Walker, commit: &Commit) {
    for update in commit.phases.iter().flat_map(|phase| &phase.updates) {
        walker.apply(update.clone()).unwrap();
    }
}

fn flows(choices: &mut Choices, model: &PolicyModel, count: usize) -> Vec<Flow> {
    let edges = Edges::of(model);
    let mut flows = Vec::new();
    for _ in 0..count {
        flows.extend(flow(choices, &edges));
    }
    flows
}

/// The rows must say what the evaluator says, leg by leg, and by the same rule.
fn check_flow(
    compiler: &Compiler,
    walker: &Walker,
    model: &PolicyModel,
    semantics: &Semantics,
    flow: &Flow,
) {
    let verdict: Verdict = evaluate(model, semantics, flow);
    let walk = walker.walk(walker.ingress_port(flow, UPLINK), flow);
    let tell = || {
        let explanation = compiler.explain(&site(), flow);
        format!("{flow:?}\nevaluator: {verdict:#?}\nrows: {explanation:#?}")
    };
    assert_eq!(walk.allow, verdict.allow, "{}", tell());
    let mut wants = verdict.legs.iter();
    for leg in &walk.legs {
        // A host endpoint of which nothing is left at this address has no row.
        let mut want = wants.by_ref().skip_while(|want| {
            let silent = (owner(want), want.direction) != (leg.owner, leg.direction);
            assert!(!silent || leg.chain == 0 || want.allow, "{}", tell());
            silent
        });
        let want = want.next();
        if leg.chain == 0 {
            let closed = verdict
                .legs
                .iter()
                .any(|leg| leg.steps.is_empty() && !leg.allow);
            assert!(closed, "{}", tell());
            break;
        }
        let want = want.unwrap_or_else(|| panic!("no such leg: {}", tell()));
        assert_eq!(leg.allow, want.allow, "{}", tell());
        let Some(id) = leg.rule else {
            assert_eq!(leg.owner, LegOwner::Untracked, "{}", tell());
            continue;
        };
        let rule = compiler.rule(id);
        let rule = rule.unwrap_or_else(|| panic!("no rule: {}", tell()));
        if want.steps.is_empty() {
            assert_eq!(
                rule.holder,
                RuleHolder::Host(HostAction::Refused),
                "{}",
                tell()
            );
            continue;
        }
        let decision = &want.decision;
        assert_eq!(Some(rule.direction), decision.direction, "{}", tell());
        assert_eq!(&*rule.tier, decision.tier, "{}", tell());
        assert_eq!(rule.name(), decision.policy, "{}", tell());
        assert_eq!(rule.namespace(), decision.namespace, "{}", tell());
        assert_eq!(rule.rule, decision.rule, "{}", tell());
        assert_eq!(rule.rule_id, decision.rule_id, "{}", tell());
    }
}

/// Whose leg it is, as the rows tell.
fn owner(leg: &policy_model::Leg) -> LegOwner {
    match &leg.endpoint {
        Judge::Workload(_) => LegOwner::Workload,
        Judge::Node => LegOwner::Node,
        Judge::Host(_, HostList::Untracked) => LegOwner::Untracked,
        Judge::Host(..) => LegOwner::HostEndpoint,
    }
}

/// A TCP flow.
fn tcp(src: &str, dst: &str, port: u16) -> Flow {
    Flow {
        src: src.parse().unwrap(),
        dst: dst.parse().unwrap(),
        protocol: policy_model::Protocol::TCP,
        l4: L4::Ports {
            src: 40000,
            dst: port,
        },
    }
}
