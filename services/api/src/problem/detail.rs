//! The details of problems that need more than a sentence.

use tonghop_access::{KeyRefusal, Resource};

use crate::problem::parameter_error::ParameterError;
use crate::problem::text::{Localized, localized};

/// Says which share of a key is used up.
pub(crate) fn share_detail(resource: Resource) -> Localized {
    match resource {
        Resource::Batches => localized(
            "This key already sends as many batches at once as it may.",
            "Khóa này đang gửi số lô tối đa cùng một lúc.",
        ),
        Resource::BodyBytes => localized(
            "The requests of this key that are in progress are as large as they may be together.",
            "Các yêu cầu đang xử lý của khóa này đã đạt tổng kích thước tối đa.",
        ),
        Resource::Connections => localized(
            "This address already has as many connections as it may.",
            "Địa chỉ này đã có số kết nối tối đa.",
        ),
        Resource::Waiters => localized(
            "As many requests of this key wait for totals as may.",
            "Số yêu cầu của khóa này đang chờ số liệu tổng hợp đã đạt mức tối đa.",
        ),
        Resource::Verifications => localized(
            "As many verifications of this key are running as may.",
            "Số lượt đối soát của khóa này đang chạy đã đạt mức tối đa.",
        ),
        Resource::WaitingPages => localized(
            "As many pages of this key wait for their turn as may.",
            "Số trang của khóa này đang chờ đến lượt đã đạt mức tối đa.",
        ),
        Resource::Listeners => localized(
            "As many clients with this key follow the changes as may.",
            "Số kết nối theo dõi thay đổi của khóa này đã đạt mức tối đa.",
        ),
    }
}

/// Says why a key is refused.
pub(crate) fn key_detail(refusal: KeyRefusal) -> Localized {
    match refusal {
        KeyRefusal::Malformed => localized(
            "Malformed key. Send all 47 characters as `Authorization: Bearer th_…`.",
            "Khóa sai định dạng. Hãy gửi đủ 47 ký tự theo dạng `Authorization: Bearer th_…`.",
        ),
        KeyRefusal::Unknown => localized("This key does not exist.", "Khóa này không tồn tại."),
        KeyRefusal::Expired => localized("The key has expired.", "Khóa đã hết hạn."),
        KeyRefusal::Revoked => localized("The key was revoked.", "Khóa đã bị thu hồi."),
    }
}

/// Says how many valid keys a unit has, which is as many as it may have.
pub(crate) fn too_many_keys(max: u32) -> Localized {
    localized(
        format!("This unit already has {max} valid keys. Revoke one that is no longer used."),
        format!("Đơn vị này đã có {max} khóa còn hiệu lực. Hãy thu hồi khóa không còn dùng."),
    )
}

/// Names the query parameters that are wrong.
pub(crate) fn invalid_query(errors: &[ParameterError]) -> Localized {
    let names: Vec<&str> = errors.iter().map(|error| error.name.as_str()).collect();
    let names = names.join(", ");
    localized(
        format!("Correct these query parameters: {names}."),
        format!("Hãy sửa các tham số truy vấn: {names}."),
    )
}
