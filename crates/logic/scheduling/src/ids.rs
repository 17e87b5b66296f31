//! Slots of the snapshot's tables, one type each, so that a pod's slot cannot be handed in where a node's is wanted.

macro_rules! slots {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(pub(crate) usize);
    )*};
}

slots! {
    /// A node's slot. Slots of deleted nodes are used again.
    NodeIx;
    /// A slot of a pod that stands (or is assumed to stand) on a node.
    PodIx;
    /// A resource's column: 0 to 3 are milli-CPU, memory, ephemeral storage and the number of pods.
    Dim;
    /// A node label key that some pod or topology asks about.
    ColumnIx;
    /// A distinct (namespace, labels, terminating) of pods.
    LabelSetIx;
    /// A distinct question about pods: namespaces × label selector.
    MatcherIx;
    /// A matcher seen through one topology key.
    PairIx;
}
