//! The checked-in code under `src/gen` is what the protos give. `BLESS=1` rewrites it.

use std::{fs, path::Path};

#[test]
fn generated_code_is_current() {
    let room = Path::new(env!("CARGO_MANIFEST_DIR"));
    let protos = room.join("proto");
    let descriptors = protox::compile(["p4/v1/p4runtime.proto"], [&protos]).expect("protos parse");
    let made = tempfile::tempdir().expect("temporary directory");
    tonic_prost_build::configure()
        .bytes(".p4.v1")
        .btree_map(".")
        .out_dir(made.path())
        .compile_fds(descriptors)
        .expect("code is generated");

    let checked_in = room.join("src/gen");
    let bless = std::env::var_os("BLESS").is_some();
    let mut names: Vec<_> = fs::read_dir(made.path())
        .expect("generated files")
        .map(|entry| entry.expect("generated file").file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["google.rpc.rs", "p4.config.v1.rs", "p4.v1.rs"]);
    for name in names {
        let new = fs::read(made.path().join(&name)).expect("generated file");
        let path = checked_in.join(&name);
        if bless {
            fs::write(&path, new).expect("blessed file");
        } else {
            assert!(
                fs::read(&path).is_ok_and(|old| old == new),
                "{} is stale: run this test with BLESS=1",
                path.display()
            );
        }
    }
}
