//! Which JSON schemas the dialects take for a function's arguments.
//!
//! OpenAI's strict mode ("Structured outputs", supported schemas): every object closed, every property
//! required, a subset of the keywords. Gemini's `parameters` ("Schema" in its API reference): a subset
//! of OpenAPI's fields and nothing unknown; its `parametersJsonSchema` takes JSON Schema as it is.

use serde_json::Value;

use super::{Findings, Rule, list};

/// Keywords that OpenAI's strict mode refuses.
const NOT_STRICT: &[&str] = &[
    "allOf",
    "not",
    "oneOf",
    "dependentRequired",
    "dependentSchemas",
    "if",
    "then",
    "else",
    "patternProperties",
    "unevaluatedProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "unevaluatedItems",
    "contains",
    "uniqueItems",
    "default",
];

/// Fields that Gemini's `Schema` has.
const OF_GEMINI: &[&str] = &[
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "enum",
    "maxItems",
    "minItems",
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "pattern",
    "example",
    "anyOf",
    "propertyOrdering",
    "default",
    "items",
    "minimum",
    "maximum",
];

/// A function's parameters in OpenAI's dialects.
pub fn openai(name: &str, schema: &Value, is_strict: bool, found: &mut Findings) {
    let before = found.broken.len();
    found.unless(schema["type"] == "object", Rule::Schema, || {
        wrong(name, "()", "schema must be a JSON Schema of 'type: \"object\"'")
    });
    if is_strict && found.broken.len() == before {
        strict(name, schema, "()", found);
    }
}

fn wrong(name: &str, place: &str, why: &str) -> String {
    format!("Invalid schema for function '{name}': In context={place}, {why}.")
}

fn strict(name: &str, schema: &Value, place: &str, found: &mut Findings) {
    let Some(fields) = schema.as_object() else { return };
    for keyword in NOT_STRICT.iter().filter(|keyword| fields.contains_key(**keyword)) {
        let why = format!("'{keyword}' is not permitted");
        found.add(Rule::Schema, wrong(name, place, &why));
    }
    if fields.contains_key("properties") || schema["type"] == "object" {
        strict_object(name, schema, place, found);
    }
    for (at, part) in parts(schema, place) {
        strict(name, part, &at, found);
    }
}

fn strict_object(name: &str, schema: &Value, place: &str, found: &mut Findings) {
    found.unless(schema["additionalProperties"] == false, Rule::Schema, || {
        wrong(name, place, "'additionalProperties' is required to be supplied and to be false")
    });
    let properties = schema["properties"].as_object();
    for key in properties.into_iter().flat_map(|fields| fields.keys()) {
        found.unless(list(&schema["required"]).iter().any(|it| it == key), Rule::Schema, || {
            let why = "'required' is required to be supplied and to be an array including every \
                       key in properties";
            wrong(name, place, &format!("{why}. Missing '{key}'"))
        });
    }
}

/// The schemas inside a schema.
fn parts<'a>(schema: &'a Value, place: &str) -> Vec<(String, &'a Value)> {
    let mut out = Vec::new();
    for field in ["properties", "$defs", "definitions"] {
        for (key, part) in schema[field].as_object().into_iter().flatten() {
            out.push((format!("{place}.{key}"), part));
        }
    }
    out.extend(schema.get("items").map(|part| (format!("{place}.items"), part)));
    out.extend(list(&schema["anyOf"]).iter().map(|part| (format!("{place}.anyOf"), part)));
    out
}

/// A function's `parameters` in Gemini's dialect.
pub fn gemini(schema: &Value, place: &str, found: &mut Findings) {
    let Some(fields) = schema.as_object() else {
        return found
            .add(Rule::Schema, format!("Invalid value at '{place}': a schema is an object."));
    };
    for unknown in fields.keys().filter(|key| !OF_GEMINI.contains(&key.as_str())) {
        let what = format!("Unknown name \"{unknown}\" at '{place}': Cannot find field.");
        found.add(Rule::Schema, format!("Invalid JSON payload received. {what}"));
    }
    found.unless(schema["type"].is_string() || fields.contains_key("anyOf"), Rule::Schema, || {
        format!("Invalid value at '{place}.type' (TYPE_ENUM): one name is wanted.")
    });
    let properties = schema["properties"].as_object();
    let is_object = schema["type"].as_str().is_some_and(|it| it.eq_ignore_ascii_case("object"));
    let is_empty = properties.is_none_or(serde_json::Map::is_empty);
    found.unless(!is_object || !is_empty, Rule::Schema, || {
        format!("{place}.properties: should be non-empty for OBJECT type")
    });
    for key in list(&schema["required"]) {
        let is_there = key.as_str().is_some_and(|key| schema["properties"].get(key).is_some());
        found.unless(is_there, Rule::Schema, || {
            format!("{place}.required: property is not defined")
        });
    }
    for (at, part) in parts(schema, place) {
        gemini(part, &at, found);
    }
}
