//! Loads a program and says what is in it.

#![expect(clippy::print_stdout, reason = "a program for people prints")]

use p4_engine::Program;

fn main() {
    let path = std::env::args().nth(1).unwrap_or_default();
    let json = std::fs::read_to_string(path).unwrap_or_default();
    match Program::load(&json) {
        Ok(program) => {
            for table in program.tables() {
                println!(
                    "{} {:?} actions {}",
                    table.name,
                    table
                        .fields
                        .iter()
                        .map(|f| (&f.name, f.bits, f.kind))
                        .collect::<Vec<_>>(),
                    table.actions.len()
                );
            }
            println!("registers {:?}", program.registers());
            println!("counters {:?}", program.counters());
            println!("{}", program.summary());
            print!("{}", program.listing());
        }
        Err(error) => println!("refused: {error}"),
    }
}
