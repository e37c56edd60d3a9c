//! One object as a difference to another (git: `gitformat-pack`, deltified
//! representation).

pub mod apply;
