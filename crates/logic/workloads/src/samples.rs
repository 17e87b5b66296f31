//! Objects to rehearse with.
