//! The plugin and the node's network in a real kernel, inside network namespaces made for each test.

#[cfg(test)]
mod contract;
#[cfg(test)]
mod host;
#[cfg(test)]
mod traffic;
