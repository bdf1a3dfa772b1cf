//! Serves the offload API on the DPU and keeps the device's tables as the host wants them
