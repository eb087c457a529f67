//! The `PATH` that the person's own shell has. Programs started from a desktop do not have it.
//!
//! The shell is asked as a login shell *and* an interactive one, because version managers write to
//! either kind of start-up file. Such a shell may print banners, wait for a terminal or hang: hence a
//! marker before the answer, no input, no terminal (a session of its own) and a limit of five seconds.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::sync::OnceCell;

#[cfg(unix)]
use crate::{
    client::keeper_program,
    keeper::IN_NEW_SESSION,
    run::{Cmd, run},
};

const LIMIT: Duration = Duration::from_secs(5);
#[cfg(unix)]
const MARKER: &str = "__musher_environment__";
/// Where programs usually are, below the home folder and elsewhere.
const HOME_FOLDERS: &[&str] = &[".local/bin", "bin", ".cargo/bin", ".bun/bin", ".volta/bin"];
const SYSTEM_FOLDERS: &[&str] = &[
    "/opt/homebrew/bin",
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Where a `PATH` is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathSource {
    /// The person's login shell.
    Login,
    /// Our own environment: the shell did not say.
    Inherited,
    /// The usual folders: there was nothing else.
    Fallback,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginPath {
    pub path: String,
    pub source: PathSource,
    /// Why the shell's own could not be had, for `musher doctor`.
    pub note: Option<String>,
}

/// Keeps the answer for the process: the shell is asked once.
#[derive(Debug, Default)]
pub struct LoginPathCache(OnceCell<LoginPath>);

pub async fn login_path(cache: &LoginPathCache) -> LoginPath {
    let own =
        || std::env::vars_os().filter_map(|(name, value)| text(name).zip(text(value))).collect();
    cache.0.get_or_init(|| ask_for(own(), LIMIT)).await.clone()
}

fn text(value: OsString) -> Option<String> {
    value.into_string().ok()
}

async fn ask_for(env: BTreeMap<String, String>, limit: Duration) -> LoginPath {
    let inherited = env.get("PATH").cloned().unwrap_or_default();
    let home = if cfg!(windows) { env.get("USERPROFILE") } else { env.get("HOME") };
    let home = home.map(PathBuf::from).unwrap_or_default();
    let app_dir = env.get("APPDIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let asked = ask_shell(env, limit).await;
    let (path, source, note) = match asked {
        Ok(path) => (path, PathSource::Login, None),
        Err(why) if !inherited.is_empty() => (inherited, PathSource::Inherited, Some(why)),
        Err(why) => (String::new(), PathSource::Fallback, Some(why)),
    };
    LoginPath { path: completed(&path, &home, app_dir.as_deref()), source, note }
}

/// Programs have the person's own `PATH` there, however they were started.
#[cfg(not(unix))]
async fn ask_shell(env: BTreeMap<String, String>, _limit: Duration) -> Result<String, String> {
    let path = env.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("PATH"));
    path.map(|(_, path)| path).ok_or_else(|| "There is no PATH.".to_owned())
}

/// The error is a sentence for a person.
#[cfg(unix)]
async fn ask_shell(mut env: BTreeMap<String, String>, limit: Duration) -> Result<String, String> {
    let shell = env.get("SHELL").filter(|shell| shell.starts_with('/')).cloned();
    let shell = shell.unwrap_or_else(|| "/bin/sh".to_owned());
    for name in ["APPDIR", "APPIMAGE", "ARGV0", "OWD", "CLAUDECODE", crate::tree::MARK] {
        env.remove(name);
    }
    let home = env.get("HOME").map(PathBuf::from).filter(|home| home.is_dir());
    // macOS before 13 has no -0.
    let script = format!("printf '%s\\0' {MARKER}; env -0 2>/dev/null || env");
    let arguments = ["-i", "-l", "-c", &script];
    let cwd = home.unwrap_or_else(|| "/".into());
    let mut cmd = match keeper_program() {
        Ok(keeper) => Cmd::new(keeper, cwd).args([IN_NEW_SESSION, &shell]),
        Err(_) => Cmd::new(&shell, cwd),
    }
    .args(arguments);
    cmd.own_session = cmd.program != Path::new(&shell);
    cmd.env = env;
    cmd.timeout = limit;
    cmd.output_limit = 4 << 20;
    let finished = run(cmd).await.map_err(|error| format!("{shell} -ilc: {error}."))?;
    path_in(&finished.stdout).ok_or_else(|| {
        format!("{shell} -ilc did not say its PATH; is it set in its start-up files?")
    })
}

/// `PATH` behind the last marker; what start-up files print stands before it.
#[cfg(unix)]
fn path_in(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let (_, answer) = text.rsplit_once(&format!("{MARKER}\0"))?;
    let between = if answer.contains('\0') { '\0' } else { '\n' };
    let path = answer.split(between).find_map(|variable| variable.strip_prefix("PATH="))?;
    (!path.is_empty()).then(|| path.to_owned())
}

/// Without the folders of our own AppImage and without doubles; the usual folders last.
fn completed(path: &str, home: &Path, app_dir: Option<&Path>) -> String {
    let usual =
        HOME_FOLDERS.iter().map(|folder| home.join(folder)).filter(|folder| folder.is_dir());
    let usual = usual.chain(SYSTEM_FOLDERS.iter().map(PathBuf::from).filter(|dir| dir.is_dir()));
    let mut folders: Vec<PathBuf> = Vec::new();
    for folder in std::env::split_paths(path).chain(usual) {
        let foreign = app_dir.is_some_and(|app_dir| folder.starts_with(app_dir));
        if folder.is_absolute() && !foreign && !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    let joined = std::env::join_paths(folders).unwrap_or_default();
    joined.to_string_lossy().into_owned()
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    struct Home(tempfile::TempDir);

    impl Home {
        /// A home whose shell is this script, called as `shell -i -l -c <command>`.
        fn with_shell(script: &str) -> Self {
            let home = Self(tempfile::tempdir().unwrap());
            let shell = home.0.path().join("shell");
            fs::write(&shell, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&shell, fs::Permissions::from_mode(0o755)).unwrap();
            home
        }

        async fn ask(&self, more: &[(&str, &str)]) -> LoginPath {
            let path = |path: &Path| path.to_str().unwrap().to_owned();
            let shell = path(&self.0.path().join("shell"));
            let mut env =
                BTreeMap::from([("HOME".into(), path(self.0.path())), ("SHELL".into(), shell)]);
            env.extend(more.iter().map(|(name, value)| ((*name).into(), (*value).into())));
            ask_for(env, Duration::from_secs(2)).await
        }
    }

    #[tokio::test]
    async fn the_shells_own_path_is_found_behind_its_banner() {
        let script = "echo 'PATH=/banner'; test \"$1$2$3\" = -i-l-c || exit 1
            PATH=/nvm/bin:/usr/bin:relative:/nvm/bin; eval \"$4\"";
        let found = Home::with_shell(script).ask(&[("PATH", "/usr/bin:/bin")]).await;
        assert!(found.path.starts_with("/nvm/bin:/usr/bin:"), "{found:?}");
        assert_eq!(found.path.matches("/nvm/bin").count(), 1);
        assert!(!found.path.contains("relative") && !found.path.contains("banner"));
        assert_eq!((found.source, found.note), (PathSource::Login, None));
    }

    #[test]
    fn an_answer_without_zeros_is_read_line_by_line() {
        let answer = format!("PATH=/no\n{MARKER}\0HOME=/h\nPATH=/opt/homebrew/bin:/bin\nA=b\n");
        assert_eq!(path_in(answer.as_bytes()).as_deref(), Some("/opt/homebrew/bin:/bin"));
        let zeros = format!("{MARKER}\0TEXT=a\nPATH=/not/this\0PATH=/bin\0");
        assert_eq!(path_in(zeros.as_bytes()).as_deref(), Some("/bin"));
    }

    #[tokio::test]
    async fn a_shell_that_hangs_is_given_up() {
        let home = Home::with_shell("/bin/sleep 1000 & /bin/sleep 1000");
        let found = home.ask(&[("PATH", "/own/bin"), ("MUSHER_RUN", "hung-shell")]).await;
        assert_eq!(found.source, PathSource::Inherited);
        assert!(found.path.starts_with("/own/bin:"), "{found:?}");
        assert!(found.note.unwrap().contains("did not finish within 2 s"));
    }

    #[tokio::test]
    async fn the_usual_folders_are_the_last_resort() {
        let home = Home::with_shell("exit 1");
        fs::create_dir_all(home.0.path().join(".local/bin")).unwrap();
        let found = home.ask(&[]).await;
        assert_eq!(found.source, PathSource::Fallback);
        let own = home.0.path().join(".local/bin");
        assert!(found.path.starts_with(own.to_str().unwrap()), "{found:?}");
        assert!(found.path.contains("/usr/bin"));
    }

    #[tokio::test]
    async fn folders_of_our_own_appimage_do_not_count() {
        let script = "export PATH=/tmp/.mount/usr/bin:/usr/bin; eval \"$4\"";
        let found = Home::with_shell(script).ask(&[("APPDIR", "/tmp/.mount")]).await;
        assert!(found.path.starts_with("/usr/bin"), "{found:?}");
    }

    #[tokio::test]
    async fn a_real_login_shell_answers() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(".bash_profile"), "export PATH=/from/profile:$PATH\n").unwrap();
        let home = home.path().to_str().unwrap().to_owned();
        let env = [("HOME", home.as_str()), ("SHELL", "/bin/bash"), ("PATH", "/usr/bin:/bin")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let found = ask_for(env, LIMIT).await;
        assert!(found.path.starts_with("/from/profile:"), "{found:?}");
    }
}
