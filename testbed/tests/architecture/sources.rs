//! What the sources may hold, and how files are called.

use std::path::{Path, PathBuf};

use crate::workspace::{ROOMS, files, members, text};

/// The raw bindings and the safe ones, and one small module of packet sockets (design, rule 6).
const UNSAFE_ALLOWED: &[&str] = &[
    "rte-flow-bindings/",
    "p4/p4switch/src/interface/packet_socket",
];
const FORBIDDEN_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "manager"];
/// Constructs that need the word; prose that mentions it does not.
const UNSAFE_FORMS: &[&str] = &[
    "unsafe {",
    "unsafe fn",
    "unsafe impl",
    "unsafe trait",
    "unsafe extern",
];

/// Lines of a room's `src` outside of test modules: path, number from 1, text without comments.
pub(crate) fn production_lines(room: &str) -> Vec<(PathBuf, usize, String)> {
    let folder = ROOMS.iter().find(|(name, _)| *name == room);
    let folder = folder.map_or(room, |(_, folder)| folder);
    let mut lines = Vec::new();
    for path in files(&Path::new(folder).join("src"), &[".rs"]) {
        let is_tests = path.components().any(|part| part.as_os_str() == "tests")
            || path
                .file_stem()
                .is_some_and(|stem| stem == "tests" || stem == "testing");
        if is_tests {
            continue;
        }
        for (number, line) in text(&path).lines().enumerate() {
            // By the house style tests stand at the bottom.
            if line.trim_start().starts_with("#[cfg(test)]") {
                break;
            }
            let code = line.split("//").next().unwrap_or("");
            lines.push((path.clone(), number + 1, code.to_owned()));
        }
    }
    lines
}

#[test]
fn rule_6_unsafe_code_stands_in_its_rooms_only() {
    for path in files(Path::new(""), &[".rs"]) {
        let shown = path.to_string_lossy();
        if UNSAFE_ALLOWED
            .iter()
            .any(|allowed| shown.starts_with(allowed))
        {
            continue;
        }
        // This very file spells the forms out.
        if shown.ends_with("tests/architecture/sources.rs") {
            continue;
        }
        for (number, line) in text(&path).lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            for form in UNSAFE_FORMS {
                assert!(!code.contains(form), "{shown}:{} has {form}", number + 1);
            }
        }
    }
}

#[test]
fn modules_stand_beside_their_folders_and_have_names_of_the_field() {
    for path in files(Path::new(""), &[".rs", ".p4", ".proto"]) {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        assert_ne!(
            stem,
            "mod",
            "{} should stand beside its folder",
            path.display()
        );
        assert!(
            !FORBIDDEN_NAMES.contains(&stem.as_ref()),
            "{} says nothing about what is in it",
            path.display()
        );
    }
}

#[test]
fn every_crate_inherits_the_lints_of_the_workspace() {
    for (name, folder) in members() {
        let manifest = text(&folder.join("Cargo.toml"));
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{name} does not inherit the lints"
        );
    }
}

#[test]
fn every_expectation_and_allowance_has_a_reason() {
    // What a generator writes is not ours to annotate; the module that includes it has the reason.
    let written = files(Path::new(""), &[".rs"])
        .into_iter()
        .filter(|path| !path.components().any(|part| part.as_os_str() == "gen"));
    for path in written {
        let text = text(&path);
        for attribute in ["#[allow(", "#![allow(", "#[expect(", "#![expect("] {
            for found in text.match_indices(attribute) {
                let rest = &text[found.0..];
                let end = rest.find(")]").map_or(rest.len(), |end| end + 2);
                assert!(
                    rest[..end].contains("reason") || path.ends_with("sources.rs"),
                    "{} has {} without a reason",
                    path.display(),
                    &rest[..end.min(60)]
                );
            }
        }
    }
}
