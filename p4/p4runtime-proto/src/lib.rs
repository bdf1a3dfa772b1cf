//! P4Runtime messages, service stubs and client helpers
