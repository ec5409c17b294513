//! The page at the root of the service.

use actix_web::{HttpRequest, HttpResponse};

use crate::problem::Problem;
use crate::problem::text::Language;
use crate::service::html::{page, reader_language};

const ENGLISH: &str = r#"<h1>tonghop</h1>
<p>tonghop collects the reports of district offices and returns the totals to which they add up.</p>
<ul>
<li><a href="/guide/en/">Guide for integrators</a></li>
<li><a href="/docs/">The API, to read and to try</a> (<a href="/openapi.json">openapi.json</a>, <a href="/openapi-3.0.json">in OpenAPI 3.0</a>)</li>
<li><code>/v1/forms</code>, <code>/v1/indicators</code>, <code>/v1/units</code>: what is reported by whom; with a key</li>
<li><a href="/problems?language=en">What problems mean</a></li>
<li><a href="/readyz">Whether the service works</a></li>
</ul>
"#;

const VIETNAMESE: &str = r#"<h1>tonghop</h1>
<p>tonghop tiếp nhận báo cáo của các đơn vị và tổng hợp số liệu toàn tỉnh.</p>
<ul>
<li><a href="/guide/vi/">Hướng dẫn tích hợp</a></li>
<li><a href="/docs/">Tài liệu API, có thể dùng thử</a> (<a href="/openapi.json">openapi.json</a>, <a href="/openapi-3.0.json">bản OpenAPI 3.0</a>)</li>
<li><code>/v1/forms</code>, <code>/v1/indicators</code>, <code>/v1/units</code>: đơn vị nào báo cáo nội dung gì; cần khóa truy cập</li>
<li><a href="/problems?language=vi">Ý nghĩa của các lỗi</a></li>
<li><a href="/readyz">Tình trạng hoạt động của hệ thống</a></li>
</ul>
"#;

/// The page at the root of the service, in the reader's language.
pub(crate) async fn get_index(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let language = reader_language(&request)?;
    let content = match language {
        Language::En => ENGLISH,
        Language::Vi => VIETNAMESE,
    };
    page(language, "/", "tonghop", content)
}
