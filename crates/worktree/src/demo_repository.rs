//! The throw-away repository that the demo works in when the user has none at hand.

use std::path::Path;

use crate::error::{Result, WorktreeError};
use crate::git::Git;

const README: &str = "# Demo\n\nA small repository for trying Musher. Nothing here matters: \
                      delete it whenever you like.\n";
const NOTES: &str = "Things to try\n\n- answer the agent's question\n- send it a message while it works\n\
                     - stop it, then go on\n";

impl Git {
    /// Makes the repository with one commit; one that is there already is left as it is.
    pub async fn make_demo_repository(&self, path: &Path) -> Result<()> {
        if path.join(".git").exists() {
            return Ok(());
        }
        std::fs::create_dir_all(path).map_err(|e| WorktreeError::io(path, e))?;
        for (name, text) in [("README.md", README), ("notes.txt", NOTES)] {
            let file = path.join(name);
            std::fs::write(&file, text).map_err(|e| WorktreeError::io(&file, e))?;
        }
        // The template folder of the system may hold hooks; this repository has none.
        self.ask(path, &["init", "--quiet", "--template=", "--initial-branch=main"]).done().await?;
        self.call(path, &["add", "--", "README.md", "notes.txt"]).done().await?;
        let commit = ["commit", "--quiet", "--no-gpg-sign", "-m", "A place to try things"];
        self.call(path, &commit)
            .env("GIT_AUTHOR_NAME", "Musher")
            .env("GIT_AUTHOR_EMAIL", "musher@localhost")
            .env("GIT_COMMITTER_NAME", "Musher")
            .env("GIT_COMMITTER_EMAIL", "musher@localhost")
            .done()
            .await?;
        Ok(())
    }
}
