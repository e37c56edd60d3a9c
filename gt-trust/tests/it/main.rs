//! What gt-trust promises, seen from outside.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod epochs;
mod forge;
mod golden;
mod gpg;
mod grounds;
mod hostile;
mod judging;
mod keys;
mod keys_gpg;
mod mutilated;
mod objects;
mod objects_ssh;
mod offers;
mod patterns_gpg;
mod publisher;
mod pushes;
mod revoked;
mod ruled;
mod seals;
mod texts;
mod weaver;
mod webs;
mod webs_drawn;
mod webs_gpg;
mod webs_gt_data;
