//! The documents below `/openapi`, made when they are first asked for and kept until the rows change.

use std::collections::HashMap;
use std::sync::Arc;

use ::openapi::{Source, Undescribed, v2, v3};
use bytes::Bytes;
use gate::Authorized;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, VARY};
use http::{HeaderValue, Response, StatusCode};
use kind::{Refusal, Resource};
use object::Schema;
use parking_lot::Mutex;
use serving::Body;

use crate::routes::{Routes, Table};

/// Documents that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Published {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The rows that the documents are of.
    table: Option<Arc<Table>>,
    documents: HashMap<String, Document>,
}

/// A document and its digest.
#[derive(Debug, Clone)]
struct Document {
    bytes: Bytes,
    digest: String,
}

impl Published {
    /// Answers a request below `/openapi`; `segments` begin with `v2` or `v3`.
    pub(crate) fn answer(
        &self,
        by: &Authorized,
        routes: &Routes,
        segments: &[&str],
    ) -> Result<Response<Body>, Refusal> {
        let accept = by.parts().headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match segments {
            ["v2"] => self.second(by, routes, accept),
            ["v3"] => Ok(answered(by, &self.index(routes), "application/json")),
            ["v3", place @ ..] => self.third(by, routes, &place.join("/")),
            _ => Err(Refusal::NoSuchPath),
        }
    }

    fn second(&self, by: &Authorized, routes: &Routes, accept: &str) -> Result<Response<Body>, Refusal> {
        // Old clients write `v2@v1.0`, which is the same form under its first name.
        let wants_protobuf = accept.contains("proto-openapi.spec.v2");
        let document = self.keep(routes, "v2", |source| Some(v2::document(source))).ok_or(Refusal::NoSuchPath)?;
        if !wants_protobuf {
            return Ok(answered(by, &document, "application/json"));
        }
        let encoded = self.keep(routes, "v2.pb", |_| v2::protobuf(&document.bytes).ok());
        let encoded = encoded.ok_or_else(|| Refusal::Internal("the document has no protobuf form".to_owned()))?;
        Ok(answered(by, &encoded, v2::PROTOBUF))
    }

    /// A document of version 3. One that is asked for by its digest may be kept for ever.
    fn third(&self, by: &Authorized, routes: &Routes, place: &str) -> Result<Response<Body>, Refusal> {
        let document = self.of_place(routes, place).ok_or(Refusal::NoSuchPath)?;
        let Some(asked) = by.info().query.get("hash") else { return Ok(answered(by, &document, "application/json")) };
        let mut response = answered(by, &document, "application/json");
        if asked == document.digest {
            let forever = HeaderValue::from_static("public, immutable");
            response.headers_mut().insert(CACHE_CONTROL, forever);
        } else {
            *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
            let location = format!("/openapi/v3/{place}?hash={}", document.digest);
            if let Ok(location) = HeaderValue::from_str(&location) {
                response.headers_mut().insert(LOCATION, location);
            }
        }
        Ok(response)
    }

    fn index(&self, routes: &Routes) -> Document {
        let table = routes.snapshot();
        let rows = rows(&table);
        let places = v3::places(&source(&rows));
        let digests: Vec<(String, String)> = places
            .into_iter()
            .filter_map(|place| {
                let digest = self.of_place(routes, &place)?.digest;
                Some((place, digest))
            })
            .collect();
        let index = v3::index(digests.iter().map(|(place, digest)| (place.as_str(), digest.as_str())));
        Document { digest: registry::digest(&index), bytes: index.into() }
    }

    fn of_place(&self, routes: &Routes, place: &str) -> Option<Document> {
        self.keep(routes, place, |source| v3::document(place, source))
    }

    /// The document `name`, made when it is not kept. Making happens outside of the lock; two may do it once.
    fn keep(&self, routes: &Routes, name: &str, make: impl FnOnce(&Source<'_>) -> Option<Vec<u8>>) -> Option<Document> {
        let table = routes.snapshot();
        {
            let mut kept = self.kept.lock();
            if !kept.table.as_ref().is_some_and(|known| Arc::ptr_eq(known, &table)) {
                *kept = Kept { table: Some(Arc::clone(&table)), documents: HashMap::new() };
            }
            if let Some(document) = kept.documents.get(name) {
                return Some(document.clone());
            }
        }
        let rows = rows(&table);
        let bytes = Bytes::from(make(&source(&rows))?);
        let document = Document { digest: registry::digest(&bytes), bytes };
        self.kept.lock().documents.insert(name.to_owned(), document.clone());
        Some(document)
    }
}

fn rows(table: &Table) -> Vec<Arc<Resource>> {
    table.rows.iter().map(|row| Arc::clone(&row.resource)).collect()
}

fn source(rows: &[Arc<Resource>]) -> Source<'_> {
    Source { schema: Schema::builtin(), rows, describe: &Undescribed }
}

fn answered(by: &Authorized, document: &Document, content_type: &'static str) -> Response<Body> {
    let etag = format!("\"{}\"", document.digest);
    let known = by.parts().headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()) == Some(&etag);
    let body = if known { Body::empty() } else { Body::from(document.bytes.clone()) };
    let mut response = Response::new(body);
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(ETAG, etag);
    }
    response
}
