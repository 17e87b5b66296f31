//! The store from outside: the contract on every engine, and what each promises beyond it.

#[cfg(test)]
mod codegen;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod etcd_process;
#[cfg(test)]
mod members;
#[cfg(test)]
mod model;
