//! Folding an endpoint's own side into its rules: what is constant for one local address goes, what
//! is left asks about the remote end and about ports.

mod host;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use ipnet::IpNet;
use policy_model::{
    Action, Direction, Family, IpSetId, Member, PROFILE_TIER, PolicyModel, ProfileId, Protocol,
    Rule, Side, Tier, WorkloadEndpoint,
};

use crate::atom::{AtomKey, Atoms};
use crate::chain::{LegOwner, Section, Step};
use crate::nets::{family_of, holds, is_everything, is_host, parents};
use crate::ports::Ports;
use crate::program::{Outcome, PortMatch, ResidualRule};
use crate::rule_ref::{RuleHolder, RuleRef, Rules};

pub(crate) use host::Failsafes;

/// Folds legs of one local address, or of one prefix that the endpoint may send from and inside
/// which no rule tells addresses apart.
#[derive(Debug)]
pub(crate) struct Fold<'a> {
    pub model: &'a PolicyModel,
    pub atoms: &'a mut Atoms,
    pub rules: &'a mut Rules,
    pub family: Family,
    /// Which end is local: the destination of ingress, the source of egress.
    pub direction: Direction,
    /// Which rules of a policy count. Another one than `direction` for a host endpoint at an
    /// interface of a workload: what leaves the workload comes in there.
    pub policies: Direction,
    pub local: IpNet,
    /// Ports of local addresses in the sets that were asked for so far.
    pub own_ports: &'a mut OwnPorts,
    /// Sets of which the remote side is asked as it is after the change under way.
    pub ahead: &'a BTreeSet<IpSetId>,
    /// Whether the local address is in a set.
    pub asked: HashMap<IpSetId, bool, FixedState>,
}

/// Members of (address, protocol, port) sets by address, for the sets that legs fold in. An entry
/// is dropped when members of its set change.
pub(crate) type OwnPorts =
    HashMap<IpSetId, HashMap<IpAddr, Vec<(Protocol, u16)>, FixedState>, FixedState>;

