//! `IPSetUpdate`, `IPSetDeltaUpdate`, `IPSetRemove`.

use std::collections::HashMap;

use felix_proto::felix::{self, ip_set_update::IpSetType};
use ipnet::IpNet;
use policy_model::{IpSetId, IpSetKind, Member, Update};

use super::problem::{Effect, Report};
use super::text;

/// The kinds of the sets that the stream has named: a delta does not repeat it.
#[derive(Clone, Debug, Default)]
pub(super) struct Kinds(HashMap<String, Option<IpSetKind>>);

impl Kinds {
    pub(super) fn update(
        &mut self,
        update: felix::IpSetUpdate,
        report: &mut Report,
    ) -> Option<Update> {
        let felix::IpSetUpdate {
            id,
            members,
            r#type,
        } = update;
        report.about("IP set", &id);
        if id.is_empty() {
            report.add(Effect::Skipped, "the update has no id");
            return None;
        }
        let kind = match IpSetType::try_from(r#type) {
            Ok(IpSetType::Ip) => Some(IpSetKind::Ip),
            Ok(IpSetType::IpAndPort) => Some(IpSetKind::IpAndPort),
            Ok(IpSetType::Net) => Some(IpSetKind::Net),
            Err(_) => None,
        };
        let (members, mut invalid) = parse(kind, members);
        if kind.is_none() {
            invalid.push(format!("type {type} is none of IP, IP_AND_PORT, NET"));
        }
        let unknown = report.take_unknown(|_| true);
        invalid.extend(unknown.iter().map(|field| format!("{field} is not known")));
        report_members(&invalid, report);
        self.0.insert(id.clone(), kind);
        Some(Update::IpSet {
            id: IpSetId::from(&*id),
            kind: kind.unwrap_or(IpSetKind::Net),
            members,
            invalid,
        })
    }

    pub(super) fn delta(
        &mut self,
        update: felix::IpSetDeltaUpdate,
        report: &mut Report,
    ) -> Option<Update> {
        let felix::IpSetDeltaUpdate {
            id,
            added_members,
            removed_members,
        } = update;
        report.about("IP set", &id);
        let Some(kind) = self.0.get(&id) else {
            report.add(
                Effect::Denies,
                "members came or went, but the set was never sent; the change was left out",
            );
            return None;
        };
        let (added, mut invalid_added) = parse(*kind, added_members);
        let (removed, invalid_removed) = parse(*kind, removed_members);
        let unknown = report.take_unknown(|_| true);
        invalid_added.extend(unknown.iter().map(|field| format!("{field} is not known")));
        report_members(&invalid_added, report);
        Some(Update::IpSetDelta {
            id: IpSetId::from(&*id),
            added,
            removed,
            invalid_added,
            invalid_removed,
        })
    }

    pub(super) fn remove(
        &mut self,
        remove: felix::IpSetRemove,
        report: &mut Report,
    ) -> Option<Update> {
        let felix::IpSetRemove { id } = remove;
        report.about("IP set", &id);
        if self.0.remove(&id).is_none() {
            report.add(Effect::Skipped, "removed, but it was never sent");
            return None;
        }
        Some(Update::IpSetRemove(IpSetId::from(&*id)))
    }
}

/// Splits members into those that fit the kind and those that do not, as they arrived.
fn parse(kind: Option<IpSetKind>, members: Vec<String>) -> (Vec<Member>, Vec<String>) {
    let mut good = Vec::with_capacity(members.len());
    let mut bad = Vec::new();
    for text in members {
        match member(kind, &text) {
            Some(member) => good.push(member),
            None => bad.push(text),
        }
    }
    (good, bad)
}

fn member(kind: Option<IpSetKind>, text: &str) -> Option<Member> {
    match kind? {
        IpSetKind::Ip => text::net(text).ok().filter(is_host).map(Member::Net),
        IpSetKind::Net => text::net(text).ok().map(Member::Net),
        IpSetKind::IpAndPort => text::port_member(text),
    }
}

fn report_members(invalid: &[String], report: &mut Report) {
    if let Some(first) = invalid.first() {
        report.add(
            Effect::Denies,
            format!(
                "{} of the members cannot be understood, the first is \"{first}\"; rules that \
                 refer to the set are refused until they are gone",
                invalid.len()
            ),
        );
    }
}

fn is_host(net: &IpNet) -> bool {
    net.prefix_len() == net.max_prefix_len()
}
