//! The store against its promises.
