//! Pure P4 engine: bmv2 JSON, entries and packets in, packets and a trace out
