//! Felix's external dataplane protocol: frames and messages
