//! The evaluator against Calico's semantics, criterion by criterion.
