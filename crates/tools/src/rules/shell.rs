//! Takes a command line of `/bin/sh` apart into the commands that it runs, as far as that can be known
//! from its text. It understands a small language wholly and gives up on all else: what it takes apart,
//! every shell reads in the same way.
//!
//! Understood: words, quotes and backslashes, `;` `&` `|` `&&` `||` and line ends between commands,
//! redirections to and from files named plainly, and to other descriptors. Not understood, on purpose:
//! every expansion and substitution, here-documents, groups, functions, keywords, assignments, comments,
//! continued lines, and everything that some shells read otherwise than others (`&>`, `|&`, `{`, ...).
//!
//! No crate does this. `yash-syntax` is under the GPL; `tree-sitter-bash` guesses on where it cannot
//! parse; `brush-parser` reads all of bash, of which nearly all would have to be refused again here,
//! node by node, and reads some of it otherwise than the shell that runs it.

use crate::show::is_invisible;

/// One command, its quotes removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simple {
    pub words: Vec<String>,
    /// The same, with a mark wherever the shell may put other text ([`is_loose`]): a word with one may
    /// also become several.
    pub loose: Vec<String>,
    pub redirects: Vec<Redirect>,
    /// The program's name is a pattern (`/bin/r*`): the shell runs what it finds.
    pattern_first: bool,
}

/// A file that the shell itself opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    pub writes: bool,
    pub target: String,
}

/// Stands, in a loose word, for any text: what a `[` becomes where it cannot be told what it is.
pub const ANY: char = '\0';
/// For the text of a `*`, which never becomes a name's first dot.
pub const ANY_NAME: char = '\u{1}';
/// For the one character of a `?`; the same holds for it.
pub const ANY_CHAR: char = '\u{3}';
/// For one character of a `[...]`.
const ONE: char = '\u{4}';
/// Around the characters of a `[...]` of which one is taken.
const FROM: char = '\u{5}';
const TO: char = '\u{6}';

/// What may stand at a place of a loose word.
#[derive(Clone, Copy)]
pub enum Piece<'a> {
    Char(char),
    Text,
    One,
    Among(&'a str),
}

/// Whether the shell may put other text into a loose word.
pub fn is_loose(word: &str) -> bool {
    word.contains([ANY, ANY_NAME, ANY_CHAR, ONE, FROM])
}

/// Whether a name begins with a pattern that never becomes a first dot.
pub fn hides_dot(name: &str) -> bool {
    name.starts_with([ANY_NAME, ANY_CHAR])
}

/// A loose word, place by place.
pub fn places(word: &str) -> Vec<Piece<'_>> {
    let mut places = Vec::new();
    let mut rest = word.chars();
    while let Some(char) = rest.next() {
        places.push(match char {
            ANY | ANY_NAME => Piece::Text,
            ANY_CHAR | ONE => Piece::One,
            FROM => {
                let (among, behind) = rest.as_str().split_once(TO).unwrap_or_default();
                rest = behind.chars();
                Piece::Among(among)
            }
            char => Piece::Char(char),
        });
    }
    places
}

/// A word of a text that is not understood: what is quoted in it cannot be told.
pub fn loosely(word: &str) -> String {
    let marked: String = word.chars().map(marked).collect();
    let name = |name: &str| match loosened(name, true).split_once(ANY) {
        Some((before, _)) => format!("{before}{ANY}"),
        None => loosened(name, true),
    };
    marked.split('/').map(name).collect::<Vec<_>>().join("/")
}

/// A sign of patterns as it is marked; a `[` until it is known what it is.
fn marked(char: char) -> char {
    match char {
        '*' => ANY_NAME,
        '?' => ANY_CHAR,
        '[' => ANY,
        char => char,
    }
}

/// Why a line is not understood: a clause, for a person.
pub type Unclear = &'static str;

/// Words that begin something other than a command (POSIX.1-2024, XCU 2.4, and those of bash and zsh).
const RESERVED: &[&str] = &[
    "!",
    "case",
    "coproc",
    "do",
    "done",
    "elif",
    "else",
    "end",
    "esac",
    "fi",
    "for",
    "foreach",
    "function",
    "if",
    "in",
    "nocorrect",
    "noglob",
    "repeat",
    "select",
    "then",
    "time",
    "until",
    "while",
    "[[",
    "]]",
    "-",
];

/// # Errors
/// The first thing in it that is not understood.
pub fn split(text: &str) -> Result<Vec<Simple>, Unclear> {
    let mut reader = Reader::new(text)?;
    reader.line()?;
    Ok(reader.commands)
}

struct Reader<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    commands: Vec<Simple>,
    command: Simple,
    word: Option<Word>,
    /// The word to come is a redirection's target.
    redirect: Option<bool>,
    /// What joins the last command to a next one that must come.
    wants_more: bool,
}

