//! Calls between user agents through super nodes' edges, in virtual time.

mod authority;
mod basic;
mod network;
