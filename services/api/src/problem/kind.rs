//! The kinds of problems: one table with the status, title and help of each.

use actix_web::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::text::{Localized, localized};

macro_rules! codes {
    ($($name:ident $status:ident $slug:tt $title_en:literal $title_vi:literal $help_en:literal $help_vi:literal)*) => {
        /// The stable code of a kind of problem, which programs can rely on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
        #[schema(as = ProblemCode)]
        pub(crate) enum ProblemKind {
            $(#[doc = $title_en] #[serde(rename = $slug)] $name,)*
        }

        impl ProblemKind {
            /// Every kind.
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            /// The HTTP status.
            pub(crate) fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status),* }
            }

            /// The code in responses and in the path of the page about it.
            pub(crate) fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug),* }
            }

            /// A short summary of the problem.
            pub(crate) fn title(self) -> Localized {
                match self { $(Self::$name => localized($title_en, $title_vi)),* }
            }

            /// How to fix it.
            pub(crate) fn help(self) -> Localized {
                match self { $(Self::$name => localized($help_en, $help_vi)),* }
            }
        }
    };
}

codes! {
    InvalidJson BAD_REQUEST "invalid-json"
        "The body is not JSON" "Nội dung gửi lên không phải JSON"
        "Correct the body at the line and column that the problem names. A body is one JSON object in UTF-8, nested at most 32 levels deep."
        "Hãy sửa ở dòng và cột được nêu. Nội dung phải là một đối tượng JSON, mã UTF-8, lồng nhau không quá 32 cấp."
    UnknownParameter BAD_REQUEST "unknown-parameter"
        "Unknown query parameter" "Có tham số truy vấn không xác định"
        "Remove or correct the parameters that the problem names. The documentation lists the parameters of each path."
        "Hãy bỏ hoặc sửa các tham số được nêu; tài liệu liệt kê tham số của từng đường dẫn."
    InvalidParameter BAD_REQUEST "invalid-parameter"
        "Missing or invalid query parameter" "Tham số truy vấn bị thiếu hoặc sai định dạng"
        "Correct every parameter that the problem names."
        "Hãy sửa mọi tham số được nêu."
    InvalidHeader BAD_REQUEST "invalid-header"
        "Invalid request header" "Phần đầu (header) của yêu cầu sai định dạng"
        "Correct the header that the problem names."
        "Hãy sửa header được nêu."
    BrokenBody BAD_REQUEST "broken-body"
        "Request body incomplete" "Nội dung gửi lên bị ngắt giữa chừng"
        "The connection ended before the whole body arrived. Send the request again. With an Idempotency-Key, retrying is safe."
        "Kết nối kết thúc trước khi nhận đủ nội dung. Hãy gửi lại yêu cầu. Nếu có Idempotency-Key thì gửi lại là an toàn."
    MissingKey UNAUTHORIZED "missing-key"
        "Access key required" "Cần có khóa truy cập"
        "Send your access key as `Authorization: Bearer th_…`. The administrator of your unit or of a unit above it creates keys."
        "Hãy gửi khóa theo dạng `Authorization: Bearer th_…`. Quản trị viên của đơn vị, hoặc của đơn vị cấp trên, cấp khóa."
    InvalidKey UNAUTHORIZED "invalid-key"
        "Invalid access key" "Khóa truy cập không hợp lệ"
        "Check that you sent the whole key. If it has expired or was revoked, ask your administrator for a new one."
        "Hãy kiểm tra xem khóa đã được gửi đủ chưa. Nếu khóa đã hết hạn hoặc bị thu hồi, hãy xin quản trị viên cấp khóa mới."
    Forbidden FORBIDDEN "forbidden"
        "Insufficient permissions" "Khóa truy cập không có quyền thực hiện việc này"
        "A key has permissions for its unit and all units below it: a submitter key can submit and read, a reader key can only read, and an admin key can also create keys."
        "Khóa có quyền với đơn vị được cấp và các đơn vị cấp dưới: khóa gửi (submitter) được gửi và xem; khóa xem (reader) chỉ được xem; khóa quản trị (admin) được cấp thêm khóa."
    NotFound NOT_FOUND "not-found"
        "Not found" "Không tìm thấy"
        "Check the path and the codes and ids in it."
        "Hãy kiểm tra lại địa chỉ cùng các mã và mã định danh trong đó."
    MethodNotAllowed METHOD_NOT_ALLOWED "method-not-allowed"
        "Method not allowed" "Địa chỉ này không hỗ trợ phương thức đã dùng"
        "Use one of the methods in the Allow header."
        "Hãy dùng một trong các phương thức ghi ở header Allow."
    NotAcceptable NOT_ACCEPTABLE "not-acceptable"
        "Not acceptable" "Không hỗ trợ định dạng trả lời đã yêu cầu"
        "Request one of the media types that the problem names in the Accept header."
        "Hãy ghi vào header Accept một trong các định dạng được nêu."
    BodyTimeout REQUEST_TIMEOUT "body-timeout"
        "Request body timeout" "Nội dung gửi lên quá chậm"
        "The body must arrive at 4 KiB per second or faster, and each line of a batch within a minute. Send the request again; with an Idempotency-Key, retrying is safe."
        "Nội dung phải đến với tốc độ từ 4 KiB mỗi giây, mỗi dòng của lô trong vòng một phút. Hãy gửi lại yêu cầu; nếu có Idempotency-Key thì gửi lại là an toàn."
    RevisionConflict PRECONDITION_FAILED "revision-conflict"
        "The revision does not match" "Phiên bản báo cáo không khớp"
        "Read the submission again, review the changes, and send your correction with the current revision in If-Match."
        "Hãy xem lại báo cáo và những thay đổi, rồi gửi bản sửa kèm số phiên bản hiện tại trong If-Match."
    BodyTooLarge PAYLOAD_TOO_LARGE "body-too-large"
        "Request body too large" "Nội dung gửi lên quá lớn"
        "A submission has at most 1 MiB, and a batch in JSON at most 8 MiB. To send many submissions, send a batch with one submission per line."
        "Mỗi báo cáo không quá 1 MiB, mỗi lô dạng JSON không quá 8 MiB. Muốn gửi nhiều báo cáo, hãy gửi theo lô, mỗi dòng một báo cáo."
    TooManyValues PAYLOAD_TOO_LARGE "too-many-values"
        "Too many values in the body" "Nội dung gửi lên có quá nhiều giá trị"
        "A body has at most 100,000 values, counting lists, objects, strings, numbers, true, false and null. Nothing was stored. Send fewer values."
        "Mỗi nội dung có không quá 100.000 giá trị, tính chung danh sách, đối tượng, chuỗi ký tự, số, true, false và null. Chưa có gì được lưu. Hãy gửi ít hơn."
    UnsupportedMediaType UNSUPPORTED_MEDIA_TYPE "unsupported-media-type"
        "Unsupported media type" "Nội dung gửi lên sai định dạng"
        "Send the body in the media type that the problem names, and declare that type in Content-Type."
        "Hãy gửi nội dung theo định dạng được nêu và ghi định dạng đó vào Content-Type."
    InvalidSubmission UNPROCESSABLE_ENTITY "invalid-submission"
        "The submission has errors" "Báo cáo có lỗi"
        "Nothing was stored. Correct every error that the problem lists. Each error names its place in the body as a JSON Pointer."
        "Chưa có gì được lưu. Hãy sửa mọi lỗi được liệt kê; mỗi lỗi nêu vị trí trong nội dung bằng một JSON Pointer."
    InvalidKeyRequest UNPROCESSABLE_ENTITY "invalid-key-request"
        "The key request has errors" "Yêu cầu cấp khóa có lỗi"
        "No key was created. Correct every error that the problem lists. Each error names its place in the body as a JSON Pointer."
        "Chưa cấp khóa nào. Hãy sửa mọi lỗi được liệt kê; mỗi lỗi nêu vị trí trong nội dung bằng một JSON Pointer."
    TooManyKeys CONFLICT "too-many-keys"
        "Too many keys" "Đơn vị có quá nhiều khóa"
        "A unit may have only so many valid keys. Revoke keys that are no longer used, or let the operator raise the limit."
        "Mỗi đơn vị chỉ được có một số khóa còn hiệu lực nhất định. Hãy thu hồi khóa không còn dùng, hoặc đề nghị người vận hành nâng giới hạn."
    IdempotencyKeyReused UNPROCESSABLE_ENTITY "idempotency-key-reused"
        "Idempotency key already used" "Khóa Idempotency-Key đã dùng cho một yêu cầu khác"
        "Use a new key for each new request. Reuse a key only to retry the same request."
        "Hãy dùng khóa mới cho mỗi yêu cầu mới; chỉ dùng lại khóa cũ khi gửi lại đúng yêu cầu cũ."
    PreconditionRequired PRECONDITION_REQUIRED "precondition-required"
        "Current revision required" "Phải nêu phiên bản hiện tại"
        "Read the submission and send its ETag as If-Match."
        "Hãy xem báo cáo và gửi ETag của báo cáo trong If-Match."
    RateLimited TOO_MANY_REQUESTS "rate-limited"
        "Too many requests" "Quá nhiều yêu cầu"
        "Wait for the number of seconds in Retry-After and send the request again. If you have many reports, send them as one batch."
        "Hãy chờ số giây ghi ở Retry-After rồi gửi lại. Nếu có nhiều báo cáo, hãy gửi theo lô trong một yêu cầu."
    ShareUsedUp TOO_MANY_REQUESTS "share-used-up"
        "Too much at once" "Khóa đang dùng quá nhiều cùng một lúc"
        "Batches, request bodies and verifications of one key may take only as much of the service as is still free for others. Wait until some of your requests have finished, at least for the number of seconds in Retry-After, and send the request again."
        "Các lô, nội dung đang gửi và lượt đối soát của một khóa chỉ được dùng phần không lớn hơn phần còn trống cho các khóa khác. Hãy chờ một số yêu cầu của mình kết thúc, ít nhất số giây ghi ở Retry-After, rồi gửi lại."
    Internal INTERNAL_SERVER_ERROR "internal"
        "Internal error" "Hệ thống gặp sự cố"
        "This is an error in the service. Report the request id to the operator, who can find the cause in the log."
        "Đây là lỗi của hệ thống. Hãy báo mã yêu cầu (request_id) cho người vận hành; nguyên nhân có trong nhật ký."
    Unavailable SERVICE_UNAVAILABLE "unavailable"
        "The database is unavailable" "Tạm thời không kết nối được cơ sở dữ liệu"
        "Wait for the number of seconds in Retry-After and send the request again. With an Idempotency-Key, retrying is safe."
        "Hãy chờ số giây ghi ở Retry-After rồi gửi lại. Nếu có Idempotency-Key thì gửi lại là an toàn."
    Overloaded SERVICE_UNAVAILABLE "overloaded"
        "Too many requests are waiting" "Có quá nhiều yêu cầu đang chờ"
        "Nothing was stored. Wait for the number of seconds in Retry-After and send the request again."
        "Chưa có gì được lưu. Hãy chờ số giây ghi ở Retry-After rồi gửi lại."
    CatalogueMismatch SERVICE_UNAVAILABLE "catalogue-mismatch"
        "The catalogue has changed" "Danh mục đã thay đổi"
        "This process uses an older catalogue than the database. The operator must restart it. Then send the request again."
        "Tiến trình này đang dùng danh mục khác với cơ sở dữ liệu. Người vận hành cần khởi động lại; sau đó hãy gửi lại yêu cầu."
    NotMigrated SERVICE_UNAVAILABLE "not-migrated"
        "Database schema mismatch" "Cơ sở dữ liệu thuộc phiên bản khác"
        "The operator must run the migration (tonghop migrate). Then send the request again."
        "Người vận hành cần chạy lệnh nâng cấp (tonghop migrate); sau đó hãy gửi lại yêu cầu."
}

impl ProblemKind {
    /// The kind with a slug.
    pub(crate) fn of_slug(slug: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.slug() == slug)
    }
}
