//! Keeps `src/gen_tables.rs` and `src/drop_reason.rs` equal to what the compiled pipeline says, and
//! the compiled pipeline equal to its sources. `BLESS=1` rewrites the generated files.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test target: a failure is a panic"
)]

mod p4info;
mod render;

use std::fs;
use std::path::{Path, PathBuf};

fn room() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn programs() -> PathBuf {
    room().join("../programs")
}

fn same(path: &Path, want: &str) {
    if std::env::var_os("BLESS").is_some() {
        fs::write(path, want).unwrap();
        return;
    }
    let have = fs::read_to_string(path).unwrap_or_default();
    assert!(
        have == want,
        "{} is stale: run `BLESS=1 cargo test -p p4-tables --test generate` and commit it",
        path.display()
    );
}

#[test]
fn typed_rows_follow_the_p4info() {
    let text = fs::read_to_string(programs().join("margay.p4info.txtpb")).unwrap();
    let info = p4info::parse(&text);
    same(
        &room().join("src/gen_tables.rs"),
        &render::tables(&info, render::fnv1a(text.as_bytes())),
    );
}

#[test]
fn drop_reasons_follow_the_program() {
    let text = fs::read_to_string(programs().join("reasons.p4")).unwrap();
    same(
        &room().join("src/drop_reason.rs"),
        &render::drop_reasons(&text),
    );
}

/// The sources that the checked-in p4info and JSON were compiled from, by hash.
#[test]
fn compiled_pipeline_follows_its_sources() {
    let mut sources: Vec<PathBuf> = fs::read_dir(programs())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "p4"))
        .collect();
    sources.sort();
    let mut manifest = String::new();
    for path in &sources {
        let hash = render::fnv1a(&fs::read(path).unwrap());
        let name = path.file_name().unwrap().to_string_lossy();
        manifest.push_str(&format!("{hash:016x}  {name}\n"));
    }
    for name in ["margay.json", "margay.p4info.bin", "margay.p4info.txtpb"] {
        let hash = render::fnv1a(&fs::read(programs().join(name)).unwrap());
        manifest.push_str(&format!("{hash:016x}  {name}\n"));
    }
    let path = programs().join("compiled.txt");
    let have = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        have == manifest || std::env::var_os("BLESS").is_some(),
        "p4/programs changed after it was compiled: run p4/programs/compile.sh and commit the result"
    );
    same(&path, &manifest);
}
