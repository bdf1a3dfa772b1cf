//! The agent over real sockets: a host's client, mutual TLS, and a P4 target in this process.

#[cfg(test)]
mod binary;
#[cfg(test)]
mod enforce;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod recover;
