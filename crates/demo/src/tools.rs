//! The tools, really carried out in the working directory, with the results the real program gives.

use std::{
    io::Read,
    path::{Path, PathBuf},
    process::{Child, ExitStatus},
    sync::mpsc::Sender,
    thread,
};

use serde_json::{Value, json};

use crate::{input::Input, script::Tool};

/// What a tool gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub text: String,
    pub is_error: bool,
    /// `tool_use_result`; for an error the string `Error: ...`.
    pub structured: Value,
}

/// A command that came to its end.
#[derive(Debug)]
pub struct Finished {
    pub pid: u32,
    pub status: Option<ExitStatus>,
    pub stdout: String,
    pub stderr: String,
}

impl Tool {
    /// The tool's name and input as the model would have given them.
    pub fn call(&self, cwd: &Path) -> (String, Value) {
        let absolute = |path: &str| cwd.join(path).display().to_string();
        match self {
            Tool::Read { path } => ("Read".into(), json!({"file_path": absolute(path)})),
            Tool::List => {
                ("Glob".into(), json!({"pattern": "*", "path": cwd.display().to_string()}))
            }
            Tool::Write { path, content } => {
                ("Write".into(), json!({"file_path": absolute(path), "content": content}))
            }
            Tool::Edit { path, old, new } => (
                "Edit".into(),
                json!({
                    "replace_all": false, "file_path": absolute(path), "old_string": old, "new_string": new,
                }),
            ),
            Tool::Run { command, description } => {
                ("Bash".into(), json!({"command": command, "description": description}))
            }
            Tool::Other { name, input, .. } => (name.clone(), input.clone()),
        }
    }

    /// The answer of a tool that does nothing here.
    pub fn canned(&self) -> Option<String> {
        match self {
            Tool::Other { output, .. } => Some(output.clone()),
            _ => None,
        }
    }
}

/// Carries out every tool but `Bash`, by the input that was allowed.
pub fn carry_out(name: &str, input: &Value, canned: Option<&str>) -> Outcome {
    let path =
        PathBuf::from(input["file_path"].as_str().or(input["path"].as_str()).unwrap_or_default());
    let done = match name {
        "TodoWrite" => Ok((
            "Todos have been modified successfully.".into(),
            json!({"newTodos": input["todos"]}),
        )),
        _ if canned.is_some() => {
            Ok((canned.unwrap_or_default().to_owned(), json!({"output": canned})))
        }
        "Read" => read(&path),
        "Glob" => list(&path),
        "Write" => write(&path, input["content"].as_str().unwrap_or_default()),
        "Edit" => edit(
            &path,
            input["old_string"].as_str().unwrap_or_default(),
            input["new_string"].as_str().unwrap_or_default(),
        ),
        _ => Err(std::io::Error::other(format!("No such tool available: {name}"))),
    };
    match done {
        Ok((text, structured)) => Outcome { text, is_error: false, structured },
        Err(error) => Outcome::error(format!("{}: {error}", path.display())),
    }
}

impl Outcome {
    pub fn error(text: String) -> Self {
        Self { structured: format!("Error: {text}").into(), text, is_error: true }
    }

    /// Of a command: a failing one has its code in its text, and loses the structured form.
    pub fn of_command(done: &Finished) -> Self {
        let both = [done.stdout.trim_end(), done.stderr.trim_end()];
        let text = both.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n");
        match done.status.and_then(|status| status.code()) {
            Some(0) => Self {
                structured: json!({
                    "stdout": done.stdout.trim_end(), "stderr": done.stderr.trim_end(), "interrupted": false,
                    "isImage": false, "noOutputExpected": false,
                }),
                is_error: false,
                text,
            },
            Some(code) => Self::error(format!("Exit code {code}\n{text}").trim_end().to_owned()),
            None => Self::error(format!("Exit code 137\n{text}").trim_end().to_owned()),
        }
    }
}

type Done = std::io::Result<(String, Value)>;

fn read(path: &Path) -> Done {
    let content = std::fs::read_to_string(path)?;
    let numbered: Vec<String> =
        content.lines().enumerate().map(|(at, line)| format!("{}\t{line}", at + 1)).collect();
    let lines = numbered.len();
    let file = json!({
        "filePath": path, "content": content, "numLines": lines, "startLine": 1, "totalLines": lines,
    });
    Ok((numbered.join("\n"), json!({"type": "text", "file": file})))
}

