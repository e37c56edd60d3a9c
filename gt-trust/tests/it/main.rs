//! What gt-trust promises, seen from outside.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod forge;
mod golden;
mod gpg;
mod judging;
mod keys;
mod offers;
mod publisher;
mod pushes;
mod seals;
mod texts;
