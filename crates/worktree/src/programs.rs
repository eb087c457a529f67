//! Which keys of git's configuration name a program that git would run. One list, used twice: to turn
//! drivers off, and to show a person what a repository could run.
//!
//! The keys are those of git 2.47's `git help --config` whose value is a command, plus the ones that
//! bring such a value in (`include.path`) or reach out by a program (`remote.<name>.vcs`). A driver
//! has a name of the repository's choosing, so it can only be turned off by the names that are set.

/// One value of git's configuration, as `git config --list -z --show-scope` gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Set by the repository itself (`local` or `worktree`), not by its user or the machine.
    pub(crate) own: bool,
    /// Section and variable in lower case, the part between as written.
    pub(crate) key: String,
    pub(crate) value: String,
}

impl Setting {
    fn section(&self) -> &str {
        self.key.split('.').next().unwrap_or_default()
    }

    fn variable(&self) -> &str {
        self.key.rsplit('.').next().unwrap_or_default()
    }

    /// The key without its last part: `filter.lfs` of `filter.lfs.clean`.
    fn driver(&self) -> &str {
        self.key.rsplit_once('.').map_or("", |(head, _)| head)
    }
}

/// Reads the NUL-separated list, without what we set ourselves for the call (scope `command`). What does
/// not fit is left out: git never writes it.
pub(crate) fn parse_settings(listed: &str) -> Vec<Setting> {
    let mut parts = listed.split_terminator('\0');
    let mut settings = Vec::new();
    while let (Some(scope), Some(pair)) = (parts.next(), parts.next()) {
        let (key, value) = pair.split_once('\n').unwrap_or((pair, "true"));
        let own = matches!(scope, "local" | "worktree");
        if scope != "command" {
            settings.push(Setting { own, key: key.to_owned(), value: value.to_owned() });
        }
    }
    settings
}

/// What switches off every filter, diff, merge and hook driver that has a name here, as pairs for
/// git's environment. An empty command is git's way to say that there is none.
pub(crate) fn driver_overrides(settings: &[Setting]) -> Vec<(String, String)> {
    let mut drivers: Vec<&str> = settings
        .iter()
        .filter(|s| matches!(s.section(), "filter" | "diff" | "merge" | "hook"))
        .map(Setting::driver)
        .filter(|driver| driver.contains('.'))
        .collect();
    drivers.sort_unstable();
    drivers.dedup();
    drivers.into_iter().flat_map(switched_off).collect()
}

fn switched_off(driver: &str) -> Vec<(String, String)> {
    let with = |variable: &str, value: &str| (format!("{driver}.{variable}"), value.to_owned());
    match driver.split('.').next() {
        Some("filter") => {
            vec![
                with("clean", ""),
                with("smudge", ""),
                with("process", ""),
                with("required", "false"),
            ]
        }
        Some("diff") => {
            vec![with("command", ""), with("textconv", ""), with("cachetextconv", "false")]
        }
        Some("merge") => vec![with("driver", "false")],
        _ => vec![with("enabled", "false")],
    }
}

/// What a setting could make git do by itself, as a sentence; `None` when it runs nothing.
pub(crate) fn danger(setting: &Setting) -> Option<&'static str> {
    let value = setting.value.trim();
    if value.is_empty() {
        return None;
    }
    let (section, variable) = (setting.section(), setting.variable());
    program(section, variable, value).or_else(|| detour(section, variable, value))
}

