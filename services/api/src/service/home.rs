//! The page at the root of the service.

use actix_web::HttpResponse;

use crate::service::html::page;

const INDEX: &str = r#"<p>tonghop collects the reports of district offices and returns the totals to which they add up.</p>
<p lang="vi">tonghop tiếp nhận báo cáo của các đơn vị và tổng hợp số liệu toàn tỉnh.</p>
<ul>
<li><a href="/docs/">The API, to read and to try</a> (<a href="/openapi.json">openapi.json</a>, <a href="/openapi-3.0.json">in OpenAPI 3.0</a>)</li>
<li><code>/v1/forms</code>, <code>/v1/indicators</code>, <code>/v1/units</code>: what is reported by whom; with a key</li>
<li><a href="/problems">What problems mean</a></li>
<li><a href="/readyz">Whether the service works</a></li>
</ul>"#;

/// The page at the root of the service.
pub(crate) async fn get_index() -> HttpResponse {
    page("tonghop", INDEX)
}
