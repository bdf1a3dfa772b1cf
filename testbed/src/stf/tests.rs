use super::*;

const PROGRAM: &str = "../p4/p4-engine/tests/cases";

/// A folder with the first of the engine's own cases, and its script.
fn folder() -> (tempfile::TempDir, String) {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join(PROGRAM);
    let mut found = Vec::new();
    let mut open = vec![cases];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "stf") {
                found.push(path);
            }
        }
    }
    found.sort();
    let script = found.into_iter().find(|path| {
        path.with_extension("json").exists()
            && std::fs::read_to_string(path).unwrap().contains("\nexpect ")
    });
    let script = script.unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(script.with_extension("json"), dir.path().join("good.json")).unwrap();
    let text = std::fs::read_to_string(script).unwrap();
    std::fs::write(dir.path().join("good.stf"), &text).unwrap();
    (dir, text)
}

#[test]
fn scripts_pass_fail_and_are_skipped() {
    let (dir, text) = folder();
    std::fs::copy(
        dir.path().join("good.json"),
        dir.path().join("surplus.json"),
    )
    .unwrap();
    std::fs::write(
        dir.path().join("surplus.stf"),
        format!("{text}\nexpect 3 00 01 02\n"),
    )
    .unwrap();
    std::fs::write(dir.path().join("alone.stf"), &text).unwrap();
    std::fs::write(dir.path().join("broken.stf"), "frobnicate\n").unwrap();
    std::fs::copy(dir.path().join("good.json"), dir.path().join("broken.json")).unwrap();
    let run = |name: &str| {
        let script = dir.path().join(name).with_extension("stf");
        Case::new(&script, dir.path(), dir.path()).run(None)
    };
    let good = run("good");
    assert_eq!((good.verdict, good.reason.as_str()), (Verdict::Passed, ""));
    assert!(good.packets > 0 && good.frames > 0);
    let surplus = run("surplus");
    assert_eq!(surplus.verdict, Verdict::Failed);
    assert!(surplus.reason.contains("port 3"), "{}", surplus.reason);
    let alone = run("alone");
    assert_eq!(alone.verdict, Verdict::Skipped);
    assert!(alone.reason.contains("--p4c"), "{}", alone.reason);
    let broken = run("broken");
    assert_eq!(broken.verdict, Verdict::Failed);
    assert!(broken.reason.contains("frobnicate"), "{}", broken.reason);
    let names = scripts(dir.path(), None).unwrap();
    assert_eq!(names.len(), 4);
    assert_eq!(scripts(dir.path(), Some("al")).unwrap().len(), 1);
}

#[test]
fn a_folder_without_scripts_and_a_missing_compiler_are_told() {
    let empty = tempfile::tempdir().unwrap();
    let error = scripts(empty.path(), None).unwrap_err();
    assert!(error.to_string().contains("no script"), "{error}");
    let error = scripts(&empty.path().join("nowhere"), None).unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
    let error = Compiler::new("no-such-compiler --std p4-16").unwrap_err();
    assert!(error.to_string().contains("no-such-compiler"), "{error}");
}
