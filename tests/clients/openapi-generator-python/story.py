"""What an integrator does first, with the Python client that openapi-generator generates."""

import os
import time
import typing

import tonghop_client as client
from tonghop_client.exceptions import ApiException

ABOUT = {"form": "ngay-30-7", "period": "2021-07"}


def report(unit: str, figures: list[client.Figure], note: str | None = None) -> client.NewSubmission:
    return client.NewSubmission(unit=unit, figures=figures, note=note, **ABOUT)


def number(indicator: str, value: int) -> client.Figure:
    return client.Figure(indicator=indicator, value=client.Value(value))


def refused(call: typing.Callable[[], object]) -> ApiException:
    try:
        call()
    except ApiException as error:
        return error
    raise AssertionError("the request is accepted")


def types_are_known() -> None:
    for model in (client.Figure, client.Cell):
        for name, field in model.model_fields.items():
            assert "typing.Any" not in str(field.annotation), (model, name, field.annotation)


def submit_and_correct(submissions: client.SubmissionsApi) -> None:
    cell = client.Cell(by={"sex": "nu", "age": "16_17"}, value=1)
    figures = [
        number("TT.PT", 63),
        client.Figure(indicator="TT.HOTLINE", value=client.Value(True)),
        client.Figure(indicator="TT.PANO", state=client.State.DONE_NO_NUMBER),
        client.Figure(indicator="TT.KHAUHIEU", items=["Chung tay phòng, chống mua bán người"]),
        client.Figure(indicator="NN.TN", value=client.Value(1), breakdowns=[cell]),
    ]
    # The ETag changes once more when totals contain the report.
    first = submissions.create_submission_with_http_info(report("866", figures), prefer="wait=20")
    assert first.status_code == 201 and first.data.revision == 1

    read = submissions.get_submission_with_http_info(first.data.id)
    by_code = {figure.indicator: figure for figure in read.data.figures}
    assert by_code["NN.TN"].breakdowns == [cell]
    assert by_code["TT.HOTLINE"].value.actual_instance is True
    tag = read.headers["etag"]
    assert refused(lambda: submissions.get_submission(first.data.id, if_none_match=tag)).status == 304

    by_code["TT.PT"].value = client.Value(64)
    corrected = report("866", list(by_code.values()), "one more broadcast")
    assert submissions.create_submission(corrected, if_match=tag).revision == 2
    late = report("866", [number("TT.PT", 65)])
    conflict = refused(lambda: submissions.create_submission(late, if_match=tag))
    assert conflict.status == 412 and conflict.data.code == client.ProblemCode.REVISION_MINUS_CONFLICT


def meet_field_errors(submissions: client.SubmissionsApi) -> None:
    wrong = report("867", [number("TT.PT", -1), number("NO.SUCH", 1)])
    problem = refused(lambda: submissions.create_submission(wrong)).data
    assert problem.code == client.ProblemCode.INVALID_MINUS_SUBMISSION
    assert [(error.pointer, error.code.value) for error in problem.errors] == [
        ("/figures/0/value", "below-minimum"),
        ("/figures/1/indicator", "unknown-indicator"),
    ]


def send_batch(submissions: client.SubmissionsApi) -> None:
    reports = [report(unit, [number("TT.PT", value)]) for unit, value in (("867", 10), ("868", -1), ("869", 20))]
    answer = submissions.create_submission_batch(client.SubmissionBatch(submissions=reports))
    assert [result.status for result in answer.results] == [201, 422, 201]
    assert answer.results[1].problem.errors[0].code == client.FieldErrorCode.BELOW_MINUS_MINIMUM


def follow_pages(submissions: client.SubmissionsApi) -> None:
    units, cursor = [], None
    while True:
        page = submissions.list_submissions(limit=1, cursor=cursor, **ABOUT)
        units += [submission.unit for submission in page.submissions]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(units) == ["866", "867", "869"]


def read_total(totals: client.TotalsApi) -> None:
    for _ in range(100):
        total = totals.get_total(unit="87", **ABOUT)
        if total.freshness.pending == 0:
            rows = {row.indicator: row for row in total.totals}
            assert rows["TT.PT"].value == 64 + 10 + 20
            assert rows["NN.TN"].breakdowns[0].by == {"sex": "nu", "age": "16_17"}
            return
        time.sleep(0.1)
    raise AssertionError("the total does not contain the reports")


def follow_changes(changes: client.ChangesApi, submissions: client.SubmissionsApi) -> None:
    after = changes.list_changes(after="latest").next_after
    submissions.create_submission(report("870", [number("TT.PT", 1)]))
    for _ in range(100):
        page = changes.list_changes(after=after)
        for change in page.changes:
            if change.kind == client.ChangeKind.SUBMISSION:
                assert (change.unit, change.revision, change.status) == ("870", 1, client.Status.ACCEPTED)
                recorded = submissions.get_revision(change.submission, 1)
                assert recorded.figures[0].value.actual_instance == 1
                return
        after = page.next_after
        time.sleep(0.05)
    raise AssertionError("the change does not appear")


settings = client.Configuration(host=os.environ["TONGHOP_URL"], access_token=os.environ["TONGHOP_KEY"])
with client.ApiClient(settings) as connection:
    types_are_known()
    submit_and_correct(client.SubmissionsApi(connection))
    meet_field_errors(client.SubmissionsApi(connection))
    send_batch(client.SubmissionsApi(connection))
    follow_pages(client.SubmissionsApi(connection))
    read_total(client.TotalsApi(connection))
    follow_changes(client.ChangesApi(connection), client.SubmissionsApi(connection))
print("the story ends")
