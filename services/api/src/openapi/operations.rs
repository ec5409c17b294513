//! The operations of the OpenAPI document, by path and method.

use std::sync::Arc;

use actix_web::dev::ResourceDef;
use actix_web::http::Method;
use utoipa::openapi::OpenApi;

/// The operations of a document: path, method and id.
pub(crate) fn operations(document: &OpenApi) -> impl Iterator<Item = (&str, Method, &str)> {
    document.paths.paths.iter().flat_map(|(path, item)| {
        let methods = [
            (&item.get, Method::GET),
            (&item.post, Method::POST),
            (&item.delete, Method::DELETE),
        ];
        methods.into_iter().filter_map(move |(operation, method)| {
            let id = operation.as_ref()?.operation_id.as_deref()?;
            Some((path.as_str(), method, id))
        })
    })
}

/// Which methods each path takes.
#[derive(Clone, Debug)]
pub(crate) struct Methods(Arc<Vec<(ResourceDef, Vec<Taken>)>>);

/// A method that a path takes, and what that is called.
#[derive(Clone, Debug)]
struct Taken {
    method: &'static str,
    operation: Option<String>,
}

impl Methods {
    /// Of the routes in a document, and of the pages that are not in it.
    pub(crate) fn of(document: &OpenApi) -> Self {
        let paths = document.paths.paths.iter().map(|(path, item)| {
            let methods = [
                (&item.get, "GET"),
                (&item.get, "HEAD"),
                (&item.post, "POST"),
                (&item.delete, "DELETE"),
            ];
            let taken = methods.into_iter().filter_map(|(operation, method)| {
                let operation = operation.as_ref()?.operation_id.clone();
                Some(Taken { method, operation })
            });
            (ResourceDef::new(path.as_str()), taken.collect())
        });
        let page = |method| Taken {
            method,
            operation: None,
        };
        let pages = ["/", "/docs", "/docs/{_:.*}"]
            .map(|path| (ResourceDef::new(path), vec![page("GET"), page("HEAD")]));
        Self(Arc::new(paths.chain(pages).collect()))
    }

    /// What a path takes: a fixed path what is said of it, any other what is said of the one with a variable.
    fn taken<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Taken> {
        let fixed = self.0.iter().find(|(pattern, _)| pattern.pattern() == Some(path));
        let matching = || self.0.iter().find(|(pattern, _)| pattern.is_match(path));
        fixed.or_else(matching).into_iter().flat_map(|(_, taken)| taken)
    }

    /// The methods that a path takes; none for a path that leads nowhere.
    pub(crate) fn of_path(&self, path: &str) -> Vec<&'static str> {
        self.taken(path).map(|taken| taken.method).collect()
    }

    /// The id of the operation that a method of a path is.
    pub(crate) fn operation(&self, method: &Method, path: &str) -> Option<String> {
        let mut taken = self.taken(path);
        taken
            .find(|taken| taken.method == method.as_str())?
            .operation
            .clone()
    }
}
