//! Runs every case directory: `cases/NAME/NAME.json`, made from `NAME.p4`, under `NAME.stf`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use p4_engine::stf::Script;
use p4_engine::{Engine, EngineConfig, Program};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut dirs = Vec::new();
    for entry in std::fs::read_dir(&root)? {
        let path = entry?.path();
        if path.is_dir() {
            dirs.push(path);
        }
    }
    dirs.sort();
    assert!(!dirs.is_empty(), "no case under {}", root.display());
    let trials = dirs.into_iter().map(|dir| {
        let name = dir
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Trial::test(name.clone(), move || play(&dir, &name))
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit()
}

fn play(dir: &Path, name: &str) -> Result<(), Failed> {
    let read = |suffix: &str| {
        let path: PathBuf = dir.join(format!("{name}.{suffix}"));
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let script = Script::parse(&read("stf")?)?;
    let program = Arc::new(Program::load(&read("json")?)?);
    let mut engine = Engine::new(program, EngineConfig::default());
    let report = script.run(&mut engine)?;
    if report.packets == 0 || report.frames == 0 {
        return Err("the script sends or expects nothing".into());
    }
    Ok(())
}
