//! `musher rules`: what may run in every run of a project, and what may not.

use std::{path::Path, process::ExitCode};

use musher_protocol::*;

use crate::{args::Rules, print, reach::Reach, runs::absolute};

pub async fn rules(
    data_dir: &Path,
    json: bool,
    dir: &Path,
    command: Rules,
) -> Result<ExitCode, ApiError> {
    let reach = Reach::open(data_dir).await?;
    let said = answer(&reach, json, dir, command).await;
    reach.close().await;
    said.map(|()| ExitCode::SUCCESS)
}

async fn answer(reach: &Reach, json: bool, dir: &Path, command: Rules) -> Result<(), ApiError> {
    let folder = PathParams { path: absolute(dir)? };
    let project: Project = reach.call("project_add", &folder).await?;
    let id = project.id.clone();
    let rules: Vec<ProjectRule> = match command {
        Rules::List => reach.call("rule_list", &ProjectParams { project: id }).await?,
        Rules::Add { rule } => reach.call("rule_add", &RuleParams { project: id, rule }).await?,
        Rules::Remove { rule } => {
            reach.call("rule_remove", &RuleParams { project: id, rule }).await?
        }
    };
    for rule in &rules {
        match json {
            true => print::json(rule),
            false => line(rule),
        }
    }
    if rules.is_empty() && !json {
        let name = &project.name;
        print::line(&format!(
            "{name} has no rules. Add one: musher rules add \"allow run git status\""
        ));
    }
    Ok(())
}

fn line(rule: &ProjectRule) {
    print::line(&format!("{}  ({})", rule.rule, rule.sentence.trim_end_matches('.')));
    for note in &rule.notes {
        print::line(&format!("    {note}"));
    }
}
