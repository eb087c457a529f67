//! What a command runs although its own words do not say so: programs whose arguments are code, and
//! options that stand before what a program is to do.

/// Programs that run what a file, their input or an argument tells them to, whatever their options.
const INTERPRETERS: &[&str] = &["awk", "gawk", "gdb", "gmake", "make", "mawk", "nawk"];

/// Programs that run an argument of one of these options as code. An option of one letter may stand
/// behind others (`-Bc`), or have its argument right behind it (`-cCODE`).
const WITH_CODE: &[(&str, &[&str])] = &[
    ("bun", &["-e", "-p", "--eval", "--print"]),
    ("deno", &["eval"]),
    ("ex", &["-c", "+", "--cmd"]),
    ("lua", &["-e"]),
    ("node", &["-e", "-p", "--eval", "--print"]),
    ("nvim", &["-c", "+", "--cmd"]),
    ("perl", &["-e", "-E"]),
    ("php", &["-r"]),
    ("python", &["-c"]),
    ("ruby", &["-e"]),
    ("sed", &["-f", "--file"]),
    ("tar", &["--to-command", "--checkpoint-action", "-I", "--use-compress-program", "-F"]),
    ("vi", &["-c", "+", "--cmd"]),
    ("vim", &["-c", "+", "--cmd"]),
];

/// Git's own settings that name something to run (git-config(1)); an alias that begins with `!` does.
const RUN_BY_GIT: &[&str] = &[
    "alias.",
    "askpass",
    "command",
    "cmd",
    "driver",
    "editor",
    "external",
    "fsmonitor",
    "helper",
    "hookspath",
    "include.",
    "pager",
    "program",
    "proxy",
    "textconv",
];

/// Git's options that have a value as the next word (git(1)).
const GIT_WITH_VALUE: &[&str] = &[
    "-C",
    "-c",
    "--attr-source",
    "--config-env",
    "--git-dir",
    "--namespace",
    "--super-prefix",
    "--work-tree",
];

/// Whether it runs what its words do not tell.
pub fn runs_unread(words: &[String]) -> bool {
    let [program, rest @ ..] = words else { return false };
    let name = name_of(program);
    let options = WITH_CODE.iter().find(|(known, _)| *known == name).map(|(_, options)| *options);
    INTERPRETERS.contains(&name.as_str())
        || options.is_some_and(|options| {
            rest.iter().any(|word| options.iter().any(|option| has_option(word, option)))
        })
        || name == "sed" && sed_runs(rest)
        || name == "git" && git_runs(rest)
}

/// The command without the options that stand before what it is to do, where there are any.
pub fn past_options(words: &[String]) -> Option<Vec<String>> {
    let [program, rest @ ..] = words else { return None };
    let mut at = 0;
    while name_of(program) == "git" && rest.get(at).is_some_and(|word| word.starts_with('-')) {
        at += if GIT_WITH_VALUE.contains(&rest[at].as_str()) { 2 } else { 1 };
    }
    let left = rest.get(at..).unwrap_or_default();
    (at > 0).then(|| [std::slice::from_ref(program), left].concat())
}

/// A program without its folder and its version (`/usr/bin/python3.12`).
pub fn name_of(program: &str) -> String {
    let name = program.rsplit('/').next().unwrap_or_default().to_lowercase();
    let version = |char: char| char.is_ascii_digit() || "-.".contains(char);
    name.trim_end_matches(version).to_owned()
}

pub fn has_option(word: &str, option: &str) -> bool {
    match option.strip_prefix('-').filter(|letter| letter.len() == 1) {
        Some(letter) => {
            word.starts_with('-') && !word.starts_with("--") && word[1..].contains(letter)
        }
        None if option == "+" => word.starts_with('+'),
        None => word == option || word.starts_with(&format!("{option}=")),
    }
}

/// Whether a script may have the command `e` in it, or a substitution with that flag (GNU sed). Of
/// what is more than one substitution, each `e` that begins something may be one.
fn sed_runs(words: &[String]) -> bool {
    let is_flag = |word: &str| word == "-e" || word == "--expression";
    let after = words.iter().zip(words.iter().skip(1)).filter(|(flag, _)| is_flag(flag));
    let within = words
        .iter()
        .filter_map(|word| word.strip_prefix("--expression=").or_else(|| word.strip_prefix("-e")));
    let first = words.iter().find(|word| !word.starts_with('-'));
    let scripts = after.map(|(_, script)| script.as_str()).chain(within);
    scripts.chain(first.map(String::as_str)).any(script_runs)
}

fn script_runs(script: &str) -> bool {
    let flags = script.strip_prefix('s').and_then(|rest| {
        let border = rest.chars().next().filter(char::is_ascii_punctuation)?;
        let parts: Vec<&str> = rest[1..].split(border).collect();
        (parts.len() == 3 && !parts[2].contains([';', '\n', '}'])).then(|| parts[2])
    });
    match flags {
        Some(flags) => flags.contains('e'),
        None => script.match_indices('e').any(|(at, _)| {
            !script[..at].ends_with(|before: char| before.is_alphabetic() || before == '.')
        }),
    }
}

fn git_runs(words: &[String]) -> bool {
    let sets = |word: &str| {
        let word = word.to_lowercase();
        RUN_BY_GIT.iter().any(|name| word.contains(name))
    };
    words
        .iter()
        .zip(words.iter().skip(1))
        .any(|(word, next)| (word == "-c" || word == "--config-env") && sets(next))
        || words.iter().any(|word| word.starts_with("--config-env=") && sets(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn what_runs_something_its_words_do_not_tell() {
        for text in [
            "make all",
            "gawk x",
            "python3.12 -c x",
            "perl -ne x",
            "node --eval=x",
            "git -c alias.p=!x p",
            "git -C a -c core.sshCommand=x fetch",
            "vim -c !x",
            "vi +!x",
            "tar -xf a --to-command=x",
            "sed s/a/b/e f",
            "sed -n 1e f",
            "sed -e s/a/b/;e f",
            "sed /x/e f",
        ] {
            assert!(runs_unread(&words(text)), "{text}");
        }
        for text in [
            "python3 x.py",
            "git -c user.name=x commit",
            "git commit -m alias.x",
            "vim x",
            "tar -czf e.tgz e",
            "sed -n 1,5p example.rs",
            "sed -i s/the/these/g example.rs",
            "node x.js",
        ] {
            assert!(!runs_unread(&words(text)), "{text}");
        }
    }

    #[test]
    fn git_s_options_before_its_command_are_left_out() {
        let past = |text: &str| past_options(&words(text)).map(|words| words.join(" "));
        assert_eq!(past("git -C . --no-pager push -f").as_deref(), Some("git push -f"));
        assert_eq!(past("/bin/git --git-dir x push").as_deref(), Some("/bin/git push"));
        assert_eq!(past("git push -f"), None);
        assert_eq!(past("ls -C ."), None);
        assert_eq!(past("git -C").as_deref(), Some("git"));
    }
}
