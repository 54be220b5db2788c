//! What goes wrong in real networks, with real super-node processes under real ordinary nodes.

mod crowds;
mod disk;
mod leaving;

/// Each of these wants the machine for itself: what one super node can do within its time, others beside it must not take.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
