"""Values and pure functions. No clock, no I/O, no await: time comes in as an argument."""
