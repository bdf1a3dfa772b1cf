//! The reconciler over a device in memory, whole and broken.

#[cfg(test)]
mod changes;
#[cfg(test)]
mod epoch;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod recovery;
