//! `testbed`: labs, demo, replay and benches.
fn main() {}
