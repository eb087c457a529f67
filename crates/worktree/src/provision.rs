//! What a fresh worktree lacks compared with the main checkout, as sentences. Nothing is put right
//! here: filling submodules and installing hooks would run what the repository brings.

use std::path::Path;

use crate::programs::Setting;

/// Hook tools by the file that a project keeps for them.
const HOOK_TOOLS: &[(&str, &str)] =
    &[(".husky", "husky"), ("lefthook.yml", "lefthook"), (".pre-commit-config.yaml", "pre-commit")];

/// Submodules that are empty and filtered files that hold pointers. `listed` is `git ls-files -s -z`.
pub(crate) fn missing_content(dir: &Path, listed: &str, trusting: bool) -> Vec<String> {
    let entries = || listed.split_terminator('\0').filter_map(|entry| entry.split_once('\t'));
    let submodules = entries().filter(|(stat, _)| stat.starts_with("160000")).count();
    let mut warnings = Vec::new();
    if submodules > 0 {
        let what = match submodules {
            1 => "A submodule is".to_owned(),
            many => format!("{many} submodules are"),
        };
        warnings
            .push(format!("{what} empty here: run `git submodule update --init` in the worktree."));
    }
    if trusting {
        return warnings;
    }
    let attributes =
        entries().map(|(_, path)| path).filter(|path| path.ends_with(".gitattributes"));
    let mut filters: Vec<String> =
        attributes.take(200).flat_map(|path| filters_in(&dir.join(path))).collect();
    filters.sort();
    filters.dedup();
    for filter in filters {
        warnings.push(format!(
            "Files of the filter `{filter}` are as git stores them (pointers, for git-lfs), because this project is not trusted."
        ));
    }
    warnings
}

fn filters_in(attributes: &Path) -> Vec<String> {
    let crate::files::Content::Text { text, .. } = crate::files::content(attributes, 1 << 20)
    else {
        return Vec::new();
    };
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let words = lines.flat_map(str::split_whitespace);
    words.filter_map(|word| word.strip_prefix("filter=")).map(str::to_owned).collect()
}

/// Hooks that will not run for commits made in `dir`, although the project means them to.
pub(crate) fn inert_hooks(root: &Path, dir: &Path, settings: &[Setting]) -> Vec<String> {
    let hooks_path =
        settings.iter().rev().find(|s| s.key == "core.hookspath").map(|s| s.value.as_str());
    if let Some(path) = hooks_path {
        let missing = !dir.join(path).is_dir();
        let sentence = format!(
            "The project's git hooks do not run in this worktree: they are looked for in `{path}`, which the install step of the project makes."
        );
        return if missing { vec![sentence] } else { Vec::new() };
    }
    let installed = ["pre-commit", "commit-msg", "pre-push"];
    if installed.iter().any(|hook| root.join(".git/hooks").join(hook).exists()) {
        return Vec::new();
    }
    let tools = HOOK_TOOLS.iter().filter(|(file, _)| dir.join(file).exists());
    tools
        .map(|(_, tool)| {
            format!(
                "The hooks of {tool} are not installed in this repository, so none of them runs."
            )
        })
        .collect()
}
