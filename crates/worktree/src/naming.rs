//! Names of branches and worktree folders.

/// Longest slug made from a prompt: short enough to read in a list.
const LONGEST: usize = 40;

/// A prompt's first words as lower-case ASCII, joined by `-`: `Fix the login!` becomes `fix-the-login`.
/// `work` when nothing is left.
pub fn slug(text: &str) -> String {
    let mut made = String::new();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let room = LONGEST - made.len();
        if made.is_empty() {
            made.push_str(&word[..word.len().min(LONGEST)]);
        } else if word.len() < room {
            made.push('-');
            made.push_str(word);
        } else {
            break;
        }
    }
    if made.is_empty() { "work".to_owned() } else { made.to_ascii_lowercase() }
}

/// A branch's name as a folder's name: `feature/x` becomes `feature-x`.
pub(crate) fn folder_name(branch: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = branch.chars().map(|c| if fits(c) { c } else { '-' }).take(80).collect();
    let name = name.trim_matches(['.', '-']);
    if name.is_empty() { "work".to_owned() } else { name.to_owned() }
}

/// `name`, or `name-2`, `name-3`, ...: the first that is not taken.
pub(crate) fn unique(name: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(name) {
        return name.to_owned();
    }
    let numbered = (2u32..).map(|n| format!("{name}-{n}"));
    numbered.into_iter().find(|candidate| !taken(candidate)).unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_short_plain_and_never_empty() {
        for (prompt, wanted) in [
            ("Fix the login!", "fix-the-login"),
            ("  $(rm -rf /) `x`; --upload-pack=evil", "rm-rf-x-upload-pack-evil"),
            ("", "work"),
            ("日本語だけ", "work"),
            ("../../etc/passwd", "etc-passwd"),
            ("a\nb\0c", "a-b-c"),
        ] {
            assert_eq!(slug(prompt), wanted);
        }
        assert_eq!(slug(&"x".repeat(100)).len(), 40);
        assert!(slug("words that go on and on until no room is left for them").len() <= 40);
    }

    #[test]
    fn folders_have_no_slash_and_do_not_hide() {
        assert_eq!(folder_name("musher/fix"), "musher-fix");
        assert_eq!(folder_name("../x"), "x");
        assert_eq!(folder_name("///"), "work");
    }

    #[test]
    fn a_taken_name_gets_a_number() {
        let taken = ["a", "a-2"];
        assert_eq!(unique("a", |name| taken.contains(&name)), "a-3");
        assert_eq!(unique("b", |name| taken.contains(&name)), "b");
    }
}
