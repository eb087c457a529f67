//! git: projects, worktrees, changes, diffs, trust.
