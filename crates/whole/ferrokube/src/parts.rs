//! The parts of Kubernetes by the names under which people call them.

use std::process::ExitCode;

/// A part that has a program of its own in Kubernetes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    name: &'static str,
    /// What to do instead today.
    instead: &'static str,
}

const PARTS: [Part; 7] = [
    Part { name: "kubeadm", instead: "`ferrokube up` brings up this machine" },
    Part { name: "kubectl", instead: "any kubectl of v1.20 or later talks to the API" },
    Part { name: "kubelet", instead: "`ferrokube up` runs what is there of it" },
    Part { name: "kube-apiserver", instead: "`ferrokube up --components apiserver` runs what is there of it" },
    Part { name: "kube-controller-manager", instead: "`ferrokube up` runs what is there of it" },
    Part { name: "kube-scheduler", instead: "`ferrokube up` runs what is there of it" },
    Part { name: "kube-proxy", instead: "`ferrokube up` runs what is there of it" },
];

/// The part called `name`.
pub(crate) fn find(name: &str) -> Option<&'static Part> {
    PARTS.iter().find(|part| part.name == name)
}

/// None of them runs under its own name yet.
pub(crate) fn refuse(part: &Part) -> ExitCode {
    eprintln!("error: {} is not built yet as a program of its own; {}", part.name, part.instead);
    ExitCode::FAILURE
}