/// A word as it is read.
#[derive(Default)]
struct Word {
    text: String,
    loose: String,
    /// Some of it was quoted: it is no keyword, no number of a descriptor.
    quoted: bool,
    /// It has `*`, `?` or `[` outside of quotes.
    pattern: bool,
    /// It has a `]` within quotes, which ends no `[`.
    quoted_end: bool,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Result<Self, Unclear> {
        let odd = |char: char| is_invisible(char) && char != '\n' && char != '\t';
        if text.contains(odd) {
            return Err("it has characters in it that do not show");
        }
        Ok(Self {
            chars: text.chars().peekable(),
            commands: Vec::new(),
            command: Simple::default(),
            word: None,
            redirect: None,
            wants_more: false,
        })
    }

    fn line(&mut self) -> Result<(), Unclear> {
        while let Some(char) = self.chars.next() {
            match char {
                ' ' | '\t' => self.end_word()?,
                '\n' => self.newline()?,
                ';' => self.join(false)?,
                '&' => self.ampersand()?,
                '|' => self.pipe()?,
                '<' | '>' => self.redirect(char)?,
                '\'' => self.single()?,
                '"' => self.double()?,
                '\\' => self.escaped()?,
                '$' | '`' => return Err("it has a substitution in it"),
                '(' | ')' => return Err("it has a group or a function in it"),
                '{' | '}' => return Err("it has braces in it"),
                '#' if self.word.is_none() => return Err("it has a comment in it"),
                char => self.push(char),
            }
        }
        self.end_word()?;
        if self.redirect.is_some() {
            return Err("it is not complete");
        }
        self.end_command()?;
        match (self.wants_more, self.commands.is_empty()) {
            (false, false) => Ok(()),
            _ => Err("it is not complete"),
        }
    }

    fn push(&mut self, char: char) {
        let word = self.word.get_or_insert_default();
        word.pattern |= matches!(char, '*' | '?' | '[');
        word.text.push(char);
        word.loose.push(marked(char));
    }

    fn quoted(&mut self) -> &mut Word {
        let word = self.word.get_or_insert_default();
        word.quoted = true;
        word
    }

    fn quote(&mut self, char: char) {
        let word = self.quoted();
        word.quoted_end |= char == ']';
        word.text.push(char);
        word.loose.push(char);
    }

    fn single(&mut self) -> Result<(), Unclear> {
        self.quoted();
        while let Some(char) = self.chars.next() {
            if char == '\'' {
                return Ok(());
            }
            self.quote(char);
        }
        Err("a quote is not closed")
    }

    fn double(&mut self) -> Result<(), Unclear> {
        self.quoted();
        while let Some(char) = self.chars.next() {
            match char {
                '"' => return Ok(()),
                '$' | '`' => return Err("it has a substitution in it"),
                '\\' => match self.chars.next() {
                    Some(next @ ('$' | '`' | '"' | '\\')) => self.quote(next),
                    Some('\n') | None => return Err("it has a continued line in it"),
                    Some(next) => ['\\', next].into_iter().for_each(|char| self.quote(char)),
                },
                char => self.quote(char),
            }
        }
        Err("a quote is not closed")
    }

    fn escaped(&mut self) -> Result<(), Unclear> {
        match self.chars.next() {
            Some('\n') | None => Err("it has a continued line in it"),
            Some(char) => {
                self.quote(char);
                Ok(())
            }
        }
    }

    fn newline(&mut self) -> Result<(), Unclear> {
        self.end_word()?;
        if self.redirect.is_some() {
            return Err("it is not complete");
        }
        // Empty lines, and the line's end behind `&&`, join nothing new.
        if self.command == Simple::default() {
            return Ok(());
        }
        self.join(false)
    }

    fn ampersand(&mut self) -> Result<(), Unclear> {
        match self.chars.peek() {
            Some('&') => {
                self.chars.next();
                self.join(true)
            }
            Some('>') => Err("it has a redirection in it that not every shell knows"),
            _ => self.join(false),
        }
    }

    fn pipe(&mut self) -> Result<(), Unclear> {
        match self.chars.peek() {
            Some('&') => return Err("it has a pipe in it that not every shell knows"),
            Some('|') => drop(self.chars.next()),
            _ => {}
        }
        self.join(true)
    }

    /// A command ends here, and with `more` another must follow.
    fn join(&mut self, more: bool) -> Result<(), Unclear> {
        self.end_word()?;
        if self.redirect.is_some() || self.command == Simple::default() {
            return Err("it is not complete");
        }
        self.end_command()?;
        self.wants_more = more;
        Ok(())
    }

