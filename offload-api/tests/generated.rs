//! The checked-in stubs are what the protos say. `BLESS=1` rewrites them.

use std::path::{Path, PathBuf};

const PROTOS: [&str; 3] = [
    "margay/offload/v1alpha1/device.proto",
    "margay/offload/v1alpha1/table.proto",
    "margay/offload/v1alpha1/host.proto",
];
const STUBS: &str = "margay.offload.v1alpha1.rs";

#[test]
fn stubs_match_the_protos() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fresh = tempfile::tempdir().unwrap();
    let files = protox::compile(PROTOS, [root.join("proto")]).unwrap();
    tonic_prost_build::configure()
        .out_dir(fresh.path())
        .bytes(".margay.offload.v1alpha1.Row")
        .btree_map(".")
        .compile_fds(files)
        .unwrap();
    let made = std::fs::read(fresh.path().join(STUBS)).unwrap();
    let kept: PathBuf = root.join("src/gen").join(STUBS);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&kept, &made).unwrap();
    }
    assert!(
        std::fs::read(&kept).is_ok_and(|there| there == made),
        "{} is stale: run BLESS=1 cargo test -p offload-api --test generated",
        kept.display()
    );
}
