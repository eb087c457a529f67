//! The contract suite: what every runtime must do, with the scripted agent as its program, over a PTY
//! and over a pipe. Each run ends with a proof that no process of it is left.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]
#![cfg(target_os = "linux")]

/// Every case as a test for each transport.
macro_rules! contract {
    ($($(#[$attribute:meta])* $name:ident),* $(,)?) => {
        mod pty {
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(musher_protocol::Transport::Pty).await })*
        }
        mod pipe {
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(musher_protocol::Transport::Pipe).await })*
        }
    };
}

#[path = "contract/account.rs"]
mod account;
#[path = "contract/attach.rs"]
mod attach;
#[path = "contract/ends.rs"]
mod ends;
#[path = "contract/harness.rs"]
mod harness;
#[path = "contract/interleaving.rs"]
mod interleaving;
#[path = "contract/talk.rs"]
mod talk;
