//! Words for people from what a program wrote for a terminal.

/// Without escape sequences (ECMA-48: colours, cursor moves, titles) and other control characters;
/// a tab stays.
pub(super) fn plain(line: &str) -> String {
    if !line.contains(char::is_control) {
        return line.to_owned();
    }
    let mut left = line.chars();
    let mut text = String::with_capacity(line.len());
    while let Some(c) = left.next() {
        match c {
            '\u{1b}' => skip_sequence(&mut left),
            '\u{9b}' => skip_to_final(&mut left),
            '\t' => text.push(c),
            c if c.is_control() => {}
            c => text.push(c),
        }
    }
    text
}

/// What follows an escape character.
fn skip_sequence(left: &mut std::str::Chars<'_>) {
    match left.next() {
        Some('[') => skip_to_final(left),
        // Strings: a title, a link. They end with BEL or with escape and a backslash.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = left.next() {
                if c == '\u{1b}' {
                    left.next();
                    return;
                }
                if matches!(c, '\u{7}' | '\u{9c}') {
                    return;
                }
            }
        }
        // A character set is chosen with one more character.
        Some(' '..='/') => {
            left.next();
        }
        _ => {}
    }
}

fn skip_to_final(left: &mut std::str::Chars<'_>) {
    left.find(|c| matches!(c, '\u{40}'..='\u{7e}'));
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn colours_titles_and_links_are_left_out() {
        for (written, read) in [
            ("plain words\tand a tab", "plain words\tand a tab"),
            ("\u{1b}[1;31mError:\u{1b}[0m no key", "Error: no key"),
            ("\u{1b}]0;a title\u{7}said", "said"),
            ("\u{1b}]8;;https://a.example\u{1b}\\a link\u{1b}]8;;\u{1b}\\", "a link"),
            ("\u{1b}(Bback\u{8}\r", "back"),
            ("\u{9b}31mred", "red"),
            ("Grüße \u{1b}[", "Grüße "),
        ] {
            assert_eq!(plain(written), read, "{written:?}");
        }
    }
}
