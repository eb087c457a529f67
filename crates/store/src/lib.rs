//! Transcripts (JSON Lines, the truth) and SQLite (state, index).