    fn redirect(&mut self, sign: char) -> Result<(), Unclear> {
        self.descriptor()?;
        if self.redirect.is_some() {
            return Err("it is not complete");
        }
        match (sign, self.chars.peek()) {
            ('<', Some('<')) => return Err("it has a here-document in it"),
            (_, Some('(')) => return Err("it has a substitution in it"),
            ('<', Some('>' | '&')) => return Err("it has a redirection in it that is seldom used"),
            ('>', Some('&')) => {
                self.chars.next();
                return self.duplicate();
            }
            ('>', Some('>' | '|')) => drop(self.chars.next()),
            _ => {}
        }
        self.redirect = Some(sign == '>');
        Ok(())
    }

    /// A digit right before the sign is a descriptor's number; other text is a word before it. Of
    /// several digits shells think differently.
    fn descriptor(&mut self) -> Result<(), Unclear> {
        match &self.word {
            Some(word) if !word.quoted && word.text.chars().all(|char| char.is_ascii_digit()) => {
                if word.text.len() > 1 {
                    return Err("it has a redirection in it that not every shell knows");
                }
                self.word = None;
                Ok(())
            }
            _ => self.end_word(),
        }
    }

    /// `>&2`: another descriptor, and nothing else.
    fn duplicate(&mut self) -> Result<(), Unclear> {
        let odd = "it has a redirection in it that is seldom used";
        match self.chars.next() {
            Some('0'..='9') => {}
            _ => return Err(odd),
        }
        match self.chars.peek() {
            None | Some(' ' | '\t' | '\n' | ';' | '&' | '|' | '>' | '<') => Ok(()),
            Some(_) => Err(odd),
        }
    }

    fn end_word(&mut self) -> Result<(), Unclear> {
        let Some(word) = self.word.take() else { return Ok(()) };
        if !word.quoted && word.text.starts_with('~') && self.redirect.is_some() {
            return Err("it opens a file whose name is made by the shell");
        }
        if let Some(writes) = self.redirect.take() {
            if word.pattern {
                return Err("it opens a file whose name is made by the shell");
            }
            self.command.redirects.push(Redirect { writes, target: word.text });
            return Ok(());
        }
        if self.command.words.is_empty() {
            first(&word)?;
            self.command.pattern_first = word.pattern;
        }
        let names = word.loose.split('/').map(|name| loosened(name, !word.quoted_end));
        self.command.loose.push(names.collect::<Vec<_>>().join("/"));
        self.command.words.push(word.text);
        Ok(())
    }

    fn end_command(&mut self) -> Result<(), Unclear> {
        let command = std::mem::take(&mut self.command);
        if command == Simple::default() {
            return Ok(());
        }
        if command.words.is_empty() {
            return Err("it has a redirection without a command in it");
        }
        if command.pattern_first {
            return Err("the program's name is made by the shell");
        }
        self.wants_more = false;
        self.commands.push(command);
        Ok(())
    }
}

/// A name, with each `[...]` as the one character that it becomes. Where one of them is not plain, or its
/// end not certain, all from the first to the last is any text.
fn loosened(name: &str, is_certain: bool) -> String {
    let Some((from, to)) = name.find(ANY).zip(name.rfind(']')).filter(|(from, to)| from < to)
    else {
        return name.to_owned();
    };
    let plain = if is_certain { brackets(name) } else { None };
    plain.unwrap_or_else(|| format!("{}{ANY}{}", &name[..from], &name[to + 1..]))
}

fn brackets(name: &str) -> Option<String> {
    let mut said = String::new();
    let mut rest = name;
    while let Some((before, behind)) = rest.split_once(ANY) {
        let (among, behind) = behind.split_once(']')?;
        said += before;
        match among.chars().all(|char| char.is_ascii_alphanumeric() || "_.".contains(char)) {
            true => said.extend([FROM].into_iter().chain(among.chars()).chain([TO])),
            false => said.push(ONE),
        }
        // No character at all, one that is several letters to some language, or a pattern in it.
        let is_plain = among.chars().all(|char| char.is_ascii_graphic() && char != '[');
        if among.trim_start_matches(['!', '^']).is_empty() || !is_plain {
            return None;
        }
        rest = behind;
    }
    Some(said + rest)
}

/// What a command may begin with.
fn first(word: &Word) -> Result<(), Unclear> {
    let text = word.text.as_str();
    if !word.quoted && RESERVED.contains(&text) {
        return Err("it has a keyword of the shell in it");
    }
    if !text.is_ascii() {
        return Err("the program's name has letters in it that may look like others");
    }
    if text.is_empty() {
        return Err("the program's name is empty");
    }
    if text.contains('=') {
        return Err("it sets variables before a command");
    }
    if text.starts_with(['~', '%', '+', '@']) {
        return Err("the program's name is made by the shell");
    }
    Ok(())
}
