//! The kinds of problem that this service reports: one table, from which statuses, titles and pages come.

use actix_web::http::StatusCode;

use crate::problem::text::{Words, words};

macro_rules! codes {
    ($($name:ident $status:ident $slug:literal $title_en:literal $title_vi:literal $help_en:literal $help_vi:literal)*) => {
        /// A kind of problem. Its slug is stable: programs may rely on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code {
            $(#[doc = $title_en] $name,)*
        }

        impl Code {
            /// Every kind.
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            /// The HTTP status.
            pub(crate) fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status),* }
            }

            /// The code in answers and in the address of the page about it.
            pub(crate) fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug),* }
            }

            /// What is wrong, in a few words.
            pub(crate) fn title(self) -> Words {
                match self { $(Self::$name => words($title_en, $title_vi)),* }
            }

            /// What to do about it.
            pub(crate) fn help(self) -> Words {
                match self { $(Self::$name => words($help_en, $help_vi)),* }
            }
        }
    };
}

codes! {
    InvalidJson BAD_REQUEST "invalid-json"
        "The body is not JSON" "Nội dung gửi lên không phải JSON"
        "Correct the text at the line and column that the problem names. A body is one JSON object in UTF-8, nested at most 32 levels deep."
        "Hãy sửa ở dòng và cột được nêu. Nội dung phải là một đối tượng JSON, mã UTF-8, lồng nhau không quá 32 cấp."
    UnknownParameter BAD_REQUEST "unknown-parameter"
        "A query parameter is unknown" "Có tham số truy vấn không được biết đến"
        "Remove or correct the parameters that the problem names; the documentation lists those of each path."
        "Hãy bỏ hoặc sửa các tham số được nêu; tài liệu liệt kê tham số của từng đường dẫn."
    InvalidParameter BAD_REQUEST "invalid-parameter"
        "A query parameter is missing or malformed" "Có tham số truy vấn bị thiếu hoặc sai dạng"
        "Correct every parameter that the problem names."
        "Hãy sửa mọi tham số được nêu."
    InvalidHeader BAD_REQUEST "invalid-header"
        "A request header is malformed" "Có tiêu đề của yêu cầu sai dạng"
        "Correct the header that the problem names."
        "Hãy sửa tiêu đề được nêu."
    BrokenBody BAD_REQUEST "broken-body"
        "The body broke off" "Nội dung gửi lên bị đứt giữa chừng"
        "Send the request again. With an Idempotency-Key, sending again is safe."
        "Hãy gửi lại yêu cầu. Nếu có Idempotency-Key thì gửi lại là an toàn."
    MissingKey UNAUTHORIZED "missing-key"
        "A key is needed" "Cần có khóa truy cập"
        "Send your key as `Authorization: Bearer th_…`. The administrator of your unit, or of one above it, gives out keys."
        "Hãy gửi khóa theo dạng `Authorization: Bearer th_…`. Quản trị viên của đơn vị, hoặc của đơn vị cấp trên, cấp khóa."
    InvalidKey UNAUTHORIZED "invalid-key"
        "The key is not taken" "Khóa không được chấp nhận"
        "Check that the whole key was sent. If it has expired or was revoked, ask the administrator for a new one."
        "Hãy kiểm tra xem khóa đã được gửi đủ chưa. Nếu khóa đã hết hạn hoặc bị thu hồi, hãy xin quản trị viên cấp khóa mới."
    Forbidden FORBIDDEN "forbidden"
        "The key may not do this" "Khóa không được phép làm việc này"
        "A key acts on its own unit and all below it: submitters report and read, readers read, administrators also give out keys."
        "Khóa dùng cho đơn vị của mình và mọi đơn vị trực thuộc: submitter gửi và đọc, reader chỉ đọc, admin còn được cấp khóa."
    NotFound NOT_FOUND "not-found"
        "Not found" "Không tìm thấy"
        "Check the address, and the codes and ids in it."
        "Hãy kiểm tra lại địa chỉ cùng các mã và số hiệu trong đó."
    MethodNotAllowed METHOD_NOT_ALLOWED "method-not-allowed"
        "The address does not take this method" "Địa chỉ này không nhận phương thức này"
        "Use one of the methods in the Allow header."
        "Hãy dùng một trong các phương thức ghi ở tiêu đề Allow."
    NotAcceptable NOT_ACCEPTABLE "not-acceptable"
        "No answer in the wanted media type" "Không có câu trả lời theo kiểu nội dung đã yêu cầu"
        "Ask in the Accept header for one of the media types that the problem names."
        "Hãy ghi vào tiêu đề Accept một trong các kiểu nội dung được nêu."
    BodyTimeout REQUEST_TIMEOUT "body-timeout"
        "The body came too slowly" "Nội dung gửi lên quá chậm"
        "Send the request again, with its whole body within 10 seconds."
        "Hãy gửi lại yêu cầu, toàn bộ nội dung trong vòng 10 giây."
    RevisionConflict PRECONDITION_FAILED "revision-conflict"
        "Someone else has changed the submission" "Báo cáo đã được người khác thay đổi"
        "Read the submission again, look at what was changed, and send your correction with the current revision in If-Match."
        "Hãy đọc lại báo cáo, xem nội dung đã đổi, rồi gửi bản sửa với số lần sửa hiện tại trong If-Match."
    BodyTooLarge PAYLOAD_TOO_LARGE "body-too-large"
        "The body is too large" "Nội dung gửi lên quá lớn"
        "A submission has at most 1 MiB. Send many submissions as a batch, one a line."
        "Mỗi báo cáo không quá 1 MiB. Muốn gửi nhiều báo cáo, hãy gửi theo lô, mỗi dòng một báo cáo."
    TooManyValues PAYLOAD_TOO_LARGE "too-many-values"
        "The body has too many values" "Nội dung gửi lên có quá nhiều giá trị"
        "A body has at most 100,000 values: lists, objects, texts, numbers, true, false and null together. Nothing was stored. Send fewer."
        "Mỗi nội dung có không quá 100.000 giá trị, tính chung danh sách, đối tượng, văn bản, số, true, false và null. Chưa có gì được lưu. Hãy gửi ít hơn."
    UnsupportedMediaType UNSUPPORTED_MEDIA_TYPE "unsupported-media-type"
        "The body has the wrong media type" "Nội dung gửi lên sai kiểu"
        "Send the body in the media type that the problem names, and say so in Content-Type."
        "Hãy gửi nội dung theo kiểu được nêu và ghi kiểu đó vào Content-Type."
    InvalidSubmission UNPROCESSABLE_ENTITY "invalid-submission"
        "The submission has faults" "Báo cáo có lỗi"
        "Nothing was stored. Correct every fault that the problem lists; each names its place in the body as a JSON Pointer."
        "Chưa có gì được lưu. Hãy sửa mọi lỗi được liệt kê; mỗi lỗi nêu vị trí trong nội dung bằng một JSON Pointer."
    InvalidKeyRequest UNPROCESSABLE_ENTITY "invalid-key-request"
        "The key cannot be made like this" "Không thể tạo khóa như vậy"
        "No key was made. Correct every fault that the problem lists; each names its place in the body as a JSON Pointer."
        "Chưa tạo khóa nào. Hãy sửa mọi lỗi được liệt kê; mỗi lỗi nêu vị trí trong nội dung bằng một JSON Pointer."
    IdempotencyKeyReused UNPROCESSABLE_ENTITY "idempotency-key-reused"
        "The idempotency key was used for another request" "Khóa Idempotency-Key đã dùng cho một yêu cầu khác"
        "Use a new key for each new request, and the same key only to send the very same request again."
        "Hãy dùng khóa mới cho mỗi yêu cầu mới; chỉ dùng lại khóa cũ khi gửi lại đúng yêu cầu cũ."
    PreconditionRequired PRECONDITION_REQUIRED "precondition-required"
        "The current revision must be named" "Phải nêu số lần sửa hiện tại"
        "Read the submission and send its ETag as If-Match."
        "Hãy đọc báo cáo và gửi ETag của nó trong If-Match."
    RateLimited TOO_MANY_REQUESTS "rate-limited"
        "Too many requests" "Quá nhiều yêu cầu"
        "Wait for the seconds in Retry-After and send the request again. Many reports go into one request as a batch."
        "Hãy chờ số giây ghi ở Retry-After rồi gửi lại. Nhiều báo cáo có thể gửi trong một yêu cầu theo lô."
    VerificationRunning TOO_MANY_REQUESTS "verification-running"
        "Another verification is running" "Đang có một lần kiểm chứng khác"
        "Wait for the seconds in Retry-After and ask again."
        "Hãy chờ số giây ghi ở Retry-After rồi yêu cầu lại."
    Internal INTERNAL_SERVER_ERROR "internal"
        "Something went wrong here" "Hệ thống gặp sự cố"
        "This is a fault of the service. Tell its operator the request id; the log has the cause."
        "Đây là lỗi của hệ thống. Hãy báo mã yêu cầu (request_id) cho người vận hành; nguyên nhân có trong nhật ký."
    Unavailable SERVICE_UNAVAILABLE "unavailable"
        "The database is not available" "Cơ sở dữ liệu tạm thời không dùng được"
        "Wait for the seconds in Retry-After and send the request again. With an Idempotency-Key, sending again is safe."
        "Hãy chờ số giây ghi ở Retry-After rồi gửi lại. Nếu có Idempotency-Key thì gửi lại là an toàn."
    Overloaded SERVICE_UNAVAILABLE "overloaded"
        "Too many requests are waiting" "Có quá nhiều yêu cầu đang chờ"
        "Nothing was stored. Wait for the seconds in Retry-After and send the request again."
        "Chưa có gì được lưu. Hãy chờ số giây ghi ở Retry-After rồi gửi lại."
    CatalogueMismatch SERVICE_UNAVAILABLE "other-catalogue"
        "The catalogue has changed" "Danh mục đã thay đổi"
        "This process works with an older catalogue than the database. Its operator must start it again; then send the request again."
        "Tiến trình này đang dùng danh mục khác với cơ sở dữ liệu. Người vận hành cần khởi động lại; sau đó hãy gửi lại yêu cầu."
    NotMigrated SERVICE_UNAVAILABLE "not-migrated"
        "The database is of another version" "Cơ sở dữ liệu thuộc phiên bản khác"
        "The operator must run the migration; then send the request again."
        "Người vận hành cần chạy lệnh chuyển đổi; sau đó hãy gửi lại yêu cầu."
}

impl Code {
    /// The kind with a slug.
    pub(crate) fn of_slug(slug: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.slug() == slug)
    }
}
