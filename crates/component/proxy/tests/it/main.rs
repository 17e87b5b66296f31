//! The rules in a real kernel, probed with real packets, inside network namespaces made for each test.

#[cfg(test)]
mod balancing;
#[cfg(test)]
mod host;
#[cfg(test)]
mod objects;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod scale;
