//! The scripted endpoints as a client sees them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod chat_rules;
mod client;
mod endings;
mod gemini_rules;
mod headers;
mod responses_rules;
mod streams;
