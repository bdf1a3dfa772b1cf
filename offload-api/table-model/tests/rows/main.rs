//! Packing, subtracting, sequencing and applying rows.

#[cfg(test)]
mod generate;
#[cfg(test)]
mod pack;
#[cfg(test)]
mod sequence;
#[cfg(test)]
mod snapshot;
