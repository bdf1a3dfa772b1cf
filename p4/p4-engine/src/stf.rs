//! The P4 community's simple test framework: scripts of packets, entries and expectations.
//!
//! Line based: `packet PORT HEX`, `expect PORT HEX` (`*` is any digit, a trailing `$` fixes the
//! length, `expect PORT` alone is one frame of any content), `add TABLE [PRIORITY] key:value…
//! ACTION(arg:value…) [= LABEL]`, `setdefault TABLE ACTION(…)`, `remove all | TABLE key:value…`,
//! `check_counter NAME(index or $LABEL) packets|bytes OP NUMBER`, `mirroring_add SESSION PORT`,
//! `mirroring_add_mc SESSION GROUP`, `mirroring_delete SESSION`, `mc_mgrp_create GROUP`,
//! `mc_node_create RID PORT…`, `mc_node_associate GROUP NODE`, `register_write|read|reset`,
//! `counter_write|read`, `wait`. Larger priority wins. Names match exactly, else by a unique end.
//! For each port that the script names the frames that leave must be those expected, in order,
//! and no more.

mod parse;
mod run;
mod words;

pub use parse::{Script, StfError};
pub use run::{StfFailure, StfReport};
