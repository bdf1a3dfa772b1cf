//! The compiled test programs belong to their sources.
//!
//! After a change of `NAME.p4`, in `tests/programs`:
//! `p4c-bm2-ss --std p4-16 --p4runtime-files NAME.p4info.bin -o NAME.json NAME.p4`, then
//! `BLESS=1 cargo test -p p4switch --test programs`.

use std::{fs, path::Path};

/// FNV-1a, 64 bits: enough to see that a file has changed.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[test]
fn compiled_programs_are_current() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
    for name in ["entities", "names", "switch", "wire"] {
        let read =
            |suffix: &str| fs::read(directory.join(format!("{name}{suffix}"))).expect("file");
        let current: String = [".p4", ".json", ".p4info.bin"]
            .into_iter()
            .map(|suffix| format!("{name}{suffix} {:016x}\n", hash(&read(suffix))))
            .collect();
        let path = directory.join(format!("{name}.hashes"));
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, &current).expect("written");
        }
        let blessed = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            blessed, current,
            "{name}.p4 has changed: compile it, then run with BLESS=1"
        );
    }
}
