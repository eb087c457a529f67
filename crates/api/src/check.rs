//! What must hold of parameters before the engine sees them: ids that can name a file, absolute
//! paths, no control characters where a program's argument is made of the value.

use musher_protocol::*;

pub(crate) trait Check {
    /// Something in it is in no error and no log.
    const SECRET: bool = false;

    /// Fields whose values are in no error and no log.
    const SECRET_FIELDS: &[&str] = &[];

    /// The error names the field.
    fn check(&self) -> Result<(), ApiError>;
}

fn refuse(field: &str, why: &str) -> ApiError {
    ApiError::new(ErrorCode::BadRequest, format!("The value of `{field}` does not fit: {why}."))
}

fn ensure(holds: bool, field: &str, why: &str) -> Result<(), ApiError> {
    if holds { Ok(()) } else { Err(refuse(field, why)) }
}

fn run(id: &RunId) -> Result<(), ApiError> {
    ensure(RunId::parse(id.as_str()).is_some(), "run", "it is no run's id")
}

fn project(id: &ProjectId) -> Result<(), ApiError> {
    ensure(ProjectId::parse(id.as_str()).is_some(), "project", "it is no project's id")
}

/// What no key looks like: who mixes up the two fields has not put a key where it is shown.
fn key_place(place: &str) -> Result<(), ApiError> {
    let is_address = place.starts_with("http://") || place.starts_with("https://");
    let fits = is_address && !place.chars().any(char::is_control) && place.len() <= 2048;
    let known = ["openai", "gemini"].contains(&place);
    ensure(known || fits, "place", "it is `openai`, `gemini` or the address of a model server")
}

/// Absolute; `~/` is the home of the person whose engine this is.
fn path(field: &str, path: &str) -> Result<(), ApiError> {
    ensure(!path.contains('\0'), field, "a path has no NUL")?;
    let absolute = std::path::Path::new(path).is_absolute();
    ensure(absolute || path == "~" || path.starts_with("~/"), field, "the path must be absolute")
}

/// A path below a worktree that cannot lead out of it.
fn inner_path(field: &str, path: &str) -> Result<(), ApiError> {
    use std::path::Component;
    let inside = std::path::Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    ensure(!path.is_empty() && !path.contains('\0'), field, "it names no file")?;
    ensure(inside, field, "the path must stay inside the worktree")
}

/// A ref's name that git cannot take for an option.
fn ref_name(field: &str, name: &Option<String>) -> Result<(), ApiError> {
    let Some(name) = name else { return Ok(()) };
    ensure(!name.is_empty() && !name.starts_with('-'), field, "it is no branch's name")?;
    ensure(!name.chars().any(char::is_control), field, "it has control characters")
}

fn said(field: &str, text: &str) -> Result<(), ApiError> {
    if !text.trim().is_empty() {
        return Ok(());
    }
    let (message, hint) = match field {
        "prompt" | "text" => {
            ("There are no words to say: the message is empty.", "Say what is wanted.")
        }
        "rule" => ("The rule is empty.", "Write for example `allow run cargo test*`."),
        "settings.agent_name" => ("The agent's name is empty.", "Give it one, or leave it out."),
        "model" => ("The name of the model is empty.", "Name a model, or leave it out."),
        _ => return Err(refuse(field, "it is empty")),
    };
    Err(ApiError::new(ErrorCode::BadRequest, message).with_hint(hint))
}

fn settings(settings: &RunSettings) -> Result<(), ApiError> {
    said("settings.runtime", &settings.runtime)?;
    said("settings.agent_name", &settings.agent_name)?;
    let no_nul = |text: &String| !text.contains('\0');
    ensure(settings.args.iter().all(no_nul), "settings.args", "an argument has no NUL")?;
    ensure(settings.command.iter().all(no_nul), "settings.command", "a path has no NUL")?;
    ensure(settings.env.values().all(no_nul), "settings.env", "a variable has no NUL")?;
    let names = settings
        .env
        .keys()
        .all(|name| !name.is_empty() && !name.contains('=') && !name.chars().any(char::is_control));
    ensure(names, "settings.env", "it has a name that no variable can have")
}

impl Check for Empty {
    fn check(&self) -> Result<(), ApiError> {
        Ok(())
    }
}

impl Check for PageLogParams {
    fn check(&self) -> Result<(), ApiError> {
        Ok(())
    }
}

impl Check for KeySetParams {
    const SECRET: bool = true;

    fn check(&self) -> Result<(), ApiError> {
        key_place(&self.place)
    }
}

impl Check for KeyPlaceParams {
    fn check(&self) -> Result<(), ApiError> {
        key_place(&self.place)
    }
}

impl Check for EndpointProbeParams {
    const SECRET_FIELDS: &[&str] = &["headers"];

    fn check(&self) -> Result<(), ApiError> {
        said("runtime", &self.runtime)?;
        self.model.iter().try_for_each(|model| said("model", model))
    }
}

impl Check for PathParams {
    fn check(&self) -> Result<(), ApiError> {
        path("path", &self.path)
    }
}

