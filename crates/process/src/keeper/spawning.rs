//! Before a child starts: where its program is; and why it could not start, for a person.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{SpawnSpec, find_program};

/// The program to start, in a folder that exists.
pub fn resolve(spec: &SpawnSpec) -> Result<PathBuf, String> {
    if !spec.cwd.is_dir() {
        return Err(format!(
            "The folder {} does not exist; choose another worktree.",
            spec.cwd.display()
        ));
    }
    let name = spec.program.to_string_lossy();
    if spec.program.components().count() > 1 {
        return Ok(spec.program.clone());
    }
    let path = spec.env.get("PATH").map_or("", String::as_str);
    find_program(&name, path).ok_or_else(|| {
        format!("The program {name} was not found on the PATH; install it, or give its full path.")
    })
}

pub fn cannot_start(program: &Path, error: &io::Error) -> String {
    let shown = program.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!(
            "The program {shown} does not exist (or its interpreter does not); check its path."
        ),
        io::ErrorKind::PermissionDenied => {
            format!("The program {shown} may not be run; check its rights (chmod +x).")
        }
        io::ErrorKind::ArgumentListTooLong => {
            format!("The program {shown} was given too much in its arguments or environment.")
        }
        io::ErrorKind::WouldBlock => format!(
            "The program {shown} could not be started: the limit of processes is reached; end some."
        ),
        _ => format!("The program {shown} could not be started: {error}."),
    }
}
