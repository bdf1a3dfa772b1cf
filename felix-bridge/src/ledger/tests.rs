use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs};

use super::*;

/// The field table of felix-proto is generated from the descriptors of its .proto files.
#[test]
fn every_field_has_one_line_and_every_line_has_a_field() {
    let mut known = BTreeSet::new();
    for message in felix_proto::messages() {
        if message.fields.is_empty() {
            known.insert((message.name, ""));
        }
        for field in message.fields {
            known.insert((message.name, field.name));
        }
    }
    let mut seen = BTreeSet::new();
    for line in lines() {
        let key = (line.message, line.field);
        assert!(seen.insert(key), "{key:?} has two lines");
        assert!(known.contains(&key), "{key:?} has a line and is no field");
        assert!(!line.note.is_empty(), "{key:?} has no note");
    }
    let missing: Vec<_> = known.difference(&seen).collect();
    assert!(missing.is_empty(), "without a line: {missing:?}");
}

#[test]
fn lines_of_a_message_stand_together() {
    let mut done = BTreeSet::new();
    let mut last = "";
    for line in lines() {
        if line.message != last {
            assert!(done.insert(line.message), "{} is split", line.message);
            last = line.message;
        }
    }
}

#[test]
fn the_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/felix-ledger.md");
    let fresh = render();
    if env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &fresh).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == fresh,
        "{} is stale: run this test with BLESS=1",
        path.display()
    );
}
