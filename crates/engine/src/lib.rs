//! Pool, run actors, broker, recovery: what runs the agents.
