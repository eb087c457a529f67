//! Halves of UTF-16 pairs in JSON text: no Unicode, and sent all the same by programs that count text in
//! UTF-16 and cut it anywhere.

/// The JSON with each `\uD800`-`\uDFFF` escape that lacks its other half made U+FFFD: JavaScript
/// writes such halves when a text was cut inside an emoji, and they are no Unicode text. `None` when
/// there is nothing to repair.
pub fn repair_surrogates(json: &str) -> Option<String> {
    let mut repaired: Option<String> = None;
    let (mut copied, mut at) = (0, 0);
    let bytes = json.as_bytes();
    while let Some(found) = memchr::memchr(b'\\', &bytes[at..]) {
        let escape = at + found;
        at = match (code_unit(bytes, escape), code_unit(bytes, escape + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => escape + 12,
            (Some(0xd800..=0xdfff), _) => {
                let text = repaired.get_or_insert_default();
                text.push_str(&json[copied..escape]);
                text.push_str("\\ufffd");
                copied = escape + 6;
                copied
            }
            _ => (escape + 2).min(bytes.len()),
        };
    }
    repaired.map(|text| text + &json[copied..])
}

/// The code unit of a `\uXXXX` escape at this place.
fn code_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let escape = bytes.get(at..at + 6)?;
    let digits = escape.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_surrogates_are_repaired_and_pairs_stay() {
        assert_eq!(repair_surrogates(r#"{"a":"\ud83e\udd80 \\ud800 \n"}"#), None);
        let line = r#"["\ud83e", "\udd80x", "\ud83e\ud83e\udd80", "\\\ud83e"]"#;
        let fixed = r#"["\ufffd", "\ufffdx", "\ufffd\ud83e\udd80", "\\\ufffd"]"#;
        assert_eq!(repair_surrogates(line).as_deref(), Some(fixed));
        assert_eq!(repair_surrogates("é\\ud8"), None);
        assert_eq!(repair_surrogates("\\"), None);
    }
}
