//! Single cases that a reader can follow.
