//! `cargo xtask tidy`: the house rules that no compiler knows. Each check adds what it finds to one
//! list, so that a person sees everything that is wrong at once.

mod functions;
mod locks;
mod manifests;
mod names;
mod rules;
mod sizes;
mod source;

use anyhow::{Result, bail};
use std::fs;

use crate::{generate, place, shell};
use source::SourceFile;

/// What the checks found: `wrong` fails, `listed` is only said.
#[derive(Default)]
pub struct Findings {
    wrong: Vec<String>,
    listed: Vec<String>,
}

impl Findings {
    fn wrong(&mut self, text: impl Into<String>) {
        self.wrong.push(text.into());
    }

    fn listed(&mut self, text: impl Into<String>) {
        self.listed.push(text.into());
    }
}

pub fn command(args: &[String]) -> Result<()> {
    if !args.is_empty() {
        bail!("Usage: cargo xtask tidy");
    }
    let files = source_files()?;
    let mut found = Findings::default();
    for file in &files {
        sizes::check(file, &mut found);
        functions::check(file, &mut found);
        rules::check(file, &mut found);
        names::check(file, &mut found);
        locks::check(file, &mut found);
        manifests::check(file, &mut found);
    }
    if let Err(error) = generate::check() {
        found.wrong(error.to_string());
    }
    if shell::output(shell::cargo().args(["fmt", "--all", "--check"])).is_none() {
        found.wrong("Rust code is not formatted; run `cargo fmt --all`.");
    }
    report(files.len(), &found)
}

fn report(files: usize, found: &Findings) -> Result<()> {
    for line in &found.listed {
        println!("note: {line}");
    }
    for line in &found.wrong {
        println!("wrong: {line}");
    }
    if !found.wrong.is_empty() {
        bail!("tidy: {} things are wrong in {files} files.", found.wrong.len());
    }
    println!("tidy: {files} files, nothing wrong.");
    Ok(())
}

/// How much a check finds wrong in a file of this text.
#[cfg(test)]
fn wrong_by(check: fn(&SourceFile, &mut Findings), path: &str, text: &str) -> usize {
    let mut found = Findings::default();
    check(&SourceFile::new(path, text.into()), &mut found);
    found.wrong.len()
}

/// Every text file that is or would be committed.
fn source_files() -> Result<Vec<SourceFile>> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let Some(output) = shell::output(shell::command("git").args(list)) else {
        bail!(
            "`git ls-files` failed: tidy reads the list of files from git; run it in a checkout."
        );
    };
    let root = place::root();
    let mut files = Vec::new();
    for path in output.split('\0').filter(|path| !path.is_empty()) {
        // Not every file is text, and one may have been removed and not yet committed as such.
        if let Ok(text) = fs::read_to_string(root.join(path)) {
            files.push(SourceFile::new(path, text));
        }
    }
    Ok(files)
}