impl Fold<'_> {
    /// What is left of a workload's policies and profiles, in order; those of which nothing is left
    /// are not there. The last one ends with a rule that matches everything and decides.
    pub(crate) fn workload(&mut self, endpoint: &WorkloadEndpoint) -> Section {
        let mut steps: Vec<Step> = Vec::new();
        if self.tiers(&endpoint.tiers, true, &mut steps) {
            self.profiles(&endpoint.profiles, &mut steps);
        }
        Section {
            steps,
            owner: LegOwner::Workload,
            direction: self.policies,
            accepts_all: false,
        }
    }

    /// Appends what is left of tiers; false if nothing behind them can be reached. Where `ends` do
    /// not count, no tier's end denies.
    fn tiers(&mut self, tiers: &[Tier], ends: bool, steps: &mut Vec<Step>) -> bool {
        tiers.iter().all(|tier| {
            let start = steps.len();
            self.tier(tier, ends, start, steps)
        })
    }

    /// Appends what is left of the tier that begins at `start`; false if nothing behind it can be
    /// reached.
    fn tier(&mut self, tier: &Tier, ends: bool, start: usize, steps: &mut Vec<Step>) -> bool {
        let model = self.model;
        let mut first = None;
        let mut open = true;
        for id in tier.enforced(self.policies) {
            first = first.or(Some(id));
            if !open {
                continue;
            }
            let rules = model.policy(id).map(|policy| policy.rules(self.policies));
            let mut left = Vec::new();
            open = self.list(
                rules.unwrap_or_default(),
                &tier.name,
                &RuleHolder::Policy(id.clone()),
                &mut left,
            );
            push(steps, left, start);
        }
        // A tier whose policies in this direction are all staged counts as absent. Its end is told
        // of in the name of its first enforced policy, as Calico does.
        let Some(first) = first else { return true };
        let default_pass = tier.default_pass || !ends;
        if open && !default_pass {
            let id = self.rules.id(RuleRef {
                direction: self.policies,
                tier: Arc::clone(&tier.name),
                holder: RuleHolder::Policy(first.clone()),
                rule: None,
                rule_id: None,
            });
            let rule = ResidualRule::unconditional(id, Outcome::Deny);
            end(steps, start, rule);
        }
        open && default_pass || passes(&steps[start..])
    }

    /// Each profile is a tier of its own: what it passes or leaves open is the next one's.
    fn profiles(&mut self, profiles: &[ProfileId], steps: &mut Vec<Step>) {
        let tier: Arc<str> = PROFILE_TIER.into();
        let mut start = steps.len();
        for id in profiles {
            let rules = self
                .model
                .profile(id)
                .map(|profile| profile.rules(self.policies));
            start = steps.len();
            let holder = RuleHolder::Profile(id.clone());
            let mut left = Vec::new();
            let open = self.list(rules.unwrap_or_default(), &tier, &holder, &mut left);
            push(steps, left, start);
            if !open && !passes(&steps[start..]) {
                return;
            }
        }
        let id = self.rules.id(RuleRef {
            direction: self.policies,
            tier,
            holder: RuleHolder::NoProfile,
            rule: None,
            rule_id: None,
        });
        // What the last profile passes needs a step to go to.
        if passes(&steps[start..]) {
            start = steps.len();
        }
        end(steps, start, ResidualRule::unconditional(id, Outcome::Deny));
    }

    /// Appends what is left of a list; false if nothing behind it can be reached from inside it.
    fn list(
        &mut self,
        rules: &[Rule],
        tier: &Arc<str>,
        holder: &RuleHolder,
        out: &mut Vec<ResidualRule>,
    ) -> bool {
        for (index, rule) in rules.iter().enumerate() {
            let outcome = match rule.action {
                Action::Allow => Outcome::Allow,
                Action::Deny => Outcome::Deny,
                Action::Pass => Outcome::NextTier,
                // A log rule never ends evaluation.
                Action::Log => continue,
            };
            let Some(mut left) = self.rule(rule, outcome) else {
                continue;
            };
            left.id = self.rules.id(RuleRef {
                direction: self.policies,
                tier: Arc::clone(tier),
                holder: holder.clone(),
                rule: Some(index),
                rule_id: Some(rule.id.clone()),
            });
            let last = left.is_unconditional();
            out.push(left);
            if last {
                return false;
            }
        }
        true
    }

    /// What is left of a rule; none if it can never match here.
    fn rule(&mut self, rule: &Rule, outcome: Outcome) -> Option<ResidualRule> {
        if rule.family.is_some_and(|family| family != self.family) {
            return None;
        }
        let (local, remote) = match self.direction {
            Direction::Ingress => (&rule.dst, &rule.src),
            Direction::Egress => (&rule.src, &rule.dst),
        };
        let protocol = rule.protocol;
        let local_ports = self.local(local, protocol)?;
        let mut left = ResidualRule::unconditional(0, outcome);
        left.protocol = protocol;
        left.not_protocol = rule.not_protocol;
        left.icmp = rule.icmp;
        left.not_icmp = rule.not_icmp;
        let remote_ports = self.remote(remote, protocol, &mut left)?;
        (left.src, left.dst) = match self.direction {
            Direction::Ingress => (remote_ports, local_ports),
            Direction::Egress => (local_ports, remote_ports),
        };
        Some(left)
    }

    /// The nets of this family; none if the criterion rules this family out.
    fn nets(&self, nets: &[IpNet]) -> Option<Vec<IpNet>> {
        let mut mine: Vec<IpNet> = nets
            .iter()
            .filter(|net| family_of(net) == self.family)
            .map(IpNet::trunc)
            .collect();
        mine.sort_unstable();
        mine.dedup();
        (nets.is_empty() || !mine.is_empty()).then_some(mine)
    }

    /// Negated nets of this family; none if the rule never matches: an except list that covers
    /// everything, or that has only the other family, as Felix's own dataplanes have it.
    fn not_nets(&self, nets: &[IpNet]) -> Option<Vec<IpNet>> {
        let mine = self.nets(nets)?;
        (!mine.iter().any(is_everything)).then_some(mine)
    }

    /// Decides the local side; what is left is about its port.
    fn local(&mut self, side: &Side, protocol: Option<Protocol>) -> Option<PortMatch> {
        let nets = self.nets(&side.nets)?;
        let not_nets = self.not_nets(&side.not_nets)?;
        let inside = |net: &IpNet| holds(net, &self.local);
        if !(nets.is_empty() || nets.iter().any(inside)) || not_nets.iter().any(inside) {
            return None;
        }
        for id in &side.sets {
            if !self.in_set(id) {
                return None;
            }
        }
        for id in &side.not_sets {
            if self.in_set(id) {
                return None;
            }
        }
        let mut within = Vec::new();
        if !(side.ports.is_empty() && side.named_ports.is_empty()) {
            let mut any = Ports::of_ranges(&side.ports);
            for id in &side.named_ports {
                any = any.union(&self.own_ports(id));
            }
            within.push(any);
        }
        for id in &side.ip_port_sets {
            within.push(self.own_ports(id));
        }
        let mut outside = Ports::of_ranges(&side.not_ports);
        for id in &side.not_named_ports {
            outside = outside.union(&self.own_ports(id));
        }
        port_match(within, outside, protocol)
    }

    /// Turns the remote side into atoms; what is left is about its numeric ports.
    fn remote(
        &mut self,
        side: &Side,
        protocol: Option<Protocol>,
        left: &mut ResidualRule,
    ) -> Option<PortMatch> {
        let nets = self.nets(&side.nets)?;
        if !nets.iter().any(is_everything) {
            left.nets = self.intern(nets.into_iter().map(AtomKey::Net));
        }
        let not_nets = self.not_nets(&side.not_nets)?;
        let ahead = self.ahead;
        let set = |id: &IpSetId| {
            if ahead.contains(id) {
                AtomKey::NextSet(id.clone())
            } else {
                AtomKey::Set(id.clone())
            }
        };
        let ports = |id: &IpSetId| {
            if ahead.contains(id) {
                AtomKey::NextPorts(id.clone())
            } else {
                AtomKey::Ports(id.clone())
            }
        };
        let all = side.sets.iter().map(set);
        left.all = self.intern(all.chain(side.ip_port_sets.iter().map(ports)));
        let none = not_nets.into_iter().map(AtomKey::Net);
        let none = none.chain(side.not_sets.iter().map(set));
        left.none = self.intern(none.chain(side.not_named_ports.iter().map(ports)));
        let mut within = Vec::new();
        if side.named_ports.is_empty() {
            if !side.ports.is_empty() {
                within.push(Ports::of_ranges(&side.ports));
            }
        } else {
            left.named = self.intern(side.named_ports.iter().map(ports));
            left.alternative = Ports::of_ranges(&side.ports).only(protocol);
        }
        port_match(within, Ports::of_ranges(&side.not_ports), protocol)
    }

    fn intern(&mut self, keys: impl Iterator<Item = AtomKey>) -> Vec<u32> {
        let mut atoms: Vec<u32> = keys.map(|key| self.atoms.intern(key)).collect();
        atoms.sort_unstable();
        atoms.dedup();
        atoms
    }

    fn in_set(&mut self, id: &IpSetId) -> bool {
        if let Some(answer) = self.asked.get(id) {
            return *answer;
        }
        let answer = self.model.ip_set(id).is_some_and(|set| {
            parents(&self.local).any(|net| set.members.contains(&Member::Net(net)))
        });
        self.asked.insert(id.clone(), answer);
        answer
    }

    /// Ports of a set's members with the local address.
    fn own_ports(&mut self, id: &IpSetId) -> Ports {
        if !is_host(&self.local) {
            return Ports::default();
        }
        if !self.own_ports.contains_key(id) {
            let mut by_addr: HashMap<IpAddr, Vec<(Protocol, u16)>, FixedState> = HashMap::default();
            let set = self.model.ip_set(id);
            for member in set.iter().flat_map(|set| set.members.iter()) {
                if let Member::Port {
                    addr,
                    protocol,
                    port,
                } = member
                {
                    by_addr.entry(addr).or_default().push((protocol, port));
                }
            }
            self.own_ports.insert(id.clone(), by_addr);
        }
        let ports = self
            .own_ports
            .get(id)
            .and_then(|all| all.get(&self.local.addr()));
        Ports::of_members(ports.into_iter().flatten().copied())
    }
}

