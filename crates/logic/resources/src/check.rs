//! What is wrong with objects, in upstream's words.
