//! The documents below `/openapi`, made when they are first asked for and kept until the rows change.
//!
//! They are kept as they are mostly sent, compressed: with their descriptions they are ten times as large.

use std::collections::HashMap;
use std::sync::Arc;

use ::openapi::{Descriptions, Source, v2, v3};
use bytes::Bytes;
use gate::Authorized;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, VARY,
};
use http::{HeaderValue, Response, StatusCode};
use kind::{Refusal, Resource};
use object::Schema;
use parking_lot::Mutex;
use serving::{Body, gzip};

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

/// A document, compressed, and the digest of what it is when it is not.
#[derive(Debug, Clone)]
struct Document {
    packed: Bytes,
    digest: String,
}

/// Where documents come from, for the time of a request.
struct Maker<'a> {
    routes: &'a Routes,
    describe: Descriptions,
}

impl Document {
    fn new(bytes: &[u8]) -> Document {
        Document { packed: gzip::pack(bytes).into(), digest: registry::digest(bytes) }
    }

    fn unpacked(&self) -> Result<Vec<u8>, Refusal> {
        gzip::unpack(&self.packed).map_err(|error| Refusal::Internal(format!("a document cannot be unpacked: {error}")))
    }
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
        let maker = Maker { routes, describe: Descriptions::default() };
        match segments {
            ["v2"] => self.second(by, &maker, accept),
            ["v3"] => answered(by, &self.index(&maker), "application/json"),
            ["v3", place @ ..] => self.third(by, &maker, &place.join("/")),
            _ => Err(Refusal::NoSuchPath),
        }
    }

    fn second(&self, by: &Authorized, maker: &Maker<'_>, accept: &str) -> Result<Response<Body>, Refusal> {
        // Old clients write `v2@v1.0`, which is the same form under its first name.
        let wants_protobuf = accept.contains("proto-openapi.spec.v2");
        let document = self.keep(maker, "v2", |source| Some(v2::document(source))).ok_or(Refusal::NoSuchPath)?;
        if !wants_protobuf {
            return answered(by, &document, "application/json");
        }
        let encoded = self.keep(maker, "v2.pb", |_| v2::protobuf(&document.unpacked().ok()?).ok());
        let encoded = encoded.ok_or_else(|| Refusal::Internal("the document has no protobuf form".to_owned()))?;
        answered(by, &encoded, v2::PROTOBUF)
    }

    /// A document of version 3. One that is asked for by its digest may be kept for ever.
    fn third(&self, by: &Authorized, maker: &Maker<'_>, place: &str) -> Result<Response<Body>, Refusal> {
        let document = self.of_place(maker, place).ok_or(Refusal::NoSuchPath)?;
        let mut response = answered(by, &document, "application/json")?;
        let Some(asked) = by.info().query.get("hash") else { return Ok(response) };
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

    fn index(&self, maker: &Maker<'_>) -> Document {
        let table = maker.routes.snapshot();
        let rows = rows(&table);
        let places = v3::places(&maker.source(&rows));
        let digests: Vec<(String, String)> = places
            .into_iter()
            .filter_map(|place| {
                let digest = self.of_place(maker, &place)?.digest;
                Some((place, digest))
            })
            .collect();
        Document::new(&v3::index(digests.iter().map(|(place, digest)| (place.as_str(), digest.as_str()))))
    }

    fn of_place(&self, maker: &Maker<'_>, place: &str) -> Option<Document> {
        self.keep(maker, place, |source| v3::document(place, source))
    }

    /// The document `name`, made when it is not kept. Making happens outside of the lock; two may do it once.
    fn keep(
        &self,
        maker: &Maker<'_>,
        name: &str,
        make: impl FnOnce(&Source<'_>) -> Option<Vec<u8>>,
    ) -> Option<Document> {
        let table = maker.routes.snapshot();
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
        let document = Document::new(&make(&maker.source(&rows))?);
        self.kept.lock().documents.insert(name.to_owned(), document.clone());
        Some(document)
    }
}

impl Maker<'_> {
    fn source<'a>(&'a self, rows: &'a [Arc<Resource>]) -> Source<'a> {
        Source { schema: Schema::builtin(), rows, describe: &self.describe }
    }
}

fn rows(table: &Table) -> Vec<Arc<Resource>> {
    table.rows.iter().map(|row| Arc::clone(&row.resource)).collect()
}

fn answered(by: &Authorized, document: &Document, content_type: &'static str) -> Result<Response<Body>, Refusal> {
    let etag = format!("\"{}\"", document.digest);
    let asked = &by.parts().headers;
    let known = asked.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()) == Some(&etag);
    let packed = gzip::is_accepted(asked) && !known;
    let body = match () {
        () if known => Body::empty(),
        () if packed => Body::from(document.packed.clone()),
        () => Body::from(Bytes::from(document.unpacked()?)),
    };
    let mut response = Response::new(body);
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    if packed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    headers.append(VARY, HeaderValue::from_name(ACCEPT_ENCODING));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(ETAG, etag);
    }
    Ok(response)
}
