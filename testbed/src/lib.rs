//! Labs, demo, replay, benches and the oracles
