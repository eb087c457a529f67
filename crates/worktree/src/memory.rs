//! Commits that only a worktree remembers, and that go with its record and its branch: what was amended
//! or reset away (its logs), the stash that a rebase put aside, its own refs, unfinished merges.

use std::collections::BTreeSet;
use std::path::Path;

use crate::error::Result;
use crate::git::Git;
use crate::list::Listed;

/// Names that git writes in a worktree's own folder while something is unfinished (gitrevisions).
const NAMES: &str = "ORIG_HEAD\nMERGE_HEAD\nCHERRY_PICK_HEAD\nREVERT_HEAD\nREBASE_HEAD\nMERGE_AUTOSTASH\n\
                     BISECT_HEAD\nFETCH_HEAD\n";
/// Files there that hold a commit without being a ref, so that even git's own clean-up overlooks it.
const FILES: &[&str] =
    &["rebase-merge/autostash", "rebase-apply/autostash", "rebase-merge/orig-head"];
/// Of so many moves of a branch the commits are kept.
const LONGEST_LOG: &str = "--max-count=1000";

impl Git {
    /// The newest of the commits that neither `HEAD` nor any ref that stays reaches.
    pub(crate) async fn remembered(&self, root: &Path, one: &Listed) -> Result<Vec<String>> {
        let there = one.path.is_dir();
        let place = if there { one.path.as_path() } else { root };
        let mut found = self.logged(place, one, there).await?;
        if there {
            found.extend(self.unfinished(place).await?);
        }
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let not_head = one.head.iter().map(|head| format!("^{head}"));
        let input: Vec<String> = found.into_iter().chain(not_head).collect();
        let input = (input.join("\n") + "\n").into_bytes();
        let call = self.ask(root, &["rev-list", "--parents", "--ignore-missing", "--stdin"]);
        let own = one.branch.as_ref().map(|branch| format!("--exclude=refs/heads/{branch}"));
        let call = call.arg("--not").args(own).arg("--glob=refs/*").input(input);
        Ok(newest(&call.done().await?.text()))
    }

    async fn logged(&self, place: &Path, one: &Listed, there: bool) -> Result<BTreeSet<String>> {
        let branch = one.branch.as_ref().map(|branch| format!("refs/heads/{branch}"));
        let names = there.then(|| "HEAD".to_owned()).into_iter().chain(branch);
        let mut found = BTreeSet::new();
        for name in names {
            let call = self.ask(place, &["rev-list", "--walk-reflogs", LONGEST_LOG]);
            let answer = call.args([name.as_str(), "--"]).answer().await?;
            found.extend(answer.text().lines().map(str::to_owned));
        }
        Ok(found)
    }

    async fn unfinished(&self, dir: &Path) -> Result<BTreeSet<String>> {
        let own = ["refs/worktree", "refs/bisect", "refs/rewritten"];
        let refs = self.ask(dir, &["for-each-ref", "--format=%(objectname)"]).args(own);
        let mut names: String = refs.done().await?.text();
        names.push_str(NAMES);
        let git_dir = self.ask(dir, &["rev-parse", "--absolute-git-dir"]).done().await?.line();
        for file in FILES {
            let held = std::fs::read_to_string(Path::new(&git_dir).join(file)).unwrap_or_default();
            names.push_str(held.trim());
            names.push('\n');
        }
        let ask = self.ask(dir, &["cat-file", "--batch-check=%(objecttype) %(objectname)"]);
        let names = names
            .lines()
            .filter(|name| !name.is_empty())
            .fold(String::new(), |all, name| all + name + "^{commit}\n");
        let known = ask.input(names.into_bytes()).done().await?.text();
        let commits = known.lines().filter_map(|line| line.strip_prefix("commit "));
        Ok(commits.map(str::to_owned).collect())
    }
}

/// Of `<commit> <parent>...` lines, the commits that are nobody's parent.
fn newest(listing: &str) -> Vec<String> {
    let lines = || listing.lines().map(|line| line.split(' '));
    let parents: BTreeSet<&str> = lines().flat_map(|words| words.skip(1)).collect();
    let commits = lines().filter_map(|mut words| words.next());
    commits.filter(|commit| !parents.contains(commit)).map(str::to_owned).collect()
}
