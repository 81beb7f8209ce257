//! Repositories: the engines, what lies in them, and how records move and survive.

mod at_rest;
pub mod custom_repository;
mod earlier_release;
mod postgres;
mod redis;
mod routing;
mod sealing;
pub mod servers;
mod trouble;
pub mod vault;