/// None if no port can satisfy the criteria.
fn port_match(within: Vec<Ports>, outside: Ports, protocol: Option<Protocol>) -> Option<PortMatch> {
    let mut within: Vec<Ports> = within
        .into_iter()
        .map(|ports| ports.only(protocol))
        .collect();
    if within.iter().any(Ports::is_empty) {
        return None;
    }
    within.sort_unstable();
    within.dedup();
    Some(PortMatch {
        within,
        outside: outside.only(protocol),
    })
}

/// Appends a step of the tier that begins at `start`, if there is anything left in it.
fn push(steps: &mut Vec<Step>, rules: Vec<ResidualRule>, start: usize) {
    if !rules.is_empty() {
        steps.push(Step { rules, tier: start });
    }
}

/// Ends the tier that begins at `start`: in its last step, or in one of its own if it has none.
fn end(steps: &mut Vec<Step>, start: usize, rule: ResidualRule) {
    match steps[start..].last_mut() {
        Some(step) => step.rules.push(rule),
        None => push(steps, vec![rule], start),
    }
}

/// Whether a rule of these steps goes on with the next tier.
fn passes(steps: &[Step]) -> bool {
    let mut rules = steps.iter().flat_map(|step| &step.rules);
    rules.any(|rule| rule.outcome == Outcome::NextTier)
}
