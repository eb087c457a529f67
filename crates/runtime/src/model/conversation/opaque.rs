//! That a request has all that its model gave to be given back: encrypted thoughts and signatures, each
//! as it came and in order, and none of anybody else.

use serde_json::Value;

use super::{
    super::codec::{Ask, Dialect},
    Entry, Invalid,
};

/// Whether `body`, which was made of `ask`, may be sent. What a dialect does not take back is known to
/// its codec: [`super::super::codec::Codec::taken_back`].
pub fn check_repeated(dialect: Dialect, ask: &Ask<'_>, body: &Value) -> Result<(), Invalid> {
    let codec = dialect.codec();
    let sent = codec.items(body).into_iter().flat_map(|item| codec.opaque(item));
    let (sent, own) = (by_member(sent), by_member(own(dialect, ask)));
    let differ = own.iter().zip(&sent).find(|(own, sent)| own != sent);
    match differ.map(|(own, _)| own).or_else(|| own.get(sent.len())) {
        Some((member, _)) => Err(Invalid::Dropped(member)),
        None if sent.len() > own.len() => Err(Invalid::Foreign),
        None => Ok(()),
    }
}

/// Those of one member together, in order: where two messages become one, only that order stays.
fn by_member<'a>(
    all: impl IntoIterator<Item = (&'static str, &'a str)>,
) -> Vec<(&'static str, &'a str)> {
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by_key(|(member, _)| *member);
    all
}

/// What has to be in the request.
fn own<'a>(dialect: Dialect, ask: &Ask<'a>) -> Vec<(&'static str, &'a str)> {
    let codec = dialect.codec();
    let entries = &ask.conversation.entries;
    let latest = entries.iter().rposition(|entry| matches!(entry, Entry::User { .. }));
    let own = entries.iter().enumerate().filter_map(|(at, entry)| match entry {
        Entry::Step(step) if step.is_native(dialect, ask.model, ask.place) => {
            Some(codec.taken_back(&step.items, Some(at) < latest))
        }
        _ => None,
    });
    own.flatten().flat_map(|item| codec.opaque(item)).collect()
}
