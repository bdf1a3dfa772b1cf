//! What a device must offer, with an in-memory and a fault-injecting back end
