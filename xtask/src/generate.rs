//! TypeScript of `crates/protocol` for the page: `contract.ts` (the types) and `commands.ts` (what
//! each command takes and gives). Both are made in memory and only then written or compared.

use anyhow::{Context, Result, bail};
use musher_protocol as protocol;
use std::{
    any::TypeId,
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
};
use ts_rs::{Config, TS, TypeVisitor};

use crate::place;

const FOLDER: &str = "ui/src/contract";
const HEADER: &str =
    "// Generated from crates/protocol by `cargo xtask generate`. Do not edit.\n\n";

pub fn command(args: &[String]) -> Result<()> {
    match args {
        [] => write(),
        [flag] if flag == "--check" => check(),
        _ => bail!("Usage: cargo xtask generate [--check]"),
    }
}

fn write() -> Result<()> {
    let folder = place::root().join(FOLDER);
    fs::create_dir_all(&folder)?;
    for (name, text) in files()? {
        let path = folder.join(name);
        if fs::read_to_string(&path).ok().as_deref() != Some(&text) {
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
            println!("wrote {FOLDER}/{name}");
        }
    }
    Ok(())
}

/// Fails when a file differs from what the protocol says now.
pub fn check() -> Result<()> {
    let folder = place::root().join(FOLDER);
    for (name, text) in files()? {
        if fs::read_to_string(folder.join(name)).ok().as_deref() != Some(&text) {
            bail!("{FOLDER}/{name} is not what crates/protocol says; run `cargo xtask generate`.");
        }
    }
    Ok(())
}

fn files() -> Result<[(&'static str, String); 2]> {
    let types = Types::collect();
    let commands = commands(&types)?;
    Ok([("contract.ts", types.text()), ("commands.ts", commands)])
}

/// What the page receives by itself.
type Pushed = (protocol::EventEnvelope, protocol::News, protocol::ApiError);

/// What commands take and give and no other of them contains. Whoever adds a command adds its types
/// here: `commands` names the one that is missing.
type Taken = (
    protocol::Empty,
    protocol::PathParams,
    protocol::OpenParams,
    protocol::ProjectParams,
    protocol::TrustParams,
    protocol::TrustSetParams,
    protocol::WorktreeParams,
    protocol::DiffParams,
    protocol::WorktreeRemoveParams,
    protocol::PageLogParams,
);
type TakenByModels =
    (protocol::KeySetParams, protocol::KeyPlaceParams, protocol::EndpointProbeParams);
type TakenByRuns = (
    protocol::RunStartParams,
    protocol::RunParams,
    protocol::RunEventsParams,
    protocol::RunSendParams,
    protocol::RunAnswerParams,
    protocol::RunResumeParams,
    protocol::RunSetModelParams,
    protocol::RunSetModeParams,
);
type Given = (
    protocol::AppInfo,
    protocol::DoctorReport,
    protocol::FolderReport,
    protocol::PickedFolders,
    protocol::Project,
    protocol::BaseChoice,
    protocol::Worktree,
    protocol::TrustReport,
    protocol::WorktreeChanges,
);
type GivenByModels =
    (protocol::KeptKey, protocol::KeyRemoved, protocol::EndpointReport, protocol::LocalEndpoint);
type GivenByRuns =
    (protocol::FileDiff, protocol::RemovalReport, protocol::RunDetail, protocol::EventBatch);

/// The declarations of all types that the page meets, by name.
struct Types {
    config: Config,
    seen: HashSet<TypeId>,
    declared: BTreeMap<String, String>,
}

impl Types {
    fn collect() -> Self {
        // Every number of the protocol is exact in a double; a bigint could not be sent as JSON.
        let config = Config::new().with_large_int("number");
        let mut types = Self { config, seen: HashSet::new(), declared: BTreeMap::new() };
        Pushed::visit_generics(&mut types);
        Taken::visit_generics(&mut types);
        TakenByRuns::visit_generics(&mut types);
        TakenByModels::visit_generics(&mut types);
        Given::visit_generics(&mut types);
        GivenByModels::visit_generics(&mut types);
        GivenByRuns::visit_generics(&mut types);
        types
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{HEADER}export const TRANSCRIPT_FORMAT = {};\nexport const API_VERSION = {};\n",
            protocol::TRANSCRIPT_FORMAT,
            protocol::API_VERSION
        );
        for declaration in self.declared.values() {
            text.push_str(&format!("\n{}\n", declaration.trim_end()));
        }
        text
    }
}

impl TypeVisitor for Types {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        if !self.seen.insert(TypeId::of::<T>()) {
            return;
        }
        if T::output_path().is_some() {
            let docs = T::docs().unwrap_or_default();
            let declaration = format!("{docs}export {}", T::decl(&self.config));
            self.declared.insert(T::ident(&self.config), declaration);
        }
        T::visit_dependencies(self);
        T::visit_generics(self);
    }
}

/// The table of commands as an interface, and their names as a value.
fn commands(types: &Types) -> Result<String> {
    let mut imports = BTreeSet::new();
    let mut rows = String::new();
    let mut names = String::new();
    for (name, params, reply) in protocol::COMMANDS {
        for named in [params, reply].map(|text| text.trim_end_matches("[]")) {
            if !types.declared.contains_key(named) {
                bail!(
                    "Command `{name}` names {named}, which xtask/src/generate.rs does not export."
                );
            }
            imports.insert(named);
        }
        rows.push_str(&format!("  {name}: {{ params: {params}; reply: {reply} }};\n"));
        names.push_str(&format!("  '{name}',\n"));
    }
    let imports = imports.iter().map(|name| format!("  {name},\n")).collect::<String>();
    Ok(format!(
        "{HEADER}import type {{\n{imports}}} from './contract';\n\n\
         export interface Commands {{\n{rows}}}\n\n\
         export type CommandName = keyof Commands;\n\n\
         export const COMMAND_NAMES: readonly CommandName[] = [\n{names}];\n"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn the_stored_typescript_is_what_the_protocol_says() {
        check().unwrap();
    }

    #[test]
    fn the_protocol_page_names_every_command_and_event() {
        let page = fs::read_to_string(place::root().join("docs/protocol.md")).unwrap();
        let types = Types::collect();
        let events = tags(&types.declared["AgentEvent"], "\"type\": \"");
        let reasons = tags(&types.declared["RunOutcome"], "\"reason\": \"");
        assert!(events.len() > 20 && reasons.len() > 8, "the declarations are read wrongly");
        let commands = protocol::COMMANDS.iter().map(|(name, _, _)| (*name).to_owned());
        for name in commands.chain(events).chain(reasons) {
            assert!(page.contains(&format!("`{name}`")), "docs/protocol.md lacks `{name}`");
        }
    }

    fn tags(declaration: &str, before: &str) -> Vec<String> {
        let after = declaration.split(before).skip(1);
        after.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn it_is_the_same_every_time() {
        assert_eq!(files().unwrap(), files().unwrap());
    }
}
