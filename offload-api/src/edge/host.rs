//! What `offloadctl` shows.
