//! Measurements beside other projects' software, on the same machine in the same run.

mod associations;
mod call;
mod faults;
mod live;
mod overlay;
mod packages;
mod sip;
mod size;
mod wasm;

pub(crate) use associations::associations;
pub(crate) use call::call;
pub(crate) use faults::faults;
pub(crate) use live::overlay_live;
pub(crate) use overlay::overlay;
pub(crate) use sip::sip;
pub(crate) use size::size;
