//! Calico's door: updates from Felix, the in-sync gate, status back, and the relay that Felix starts
