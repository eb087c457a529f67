//! What every runtime must do, for the agents whose model is reached over HTTP: each case in each
//! dialect, against scripted servers that hold the client to the rules of the dialect.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

/// Every case as a test for each dialect.
macro_rules! each_dialect {
    ($($name:ident),* $(,)?) => {
        each_dialect!(@one responses, Responses, [$($name)*]);
        each_dialect!(@one chat, Chat, [$($name)*]);
        each_dialect!(@one gemini, Gemini, [$($name)*]);
    };
    (@one $module:ident, $dialect:ident, [$($name:ident)*]) => {
        mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(musher_testkit::dialects::Dialect::$dialect).await
            })*
        }
    };
}

#[path = "model/calls.rs"]
mod calls;
#[path = "model/endings.rs"]
mod endings;
#[path = "model/ends.rs"]
mod ends;
#[path = "model/harness.rs"]
mod harness;
#[path = "model/keys.rs"]
mod keys;
#[path = "model/kills.rs"]
mod kills;
#[path = "model/limits.rs"]
mod limits;
#[path = "model/modes.rs"]
mod modes;
#[path = "model/room.rs"]
mod room;
#[path = "model/stops.rs"]
mod stops;
#[path = "model/talk.rs"]
mod talk;
#[path = "model/tools.rs"]
mod tools;
#[path = "model/wishes.rs"]
mod wishes;
