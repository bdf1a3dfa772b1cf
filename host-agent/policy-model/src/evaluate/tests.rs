//! The evaluator against Calico's semantics, criterion by criterion.

mod criteria;
mod order;
mod outside;
