//! Ceilings that hold unless told otherwise, each with its reason.
