//! get and list.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kind::Refusal;
use object::Value;
use store::{Key, Range, Revision, Span};

use crate::{Cached, Freshness, ListOptions, Registry, Selection, store_refusal};

/// Entries read from the store at once while a later page is filled.
const STORE_PAGE: usize = 1_000;

/// One page of a list.
#[derive(Debug)]
pub struct Page {
    /// The objects, in key order.
    pub items: Vec<Arc<Cached>>,
    /// The revision of the whole list.
    pub revision: Revision,
    /// Where the next page begins; empty on the last one.
    pub continue_token: String,
    /// How many objects follow this page, where that is known exactly.
    pub remaining: Option<usize>,
}

/// Where a page begins, as a continue token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging {
    /// The list's revision; `None` continues at the newest one, inconsistently, as the client has asked for.
    pub revision: Option<Revision>,
    /// The last key of the page before, without the prefix.
    pub after: String,
}

impl Registry {
    /// One object.
    pub async fn get(&self, namespace: &str, name: &str, freshness: Freshness) -> Result<Arc<Cached>, Refusal> {
        match freshness {
            Freshness::Any => self.cache.ready().await?,
            Freshness::NotOlderThan(revision) | Freshness::Exact(revision) => {
                self.cache.ready().await?;
                self.cache.reach(revision).await?;
            }
            Freshness::Consistent => self.cache.fresh().await?,
        }
        self.cache.get(&self.stored.key(namespace, name)).ok_or_else(|| self.not_found(name))
    }

    /// An object as the cache has it now, for the server's own look-ups; kept decoded.
    pub fn peek(&self, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.cache.get(&self.stored.key(namespace, name))?.kept_tree(&self.stored).ok()
    }

    /// The objects (in `namespace`) as the cache has them now, for the server's own look-ups; kept decoded.
    pub fn peek_all(&self, namespace: &str) -> Vec<Arc<Value>> {
        let (objects, _) = self.cache.under(&self.stored.namespace_prefix(namespace));
        objects.iter().filter_map(|object| object.kept_tree(&self.stored).ok()).collect()
    }

    /// A page of objects.
    pub async fn list(&self, options: &ListOptions) -> Result<Page, Refusal> {
        if !options.continue_token.is_empty() {
            return self.list_after(options, &decode_token(&options.continue_token)?).await;
        }
        match options.freshness {
            Freshness::Exact(revision) => {
                let paging = Paging { revision: Some(revision), after: String::new() };
                return self.list_after(options, &paging).await;
            }
            Freshness::Any => self.cache.ready().await?,
            Freshness::NotOlderThan(revision) => {
                self.cache.ready().await?;
                self.cache.reach(revision).await?;
            }
            Freshness::Consistent => self.cache.fresh().await?,
        }
        // Whatever is at hand comes on one page: upstream ignores the limit there too.
        let limit = if options.freshness == Freshness::Any { 0 } else { options.limit };
        Ok(self.list_cached(&options.selection, limit))
    }

    fn list_cached(&self, selection: &Selection, limit: usize) -> Page {
        let prefix = self.stored.namespace_prefix(&selection.namespace);
        let (objects, progress) = match selection.name.as_str() {
            "" => self.cache.under(&prefix),
            name => {
                let found = self.cache.get(&self.stored.key(&selection.namespace, name));
                // Without a namespace the name may stand in several: then the field selector does the work.
                match (found, selection.namespace.is_empty() && self.strategy.resource().namespaced) {
                    (found, false) => (found.into_iter().collect(), self.cache.progress()),
                    (_, true) => self.cache.under(&prefix),
                }
            }
        };
        let everything = selection.is_everything();
        let mut items = objects;
        if !everything {
            items.retain(|object| object.matches(&selection.labels, &selection.fields));
        }
        let mut page = Page { items, revision: progress.revision, continue_token: String::new(), remaining: None };
        if limit > 0 && page.items.len() > limit {
            let remaining = page.items.len() - limit;
            page.items.truncate(limit);
            page.continue_token = self.token_after(&page);
            page.remaining = everything.then_some(remaining);
        }
        page
    }

