//! Measurements beside other projects' software, on the same machine in the same run.

mod call;
mod packages;
mod size;
mod wasm;

pub(crate) use call::call;
pub(crate) use size::size;
