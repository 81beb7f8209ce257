//! What the project says of itself: its documentation, generated files and the structure of its code.

mod circles;
mod generated;
mod house;
mod names;
mod pages;
pub mod readme;
mod requirements;
