//! Takes what Felix says, compiles it to rows, and keeps the DPU up to date
