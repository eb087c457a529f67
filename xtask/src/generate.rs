//! TypeScript of `crates/protocol` for the page, in `ui/src/contract`: a file of types for each module
//! of the protocol, `contract.ts` (all of them, which is what the page imports) and `table.ts` (what
//! each command takes and gives). All are made in memory and only then written or compared; what else
//! lies in the folder is left over from a module that is no more.

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
    let files = files()?;
    for (name, text) in &files {
        let path = folder.join(name);
        if fs::read_to_string(&path).ok().as_ref() != Some(text) {
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
            println!("wrote {FOLDER}/{name}");
        }
    }
    for name in left_over(&files)? {
        fs::remove_file(folder.join(&name)).with_context(|| format!("removing {name}"))?;
        println!("removed {FOLDER}/{name}");
    }
    Ok(())
}

/// Fails when a file differs from what the protocol says now, or says what the protocol does not.
pub fn check() -> Result<()> {
    let folder = place::root().join(FOLDER);
    let files = files()?;
    let stale = files
        .iter()
        .find(|(name, text)| fs::read_to_string(folder.join(name)).ok().as_ref() != Some(text));
    if let Some(name) = stale.map(|(name, _)| name).or(left_over(&files)?.first()) {
        bail!("{FOLDER}/{name} is not what crates/protocol says; run `cargo xtask generate`.");
    }
    Ok(())
}

/// The text of each file by its name.
type Files = BTreeMap<String, String>;

fn files() -> Result<Files> {
    let types = Types::collect();
    let mut files = types.files();
    files.insert("contract.ts".to_owned(), types.index());
    files.insert("table.ts".to_owned(), table(&types)?);
    Ok(files)
}

fn left_over(files: &Files) -> Result<Vec<String>> {
    let folder = place::root().join(FOLDER);
    let entries = fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.retain(|name| !files.contains_key(name));
    Ok(names)
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
type Rules = (protocol::RuleParams, protocol::ProjectRule);
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

/// A type that the page meets.
struct Declared {
    text: String,
    /// The module of the protocol that has it, and so the file.
    module: &'static str,
    /// The names that its text needs.
    needs: Vec<String>,
}

/// All types that the page meets, by name.
struct Types {
    config: Config,
    seen: HashSet<TypeId>,
    declared: BTreeMap<String, Declared>,
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
        Rules::visit_generics(&mut types);
        Given::visit_generics(&mut types);
        GivenByModels::visit_generics(&mut types);
        GivenByRuns::visit_generics(&mut types);
        types
    }

    fn modules(&self) -> BTreeSet<&'static str> {
        self.declared.values().map(|declared| declared.module).collect()
    }

    fn files(&self) -> Files {
        let file = |module| (format!("{module}.ts"), self.file(module));
        self.modules().into_iter().map(file).collect()
    }

    fn file(&self, module: &str) -> String {
        let here = || self.declared.values().filter(|declared| declared.module == module);
        let needs = here().flat_map(|declared| &declared.needs).map(String::as_str);
        let elsewhere = needs.filter(|name| self.declared[*name].module != module);
        let mut text = format!("{HEADER}{}", self.imports(elsewhere));
        for declared in here() {
            text.push_str(&format!("\n{}\n", declared.text.trim_end()));
        }
        text
    }

    /// A statement for each file that has some of the names, which are all declared.
    fn imports<'a>(&self, names: impl Iterator<Item = &'a str>) -> String {
        let mut by_module = BTreeMap::<&str, BTreeSet<&str>>::new();
        for name in names {
            by_module.entry(self.declared[name].module).or_default().insert(name);
        }
        let statement = |(module, names): (&str, BTreeSet<&str>)| {
            let names = names.into_iter().map(|name| format!("  {name},\n")).collect::<String>();
            format!("import type {{\n{names}}} from './{module}';\n")
        };
        by_module.into_iter().map(statement).collect()
    }

    fn index(&self) -> String {
        let export = |module| format!("export type * from './{module}';\n");
        let exports = self.modules().into_iter().map(export).collect::<String>();
        format!(
            "{HEADER}{exports}\nexport const TRANSCRIPT_FORMAT = {};\nexport const API_VERSION = {};\n",
            protocol::TRANSCRIPT_FORMAT,
            protocol::API_VERSION
        )
    }
}

/// `event` of `musher_protocol::event::AgentEvent`.
fn module_of<T: ?Sized>() -> &'static str {
    std::any::type_name::<T>().split("::").nth(1).unwrap_or("protocol")
}

impl TypeVisitor for Types {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        if !self.seen.insert(TypeId::of::<T>()) {
            return;
        }
        if T::output_path().is_some() {
            let docs = T::docs().unwrap_or_default();
            let needs = T::dependencies(&self.config).into_iter().map(|needed| needed.ts_name);
            let declared = Declared {
                text: format!("{docs}export {}", T::decl(&self.config)),
                module: module_of::<T>(),
                needs: needs.collect(),
            };
            self.declared.insert(T::ident(&self.config), declared);
        }
        T::visit_dependencies(self);
        T::visit_generics(self);
    }
}

/// The table of commands as an interface, and their names as a value.
fn table(types: &Types) -> Result<String> {
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
    let imports = types.imports(imports.into_iter());
    Ok(format!(
        "{HEADER}{imports}\n\
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
        let events = tags(&types.declared["AgentEvent"].text, "\"type\": \"");
        let reasons = tags(&types.declared["RunOutcome"].text, "\"reason\": \"");
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
