//! Every verb, on trees of any resource: here the requests are made.

use http::Method;
use kind::Resource;
use object::{Meta, Value};

use crate::call::Call;
use crate::client::Listed;
use crate::options::Query;
use crate::wire::{self, Asked};
use crate::{Client, DeleteOptions, Depth, Error, ListOptions, Patch, TreeWatch, WatchOptions};

/// An object as it is sent to be created. One whose name the server generates may be sent many times.
#[derive(Debug, Clone)]
pub struct Creation(Call);

impl Creation {
    /// Encodes an object, which names its kind.
    pub fn of(resource: &Resource, namespace: &str, tree: &Value) -> Self {
        Creation(written(Method::POST, resource.path(namespace, "", ""), resource, tree))
    }
}

impl Client {
    /// One object.
    pub async fn get_tree(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        depth: Depth,
    ) -> Result<Value, Error> {
        let accept = wire::accept(resource, Asked::Object, depth);
        let mut tree = self.exchange(&Call::get(resource.path(namespace, name, ""), accept)).await?.tree()?;
        if depth == Depth::Metadata {
            wire::name_kind(&mut tree, resource);
        }
        Ok(tree)
    }

    /// Many objects; each names its kind.
    pub async fn list_trees(
        &self,
        resource: &Resource,
        options: &ListOptions,
        depth: Depth,
    ) -> Result<Listed<Value>, Error> {
        let address = options.query().onto(&resource.path(&options.namespace, "", ""));
        let accept = wire::accept(resource, Asked::List, depth);
        let mut tree = self.exchange(&Call::get(address, accept)).await?.tree()?;
        let text = |key| tree.str_at(&["metadata", key]).unwrap_or_default().to_owned();
        let (resource_version, continue_token) = (text("resourceVersion"), text("continue"));
        let mut items = match tree.remove(&["items"]) {
            Some(Value::List(items)) => items,
            _ => Vec::new(),
        };
        for item in &mut items {
            wire::name_kind(item, resource);
        }
        Ok(Listed { items, resource_version, continue_token })
    }

    /// Changes as they happen.
    pub async fn watch_trees(
        &self,
        resource: &Resource,
        options: &WatchOptions,
        depth: Depth,
    ) -> Result<TreeWatch, Error> {
        let address = options.query().onto(&resource.path(&options.namespace, "", ""));
        let accept = wire::accept(resource, Asked::Watch, depth);
        let response = self.begin(&Call::get(address, accept)).await?;
        let protobuf = wire::is_protobuf(response.headers());
        let renamed = (depth == Depth::Metadata).then(|| Box::new(resource.clone()));
        Ok(TreeWatch::new(response.into_body(), protobuf, renamed))
    }

    /// Creates an object, which names its kind, and returns it as it is stored.
    pub async fn create_tree(&self, resource: &Resource, namespace: &str, tree: &Value) -> Result<Value, Error> {
        self.write(Method::POST, resource.path(namespace, "", ""), resource, tree).await
    }

    /// Creates an object that is encoded already, and returns it as it is stored.
    pub async fn create_prepared(&self, creation: &Creation) -> Result<Value, Error> {
        self.exchange(&creation.0).await?.tree()
    }

    /// Posts to a subresource: `at` is namespace, name and subresource.
    pub async fn create_subresource_tree(
        &self,
        resource: &Resource,
        (namespace, name, subresource): (&str, &str, &str),
        tree: &Value,
    ) -> Result<Value, Error> {
        self.write(Method::POST, resource.path(namespace, name, subresource), resource, tree).await
    }

    /// Replaces an object, or its `subresource` unless that is empty; uid and resourceVersion are preconditions.
    pub async fn update_tree(&self, resource: &Resource, subresource: &str, tree: &Value) -> Result<Value, Error> {
        let meta = Meta::of(tree);
        let path = resource.path(meta.namespace(), meta.name(), subresource);
        self.write(Method::PUT, path, resource, tree).await
    }

    /// Changes an object: `at` is namespace, name and subresource (empty for the object itself).
    pub async fn patch_tree(
        &self,
        resource: &Resource,
        (namespace, name, subresource): (&str, &str, &str),
        patch: &Patch,
    ) -> Result<Value, Error> {
        let address = patch.query().onto(&resource.path(namespace, name, subresource));
        let accept = wire::accept(resource, Asked::Object, Depth::Whole);
        let body = Some((wire::encode_json(patch.tree()), patch.content_type()));
        self.exchange(&Call { method: Method::PATCH, address, accept, body }).await?.tree()
    }

    /// Deletes an object. Returns what the server says remains: the object under deletion, or a `Status`.
    pub async fn delete_tree(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Value, Error> {
        let accept = wire::accept(resource, Asked::Object, Depth::Whole);
        let body = Some((wire::encode_json(&options.to_tree()), wire::JSON));
        let address = resource.path(namespace, name, "");
        self.exchange(&Call { method: Method::DELETE, address, accept, body }).await?.tree()
    }

    /// Deletes all objects that `which` selects.
    pub async fn delete_collection(
        &self,
        resource: &Resource,
        which: &ListOptions,
        options: &DeleteOptions,
    ) -> Result<(), Error> {
        let mut query = Query::default();
        query.add("labelSelector", &which.label_selector);
        query.add("fieldSelector", &which.field_selector);
        let address = query.onto(&resource.path(&which.namespace, "", ""));
        // The answer lists what was deleted; metadata of it is more than enough.
        let accept = wire::accept(resource, Asked::List, Depth::Whole);
        let body = Some((wire::encode_json(&options.to_tree()), wire::JSON));
        self.exchange(&Call { method: Method::DELETE, address, accept, body }).await.map(|_deleted| ())
    }

    /// Reads a document that is no resource, as JSON: `/version`, `/apis`.
    pub async fn get_document(&self, path: &str) -> Result<Value, Error> {
        self.exchange(&Call::get(path.to_owned(), wire::JSON)).await?.tree()
    }

    async fn write(&self, method: Method, address: String, resource: &Resource, tree: &Value) -> Result<Value, Error> {
        self.exchange(&written(method, address, resource, tree)).await?.tree()
    }
}

fn written(method: Method, address: String, resource: &Resource, tree: &Value) -> Call {
    let accept = wire::accept(resource, Asked::Object, Depth::Whole);
    Call { method, address, accept, body: Some(wire::encode(tree)) }
}
