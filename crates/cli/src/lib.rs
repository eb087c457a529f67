//! musher: run, serve, doctor, ... without a window; and the keeper's executable.
