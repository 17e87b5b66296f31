//! Writes JSON straight into bytes.
//!
//! Documents are megabytes that are made once: a tree in between would cost ten times their size. The writer puts the
//! commas; whoever calls it sees to unique keys.

/// JSON in the making.
#[derive(Debug, Default)]
pub(crate) struct Json(Vec<u8>);

impl Json {
    /// A document that is one object.
    pub(crate) fn document(write: impl FnOnce(&mut Json)) -> Vec<u8> {
        let mut json = Json::default();
        json.object(write);
        json.0.shrink_to_fit();
        json.0
    }

    /// An object; `write` calls [`Json::key`] before each value.
    pub(crate) fn object(&mut self, write: impl FnOnce(&mut Json)) {
        self.separate();
        self.0.push(b'{');
        write(self);
        self.0.push(b'}');
    }

    /// A list; `write` puts its items.
    pub(crate) fn list(&mut self, write: impl FnOnce(&mut Json)) {
        self.separate();
        self.0.push(b'[');
        write(self);
        self.0.push(b']');
    }

    /// The key of the value that follows.
    pub(crate) fn key(&mut self, key: &str) -> &mut Json {
        self.text(key);
        self.0.push(b':');
        self
    }

    /// A text.
    pub(crate) fn text(&mut self, text: &str) {
        self.separate();
        codec::json::write_string(text, &mut self.0);
    }

    /// A list of texts.
    pub(crate) fn texts<T: AsRef<str>>(&mut self, texts: impl IntoIterator<Item = T>) {
        self.list(|json| texts.into_iter().for_each(|text| json.text(text.as_ref())));
    }

    /// `true`.
    pub(crate) fn yes(&mut self) {
        self.separate();
        self.0.extend_from_slice(b"true");
    }

    /// Any value.
    pub(crate) fn value(&mut self, value: &object::Value) {
        self.separate();
        codec::json::write(value, &mut self.0);
    }

    /// The member `"key":"text"`.
    pub(crate) fn member(&mut self, key: &str, text: &str) {
        self.key(key).text(text);
    }

    /// The member `"key":"text"`, when there is a text.
    pub(crate) fn some(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.member(key, text);
        }
    }

    /// The member `"$ref":"<prefix><name>"`.
    pub(crate) fn reference(&mut self, prefix: &str, name: &str) {
        self.key("$ref").text(&[prefix, name].concat());
    }

    /// Puts a comma unless nothing stands before what comes next. Texts end in a quote, so the last byte tells.
    fn separate(&mut self) {
        if !matches!(self.0.last(), None | Some(b'{' | b'[' | b':')) {
            self.0.push(b',');
        }
    }
}
