//! An announce and its answer: [`Request`] and [`Answer`] are the values, and
//! also write and read the forms that HTTP trackers use (BEP 3, 7, 23).

mod answer;
mod request;

pub use answer::{Answer, AnswerError, Form, Peer, Peers};
pub(crate) use answer::{count, dictionary, words};
pub use request::Request;

pub use crate::query::Error as QueryError;