/// A program that git, or what comes with it, runs.
fn program(section: &str, variable: &str, value: &str) -> Option<&'static str> {
    match (section, variable) {
        ("core", "fsmonitor") if is_boolean(value) => None,
        ("core", "fsmonitor") => Some("A program that git runs for almost every command."),
        ("core", "hookspath") => Some("Where git finds hooks, programs that it runs by itself."),
        ("core", "sshcommand" | "gitproxy") => Some("A program that git runs to reach a server."),
        ("core" | "sequence", "editor") => Some("A program that git runs to edit a message."),
        ("core", "pager") | ("pager", _) if !is_boolean(value) => {
            Some("A program that git pipes its output to.")
        }
        ("core", "askpass") | ("credential", "helper") => {
            Some("A program that git asks for passwords.")
        }
        ("core", "alternaterefscommand") => Some("A program that git runs to list refs."),
        ("gpg", "program" | "defaultkeycommand") => Some("A program that git runs to sign."),
        ("filter", "clean" | "smudge" | "process") => Some("A program that git runs over files."),
        ("diff", "external" | "command" | "textconv") => {
            Some("A program that git runs to compare files.")
        }
        ("merge", "driver") => Some("A program that git runs to merge files."),
        ("hook", "command") => Some("A program that git runs by itself."),
        ("trailer", "cmd" | "command") => Some("A program that git runs to write a message."),
        ("alias", _) if value.starts_with('!') => Some("A git command that runs a shell command."),
        ("submodule", "update") if value.starts_with('!') => {
            Some("A program that runs when a submodule is updated.")
        }
        ("remote", "uploadpack" | "receivepack" | "vcs") => {
            Some("A program that git runs to fetch or push.")
        }
        ("lfs", "path" | "args" | "standalonetransferagent") => {
            Some("A program that git-lfs runs.")
        }
        ("interactive", "difffilter") | ("tar", "command") | ("web", "browser") => {
            Some("A program that git runs.")
        }
        ("difftool" | "mergetool" | "browser" | "man" | "guitool", "cmd" | "path") => {
            Some("A program that git runs on demand.")
        }
        _ => None,
    }
}

/// Another place that git takes its files, its settings or its history from.
fn detour(section: &str, variable: &str, value: &str) -> Option<&'static str> {
    match (section, variable) {
        ("core", "worktree") => Some("Makes git work in another folder."),
        ("remote", "url" | "pushurl") if value.to_ascii_lowercase().starts_with("ext::") => {
            Some("An address that runs a program.")
        }
        ("url", "insteadof" | "pushinsteadof") => {
            Some("Changes the address that git fetches from or pushes to.")
        }
        ("protocol", "allow") => Some("Allows ways to fetch that git forbids."),
        ("include" | "includeif", "path") => Some("Brings in settings from another file."),
        _ => None,
    }
}

fn is_boolean(value: &str) -> bool {
    let word = value.to_ascii_lowercase();
    matches!(word.as_str(), "true" | "false" | "yes" | "no" | "on" | "off" | "0" | "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_dots_and_equals_signs_are_switched_off_too() {
        let listed = "local\0filter.a=b.c.clean\nrun\0local\0diff.external\nrun\0global\0filter.lfs.required\ntrue\0";
        let overrides = driver_overrides(&parse_settings(listed));
        assert!(overrides.contains(&("filter.a=b.c.clean".into(), String::new())));
        assert!(overrides.contains(&("filter.lfs.required".into(), "false".into())));
        assert!(overrides.iter().all(|(key, _)| !key.starts_with("diff")));
    }

    #[test]
    fn a_key_without_a_value_is_true_and_our_own_are_left_out() {
        let settings = parse_settings("local\0core.bare\0command\0core.pager\ncat\0");
        assert_eq!(
            settings,
            [Setting { own: true, key: "core.bare".into(), value: "true".into() }]
        );
    }

    #[test]
    fn ordinary_settings_are_no_danger() {
        for (key, value) in [
            ("core.fsmonitor", "true"),
            ("remote.origin.url", "https://example.org/x.git"),
            ("alias.co", "checkout"),
            ("pager.log", "false"),
            ("core.bare", "false"),
        ] {
            assert_eq!(
                danger(&Setting { own: true, key: key.into(), value: value.into() }),
                None,
                "{key}"
            );
        }
    }
}
