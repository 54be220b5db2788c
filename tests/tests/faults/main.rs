//! What goes wrong in real networks, with real super-node processes under real ordinary nodes.

mod crowds;
mod disk;
mod leaving;
