//! The generator reaches what the properties are about: no property holds for want of cases.

use std::collections::BTreeMap;

use p4_tables::schema;

use super::*;

#[test]
fn worlds_hit_every_table_and_both_verdicts() {
    let mut hits: BTreeMap<String, usize> = BTreeMap::new();
    let mut legs: BTreeMap<&str, usize> = BTreeMap::new();
    let mut verdicts: BTreeMap<String, usize> = BTreeMap::new();
    let mut owners: BTreeMap<String, usize> = BTreeMap::new();
    let mut total = 0;
    for seed in 0..60 {
        let (mut choices, mut model) = generated(seed, Size::SMALL);
        let mut compiler = new_compiler(seed, semantics(false));
        commit(&mut compiler, &mut model);
        let walker = Walker::new(compiler.snapshot());
        for flow in flows(&mut choices, &model, 100) {
            let walk = walker.walk(walker.ingress_port(&flow, UPLINK), &flow);
            for leg in &walk.legs {
                total += 1;
                let kind = match (leg.chain, leg.allow) {
                    (0, _) => "closed",
                    (_, true) => "allow",
                    (_, false) => "deny",
                };
                *legs.entry(kind).or_default() += 1;
                let denied = if leg.allow { "allow" } else { "deny" };
                let of = format!("{:?} {:?} {denied}", leg.owner, leg.direction);
                *owners.entry(of).or_default() += 1;
                if leg.steps > 1 {
                    *legs.entry("of several steps").or_default() += 1;
                }
                for row in &leg.hits {
                    let table = schema().table(row.key.table).unwrap();
                    *hits.entry(table.name.clone()).or_default() += 1;
                    let action = &table.action(row.action.action).unwrap().name;
                    *verdicts.entry(action.clone()).or_default() += 1;
                }
            }
        }
    }
    println!("{total} legs: {legs:?} {hits:?}");
    for table in &schema().tables {
        if table.name.starts_with("acl_") && table.name != "acl_settings" {
            let hits = hits.get(&table.name).copied().unwrap_or_default();
            assert!(
                hits * 200 > total,
                "{}: {hits} hits in {total} legs",
                table.name
            );
        }
    }
    println!("{verdicts:?}");
    for verdict in ["next_policy", "next_tier"] {
        let hits = verdicts.get(verdict).copied().unwrap_or_default();
        assert!(hits * 50 > total, "{verdict}: {hits} hits in {total} legs");
    }
    println!("{owners:?}");
    for owner in ["Workload", "HostEndpoint", "Untracked"] {
        for direction in ["Ingress", "Egress"] {
            for outcome in ["allow", "deny"] {
                let of = format!("{owner} {direction} {outcome}");
                let count = owners.get(&of).copied().unwrap_or_default();
                assert!(count * 2000 > total, "{of}: {owners:?}");
            }
        }
    }
    for (kind, least) in [
        ("allow", 20),
        ("deny", 20),
        ("closed", 1),
        ("of several steps", 10),
    ] {
        let count = legs.get(kind).copied().unwrap_or_default();
        assert!(count * 100 > least * total, "{kind}: {legs:?}");
    }
}
