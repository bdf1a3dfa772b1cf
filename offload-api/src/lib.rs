//! The host to DPU API: protos, typed edge, mutual TLS, and the command line client
