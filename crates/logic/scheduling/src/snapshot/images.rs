//! Which nodes have which images.

use std::collections::HashMap;

use typed::api::core::v1::Node;

use crate::ids::NodeIx;
use crate::shape::image_name;
use crate::snapshot::relations::Slab;

/// An image somewhere in the cluster.
#[derive(Debug, Default)]
pub(crate) struct Image {
    pub(crate) size_bytes: i64,
    /// How many nodes have it.
    pub(crate) nodes: usize,
    on: Vec<u64>,
}

impl Image {
    pub(crate) fn is_on(&self, node: NodeIx) -> bool {
        self.on.get(node.0 / 64).is_some_and(|word| word >> (node.0 % 64) & 1 == 1)
    }

    fn set(&mut self, node: NodeIx, present: bool) {
        let word = node.0 / 64;
        if self.on.len() <= word {
            self.on.resize(word + 1, 0);
        }
        let bit = 1 << (node.0 % 64);
        self.on[word] = if present { self.on[word] | bit } else { self.on[word] & !bit };
    }
}

/// All images by normalised name.
#[derive(Debug, Default)]
pub(crate) struct Images {
    by_name: HashMap<String, usize>,
    list: Slab<Image>,
}

impl Images {
    /// The image's number, for [`Images::get`].
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn get(&self, image: usize) -> &Image {
        self.list.get(image)
    }

    /// Replaces what is known of a node's images; `names` is the node's own list.
    pub(crate) fn set(&mut self, node: NodeIx, names: &mut Vec<String>, object: &Node) {
        self.clear(node, names);
        let images = object.status.as_ref().and_then(|status| status.images.as_ref());
        for image in images.into_iter().flatten() {
            for name in image.names.iter().flatten() {
                let name = image_name(name);
                let known = self.find(&name);
                let number = known.unwrap_or_else(|| self.list.insert(Image::default()));
                let entry = self.list.get_mut(number);
                if entry.is_on(node) {
                    continue;
                }
                entry.size_bytes = image.size_bytes.unwrap_or(0);
                entry.nodes += 1;
                entry.set(node, true);
                self.by_name.insert(name.clone(), number);
                names.push(name);
            }
        }
    }

    pub(crate) fn clear(&mut self, node: NodeIx, names: &mut Vec<String>) {
        for name in names.drain(..) {
            let Some(number) = self.find(&name) else { continue };
            let image = self.list.get_mut(number);
            image.nodes -= 1;
            image.set(node, false);
            if image.nodes == 0 {
                self.list.remove(number);
                self.by_name.remove(&name);
            }
        }
    }
}
