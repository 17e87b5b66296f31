pub(crate) fn document(_tree: &object::Value) -> Vec<u8> {
    Vec::new()
}
