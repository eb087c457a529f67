//! Rewriting a stored value without losing what a newer Musher put into it.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Fields that name an enum's variant: the others of their object belong to that variant alone.
const TAGS: [&str; 3] = ["reason", "kind", "type"];

/// `new` as JSON, with the fields of `stored` that `T` does not know, and with `stored` itself
/// wherever `new` says the same as this version understood it.
pub(super) fn merged<T: Serialize + DeserializeOwned>(
    stored: Option<&str>,
    new: &T,
) -> serde_json::Result<String> {
    let new = serde_json::to_value(new)?;
    let Some(stored) = stored.and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
        return Ok(new.to_string());
    };
    // What this version understands of the stored value; the rest of it is to be kept.
    let known = T::deserialize(&stored).and_then(serde_json::to_value);
    Ok(match known {
        Ok(known) => merge(stored, &known, new),
        Err(_) => new,
    }
    .to_string())
}

fn merge(stored: Value, known: &Value, new: Value) -> Value {
    if *known == new {
        return stored;
    }
    match (stored, known, new) {
        (Value::Object(stored), Value::Object(known), Value::Object(mut new))
            if TAGS.iter().all(|tag| known.get(*tag) == new.get(*tag)) =>
        {
            for (key, old) in stored {
                match (known.get(&key), new.remove(&key)) {
                    (None, None) => {
                        new.insert(key, old);
                    }
                    (Some(known), Some(value)) => {
                        new.insert(key, merge(old, known, value));
                    }
                    (None, Some(value)) => {
                        new.insert(key, value);
                    }
                    // Known, and taken away by this version.
                    (Some(_), None) => {}
                }
            }
            Value::Object(new)
        }
        (_, _, new) => new,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Old {
        name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        branch: Option<String>,
        #[serde(default)]
        inner: Inner,
        #[serde(default)]
        end: End,
    }

    #[derive(Default, Serialize, Deserialize)]
    struct Inner {
        limit: Option<u32>,
    }

    #[derive(Default, Serialize, Deserialize)]
    #[serde(tag = "reason", rename_all = "snake_case")]
    enum End {
        Stopped,
        #[default]
        #[serde(other)]
        Unknown,
    }

    fn rewritten(stored: Value, change: impl FnOnce(&mut Old)) -> Value {
        let mut value: Old = serde_json::from_value(stored.clone()).unwrap();
        change(&mut value);
        let text = merged(Some(&stored.to_string()), &value).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_newer_version_s_fields_survive_at_every_depth() {
        let stored = json!({"name": "a", "branch": "b", "new": [1], "inner": {"limit": 1, "soft": true},
            "end": {"reason": "evaporated", "cloud": 9}});
        let got = rewritten(stored, |v| {
            v.name = "z".into();
            v.inner.limit = Some(2);
        });
        assert_eq!(
            got,
            json!({"name": "z", "branch": "b", "new": [1], "inner": {"limit": 2, "soft": true},
                "end": {"reason": "evaporated", "cloud": 9}})
        );
    }

    #[test]
    fn what_this_version_takes_away_stays_away() {
        let stored = json!({"name": "a", "branch": "b", "inner": {}, "end": {"reason": "evaporated", "cloud": 9}});
        let got = rewritten(stored, |v| {
            v.branch = None;
            v.end = End::Stopped;
        });
        assert_eq!(got, json!({"name": "a", "inner": {}, "end": {"reason": "stopped"}}));
    }

    #[test]
    fn a_value_that_cannot_be_understood_is_replaced() {
        let value =
            Old { name: "a".into(), branch: None, inner: Inner::default(), end: End::Stopped };
        let text = merged(Some("[1,2"), &value).unwrap();
        assert!(text.contains("\"name\":\"a\""), "{text}");
    }
}
