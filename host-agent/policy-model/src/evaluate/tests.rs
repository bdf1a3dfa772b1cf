//! The evaluator against Calico's semantics, criterion by criterion.

mod criteria;
mod hosts;
mod order;
mod outside;
