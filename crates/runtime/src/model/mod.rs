//! Agents whose model is reached over HTTP: OpenAI's two dialects, Gemini's, and every endpoint that
//! speaks one of them.
//!
//! What is the same for all is one loop: make a request of the [`conversation`], stream the answer,
//! commit it as a `model_step` event, judge and run its calls, commit their results, until the model
//! has nothing more to do or a limit bites. What differs is a [`codec`] for each dialect.

pub mod chat;
pub mod codec;
pub mod conversation;
pub mod gemini;
pub mod responses;
