//! Identifiers: opaque strings, safe as file names, made by the engine and never guessed by a reader.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS)]
        #[serde(transparent)]
        #[ts(export_to = "contract.ts")]
        pub struct $name(String);

        impl $name {
            /// Accepts 1 to 64 characters of `[A-Za-z0-9_-]`, so that an id can name a file.
            pub fn parse(text: &str) -> Option<Self> {
                let fits = (1..=64).contains(&text.len())
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
                fits.then(|| Self(text.to_owned()))
            }

            /// A new id: a UUID of version 7, so ids of later things sort later.
            pub fn fresh() -> Self {
                Self(uuid::Uuid::now_v7().to_string())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// One start of one agent on one story.
    RunId
);
id!(
    /// A piece of work; its runs follow each other in one worktree.
    StoryId
);
id!(
    /// A git repository that the user added.
    ProjectId
);
