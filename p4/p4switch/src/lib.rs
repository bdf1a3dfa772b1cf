//! P4Runtime server and packet ports round the engine
