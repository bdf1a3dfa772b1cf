//! Typed rows of the pipeline's tables, generated from its p4info
