//! The kernel's answers, inside network namespaces made for each test.

#[cfg(test)]
mod filter;
