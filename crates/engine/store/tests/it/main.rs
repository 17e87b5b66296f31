//! The store from outside: the contract on every engine, and what each promises beyond it.

mod codegen;
mod contract;
mod etcd_process;
