//! Which tools the servers of a run have now. A server that says that its list has changed is asked for
//! it again; what is taken from the new list here keeps its name and its place, so that a provider's
//! cache of the list holds as far as it can.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use musher_runtime::Secrets;
use tokio::sync::watch;

use super::{
    client::Listed,
    server::{Again, State},
    tool::{LONGEST_NAME, Served, unique},
};
use crate::show::visible;

/// Tools of all servers together: providers take about 128 in all.
const MOST_TOOLS: usize = 100;

/// A server as its tools know it.
pub struct Source {
    pub server: String,
    pub state: watch::Receiver<State>,
    pub again: Arc<Again>,
    /// For the answer to a call.
    pub limit: Duration,
    /// What no answer may repeat.
    pub secrets: Secrets,
}

#[derive(Default)]
pub struct Offer {
    sources: Vec<Known>,
    tools: Vec<Entry>,
    /// The name of each tool that there ever was, by its server and its name there.
    names: BTreeMap<(usize, String), String>,
    taken: BTreeSet<String>,
}

struct Known {
    source: Arc<Source>,
    /// The list that was taken in last.
    list: Option<Arc<Vec<Listed>>>,
}

struct Entry {
    source: usize,
    listed: Listed,
    tool: Arc<Served>,
}

impl Offer {
    pub fn add(&mut self, source: Source) {
        self.sources.push(Known { source: Arc::new(source), list: None });
    }

    /// Takes in lists that are new. Says what of them is left out.
    pub fn look(&mut self) -> Vec<String> {
        let mut left_out = Vec::new();
        for at in 0..self.sources.len() {
            let Known { source, list: known } = &mut self.sources[at];
            let State::Ready(_, list) = source.state.borrow().clone() else { continue };
            if known.as_ref().is_some_and(|known| Arc::ptr_eq(known, &list)) {
                continue;
            }
            *known = Some(list.clone());
            left_out.extend(self.take(at, &list));
        }
        left_out
    }

    pub fn tools(&self) -> impl Iterator<Item = &Arc<Served>> {
        self.tools.iter().map(|entry| &entry.tool)
    }

    fn take(&mut self, at: usize, list: &[Listed]) -> Option<String> {
        let is_there = |name: &str| list.iter().any(|listed| listed.name == name);
        self.tools.retain(|entry| entry.source != at || is_there(&entry.listed.name));
        let left_out = list.iter().filter(|listed| !self.take_one(at, listed)).count();
        (left_out > 0).then(|| {
            format!(
                "{left_out} tools of the tool server `{}` are left out: there are too many, or \
                 their description is too large.",
                visible(&self.sources[at].source.server)
            )
        })
    }

    /// Whether it is offered now.
    fn take_one(&mut self, at: usize, listed: &Listed) -> bool {
        let same = |entry: &Entry| entry.source == at && entry.listed.name == listed.name;
        let place = self.tools.iter().position(same);
        if place.is_some_and(|place| self.tools[place].listed == *listed) {
            return true;
        }
        let fits = place.is_some() || self.tools.len() < MOST_TOOLS;
        let name = fits.then(|| self.name(at, listed));
        let tool = name.and_then(|name| Served::new(&self.sources[at].source, listed, name));
        match (tool, place) {
            (Some(tool), place) => {
                let entry = Entry { source: at, listed: listed.clone(), tool: Arc::new(tool) };
                match place {
                    Some(place) => self.tools[place] = entry,
                    None => self.tools.push(entry),
                }
                true
            }
            (None, Some(place)) => {
                self.tools.remove(place);
                false
            }
            (None, None) => false,
        }
    }

    fn name(&mut self, at: usize, listed: &Listed) -> String {
        let key = (at, listed.name.clone());
        if let Some(known) = self.names.get(&key) {
            return known.clone();
        }
        let wanted = format!("mcp__{}__{}", self.sources[at].source.server, listed.name);
        let name = unique(&wanted, LONGEST_NAME, &mut self.taken);
        self.names.insert(key, name.clone());
        name
    }
}
