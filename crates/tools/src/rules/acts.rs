//! What known programs do to files, for rules that deny all files: there no word of a command is a name
//! that would tell.
//!
//! Who is not in these lists may do the same unseen; what may run at all is for rules about commands.

use super::hidden::{has_option, name_of, past_options};

/// Programs that change files, and the words with which they do; without any, always. A word without a
/// `-` is what the program is to do.
const CHANGE: &[(&str, &[&str])] = &[
    ("bzip", &[]),
    ("chgrp", &[]),
    ("chmod", &[]),
    ("chown", &[]),
    ("cp", &[]),
    ("cpio", &[]),
    ("csplit", &[]),
    ("curl", &["-o", "-O", "--output", "--remote-name", "--remote-name-all"]),
    ("dd", &[]),
    ("ed", &[]),
    ("emacs", &[]),
    ("ex", &[]),
    ("find", &["-delete", "-fls", "-fprint", "-fprint0", "-fprintf"]),
    (
        "git",
        &[
            "am",
            "apply",
            "checkout",
            "cherry-pick",
            "clean",
            "merge",
            "mv",
            "pull",
            "rebase",
            "reset",
            "restore",
            "revert",
            "rm",
            "stash",
            "switch",
        ],
    ),
    ("gunzip", &[]),
    ("gzip", &[]),
    ("install", &[]),
    ("link", &[]),
    ("ln", &[]),
    ("mkdir", &[]),
    ("mkfifo", &[]),
    ("mktemp", &[]),
    ("mv", &[]),
    ("nano", &[]),
    ("nvim", &[]),
    ("patch", &[]),
    ("perl", &["-i"]),
    ("rename", &[]),
    ("rm", &[]),
    ("rmdir", &[]),
    ("rsync", &[]),
    ("ruby", &["-i"]),
    ("scp", &[]),
    ("sed", &["-i", "--in-place"]),
    ("shred", &[]),
    ("sort", &["-o", "--output"]),
    ("split", &[]),
    ("sponge", &[]),
    ("tar", &[]),
    ("tee", &[]),
    ("touch", &[]),
    ("truncate", &[]),
    ("unlink", &[]),
    ("unzip", &[]),
    ("vi", &[]),
    ("vim", &[]),
    ("wget", &[]),
    ("xz", &[]),
    ("yq", &["-i", "--inplace"]),
    ("zip", &[]),
    ("zstd", &[]),
];

/// Programs that print what is in files, in the same way.
const PRINT: &[(&str, &[&str])] = &[
    ("ack", &[]),
    ("ag", &[]),
    ("awk", &[]),
    ("base", &[]),
    ("bat", &[]),
    ("batcat", &[]),
    ("bzcat", &[]),
    ("bzgrep", &[]),
    ("cat", &[]),
    ("cmp", &[]),
    ("column", &[]),
    ("comm", &[]),
    ("cut", &[]),
    ("dd", &[]),
    ("diff", &[]),
    ("egrep", &[]),
    ("expand", &[]),
    ("fgrep", &[]),
    ("fmt", &[]),
    ("fold", &[]),
    ("gawk", &[]),
    ("git", &["annotate", "archive", "blame", "cat-file", "diff", "grep", "log", "show"]),
    ("grep", &[]),
    ("head", &[]),
    ("hexdump", &[]),
    ("iconv", &[]),
    ("join", &[]),
    ("jq", &[]),
    ("less", &[]),
    ("mawk", &[]),
    ("more", &[]),
    ("most", &[]),
    ("nl", &[]),
    ("od", &[]),
    ("paste", &[]),
    ("pr", &[]),
    ("rev", &[]),
    ("rg", &[]),
    ("sdiff", &[]),
    ("sed", &[]),
    ("shuf", &[]),
    ("sort", &[]),
    ("strings", &[]),
    ("tac", &[]),
    ("tail", &[]),
    ("tr", &[]),
    ("unexpand", &[]),
    ("uniq", &[]),
    ("view", &[]),
    ("xxd", &[]),
    ("xzcat", &[]),
    ("xzgrep", &[]),
    ("yq", &[]),
    ("zcat", &[]),
    ("zgrep", &[]),
    ("zless", &[]),
];

pub fn changes_files(words: &[String]) -> bool {
    does(words, CHANGE)
}

pub fn prints_files(words: &[String]) -> bool {
    does(words, PRINT)
}

fn does(words: &[String], known: &[(&str, &[&str])]) -> bool {
    let whole = past_options(words);
    let [program, rest @ ..] = whole.as_deref().unwrap_or(words) else { return false };
    let name = name_of(program);
    known.iter().any(|(known, marks)| {
        *known == name && (marks.is_empty() || marks.iter().any(|mark| is_said(rest, mark)))
    })
}

fn is_said(words: &[String], mark: &str) -> bool {
    match mark.starts_with('-') {
        true => words.iter().any(|word| has_option(word, mark)),
        false => words.first().is_some_and(|first| first == mark),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn what_changes_files_and_what_prints_them() {
        for text in [
            "tee x",
            "/bin/rm -rf x",
            "RM x",
            "sed -i s/a/b/ x",
            "sed -ni.bak p x",
            "sed --in-place=.b p x",
            "git -C a checkout -- x",
            "perl -pi -e x",
            "bzip2 x",
            "sort -o x x",
            "find . -delete",
        ] {
            assert!(changes_files(&words(text)), "{text}");
        }
        for text in ["sed -n p x", "git status", "git log rm", "curl http://x", "cargo rm", "rmx"] {
            assert!(!changes_files(&words(text)), "{text}");
        }
        for text in ["cat x", "git --no-pager show x", "base64 x", "sed p x", "/usr/bin/grep -r x"]
        {
            assert!(prints_files(&words(text)), "{text}");
        }
        for text in ["ls", "git status", "cargo test", "catx"] {
            assert!(!prints_files(&words(text)), "{text}");
        }
    }
}
