//! Desired minus observed, as a state machine without sockets or clocks
