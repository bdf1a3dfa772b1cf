//! What is refused, and what not.
