//! The commands that start, steer and end runs, and remove what they worked in.

use std::{io::Read, path::Path, process::ExitCode};

use musher_protocol::*;

use crate::{args, follow, held::Held, print, reach::Reach};

pub async fn run(data_dir: &Path, json: bool, wanted: args::Run) -> Result<ExitCode, ApiError> {
    let is_demo = wanted.runtime == "demo";
    tell_of_keys(&wanted);
    let params = params_of(wanted)?;
    let reach = Reach::open(data_dir).await?;
    if params.1 {
        trust(&reach, &params.0.place).await?;
    }
    let started = reach.call("run_start", &params.0).await;
    let summary: RunSummary =
        started.map_err(|error| if is_demo { error } else { name_the_demo(error) })?;
    let code = follow::to_its_end(&reach, &summary, json).await;
    reach.close().await;
    code
}

/// A variable that is called like a key is for the agent's program or its model, and in no command of
/// Musher's tools.
fn tell_of_keys(wanted: &args::Run) {
    let is_ours = wanted.engine_tools || ["openai", "gemini"].contains(&wanted.runtime.as_str());
    // Whoever gives a provider's means it for the model.
    let of_providers = ["OPENAI_", "GEMINI_", "GOOGLE_", "ANTHROPIC_", "CLAUDE_"];
    let is_meant = |name: &&str| {
        musher_runtime::is_key_name(name) && !of_providers.iter().any(|it| name.starts_with(it))
    };
    let names = wanted.env.iter().map(|(name, _)| name.as_str()).filter(|_| is_ours);
    let keys: Vec<&str> = names.filter(is_meant).collect();
    if !keys.is_empty() {
        let keys = keys.join(", ");
        eprintln!(
            "note: the commands of Musher's tools do not get {keys}: by its name it is a key."
        );
        eprintln!("hint: give what commands are to have under a name without _API_KEY and _TOKEN.");
    }
}

/// Who has no agent can see Musher at work all the same.
fn name_the_demo(error: ApiError) -> ApiError {
    if error.code != ErrorCode::RuntimeMissing {
        return error;
    }
    let hint = error.hint.clone().unwrap_or_default();
    let demo = "Or see Musher at work without it: --runtime demo.";
    error.with_hint(format!("{hint} {demo}").trim_start())
}

pub async fn resume(
    data_dir: &Path,
    json: bool,
    wanted: args::Resume,
) -> Result<ExitCode, ApiError> {
    let reach = Reach::open(data_dir).await?;
    let run = reach.find_run(&wanted.run).await?.id;
    let args::Resume { prompt, runtime, model, env, .. } = wanted;
    let mut endpoint = endpoint_of(wanted.endpoint);
    // Those alone change nothing but themselves.
    let headers = std::mem::take(&mut endpoint.headers);
    let endpoint = (endpoint != EndpointSettings::default()).then_some(endpoint);
    let env = env.into_iter().collect();
    let params = RunResumeParams { run, prompt, env, headers, runtime, model, endpoint };
    let summary: RunSummary = reach.call("run_resume", &params).await?;
    let code = follow::to_its_end(&reach, &summary, json).await;
    reach.close().await;
    code
}

/// A message that starts the story's next run is followed to that run's end when this command's own
/// engine is the one that runs it.
pub async fn send(
    data_dir: &Path,
    json: bool,
    run: &str,
    text: String,
    steer: bool,
) -> Result<ExitCode, ApiError> {
    let reach = Reach::open(data_dir).await?;
    let run = reach.find_run(run).await?.id;
    let delivery = if steer { Delivery::Steer } else { Delivery::Queue };
    let params = RunSendParams { run: run.clone(), text, delivery };
    let summary: RunSummary = reach.call("run_send", &params).await?;
    if summary.id != run && reach.is_own() {
        let code = follow::to_its_end(&reach, &summary, json).await;
        reach.close().await;
        return code;
    }
    print::summary(&summary, json);
    reach.close().await;
    Ok(ExitCode::SUCCESS)
}

