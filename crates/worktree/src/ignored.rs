//! Ignored files that nobody can make again: an `.env`, a local database, notes.
//!
//! They are copied out of a worktree before it goes, not put into git: what is ignored is often secret,
//! and a ref can be pushed. Left behind are folders that a build makes anew, known by their name or by
//! the cache tag (bford.info/cachedir). What is neither, and too much to copy, stops the removal.

use std::path::{Component, Path, PathBuf};

use crate::error::{Result, WorktreeError};

/// More than this is not copied. A build folder of an unknown name is soon larger.
const MOST_BYTES: u64 = 512 << 20;
const MOST_FILES: u32 = 20_000;

const REMADE: &[&str] = &[
    "node_modules",
    "bower_components",
    "jspm_packages",
    ".pnpm-store",
    ".yarn",
    ".npm",
    "target",
    "dist",
    "build",
    "out",
    "obj",
    "_build",
    ".build",
    "deps",
    ".venv",
    "venv",
    "virtualenv",
    "__pycache__",
    ".tox",
    ".nox",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".hypothesis",
    ".eggs",
    "htmlcov",
    "coverage",
    ".nyc_output",
    ".gradle",
    ".cxx",
    ".m2",
    ".ivy2",
    ".bsp",
    ".metals",
    ".bloop",
    ".next",
    ".nuxt",
    ".output",
    ".svelte-kit",
    ".astro",
    ".angular",
    ".expo",
    ".turbo",
    ".parcel-cache",
    ".vite",
    ".cache",
    ".ccache",
    ".sass-cache",
    ".docusaurus",
    ".terragrunt-cache",
    ".bundle",
    "Pods",
    "DerivedData",
    "xcuserdata",
    ".dart_tool",
    ".pub-cache",
    "elm-stuff",
    ".stack-work",
    "dist-newstyle",
    ".zig-cache",
    "zig-cache",
    "zig-out",
    "Library",
    "Temp",
    "Intermediate",
    "Binaries",
    "DerivedDataCache",
    ".godot",
    ".import",
    ".direnv",
    ".devenv",
    ".vs",
    "CMakeFiles",
];

/// What became of a worktree's ignored files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Where the copies are; absent when there was nothing to copy.
    pub(crate) place: Option<PathBuf>,
    /// Folders that were left to be made anew.
    pub(crate) left: Vec<String>,
}

struct Copying<'a> {
    top: &'a Path,
    to: &'a Path,
    bytes: u64,
    files: u32,
    left: Vec<String>,
}

/// Copies `ignored` (as `git status` names them) from `top` to `to`, which does not exist yet. An error
/// leaves no copies.
pub(crate) fn keep(top: &Path, ignored: &[String], to: &Path) -> Result<Kept> {
    let mut copying = Copying { top, to, bytes: 0, files: 0, left: Vec::new() };
    let copied = ignored.iter().try_for_each(|path| copying.take(Path::new(path)));
    if let Err(error) = copied {
        drop(std::fs::remove_dir_all(to));
        return Err(error);
    }
    let place = (copying.files > 0).then(|| to.to_owned());
    Ok(Kept { place, left: copying.left })
}

impl Copying<'_> {
    fn take(&mut self, path: &Path) -> Result<()> {
        let from = self.top.join(path);
        let Ok(meta) = from.symlink_metadata() else { return Ok(()) };
        if meta.is_dir() {
            return self.take_folder(path);
        }
        if !meta.is_file() && !meta.is_symlink() {
            return Ok(());
        }
        self.bytes += meta.len();
        self.files += 1;
        if self.bytes > MOST_BYTES || self.files > MOST_FILES {
            return Err(self.too_much(path));
        }
        let to = self.to.join(path);
        make_private(to.parent().unwrap_or(self.to)).map_err(|e| WorktreeError::io(&to, e))?;
        copy(&from, &to, meta.is_symlink()).map_err(|e| self.cannot(path, &e))
    }

    fn take_folder(&mut self, path: &Path) -> Result<()> {
        if is_remade(self.top, path) {
            self.left.push(format!("{}/", path.display()));
            return Ok(());
        }
        let whole = self.top.join(path);
        if whole.join(".git").symlink_metadata().is_ok() {
            let why = format!("a repository lies inside of it ({})", path.display());
            return Err(self.refusal(why));
        }
        for entry in std::fs::read_dir(&whole).map_err(|e| self.cannot(path, &e))? {
            let entry = entry.map_err(|e| self.cannot(path, &e))?;
            self.take(&path.join(entry.file_name()))?;
        }
        Ok(())
    }

    fn too_much(&self, path: &Path) -> WorktreeError {
        let mut parts = path.components();
        let first = parts.next().map_or(path, |first| Path::new(first.as_os_str()));
        let why = format!(
            "the ignored files are too many to keep (more than {} MiB or {MOST_FILES} files, `{}` among them)",
            MOST_BYTES >> 20,
            first.display()
        );
        self.refusal(why)
    }

    fn cannot(&self, path: &Path, error: &std::io::Error) -> WorktreeError {
        self.refusal(format!("the ignored `{}` cannot be copied ({error})", path.display()))
    }

    fn refusal(&self, why: String) -> WorktreeError {
        WorktreeError::CannotRescue { path: self.top.to_owned(), why }
    }
}

/// Whether a build makes the folder anew. A project's `build/` that git knows is not ignored, so it
/// never comes here.
fn is_remade(top: &Path, path: &Path) -> bool {
    let named = path.components().any(|part| match part {
        Component::Normal(name) => name.to_str().is_some_and(|name| REMADE.contains(&name)),
        _ => false,
    });
    named || top.join(path).join("CACHEDIR.TAG").is_file()
}

fn copy(from: &Path, to: &Path, is_link: bool) -> std::io::Result<()> {
    if is_link {
        return std::os::unix::fs::symlink(from.read_link()?, to);
    }
    std::fs::copy(from, to).map(drop)
}

fn make_private(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}
