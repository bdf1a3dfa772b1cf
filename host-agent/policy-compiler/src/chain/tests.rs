use super::*;

fn rule(id: u32, outcome: Outcome) -> ResidualRule {
    let mut rule = ResidualRule::unconditional(id, outcome);
    rule.all = vec![id];
    rule
}

fn step(tier: usize, outcomes: &[Outcome]) -> Step {
    let id = u32::try_from(tier).unwrap() + 1;
    Step {
        rules: outcomes.iter().map(|outcome| rule(id, *outcome)).collect(),
        tier,
    }
}

/// Ends with a rule that matches everything.
fn last(tier: usize, outcome: Outcome) -> Step {
    Step {
        rules: vec![ResidualRule::unconditional(99, outcome)],
        tier,
    }
}

fn outcomes(link: &Link) -> Vec<Outcome> {
    link.program.rules.iter().map(|rule| rule.outcome).collect()
}

const V4: Family = Family::V4;
const IN: Direction = Direction::Ingress;

#[test]
fn a_short_leg_is_one_program_with_jumps() {
    let steps = [
        step(0, &[Outcome::NextTier, Outcome::Deny]),
        step(0, &[Outcome::Allow]),
        last(2, Outcome::Deny),
    ];
    let links = links(&steps, (SHORT_LEG, MAX_STEPS), IN, V4);
    assert_eq!(links.len(), 1);
    assert_eq!((links[0].next, links[0].pass), (None, None));
    assert_eq!(
        outcomes(&links[0]),
        [
            Outcome::Jump(3),
            Outcome::Deny,
            Outcome::Allow,
            Outcome::Deny
        ]
    );
}

#[test]
fn a_long_leg_is_a_step_a_policy() {
    let mut long = vec![Outcome::Allow; SHORT_LEG];
    long.push(Outcome::NextTier);
    let steps = [
        step(0, &long),
        step(0, &[Outcome::Deny]),
        last(2, Outcome::Deny),
    ];
    let links = links(&steps, (SHORT_LEG, MAX_STEPS), IN, V4);
    let ways: Vec<_> = links.iter().map(|link| (link.next, link.pass)).collect();
    // The first goes on with the second or passes to the next tier, the second only goes on.
    assert_eq!(ways, [(Some(1), Some(2)), (Some(2), None), (None, None)]);
    assert_eq!(links[0].program.rules.len(), SHORT_LEG + 2);
    assert_eq!(outcomes(&links[1]), [Outcome::Deny, Outcome::NextPolicy]);
}

#[test]
fn a_chain_never_gets_too_long() {
    let many = |tiers: usize, each: usize| -> Vec<Step> {
        let mut steps: Vec<Step> = (0..tiers)
            .flat_map(|tier| vec![step(tier, &[Outcome::Allow, Outcome::NextTier]); each])
            .collect();
        steps.push(last(tiers, Outcome::Deny));
        steps
    };
    for (tiers, each) in [(1, 1000), (7, 100), (119, 1), (119, 2), (500, 3)] {
        let steps = many(tiers, each);
        let links = links(&steps, (SHORT_LEG, MAX_STEPS), IN, V4);
        assert!(links.len() <= MAX_STEPS, "{tiers} {each}: {}", links.len());
        let rules: usize = links.iter().map(|link| link.program.rules.len()).sum();
        assert!(rules >= 2 * tiers * each);
        for (place, link) in links.iter().enumerate() {
            let leads = |outcome| outcomes(link).contains(&outcome);
            assert_eq!(leads(Outcome::NextPolicy), link.next.is_some());
            assert_eq!(leads(Outcome::NextTier), link.pass.is_some());
            let ways = link.next.iter().chain(&link.pass);
            assert!(ways.into_iter().all(|to| *to > place && *to < links.len()));
            assert!(link.program.rules.last().unwrap().is_unconditional());
        }
    }
}

#[test]
fn equal_nodes_are_one_and_go_with_their_last_user() {
    let mut chains = Chains::default();
    let mut journal = Journal::default();
    let node = Node {
        class: 7,
        ..Node::default()
    };
    let (a, id) = chains.intern(node, &mut journal);
    assert_eq!(chains.intern(node, &mut journal), (a, id));
    assert_eq!(journal.puts.len(), 1);
    chains.count(a, true);
    chains.finish(&[], &mut journal);
    assert!(journal.gone.is_empty());
    chains.count(a, false);
    chains.finish(&[a], &mut journal);
    assert_eq!(journal.gone, [journal.puts[0].key.clone()]);
    let mut rows = 0;
    chains.each_row(&mut |_| rows += 1);
    assert_eq!(rows, 0);
}

#[test]
fn a_node_of_a_commit_that_did_not_fit_leaves_nothing() {
    let mut chains = Chains::default();
    let mut journal = Journal::default();
    let (_, id) = chains.intern(Node::default(), &mut journal);
    chains.undo();
    let again = chains.intern(Node::default(), &mut Journal::default());
    assert_eq!(again.1, id);
}
