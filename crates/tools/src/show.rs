//! Text as a person is to see it before saying yes: on one line, with nothing in it that hides or
//! turns what stands around it. Two different texts never look the same.

use std::fmt::Write;

/// Code points that show nothing, show as a space, or change the order of what they stand in: the
/// general categories Cc, Cf, Zs, Zl and Zp, `Default_Ignorable_Code_Point` and the blank of Braille
/// (Unicode 16.0, UnicodeData.txt and DerivedCoreProperties.txt). The plain space is not one of them.
const INVISIBLE: &[(u32, u32)] = &[
    (0x00, 0x1f),
    (0x7f, 0xa0),
    (0xad, 0xad),
    (0x34f, 0x34f),
    (0x600, 0x605),
    (0x61c, 0x61c),
    (0x6dd, 0x6dd),
    (0x70f, 0x70f),
    (0x890, 0x891),
    (0x8e2, 0x8e2),
    (0x115f, 0x1160),
    (0x1680, 0x1680),
    (0x17b4, 0x17b5),
    (0x180b, 0x180f),
    (0x2000, 0x200f),
    (0x2028, 0x202f),
    (0x205f, 0x206f),
    (0x2800, 0x2800),
    (0x3000, 0x3000),
    (0x3164, 0x3164),
    (0xfe00, 0xfe0f),
    (0xfeff, 0xfeff),
    (0xffa0, 0xffa0),
    (0xfff0, 0xfffb),
    (0x110bd, 0x110bd),
    (0x110cd, 0x110cd),
    (0x13430, 0x1343f),
    (0x1bca0, 0x1bca3),
    (0x1d173, 0x1d17a),
    (0xe0000, 0xe0fff),
];

/// Whether a code point would not be seen as what it is.
pub fn is_invisible(char: char) -> bool {
    let code = u32::from(char);
    INVISIBLE.iter().any(|(from, to)| (*from..=*to).contains(&code))
}

/// A line's end as `⏎`, all else that is not seen as `⟨U+202E⟩`; and these two signs themselves so,
/// too.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' => shown.push('⏎'),
            '⏎' | '⟨' => escape(&mut shown, char),
            char if is_invisible(char) => escape(&mut shown, char),
            char => shown.push(char),
        }
    }
    shown
}

fn escape(shown: &mut String, char: char) {
    // Writing to a String cannot fail.
    let _ = write!(shown, "⟨U+{:04X}⟩", u32::from(char));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    /// What `visible` makes, undone.
    fn undone(shown: &str) -> String {
        let mut text = String::new();
        let mut rest = shown;
        while let Some(char) = rest.chars().next() {
            if let Some(inner) = rest.strip_prefix("⟨U+") {
                let (code, tail) = inner.split_once('⟩').unwrap();
                text.push(char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap());
                rest = tail;
            } else {
                text.push(if char == '⏎' { '\n' } else { char });
                rest = &rest[char.len_utf8()..];
            }
        }
        text
    }

    #[test]
    fn what_hides_is_seen() {
        assert_eq!(visible("cargo test --all"), "cargo test --all");
        assert_eq!(visible("rm\u{202e} x\u{200b}\t\u{a0}"), "rm⟨U+202E⟩ x⟨U+200B⟩⟨U+0009⟩⟨U+00A0⟩");
        assert_eq!(visible("a\nb⏎"), "a⏎b⟨U+23CE⟩");
        assert_eq!(visible("größe 漢字"), "größe 漢字");
    }

    #[test]
    fn all_of_a_system_is_covered() {
        for code in 0..=0x10_ffff {
            let Some(char) = char::from_u32(code) else { continue };
            if (char.is_control() || char.is_whitespace()) && char != ' ' {
                assert!(is_invisible(char), "U+{code:04X}");
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_hides(text in "\\PC*|.*|[\u{2000}-\u{206f}a⟨⟩⏎\n]*") {
            let shown = visible(&text);
            prop_assert!(!shown.chars().any(is_invisible));
            prop_assert_eq!(undone(&shown), text);
        }
    }
}
