//! JSON Schema of a tool's arguments, in the shape that every provider takes: one object without
//! references, all properties required (what may be left out is nullable), nothing besides them.
//! (OpenAI's guide "Structured model outputs", section "Supported schemas", November 2026; Gemini's
//! guide "Function calling" takes a subset of it.)

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value};

/// Words that say nothing to a model or that a provider refuses.
const DROPPED: &[&str] = &["$schema", "title", "format", "default"];

pub fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|it| it.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    tidy(&mut schema);
    schema
}

fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            for word in DROPPED {
                object.remove(*word);
            }
            if let Some(Value::Object(properties)) = object.get("properties") {
                let names = properties.keys().cloned().map(Value::String).collect();
                object.insert("required".to_owned(), Value::Array(names));
                object.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            tidy_within(object);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn tidy_within(object: &mut Map<String, Value>) {
    for (word, value) in object.iter_mut() {
        match (word.as_str(), value) {
            // A property may be called like a word of the schema.
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(tidy),
            (_, value) => tidy(value),
        }
    }
}