impl Check for OpenParams {
    fn check(&self) -> Result<(), ApiError> {
        let plain = !self.target.chars().any(char::is_control);
        ensure(!self.target.is_empty() && plain, "target", "it is no link and no path")
    }
}

impl Check for ProjectParams {
    fn check(&self) -> Result<(), ApiError> {
        project(&self.project)
    }
}

impl Check for TrustParams {
    fn check(&self) -> Result<(), ApiError> {
        project(&self.project)?;
        self.worktree.iter().try_for_each(|worktree| path("worktree", worktree))
    }
}

impl Check for TrustSetParams {
    fn check(&self) -> Result<(), ApiError> {
        project(&self.project)?;
        self.worktree.iter().try_for_each(|worktree| path("worktree", worktree))?;
        let hex = self.digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        ensure(self.digest.len() == 64 && hex, "digest", "it is no SHA-256 in hex")
    }
}

impl Check for RuleParams {
    fn check(&self) -> Result<(), ApiError> {
        project(&self.project)?;
        said("rule", &self.rule)
    }
}

impl Check for WorktreeParams {
    fn check(&self) -> Result<(), ApiError> {
        run(&self.run)
    }
}

impl Check for DiffParams {
    fn check(&self) -> Result<(), ApiError> {
        run(&self.run)?;
        inner_path("path", &self.path)
    }
}

impl Check for WorktreeRemoveParams {
    fn check(&self) -> Result<(), ApiError> {
        project(&self.project)?;
        path("path", &self.path)
    }
}

impl Check for RunStartParams {
    const SECRET_FIELDS: &[&str] = &["settings.env", "settings.endpoint.headers"];

    fn check(&self) -> Result<(), ApiError> {
        said("prompt", &self.prompt)?;
        settings(&self.settings)?;
        match &self.place {
            RunPlace::Worktree { path: worktree } => path("place.path", worktree),
            RunPlace::Fresh { repository, base, branch } => {
                if repository != "demo" {
                    path("place.repository", repository)?;
                }
                ref_name("place.base", base)?;
                ref_name("place.branch", branch)
            }
        }
    }
}

impl Check for RunParams {
    fn check(&self) -> Result<(), ApiError> {
        run(&self.run)
    }
}

impl Check for RunEventsParams {
    fn check(&self) -> Result<(), ApiError> {
        run(&self.run)
    }
}

impl Check for RunSendParams {
    fn check(&self) -> Result<(), ApiError> {
        run(&self.run)?;
        said("text", &self.text)?;
        let waits_or_steers = matches!(self.delivery, Delivery::Queue | Delivery::Steer);
        ensure(waits_or_steers, "delivery", "a message is queued (`queue`) or steers (`steer`)")
    }
}

impl Check for RunAnswerParams {
    fn check(&self) -> Result<(), ApiError> {
        run(&self.run)?;
        said("request", &self.request)
    }
}

impl Check for RunResumeParams {
    const SECRET_FIELDS: &[&str] = &["env", "headers", "endpoint.headers"];

    fn check(&self) -> Result<(), ApiError> {
        run(&self.run)?;
        self.prompt.iter().try_for_each(|prompt| said("prompt", prompt))
    }
}

impl Check for RunSetModelParams {
    fn check(&self) -> Result<(), ApiError> {
        run(&self.run)?;
        self.model.iter().try_for_each(|model| said("model", model))
    }
}

impl Check for RunSetModeParams {
    fn check(&self) -> Result<(), ApiError> {
        run(&self.run)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_diffs_path_cannot_leave_the_worktree() {
        for bad in ["", "/etc/passwd", "..", "a/../../b", "a\0b"] {
            assert!(inner_path("path", bad).is_err(), "{bad:?}");
        }
        for good in ["a", "a/b.txt", "./a", "..a", "-rf", "ü n/ï.txt"] {
            assert!(inner_path("path", good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn paths_are_absolute() {
        for bad in ["", "a", "./a", "~user/a", "/a\0"] {
            assert!(path("path", bad).is_err(), "{bad:?}");
        }
        for good in ["/", "/a b/ü", "~", "~/a"] {
            assert!(path("path", good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_ref_is_no_option() {
        for bad in ["", "--upload-pack=x", "a\nb"] {
            assert!(ref_name("base", &Some(bad.into())).is_err(), "{bad:?}");
        }
        assert!(ref_name("base", &Some("feature/x".into())).is_ok());
        assert!(ref_name("base", &None).is_ok());
    }

    #[test]
    fn a_variables_name_cannot_carry_another() {
        let with = |name: &str, value: &str| RunSettings {
            env: [(name.to_owned(), value.to_owned())].into(),
            ..RunSettings::default()
        };
        assert!(settings(&with("A=B", "c")).is_err());
        assert!(settings(&with("A\nB", "c")).is_err());
        assert!(settings(&with("A", "c\0d")).is_err());
        assert!(settings(&with("A", "line\nline")).is_ok());
    }
}
