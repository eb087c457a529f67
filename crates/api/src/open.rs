//! What `open_external` may hand to the system: links of three schemes, and files inside a worktree
//! that Musher knows. The words come from an agent's output, so nothing that starts a program passes.

use std::path::{Path, PathBuf};

use musher_engine::Engine;
use musher_protocol::*;
use reqwest::Url;

use crate::OpenTarget;

/// Checks the target; a file against the worktrees that are `known`, asked for only then.
pub(crate) async fn target(
    params: &OpenParams,
    known: impl Future<Output = Result<Vec<PathBuf>, ApiError>>,
) -> Result<OpenTarget, ApiError> {
    if !Path::new(&params.target).is_absolute() {
        return link(&params.target);
    }
    let file = std::fs::canonicalize(&params.target).map_err(|error| {
        ApiError::new(
            ErrorCode::NotFound,
            format!("`{}` cannot be opened: {error}.", params.target),
        )
    })?;
    inside(&known.await?, file)
}

pub(crate) async fn known_worktrees(engine: &Engine) -> Result<Vec<PathBuf>, ApiError> {
    let mut known: Vec<_> =
        engine.run_list().await?.into_iter().map(|run| PathBuf::from(run.worktree)).collect();
    for project in engine.project_list().await? {
        known.push(project.root.into());
        let worktrees = engine.project_worktrees(ProjectParams { project: project.id }).await;
        // A project whose repository is gone has no worktrees to open files in.
        known.extend(worktrees.into_iter().flatten().map(|worktree| worktree.path.into()));
    }
    Ok(known)
}

fn inside(worktrees: &[PathBuf], file: PathBuf) -> Result<OpenTarget, ApiError> {
    let known = |worktree: &PathBuf| {
        !worktree.as_os_str().is_empty()
            && std::fs::canonicalize(worktree).is_ok_and(|worktree| file.starts_with(worktree))
    };
    if !worktrees.iter().any(known) {
        return Err(refused("the file is in no worktree that Musher knows"));
    }
    if starts_a_program(&file) {
        return Err(refused("it is a program, and opening it could start it")
            .with_hint("Look at it in the diff, or open its folder."));
    }
    Ok(OpenTarget::File(file))
}

/// Whether a desktop may run the file in place of showing it.
fn starts_a_program(file: &Path) -> bool {
    const LAUNCHERS: [&str; 10] =
        ["desktop", "appimage", "sh", "command", "app", "exe", "bat", "cmd", "lnk", "jar"];
    let extension = file.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    LAUNCHERS.contains(&extension.as_str()) || is_executable_file(file)
}

#[cfg(unix)]
fn is_executable_file(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable_file(_file: &Path) -> bool {
    false
}

fn link(text: &str) -> Result<OpenTarget, ApiError> {
    let url = Url::parse(text).map_err(|_| refused("it is no link and no absolute path"))?;
    let known = match url.scheme() {
        "https" | "http" => url.has_host(),
        "mailto" => true,
        _ => false,
    };
    if known {
        Ok(OpenTarget::Link(url.into()))
    } else {
        Err(refused("links of this kind are not opened"))
    }
}

fn refused(why: &str) -> ApiError {
    ApiError::new(ErrorCode::BadRequest, format!("The value of `target` is refused: {why}."))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_three_schemes_are_links() {
        for good in ["https://example.org/a?b#c", "http://127.0.0.1:80/", "mailto:a@example.org"] {
            assert!(matches!(link(good), Ok(OpenTarget::Link(_))), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            "file:///etc/passwd",
            "data:text/html,x",
            "vscode://x",
            "-x",
            "ext::sh -c x",
            "",
        ] {
            assert_eq!(link(bad).unwrap_err().code, ErrorCode::BadRequest, "{bad}");
        }
    }

    #[test]
    fn a_file_is_inside_a_worktree_after_links_are_resolved() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let worktree = root.join("worktree");
        std::fs::create_dir(&worktree).unwrap();
        std::fs::write(worktree.join("a.txt"), "a").unwrap();
        std::fs::write(root.join("outside.txt"), "b").unwrap();
        let known = [PathBuf::new(), worktree.clone()];
        assert!(inside(&known, worktree.join("a.txt")).is_ok());
        assert!(inside(&known, worktree.clone()).is_ok());
        assert!(inside(&known, root.join("outside.txt")).is_err());
        assert!(inside(&[PathBuf::new()], worktree.join("a.txt")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn what_may_run_is_not_opened() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let worktree = dir.path().canonicalize().unwrap();
        let program = worktree.join("program");
        std::fs::write(&program, "#!/bin/sh").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let launcher = worktree.join("a.DESKTOP");
        std::fs::write(&launcher, "[Desktop Entry]").unwrap();
        assert!(inside(std::slice::from_ref(&worktree), program).is_err());
        assert!(inside(std::slice::from_ref(&worktree), launcher).is_err());
    }
}
