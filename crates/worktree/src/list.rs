//! A repository's worktrees, and the branches and tags that work can start from.

use std::path::{Path, PathBuf};

use musher_protocol::{BaseChoice, Worktree};

use crate::answer::why;
use crate::error::{Result, WorktreeError};
use crate::git::Git;

/// More choices than a person scrolls through; the most recently changed come first.
const MOST_BASES: &str = "--count=300";
/// A worktree as git lists it, with what the wire type does not carry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listed {
    pub(crate) path: PathBuf,
    pub(crate) head: Option<String>,
    pub(crate) branch: Option<String>,
    pub(crate) bare: bool,
    pub(crate) locked: Option<String>,
}

impl Listed {
    /// Whether a path from outside means this checkout.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        let real = path.canonicalize().unwrap_or_else(|_| path.components().collect());
        self.path == real || self.path == path
    }
}

impl Git {
    /// What can be chosen as a base, the main checkout's branch first, then by the newest commit.
    pub async fn bases(&self, root: &Path) -> Result<Vec<BaseChoice>> {
        let current = self.current_branch(root).await?;
        let format = "%(refname)%00%(objectname)%00%(*objectname)%00%(subject)%00%(upstream:track,nobracket)%00%(upstream)%00%(symref)";
        let answer = self
            .ask(root, &["for-each-ref", MOST_BASES, "--sort=-creatordate"])
            .arg(format!("--format={format}"))
            .args(["refs/heads/", "refs/remotes/", "refs/tags/"])
            .done()
            .await?;
        let mut bases: Vec<_> = answer.text().lines().filter_map(base_choice).collect();
        for base in &mut bases {
            base.default = current.as_deref() == Some(base.name.as_str());
        }
        bases.sort_by_key(|base| !base.default);
        Ok(bases)
    }

    /// All checkouts of a repository, the main one first. `owned_under` is the folder in which Musher
    /// makes worktrees.
    pub async fn worktrees(&self, root: &Path, owned_under: &Path) -> Result<Vec<Worktree>> {
        let listed = self.listed(root).await?;
        let under = owned_under.canonicalize().unwrap_or_else(|_| owned_under.to_owned());
        let described = listed.into_iter().enumerate().filter(|(_, one)| !one.bare);
        Ok(described.map(|(at, one)| describe(one, at == 0, &under)).collect())
    }

    /// git's list as it is: the first is the main checkout, or the bare repository itself.
    pub(crate) async fn listed(&self, root: &Path) -> Result<Vec<Listed>> {
        let list = self.ask(root, &["worktree", "list", "--porcelain", "-z"]);
        Ok(parse_listed(&list.done().await?.text()))
    }

    /// The branch checked out in `dir`, also when it has no commit yet.
    pub(crate) async fn current_branch(&self, dir: &Path) -> Result<Option<String>> {
        let answer =
            self.ask(dir, &["symbolic-ref", "--quiet", "--short", "HEAD"]).answer().await?;
        match answer.code {
            0 => Ok(Some(answer.line())),
            1 => Ok(None),
            _ => Err(why(&answer, dir, "symbolic-ref")),
        }
    }

    /// The commit that is checked out; `None` before the first one. A branch whose commit is not there
    /// is no beginning, but a broken repository.
    pub(crate) async fn head_of(&self, dir: &Path) -> Result<Option<String>> {
        if let Ok(commit) = self.commit_of(dir, "HEAD").await {
            return Ok(Some(commit));
        }
        let named = self.ask(dir, &["rev-parse", "--verify", "--quiet", "HEAD"]).answer().await?;
        match named.code {
            0 => {
                let said = format!("its commit {} is missing.", named.line());
                Err(WorktreeError::Broken { path: dir.to_owned(), said })
            }
            _ => Ok(None),
        }
    }

    /// A file as a commit has it, by its path from the top on; `None` when it has none there.
    ///
    /// # Errors
    /// When there is no such commit.
    pub async fn file_at(&self, root: &Path, base: &str, path: &str) -> Result<Option<String>> {
        let commit = self.commit_of(root, base).await?;
        let path = path.trim_start_matches("./");
        let call = self.ask(root, &["cat-file", "blob"]).arg(format!("{commit}:{path}"));
        let answer = call.answer().await?;
        Ok((answer.code == 0).then(|| answer.text().to_string()))
    }

    /// The commit that a name stands for.
    pub(crate) async fn commit_of(&self, dir: &Path, name: &str) -> Result<String> {
        let call = self.ask(dir, &["rev-parse", "--verify", "--quiet", "--end-of-options"]);
        let answer = call.arg(format!("{name}^{{commit}}")).answer().await?;
        if answer.code == 0 {
            Ok(answer.line())
        } else {
            Err(WorktreeError::BaseNotFound(name.to_owned()))
        }
    }
}

fn base_choice(line: &str) -> Option<BaseChoice> {
    let mut fields = line.split('\0');
    let (refname, object, peeled) = (fields.next()?, fields.next()?, fields.next()?);
    let (subject, track, upstream) = (fields.next()?, fields.next()?, fields.next()?);
    let symref = fields.next()?;
    if !symref.is_empty() {
        return None;
    }
    let name = ["refs/heads/", "refs/remotes/", "refs/tags/"]
        .iter()
        .find_map(|p| refname.strip_prefix(p))?;
    let commit = if peeled.is_empty() { object } else { peeled };
    Some(BaseChoice {
        name: name.to_owned(),
        commit: commit.to_owned(),
        subject: subject.to_owned(),
        default: false,
        behind: behind(upstream, track),
    })
}

/// From git's `ahead 1, behind 2`, which is empty for a branch that is level with its remote branch,
/// and `gone` when that does not exist any more.
fn behind(upstream: &str, track: &str) -> Option<u32> {
    if upstream.is_empty() || track == "gone" {
        return None;
    }
    let count = track.split(", ").find_map(|part| part.strip_prefix("behind "));
    count.map_or(Some(0), |count| count.parse().ok())
}

fn parse_listed(text: &str) -> Vec<Listed> {
    let mut listed: Vec<Listed> = Vec::new();
    for line in text.split('\0') {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "worktree" {
            listed.push(Listed { path: PathBuf::from(rest), ..Listed::default() });
        }
        let Some(one) = listed.last_mut() else { continue };
        match word {
            "HEAD" if rest.bytes().any(|b| b != b'0') => one.head = Some(rest.to_owned()),
            "branch" => one.branch = Some(rest.trim_start_matches("refs/heads/").to_owned()),
            "bare" => one.bare = true,
            "locked" => one.locked = Some(rest.to_owned()),
            _ => {}
        }
    }
    listed
}

fn describe(one: Listed, main: bool, under: &Path) -> Worktree {
    Worktree {
        owned: !main && one.path.starts_with(under),
        missing: !one.path.is_dir(),
        path: one.path.to_string_lossy().into_owned(),
        branch: one.branch,
        head: one.head,
        main,
        locked: one.locked.is_some(),
    }
}
