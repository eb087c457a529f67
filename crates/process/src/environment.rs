//! What a child may know of our own environment.
//!
//! Only what is named here passes. Keys of providers never do, unless the caller adds them; neither do
//! the variables that mark a Claude Code session of our own (`CLAUDECODE`, `CLAUDE_CODE_*`), those of an
//! AppImage (`APPDIR`, `APPIMAGE`, `ARGV0`, `OWD`) nor those of the display, which no agent needs.
//! Entries below `APPDIR` are taken out of every list (`PATH`, `XDG_DATA_DIRS`, ...).
//!
//! | passes | why |
//! | --- | --- |
//! | `HOME` `USER` `LOGNAME` `SHELL` `TMPDIR` `TMP` `TEMP` | who and where the person is |
//! | `LANG` `LANGUAGE` `LC_*` `TZ` `TERM` `COLORTERM` | language, time, terminal |
//! | `XDG_*` | where programs keep their things |
//! | `SSH_AUTH_SOCK` `SSH_AGENT_PID` `GPG_AGENT_INFO` | signing and pushing as the person does |
//! | `HTTP_PROXY` `HTTPS_PROXY` `NO_PROXY` `ALL_PROXY`, also in small letters | the way out |
//! | `SSL_CERT_FILE` `SSL_CERT_DIR` `NODE_EXTRA_CA_CERTS` `REQUESTS_CA_BUNDLE` `CURL_CA_BUNDLE` `GIT_SSL_CAINFO` | whom to trust on the way |
//! | `CLAUDE_CONFIG_DIR` `CODEX_HOME` | where the agent's own login is |
//! | `SYSTEMROOT` `SYSTEMDRIVE` `WINDIR` `COMSPEC` `PATHEXT` `APPDATA` `LOCALAPPDATA` `PROGRAMDATA` `USERNAME` `USERPROFILE` `HOMEDRIVE` `HOMEPATH` `PROGRAMFILES` `PROGRAMFILES(X86)` `PROGRAMW6432` `COMMONPROGRAMFILES` | Windows' own, in any spelling |
//! | `CLAUDE_CODE_GIT_BASH_PATH` | where Claude Code finds its shell on Windows |

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

const NAMES: &[&str] = &[
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TMPDIR",
    "TMP",
    "TEMP",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TERM",
    "COLORTERM",
    "SSH_AUTH_SOCK",
    "SSH_AGENT_PID",
    "GPG_AGENT_INFO",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "CLAUDE_CONFIG_DIR",
    "CODEX_HOME",
    "SYSTEMROOT",
    "COMSPEC",
    "PATHEXT",
    "APPDATA",
    "LOCALAPPDATA",
    "USERPROFILE",
    "PROGRAMFILES",
    "PROGRAMFILES(X86)",
    "PROGRAMW6432",
    "PROGRAMDATA",
    "COMMONPROGRAMFILES",
    "SYSTEMDRIVE",
    "HOMEDRIVE",
    "HOMEPATH",
    "USERNAME",
    "WINDIR",
    "CLAUDE_CODE_GIT_BASH_PATH",
];
const PREFIXES: &[&str] = &["LC_", "XDG_"];
/// Never pass, not even when the caller adds them.
const APPIMAGE: &[&str] = &["APPDIR", "APPIMAGE", "ARGV0", "OWD"];

/// The allow-list applied.
pub struct Environment;

impl Environment {
    /// Our own environment, thinned out, with `path` as `PATH` and `extra` on top.
    pub fn for_agent(extra: &BTreeMap<String, String>, path: &str) -> BTreeMap<String, String> {
        let own = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self::from_vars(own, extra, path)
    }

