//! What a component implements to answer requests.

use futures::future::BoxFuture;
use http::{Request, Response};

use crate::Body;

/// Answers requests. The request's extensions carry the [`crate::Peer`].
///
/// There is no error: what goes wrong is an answer too.
pub trait Service: Send + Sync + 'static {
    /// Answers one request.
    fn call(&self, request: Request<Body>) -> BoxFuture<'_, Response<Body>>;
}

/// A service made of a function.
pub fn from_fn<F>(answer: F) -> impl Service
where
    F: Fn(Request<Body>) -> BoxFuture<'static, Response<Body>> + Send + Sync + 'static,
{
    struct Function<F>(F);
    impl<F> Service for Function<F>
    where
        F: Fn(Request<Body>) -> BoxFuture<'static, Response<Body>> + Send + Sync + 'static,
    {
        fn call(&self, request: Request<Body>) -> BoxFuture<'_, Response<Body>> {
            (self.0)(request)
        }
    }
    Function(answer)
}
