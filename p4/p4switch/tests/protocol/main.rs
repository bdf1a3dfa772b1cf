//! The server over loopback, with the client of `p4runtime-proto`.

mod arbitration;
mod model;
mod packets;
mod pipelines;
mod reads;
mod replication;
mod support;
mod writes;