    /// The same from any environment.
    pub fn from_vars(
        vars: impl IntoIterator<Item = (String, String)>,
        extra: &BTreeMap<String, String>,
        path: &str,
    ) -> BTreeMap<String, String> {
        let mut app_dir = None;
        let mut kept = BTreeMap::new();
        for (name, value) in vars {
            if name == "APPDIR" && !value.is_empty() {
                app_dir = Some(PathBuf::from(value));
            } else if passes(&name) {
                kept.insert(name, value);
            }
        }
        kept.insert("PATH".to_owned(), path.to_owned());
        kept.extend(extra.iter().map(|(name, value)| (name.clone(), value.clone())));
        kept.retain(|name, _| !is_ours(name));
        if let Some(app_dir) = app_dir {
            for value in kept.values_mut() {
                *value = without(value, &app_dir);
            }
            kept.retain(|name, value| !value.is_empty() || extra.contains_key(name));
        }
        kept
    }
}

fn passes(name: &str) -> bool {
    NAMES.iter().any(|known| known_as(name, known))
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Windows does not tell `Path` from `PATH`.
fn known_as(name: &str, known: &str) -> bool {
    if cfg!(windows) { name.eq_ignore_ascii_case(known) } else { name == known }
}

/// Variables that describe Musher's own process and would mislead a child.
fn is_ours(name: &str) -> bool {
    APPIMAGE.contains(&name) || name == "CLAUDECODE" || name == "CLAUDE_CODE_ENTRYPOINT"
}

/// A list such as `PATH` without the entries below `folder`. Anything else stays as it is.
fn without(list: &str, folder: &Path) -> String {
    if !list.split(':').any(|entry| Path::new(entry).starts_with(folder)) {
        return list.to_owned();
    }
    let kept: Vec<&str> =
        list.split(':').filter(|entry| !Path::new(entry).starts_with(folder)).collect();
    kept.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(vars: &[(&str, &str)], extra: &[(&str, &str)], path: &str) -> BTreeMap<String, String> {
        let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
        };
        Environment::from_vars(own(vars), &own(extra).into_iter().collect(), path)
    }

    #[test]
    fn keys_and_session_marks_stay_behind() {
        let vars = [
            ("HOME", "/home/p"),
            ("LC_ALL", "C.UTF-8"),
            ("ANTHROPIC_API_KEY", "secret"),
            ("OPENAI_API_KEY", "secret"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("CLAUDECODE", "1"),
            ("CLAUDE_CODE_ENTRYPOINT", "cli"),
            ("CLAUDE_CODE_SSE_PORT", "1234"),
            ("DISPLAY", ":0"),
            ("LD_PRELOAD", "x.so"),
            ("MUSHER_RUN", "other"),
        ];
        let env = made(&vars, &[], "/bin");
        let names: Vec<&str> = env.keys().map(String::as_str).collect();
        assert_eq!(names, ["HOME", "LC_ALL", "PATH"]);
    }

    #[test]
    fn what_the_caller_adds_passes() {
        let env = made(&[], &[("ANTHROPIC_API_KEY", "mine"), ("CLAUDECODE", "1")], "/bin");
        assert_eq!(env.get("ANTHROPIC_API_KEY").map(String::as_str), Some("mine"));
        assert!(!env.contains_key("CLAUDECODE"));
    }

    #[test]
    fn an_appimage_leaves_no_trace() {
        let vars = [
            ("APPDIR", "/tmp/.mount_x"),
            ("APPIMAGE", "/home/p/Musher.AppImage"),
            ("OWD", "/home/p"),
            ("ARGV0", "Musher"),
            ("XDG_DATA_DIRS", "/tmp/.mount_x/usr/share:/usr/share"),
            ("XDG_CONFIG_DIRS", "/tmp/.mount_x/etc"),
        ];
        let extra = [("LD_LIBRARY_PATH", "/tmp/.mount_x/usr/lib:/opt/lib"), ("EMPTY", "")];
        let env = made(&vars, &extra, "/tmp/.mount_x/usr/bin:/usr/bin:/tmp/.mount_xy/bin");
        assert_eq!(env["PATH"], "/usr/bin:/tmp/.mount_xy/bin");
        assert_eq!(env["XDG_DATA_DIRS"], "/usr/share");
        assert_eq!(env["LD_LIBRARY_PATH"], "/opt/lib");
        assert_eq!(env["EMPTY"], "");
        assert!(!env.contains_key("XDG_CONFIG_DIRS"));
        assert!(APPIMAGE.iter().all(|name| !env.contains_key(*name)));
    }
}
