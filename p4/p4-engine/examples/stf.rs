//! Runs every `NAME.json` + `NAME.stf` pair of the directories given.

#![expect(clippy::print_stdout, reason = "a program for people prints")]

use std::path::Path;
use std::sync::Arc;

use p4_engine::stf::Script;
use p4_engine::{Engine, EngineConfig, Program};

fn main() {
    let (mut passed, mut failed) = (0, 0);
    for dir in std::env::args().skip(1) {
        let mut names: Vec<_> = std::fs::read_dir(&dir)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|ext| ext == "stf"))
            .collect();
        names.sort();
        for stf in names {
            match one(&stf) {
                Ok(()) => passed += 1,
                Err(problem) => {
                    failed += 1;
                    println!("{}: {problem}", stf.display());
                }
            }
        }
    }
    println!("{passed} passed, {failed} failed");
}

fn one(stf: &Path) -> Result<(), String> {
    let json = std::fs::read_to_string(stf.with_extension("json")).map_err(|e| e.to_string())?;
    let text = std::fs::read_to_string(stf).map_err(|e| e.to_string())?;
    let script = Script::parse(&text).map_err(|e| e.to_string())?;
    let program = Program::load(&json).map_err(|e| e.to_string())?;
    let mut engine = Engine::new(Arc::new(program), EngineConfig::default());
    script.run(&mut engine).map_err(|e| e.to_string())?;
    Ok(())
}
