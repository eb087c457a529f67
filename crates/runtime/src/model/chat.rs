//! To be written.

use serde_json::Value;

use super::{
    codec::{Ask, Codec, Dialect, Reader},
    conversation::Part,
};

pub struct Chat;

impl Codec for Chat {
    fn dialect(&self) -> Dialect {
        Dialect::OpenAiChat
    }

    fn path(&self, _model: &str) -> String {
        String::new()
    }

    fn body(&self, _ask: &Ask<'_>) -> Value {
        Value::Null
    }

    fn reader(&self) -> Box<dyn Reader> {
        unreachable!()
    }

    fn parts(&self, _items: &[Value]) -> Vec<Part> {
        Vec::new()
    }
}
