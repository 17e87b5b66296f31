//! The store from outside: the contract on every engine, and what each promises beyond it.

mod codegen;
mod contract;
mod crash;
mod etcd_process;
mod members;
mod model;