    /// A page that begins behind a key, at the list's revision, read from the store's history.
    async fn list_after(&self, options: &ListOptions, paging: &Paging) -> Result<Page, Refusal> {
        let prefix = self.stored.namespace_prefix(&options.selection.namespace);
        let mut page =
            Page { items: Vec::new(), revision: Revision::ZERO, continue_token: String::new(), remaining: None };
        let mut at = paging.revision;
        let mut span = match paging.after.as_str() {
            "" => Span::prefix(&prefix),
            after => Span::prefix_after(&prefix, &Key::from(format!("{}{after}", self.stored.prefix()))),
        };
        loop {
            let mut range = Range::of(span).limit(STORE_PAGE.min(options.limit.saturating_add(1).max(2)));
            if options.limit == 0 {
                range.limit = STORE_PAGE;
            }
            range.at = at;
            let read = self.store.range(range).await.map_err(|error| self.expired(error, paging))?;
            page.revision = at.unwrap_or(read.revision);
            at = Some(page.revision);
            let last = read.entries.last().map(|entry| entry.key.clone());
            let mut left = read.count;
            for entry in read.entries {
                let cached = Cached::new(entry.key, entry.modified, entry.value, &self.stored)?;
                if options.limit > 0 && page.items.len() == options.limit {
                    page.continue_token = self.token_after(&page);
                    page.remaining =
                        options.selection.is_everything().then(|| usize::try_from(left).unwrap_or(usize::MAX));
                    return Ok(page);
                }
                left = left.saturating_sub(1);
                if cached.matches(&options.selection.labels, &options.selection.fields) {
                    page.items.push(Arc::new(cached));
                }
            }
            match last {
                Some(last) if read.more => span = Span::prefix_after(&prefix, &last),
                _ => return Ok(page),
            }
        }
    }

    fn token_after(&self, page: &Page) -> String {
        let last = page.items.last().map(|item| item.key().as_str()).unwrap_or_default();
        let after = last.strip_prefix(self.stored.prefix()).unwrap_or(last);
        encode_token(&Paging { revision: Some(page.revision), after: after.to_owned() })
    }

    /// A list whose revision is forgotten can go on at the newest one, if the client accepts the inconsistency.
    fn expired(&self, error: store::Error, paging: &Paging) -> Refusal {
        match error {
            store::Error::Compacted { .. } if paging.after.is_empty() => {
                Refusal::Expired("The resourceVersion for the provided list is too old.".to_owned())
            }
            store::Error::Compacted { .. } => {
                let token = encode_token(&Paging { revision: None, after: paging.after.clone() });
                let message = "The provided continue parameter is too old to display a consistent list result. You can start a new list \
                               without the continue parameter, or use the continue token in this response to retrieve the remainder of \
                               the results. Continuing with the provided token results in an inconsistent list - objects that were \
                               created, modified, or deleted between the time the first chunk was returned and now may show up in the \
                               list.";
                let mut status = Refusal::Expired(message.to_owned()).status();
                status.set(&["metadata", "continue"], token);
                Refusal::Status(Box::new(status))
            }
            store::Error::FutureRevision { requested, current } => {
                crate::from_the_future(requested, current.unwrap_or_default())
            }
            other => store_refusal(other),
        }
    }
}

/// The token: base64 of `{"v":"meta.k8s.io/v1","rv":…,"start":…}`, as upstream's, so that either server continues the
/// other's lists.
pub(crate) fn encode_token(paging: &Paging) -> String {
    let revision = paging.revision.map_or(-1, |revision| i64::try_from(revision.0).unwrap_or(i64::MAX));
    let mut text = Vec::new();
    text.extend_from_slice(format!("{{\"v\":\"meta.k8s.io/v1\",\"rv\":{revision},\"start\":").as_bytes());
    codec::json::write_string(&format!("{}\u{0}", paging.after), &mut text);
    text.push(b'}');
    URL_SAFE_NO_PAD.encode(text)
}

pub(crate) fn decode_token(token: &str) -> Result<Paging, Refusal> {
    let invalid = || Refusal::BadRequest("continue key is not valid: illegal base64 data".to_owned());
    let text = URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')).map_err(|_not_base64| invalid())?;
    let value = codec::json::parse(&text)
        .map_err(|error| Refusal::BadRequest(format!("continue key is not valid: {error}")))?;
    if value.str_at(&["v"]) != Some("meta.k8s.io/v1") {
        let version = value.str_at(&["v"]).unwrap_or_default();
        return Err(Refusal::BadRequest(format!(
            "continue key is not valid: server does not recognize this encoded version {version:?}"
        )));
    }
    let after = value.str_at(&["start"]).unwrap_or_default().trim_end_matches('\u{0}').to_owned();
    if after.is_empty() || after.split('/').any(|part| part == "..") {
        return Err(Refusal::BadRequest(
            "continue key is not valid: encoded start key empty (version meta.k8s.io/v1)".to_owned(),
        ));
    }
    let revision = match value.get("rv").and_then(Value::as_int) {
        Some(-1) => None,
        Some(revision) if revision > 0 => Some(Revision(revision.unsigned_abs())),
        _ => {
            return Err(Refusal::BadRequest(
                "continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)"
                    .to_owned(),
            ));
        }
    };
    Ok(Paging { revision, after })
}
