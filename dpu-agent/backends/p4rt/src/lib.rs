//! Rows to a P4Runtime target and back
