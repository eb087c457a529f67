//! What a project says to agents in a file of its own, for those that do not read it themselves.

use std::{io::Read, path::Path};

use musher_runtime::Secrets;

use crate::{
    paths::{PathError, Root},
    rules::{Access, Rules},
    site::is_binary,
};

/// The file, in the project's root.
pub const WORDS_FILE: &str = "AGENTS.md";
/// In bytes. They are in every request.
const MOST: usize = 32 << 10;
/// More than anybody writes for agents, in bytes.
const LARGEST: u64 = 1 << 20;

/// What the agent is told, and what a person should know of that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectWords {
    pub text: Option<String>,
    /// One sentence.
    pub warning: Option<String>,
}

/// Reads them as a tool would: beneath the worktree, a regular file, as far as the rules allow, without
/// keys. For a project that is trusted.
pub fn project_words(worktree: &Path, rules: &Rules, secrets: &Secrets) -> ProjectWords {
    match read(worktree, rules, secrets) {
        Ok(None) => ProjectWords::default(),
        Ok(Some(mut text)) => {
            let whole = text.len();
            let fits = |at: &usize| text.is_char_boundary(*at);
            text.truncate((0..=MOST.min(whole)).rev().find(fits).unwrap_or(0));
            let warning = (text.len() < whole).then(|| {
                format!("Of the {whole} bytes of {WORDS_FILE} the agent is told the first {MOST}.")
            });
            ProjectWords { text: Some(text), warning }
        }
        Err(why) => {
            let why = why.trim_end_matches('.');
            let warning = format!("The agent is not told what {WORDS_FILE} says: {why}.");
            ProjectWords { text: None, warning: Some(warning) }
        }
    }
}

fn read(worktree: &Path, rules: &Rules, secrets: &Secrets) -> Result<Option<String>, String> {
    let words = |error: PathError| error.to_string();
    let root = Root::open(worktree).map_err(words)?;
    let path = root.relative(WORDS_FILE).map_err(words)?;
    let opened = match root.open_file(&path) {
        Err(PathError::Missing(_)) => return Ok(None),
        opened => opened.map_err(words)?,
    };
    let denied = |place| rules.denies(Access::Read, place);
    if let Some(rule) = denied(&path).or_else(|| denied(&opened.place)) {
        return Err(format!("it is closed by the rule `{rule}`"));
    }
    let mut bytes = Vec::new();
    let taken = opened.file.take(LARGEST + 1).read_to_end(&mut bytes);
    taken.map_err(|error| format!("it could not be read ({error})"))?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it is longer than {LARGEST} bytes"));
    }
    if is_binary(&bytes) {
        return Err("it is binary".to_owned());
    }
    // Before anything is cut: half a key is one too.
    Ok(Some(secrets.hide(String::from_utf8_lossy(&bytes).into_owned())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{fs, os::unix::fs::symlink};

    use musher_runtime::MARK;
    use secrecy::SecretString;

    use super::*;

    const KEY: &str = "sk-canary-51d0c7aa";

    fn told(folder: &Path, rules: &str) -> ProjectWords {
        let secrets = Secrets::new([&SecretString::from(KEY)]);
        project_words(folder, &Rules::parse(rules).unwrap(), &secrets)
    }

    fn refused(folder: &Path, rules: &str) -> String {
        let ProjectWords { text, warning } = told(folder, rules);
        assert_eq!(text, None);
        warning.unwrap()
    }

    #[test]
    fn a_file_of_the_worktree_is_told_without_keys() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(told(folder.path(), ""), ProjectWords::default());
        fs::write(folder.path().join("CLAUDE.md"), format!("Use tabs. {KEY}\n")).unwrap();
        symlink("CLAUDE.md", folder.path().join(WORDS_FILE)).unwrap();
        let words = told(folder.path(), "");
        assert_eq!(words.text, Some(format!("Use tabs. {MARK}\n")));
        assert_eq!(words.warning, None);
        for rule in ["deny read AGENTS.md", "deny read CLAUDE.md", "deny read"] {
            assert!(refused(folder.path(), rule).contains(rule), "{rule}");
        }
    }

    #[test]
    fn no_more_is_told_than_fits_and_no_half_key() {
        let folder = tempfile::tempdir().unwrap();
        let ahead = "x".repeat(MOST - 5);
        fs::write(folder.path().join(WORDS_FILE), format!("{ahead}{KEY} and more")).unwrap();
        let words = told(folder.path(), "");
        assert_eq!(words.text.unwrap(), format!("{ahead}{}", &MARK[..5]));
        assert!(words.warning.unwrap().contains("the first 32768"));
        fs::write(folder.path().join(WORDS_FILE), vec![b'x'; 2 << 20]).unwrap();
        assert!(refused(folder.path(), "").contains("longer"));
    }

    #[test]
    fn what_is_no_file_of_the_worktree_is_refused_at_once() {
        let outside = tempfile::NamedTempFile::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(WORDS_FILE);
        for away in [outside.path(), Path::new("/dev/zero"), Path::new(".git/config")] {
            fs::create_dir_all(folder.path().join(".git")).unwrap();
            fs::write(folder.path().join(".git/config"), "x").unwrap();
            symlink(away, &file).unwrap();
            assert!(refused(folder.path(), "").starts_with("The agent is not told"), "{away:?}");
            fs::remove_file(&file).unwrap();
        }
        let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &file, fifo, mode, 0).unwrap();
        assert!(refused(folder.path(), "").contains("FIFO"));
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert!(refused(folder.path(), "").contains("a folder"));
    }
}
