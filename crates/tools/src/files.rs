//! What the tools that take a path have in common: leave is needed for that one place, and the work is
//! done off the threads that wait.

use std::{marker::PhantomData, sync::Arc};

use async_trait::async_trait;
use musher_protocol::ToolKind;
use musher_runtime::{Call, Effect, ToolOutcome, ToolSpec};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    Demand, Planned, Tool,
    rules::Access,
    schema,
    site::Site,
    tool::{arguments, blocking},
};

/// A tool that takes a path.
pub trait FileTool: Send + Sync + 'static {
    type Arguments: DeserializeOwned + JsonSchema;

    const NAME: &'static str;
    const DESCRIPTION: &'static str;
    const KIND: ToolKind;
    const ACCESS: Access;

    /// Of arguments that make sense: the path, as the model has it, and the title of the call.
    fn look(wanted: &Self::Arguments) -> Result<(&str, String), String>;

    /// Does it, once `site` admits the place that the path leads to by then.
    fn work(
        site: &Site,
        demand: Option<&Demand>,
        wanted: &Self::Arguments,
        stop: &CancellationToken,
    ) -> Result<ToolOutcome, String>;
}

/// Such a tool on the files of a worktree.
pub struct OnFiles<T> {
    site: Arc<Site>,
    tool: PhantomData<T>,
}

impl<T: FileTool> OnFiles<T> {
    pub fn tool(site: &Arc<Site>) -> Arc<dyn Tool> {
        Arc::new(Self { site: site.clone(), tool: PhantomData })
    }
}

#[async_trait]
impl<T: FileTool> Tool for OnFiles<T> {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: T::NAME.to_owned(),
            description: T::DESCRIPTION.to_owned(),
            parameters: schema::of::<T::Arguments>(),
        }
    }

    fn only_reads(&self) -> bool {
        T::ACCESS == Access::Read
    }

    async fn plan(&self, input: &Value) -> Result<Planned, String> {
        let wanted: T::Arguments = arguments(input)?;
        let (path, title) = T::look(&wanted)?;
        let demand = Demand::Path(T::ACCESS, self.site.spot(path)?);
        let effect = if self.only_reads() { Effect::Reads } else { Effect::Changes };
        Ok(Planned { kind: T::KIND, title, effect, demand })
    }

    async fn call(
        &self,
        call: &Call,
        demand: Option<&Demand>,
        stop: CancellationToken,
    ) -> ToolOutcome {
        let (site, demand, input) = (self.site.clone(), demand.cloned(), call.input.clone());
        blocking(move || T::work(&site, demand.as_ref(), &arguments(&input)?, &stop)).await
    }
}
