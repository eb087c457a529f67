//! The one door to spawn: keeper, PTY, pipes, process groups, termination with proof.