pub async fn answer(
    data_dir: &Path,
    run: &str,
    request: &str,
    answer: args::Verdict,
    message: Option<String>,
) -> Result<ExitCode, ApiError> {
    let reach = Reach::open(data_dir).await?;
    let run = reach.find_run(run).await?.id;
    let answer = match answer {
        args::Verdict::Allow => Answer::Allow,
        args::Verdict::Deny => Answer::Deny { message },
        args::Verdict::Choose => chosen(&reach, &run, request, message).await?,
    };
    let params = RunAnswerParams { run, request: request.to_owned(), answer };
    let _: Empty = reach.call("run_answer", &params).await?;
    reach.close().await;
    Ok(ExitCode::SUCCESS)
}

pub async fn stop(data_dir: &Path, json: bool, run: &str) -> Result<ExitCode, ApiError> {
    let reach = Reach::open(data_dir).await?;
    let run = reach.find_run(run).await?.id;
    let summary = stopped(&reach, &run).await?;
    print::summary(&summary, json);
    reach.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Stops the run, and tells what its end waits for.
pub async fn stopped(reach: &Reach, run: &RunId) -> Result<RunSummary, ApiError> {
    let params = RunParams { run: run.clone() };
    let held = Held::new(reach, run).or_else("The agent is given time to end");
    held.during(reach.call("run_stop", &params)).await
}

/// A refusal is told, and ends with 1.
const OVER_WORK: &str = "Commit or move what is to stay. `--force` removes a worktree in spite of work in it, \
                         and keeps that work under a rescue ref.";

/// What helps against the first reason that `--force` does not override, else that it does.
fn next_step(refusals: &[RemovalRefusal]) -> String {
    let of = |refusal: &RemovalRefusal| match refusal {
        RemovalRefusal::MainCheckout => Some(
            "Musher removes only worktrees beside it: `musher worktrees` lists them.".to_owned(),
        ),
        RemovalRefusal::ProcessInside { pid, .. } => {
            Some(format!("End that program first (`kill {pid}`), or leave the folder with it."))
        }
        RemovalRefusal::RunUsesIt { run } => Some(format!("Stop it first: musher stop {run}")),
        RemovalRefusal::Locked { .. } => Some("Unlock it first: git worktree unlock".to_owned()),
        _ => None,
    };
    refusals.iter().find_map(of).unwrap_or_else(|| OVER_WORK.to_owned())
}

pub async fn remove(
    data_dir: &Path,
    json: bool,
    worktree: &Path,
    force: bool,
) -> Result<ExitCode, ApiError> {
    let reach = Reach::open(data_dir).await?;
    // As git lists it: without links.
    let path = worktree.canonicalize().unwrap_or_else(|_| worktree.to_owned());
    let path = absolute(&path)?;
    let project: Project = reach.call("project_add", &PathParams { path: path.clone() }).await?;
    let params = WorktreeRemoveParams { project: project.id, path, force };
    let report: RemovalReport = reach.call("worktree_remove", &params).await?;
    match json {
        true => print::json(&report),
        false => print::line(&report.sentence),
    }
    if !report.removed {
        eprintln!("hint: {}", next_step(&report.refusals));
    }
    reach.close().await;
    Ok(if report.removed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One text answers every question of a request; at a terminal each is asked for itself.
async fn chosen(
    reach: &Reach,
    run: &RunId,
    request: &str,
    message: Option<String>,
) -> Result<Answer, ApiError> {
    let Some(text) = message else {
        return Err(ApiError::new(ErrorCode::BadRequest, "A choice needs its words.")
            .with_hint("Give them with --message."));
    };
    let questions = follow::questions_of(reach, run, request).await?;
    let answers = questions.into_iter().map(|item| (item.question, text.clone())).collect();
    Ok(Answer::Answers { answers })
}

async fn trust(reach: &Reach, place: &RunPlace) -> Result<(), ApiError> {
    let path = match place {
        RunPlace::Fresh { repository, .. } => repository,
        RunPlace::Worktree { path } => path,
    };
    let project: Project = reach.call("project_add", &PathParams { path: path.clone() }).await?;
    let worktree = match place {
        RunPlace::Fresh { .. } => None,
        RunPlace::Worktree { path } => Some(path.clone()),
    };
    let params = TrustParams { project: project.id.clone(), worktree: worktree.clone() };
    let report: TrustReport = reach.call("trust_get", &params).await?;
    let decision = TrustDecision::Trusted;
    let params = TrustSetParams { project: project.id, worktree, digest: report.digest, decision };
    let _: TrustReport = reach.call("trust_set", &params).await?;
    Ok(())
}

/// What `run_start` takes, and whether the repository is to be trusted first.
fn params_of(wanted: args::Run) -> Result<(RunStartParams, bool), ApiError> {
    let trusted = wanted.trust;
    let place = match (&wanted.repo, &wanted.worktree) {
        (Some(repo), _) => RunPlace::Fresh {
            repository: named_repository(repo)?,
            base: wanted.base.clone(),
            branch: wanted.branch.clone(),
        },
        (None, Some(path)) => RunPlace::Worktree { path: absolute(path)? },
        (None, None) => {
            return Err(ApiError::new(ErrorCode::BadRequest, "Name --repo or --worktree."));
        }
    };
    let prompt = if wanted.prompt == "-" { read_stdin()? } else { wanted.prompt.clone() };
    let settings = settings_of(wanted)?;
    Ok((RunStartParams { prompt, place, settings, restrict_untrusted: true }, trusted))
}

fn settings_of(wanted: args::Run) -> Result<RunSettings, ApiError> {
    Ok(RunSettings {
        runtime: wanted.runtime,
        agent_name: wanted.agent,
        model: wanted.model,
        permission_mode: match wanted.permission_mode {
            args::Mode::Plan => PermissionMode::Plan,
            args::Mode::Ask => PermissionMode::Ask,
            args::Mode::AcceptEdits => PermissionMode::AcceptEdits,
            args::Mode::Bypass => PermissionMode::Bypass,
        },
        answer: match wanted.answer {
            args::Policy::Allow => AnswerPolicy::Allow,
            args::Policy::Deny => AnswerPolicy::Deny,
            args::Policy::Ask => AnswerPolicy::Ask,
        },
        command: wanted.command.as_deref().map(absolute).transpose()?,
        args: wanted.args,
        env: wanted.env.into_iter().collect(),
        transport: match wanted.transport {
            args::Carrier::Pty => Transport::Pty,
            args::Carrier::Pipe => Transport::Pipe,
        },
        limits: limits_of(wanted.limits),
        inactivity_timeout_secs: wanted.inactivity_timeout,
        mcp_config: wanted.mcp_config,
        engine_tools: wanted.engine_tools,
        allowed_tools: wanted.allowed_tools,
        disallowed_tools: wanted.disallowed_tools,
        endpoint: endpoint_of(wanted.endpoint),
        ..RunSettings::default()
    })
}

fn endpoint_of(wanted: args::Endpoint) -> EndpointSettings {
    EndpointSettings {
        base_url: wanted.base_url,
        dialect: wanted.dialect,
        headers: wanted.headers.into_iter().collect(),
        header_names: Vec::new(),
        organization: wanted.organization,
        account_project: wanted.account_project,
        effort: wanted.effort.map(effort),
        max_answer_tokens: wanted.max_answer_tokens,
    }
}

fn limits_of(wanted: args::Limits) -> RunLimits {
    RunLimits {
        max_turns: wanted.max_turns,
        max_tool_calls: wanted.max_tool_calls,
        max_tokens: wanted.max_tokens,
        max_cost_microdollars: wanted.max_cost,
        max_seconds: wanted.max_seconds,
    }
}

fn effort(wanted: args::Effort) -> Effort {
    match wanted {
        args::Effort::Low => Effort::Low,
        args::Effort::Medium => Effort::Medium,
        args::Effort::High => Effort::High,
    }
}

/// `demo` names Musher's own throw-away repository, unless a folder here is called so.
fn named_repository(path: &Path) -> Result<String, ApiError> {
    if path == Path::new(musher_engine::DEMO_REPOSITORY) && !path.exists() {
        return Ok(musher_engine::DEMO_REPOSITORY.into());
    }
    absolute(path)
}

pub fn absolute(path: &Path) -> Result<String, ApiError> {
    let text =
        std::path::absolute(path).ok().and_then(|path| path.into_os_string().into_string().ok());
    text.ok_or_else(|| {
        ApiError::new(
            ErrorCode::BadRequest,
            format!("{} cannot be used as a path.", path.display()),
        )
        .with_hint("Use a path of plain UTF-8 text.")
    })
}

fn read_stdin() -> Result<String, ApiError> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| {
        ApiError::new(
            ErrorCode::BadRequest,
            format!("The prompt could not be read from stdin: {error}."),
        )
    })?;
    Ok(text)
}