fn list(path: &Path) -> Done {
    let mut names: Vec<String> = std::fs::read_dir(path)?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| name != ".git")
        .collect();
    names.sort();
    let text = if names.is_empty() { "No files found".into() } else { names.join("\n") };
    Ok((text, json!({"numFiles": names.len(), "filenames": names, "truncated": false})))
}

fn write(path: &Path, content: &str) -> Done {
    let before = std::fs::read_to_string(path).ok();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, content)?;
    let hint = "(file state is current in your context — no need to Read it back)";
    let (text, kind, patch) = match &before {
        None => (
            format!("File created successfully at: {} {hint}", path.display()),
            "create",
            json!([]),
        ),
        Some(old) => (
            format!("The file {} has been updated successfully. {hint}", path.display()),
            "update",
            patch(old, content),
        ),
    };
    Ok((
        text,
        json!({
            "type": kind, "filePath": path, "content": content, "structuredPatch": patch,
            "originalFile": before, "userModified": false,
        }),
    ))
}

fn edit(path: &Path, old: &str, new: &str) -> Done {
    let before = std::fs::read_to_string(path)?;
    if old.is_empty() || !before.contains(old) {
        return Err(std::io::Error::other("String to replace not found in file."));
    }
    let after = before.replacen(old, new, 1);
    std::fs::write(path, &after)?;
    let text = format!(
        "The file {} has been updated successfully. (file state is current in your context — no need to Read it back)",
        path.display()
    );
    Ok((
        text,
        json!({
            "filePath": path, "oldString": old, "newString": new, "originalFile": before,
            "structuredPatch": patch(&before, &after), "userModified": false, "replaceAll": false,
        }),
    ))
}

/// One hunk with up to three lines of surroundings, from the first to the last line that differs.
fn patch(before: &str, after: &str) -> Value {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    if same == old.len() && same == new.len() {
        return json!([]);
    }
    let rest = old.len().min(new.len()) - same;
    let tail =
        old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let (from, context) = (same.saturating_sub(3), tail.min(3));
    let mut lines: Vec<String> = old[from..same].iter().map(|line| format!(" {line}")).collect();
    lines.extend(old[same..old.len() - tail].iter().map(|line| format!("-{line}")));
    lines.extend(new[same..new.len() - tail].iter().map(|line| format!("+{line}")));
    lines.extend(
        old[old.len() - tail..old.len() - tail + context].iter().map(|line| format!(" {line}")),
    );
    json!([{
        "oldStart": from + 1, "oldLines": old.len() - tail + context - from,
        "newStart": from + 1, "newLines": new.len() - tail + context - from, "lines": lines,
    }])
}

/// Says through `to` when a command has ended.
pub fn watch(mut child: Child, to: Sender<Input>) {
    thread::spawn(move || {
        let pid = child.id();
        let errors = child.stderr.take().map(|pipe| thread::spawn(move || read_text(pipe)));
        let stdout = child.stdout.take().map(read_text).unwrap_or_default();
        let stderr = errors.and_then(|reader| reader.join().ok()).unwrap_or_default();
        let status = child.wait().ok();
        // The player may be gone already.
        let _ = to.send(Input::ToolEnded(Finished { pid, status, stdout, stderr }));
    });
}

fn read_text(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = from.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_the_hunk_that_the_real_program_gives() {
        assert_eq!(
            patch("hello\nworld\n", "hello\nplanet\n"),
            json!([{"oldStart": 1, "oldLines": 2, "newStart": 1, "newLines": 2, "lines": [" hello", "-world", "+planet"]}])
        );
        assert_eq!(patch("a\n", "a\n"), json!([]));
        let long = |middle: &str| format!("1\n2\n3\n4\n{middle}5\n6\n7\n8\n");
        assert_eq!(
            patch(&long(""), &long("new\n")),
            json!([{"oldStart": 2, "oldLines": 6, "newStart": 2, "newLines": 7,
                "lines": [" 2", " 3", " 4", "+new", " 5", " 6", " 7"]}])
        );
        assert_eq!(patch("a\na\n", "a\n")[0]["lines"], json!([" a", "-a"]));
    }

    #[test]
    fn a_tool_that_fails_says_why() {
        let outcome =
            carry_out("Edit", &json!({"file_path": "/nowhere/x", "old_string": "a"}), None);
        assert!(
            outcome.is_error
                && outcome
                    .structured
                    .as_str()
                    .is_some_and(|text| text.starts_with("Error: /nowhere/x"))
        );
    }
}
