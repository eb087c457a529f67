//! The scripted agent: speaks Claude Code's stream-json dialect from a script.
