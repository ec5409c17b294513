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

/// The methods of each path, and the operations that they are. Clones share the table.
#[derive(Clone, Debug)]
pub(crate) struct Operations(Arc<Vec<(ResourceDef, Vec<Operation>)>>);

/// A method of a path.
#[derive(Clone, Debug)]
struct Operation {
    method: &'static str,
    /// None for a page that is not in the document.
    id: Option<String>,
}

impl Operations {
    /// The operations of a document, and the pages that are not in it.
    pub(crate) fn of(document: &OpenApi) -> Self {
        let paths = document.paths.paths.iter().map(|(path, item)| {
            let methods = [
                (&item.get, "GET"),
                (&item.get, "HEAD"),
                (&item.post, "POST"),
                (&item.delete, "DELETE"),
            ];
            let operations = methods.into_iter().filter_map(|(operation, method)| {
                let id = operation.as_ref()?.operation_id.clone();
                Some(Operation { method, id })
            });
            (ResourceDef::new(path.as_str()), operations.collect())
        });
        let page = |method| Operation { method, id: None };
        let pages = ["/", "/docs", "/docs/{file:.*}", "/guide", "/guide/{file:.*}"]
            .map(|path| (ResourceDef::new(path), vec![page("GET"), page("HEAD")]));
        Self(Arc::new(paths.chain(pages).collect()))
    }

    /// The operations of a path. A fixed path comes before one with a variable in its place.
    fn of_path<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Operation> {
        let fixed = self.0.iter().find(|(pattern, _)| pattern.pattern() == Some(path));
        let matching = || self.0.iter().find(|(pattern, _)| pattern.is_match(path));
        fixed
            .or_else(matching)
            .into_iter()
            .flat_map(|(_, operations)| operations)
    }

    /// The methods of a path; none if it does not exist.
    pub(crate) fn methods(&self, path: &str) -> Vec<&'static str> {
        self.of_path(path).map(|operation| operation.method).collect()
    }

    /// The operation id of a method and a path.
    pub(crate) fn id(&self, method: &Method, path: &str) -> Option<String> {
        let mut operations = self.of_path(path);
        operations
            .find(|operation| operation.method == method.as_str())?
            .id
            .clone()
    }
}
