//! Who may import whom.

use std::collections::BTreeSet;
use std::path::Path;

use crate::sources::production_lines;
use crate::workspace::{ROOMS, direct, direct_of_any_kind, files, members, reach, text};

const HOST: &[&str] = &[
    "felix-bridge",
    "felix-proto",
    "host-agent",
    "policy-model",
    "policy-compiler",
];
const DPU: &[&str] = &[
    "dpu-agent",
    "dpu-reconciler",
    "dpu-backend",
    "backend-p4rt",
    "backend-rte-flow",
    "backend-ovs",
];
/// Where host and DPU meet; the schema's typed rows are part of the table model's contract.
const MEETING: &[&str] = &["offload-api", "table-model", "p4-tables"];
const PURE: &[&str] = &[
    "table-model",
    "policy-model",
    "policy-compiler",
    "p4-tables",
    "p4-engine",
    "dpu-reconciler",
];
/// Runtimes, sockets, wire formats, clocks and random sources.
const IMPURE: &[&str] = &[
    "async-io",
    "axum",
    "chrono",
    "fastrand",
    "getrandom",
    "hyper",
    "libc",
    "mio",
    "nix",
    "polling",
    "prost",
    "quanta",
    "rand",
    "rand_core",
    "rustix",
    "rustls",
    "smol",
    "socket2",
    "time",
    "tokio",
    "tonic",
];
/// Those whose own code is a wire format of ours, and those that speak it.
const SPEAKS_PROTOBUF: &[&str] = &[
    "backend-p4rt",
    "dpu-agent",
    "felix-bridge",
    "felix-proto",
    "host-agent",
    "offload-api",
    "p4runtime-proto",
    "p4switch",
    "testbed",
];

fn present<'a>(of: &[&'a str]) -> Vec<&'a str> {
    let members = members();
    let kept = of.iter().filter(|name| members.contains_key(**name));
    kept.copied().collect()
}

fn ours(names: &BTreeSet<String>) -> BTreeSet<&str> {
    let rooms: BTreeSet<&str> = ROOMS.iter().map(|(name, _)| *name).collect();
    names
        .iter()
        .map(String::as_str)
        .filter(|name| rooms.contains(name))
        .collect()
}

#[test]
fn rule_1_host_and_dpu_meet_in_the_offload_api_and_the_table_model_only() {
    for (side, other) in [(HOST, DPU), (DPU, HOST)] {
        for room in present(side) {
            let reached = reach(room);
            for reached in ours(&reached) {
                assert!(!other.contains(&reached), "{room} imports {reached}");
            }
        }
    }
    let side = |rooms: &[&str]| -> BTreeSet<String> {
        let reached: BTreeSet<String> = present(rooms).into_iter().flat_map(reach).collect();
        ours(&reached).into_iter().map(str::to_owned).collect()
    };
    for shared in side(HOST).intersection(&side(DPU)) {
        assert!(
            MEETING.contains(&shared.as_str()),
            "host and DPU both import {shared}"
        );
    }
}

#[test]
fn rule_2_pure_rooms_reach_no_runtime_no_wire_no_clock_and_no_chance() {
    for room in present(PURE) {
        for reached in reach(room) {
            assert!(
                !IMPURE.contains(&reached.as_str()),
                "{room} reaches {reached}"
            );
        }
        for (path, number, line) in production_lines(room) {
            for word in [
                "Instant::now",
                "SystemTime::now",
                "std::net::Tcp",
                "std::net::Udp",
            ] {
                assert!(
                    !line.contains(word),
                    "{}:{number} uses {word} in a pure room",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn rule_3_protobuf_is_known_only_where_it_is_converted() {
    for room in members().keys() {
        let direct = direct(room);
        for library in ["prost", "prost-types", "tonic", "tonic-prost"] {
            assert!(
                !direct.contains(library) || SPEAKS_PROTOBUF.contains(&room.as_str()),
                "{room} imports {library}"
            );
        }
    }
}

#[test]
fn rule_4_the_compiler_knows_no_back_end_and_back_ends_know_no_policy() {
    let reached = reach("policy-compiler");
    for reached in ours(&reached) {
        assert!(
            ["policy-model", "p4-tables", "table-model"].contains(&reached),
            "policy-compiler imports {reached}"
        );
    }
    for room in present(DPU).into_iter().chain(["p4switch", "p4-engine"]) {
        let reached = reach(room);
        for policy in [
            "policy-model",
            "policy-compiler",
            "felix-bridge",
            "felix-proto",
        ] {
            assert!(!reached.contains(policy), "{room} imports {policy}");
        }
    }
}

#[test]
fn rule_5_the_evaluator_and_the_compiler_share_the_model_and_nothing_else() {
    let reached = reach("policy-model");
    assert!(
        ours(&reached).is_empty(),
        "policy-model imports {:?}",
        ours(&reached)
    );
    for (path, number, line) in production_lines("policy-compiler") {
        for word in [
            "evaluate(",
            "Verdict",
            "policy_model::Leg",
            "policy_model::Step",
        ] {
            // Not as the end of another name.
            let mut places = line.match_indices(word).map(|(at, _)| &line[..at]);
            assert!(
                places.all(|before| before.ends_with(char::is_alphanumeric)),
                "{}:{number} uses the evaluator's {word}",
                path.display()
            );
        }
    }
}

#[test]
fn rule_7_nothing_imports_the_testbed() {
    for room in members().keys().filter(|room| *room != "testbed") {
        assert!(
            !direct_of_any_kind(room).contains("testbed"),
            "{room} imports testbed"
        );
    }
}

#[test]
fn rule_8_back_ends_are_additive() {
    for path in files(Path::new("dpu-agent"), &[".rs"]) {
        let text = text(&path);
        for word in ["compile_error!", "not(feature"] {
            assert!(
                !text.contains(word),
                "{} makes features exclude each other with {word}",
                path.display()
            );
        }
    }
}

#[test]
fn every_member_is_a_room_of_the_design() {
    for (name, folder) in members() {
        let room = ROOMS.iter().find(|(room, _)| *room == name);
        let expected = room.map(|(_, folder)| Path::new(*folder));
        assert_eq!(Some(folder.as_path()), expected, "{name} is out of place");
    }
}
