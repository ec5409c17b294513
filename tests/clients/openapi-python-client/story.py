"""What an integrator does first, with the client that openapi-python-client generates."""

import os
import time

from tonghop_client import AuthenticatedClient
from tonghop_client.api.changes import list_changes
from tonghop_client.api.submissions import (
    create_submission,
    create_submission_batch,
    get_revision,
    get_submission,
    list_submissions,
)
from tonghop_client.api.totals import get_total
from tonghop_client.models import (
    Cell,
    CellBy,
    ChangeKind,
    FieldErrorCode,
    Figure,
    NewSubmission,
    Problem,
    ProblemCode,
    State,
    Status,
    SubmissionBatch,
)
from tonghop_client.types import UNSET

ABOUT = {"form": "ngay-30-7", "period": "2021-07"}
CLIENT = AuthenticatedClient(base_url=os.environ["TONGHOP_URL"], token=os.environ["TONGHOP_KEY"])


def report(unit, figures, note=UNSET):
    return NewSubmission(unit=unit, figures=figures, note=note, **ABOUT)


def types_are_known():
    for model in (Figure, Cell):
        for name, annotation in model.__annotations__.items():
            # The generator adds this one to objects that may gain fields.
            assert name == "additional_properties" or "Any" not in annotation, (model, name, annotation)


def submit_and_correct():
    cell = Cell(by=CellBy.from_dict({"sex": "nu", "age": "16_17"}), value=1)
    figures = [
        Figure(indicator="TT.PT", value=63),
        Figure(indicator="TT.HOTLINE", value=True),
        Figure(indicator="TT.PANO", state=State.DONE_NO_NUMBER),
        Figure(indicator="TT.KHAUHIEU", items=["Chung tay phòng, chống mua bán người"]),
        Figure(indicator="NN.TN", value=1, breakdowns=[cell]),
    ]
    # The ETag changes once more when totals contain the report.
    first = create_submission.sync_detailed(client=CLIENT, body=report("866", figures), prefer="wait=20")
    assert first.status_code == 201 and first.parsed.revision == 1

    read = get_submission.sync_detailed(first.parsed.id, client=CLIENT)
    by_code = {figure.indicator: figure for figure in read.parsed.figures}
    assert by_code["NN.TN"].breakdowns == [cell]
    assert by_code["TT.HOTLINE"].value is True
    tag = read.headers["ETag"]
    again = get_submission.sync_detailed(first.parsed.id, client=CLIENT, if_none_match=tag)
    assert again.status_code == 304

    by_code["TT.PT"].value = 64
    corrected = report("866", list(by_code.values()), "one more broadcast")
    second = create_submission.sync(client=CLIENT, body=corrected, if_match=tag)
    assert second.revision == 2
    late = report("866", [Figure(indicator="TT.PT", value=65)])
    conflict = create_submission.sync(client=CLIENT, body=late, if_match=tag)
    assert isinstance(conflict, Problem) and conflict.code is ProblemCode.REVISION_CONFLICT


def meet_field_errors():
    wrong = report("867", [Figure(indicator="TT.PT", value=-1), Figure(indicator="NO.SUCH", value=1)])
    problem = create_submission.sync(client=CLIENT, body=wrong)
    assert isinstance(problem, Problem) and problem.code is ProblemCode.INVALID_SUBMISSION
    assert [(error.pointer, error.code) for error in problem.errors] == [
        ("/figures/0/value", FieldErrorCode.BELOW_MINIMUM),
        ("/figures/1/indicator", FieldErrorCode.UNKNOWN_INDICATOR),
    ]


def send_batch():
    values = (("867", 10), ("868", -1), ("869", 20))
    reports = [report(unit, [Figure(indicator="TT.PT", value=value)]) for unit, value in values]
    answer = create_submission_batch.sync(client=CLIENT, body=SubmissionBatch(submissions=reports))
    assert [result.status for result in answer.results] == [201, 422, 201]
    assert answer.results[1].problem.errors[0].code is FieldErrorCode.BELOW_MINIMUM


def follow_pages():
    units, cursor = [], UNSET
    while True:
        page = list_submissions.sync(client=CLIENT, limit=1, cursor=cursor, **ABOUT)
        units += [submission.unit for submission in page.submissions]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert sorted(units) == ["866", "867", "869"]


def read_total():
    for _ in range(100):
        total = get_total.sync(client=CLIENT, unit="87", **ABOUT)
        if total.freshness.pending == 0:
            rows = {row.indicator: row for row in total.totals}
            assert rows["TT.PT"].value == 64 + 10 + 20
            assert rows["NN.TN"].breakdowns[0].by.to_dict() == {"sex": "nu", "age": "16_17"}
            return
        time.sleep(0.1)
    raise AssertionError("the total does not contain the reports")


def follow_changes():
    after = list_changes.sync(client=CLIENT, after="latest").next_after
    create_submission.sync(client=CLIENT, body=report("870", [Figure(indicator="TT.PT", value=1)]))
    for _ in range(100):
        page = list_changes.sync(client=CLIENT, after=after)
        for change in page.changes:
            if change.kind == ChangeKind.SUBMISSION:
                assert (change.unit, change.revision, change.status) == ("870", 1, Status.ACCEPTED)
                recorded = get_revision.sync(client=CLIENT, id=change.submission, revision=1)
                assert recorded.figures[0].value == 1
                return
        after = page.next_after
        time.sleep(0.05)
    raise AssertionError("the change does not appear")


types_are_known()
submit_and_correct()
meet_field_errors()
send_batch()
follow_pages()
read_total()
follow_changes()
print("the story ends")
