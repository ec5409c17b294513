import com.fasterxml.jackson.databind.MapperFeature;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.ChangesApi;
import org.openapitools.client.api.ChangesApi.APIListChangesRequest;
import org.openapitools.client.api.SubmissionsApi;
import org.openapitools.client.api.SubmissionsApi.APICreateSubmissionBatchRequest;
import org.openapitools.client.api.SubmissionsApi.APICreateSubmissionRequest;
import org.openapitools.client.api.SubmissionsApi.APIGetRevisionRequest;
import org.openapitools.client.api.SubmissionsApi.APIGetSubmissionRequest;
import org.openapitools.client.api.SubmissionsApi.APIListSubmissionsRequest;
import org.openapitools.client.api.TotalsApi;
import org.openapitools.client.api.TotalsApi.APIGetTotalRequest;
import org.openapitools.client.model.BatchResult;
import org.openapitools.client.model.Cell;
import org.openapitools.client.model.Change;
import org.openapitools.client.model.ChangeKind;
import org.openapitools.client.model.ChangeList;
import org.openapitools.client.model.FieldErrorCode;
import org.openapitools.client.model.Figure;
import org.openapitools.client.model.NewSubmission;
import org.openapitools.client.model.Problem;
import org.openapitools.client.model.ProblemCode;
import org.openapitools.client.model.State;
import org.openapitools.client.model.Status;
import org.openapitools.client.model.Submission;
import org.openapitools.client.model.SubmissionBatch;
import org.openapitools.client.model.SubmissionList;
import org.openapitools.client.model.TotalRow;
import org.openapitools.client.model.Totals;
import org.openapitools.client.model.Value;

/** What an integrator does first, with the Java client that openapi-generator generates. */
public final class Story {
    private static final String FORM = "ngay-30-7";
    private static final String PERIOD = "2021-07";
    private static final ApiClient CLIENT = new ApiClient();
    private static final SubmissionsApi SUBMISSIONS;
    private static final TotalsApi TOTALS;
    private static final ChangesApi CHANGES;

    static {
        // Otherwise the client takes the number 1 for a flag, too.
        CLIENT.setObjectMapper(CLIENT.getObjectMapper().disable(MapperFeature.ALLOW_COERCION_OF_SCALARS));
        CLIENT.updateBaseUri(System.getenv("TONGHOP_URL"));
        String key = System.getenv("TONGHOP_KEY");
        CLIENT.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + key));
        SUBMISSIONS = new SubmissionsApi(CLIENT);
        TOTALS = new TotalsApi(CLIENT);
        CHANGES = new ChangesApi(CLIENT);
    }

    private interface Call {
        Object send() throws ApiException;
    }

    public static void main(String[] arguments) throws Exception {
        typesAreKnown();
        submitAndCorrect();
        meetFieldErrors();
        sendBatch();
        followPages();
        readTotal();
        followChanges();
        System.out.println("the story ends");
    }

    private static void typesAreKnown() throws NoSuchMethodException {
        for (String getter : List.of("getValue", "getState", "getItems", "getText", "getBreakdowns")) {
            assertIsKnown(Figure.class.getMethod(getter).getGenericReturnType());
        }
        assertIsKnown(Cell.class.getMethod("getBy").getGenericReturnType());
    }

    private static void assertIsKnown(Type type) {
        check(!type.getTypeName().contains("java.lang.Object"), type);
    }

    private static void submitAndCorrect() throws Exception {
        Cell cell = new Cell().by(Map.of("sex", "nu", "age", "16_17")).value(1L);
        NewSubmission report = report("866", List.of(
            number("TT.PT", 63),
            new Figure().indicator("TT.HOTLINE").value(new Value(true)),
            new Figure().indicator("TT.PANO").state(State.DONE_NO_NUMBER),
            new Figure().indicator("TT.KHAUHIEU").items(List.of("Chung tay phòng, chống mua bán người")),
            number("NN.TN", 1).breakdowns(List.of(cell))));
        // The ETag changes once more when totals contain the report.
        var request = APICreateSubmissionRequest.newBuilder().newSubmission(report).prefer("wait=20").build();
        var first = SUBMISSIONS.createSubmissionWithHttpInfo(request);
        equal(first.getStatusCode(), 201);
        equal(first.getData().getRevision(), 1);

        var one = APIGetSubmissionRequest.newBuilder().id(first.getData().getId());
        var read = SUBMISSIONS.getSubmissionWithHttpInfo(one.build());
        List<Figure> figures = new ArrayList<>(read.getData().getFigures());
        equal(figure(figures, "NN.TN").getBreakdowns(), List.of(cell));
        equal(figure(figures, "TT.HOTLINE").getValue().getActualInstance(), true);
        String tag = read.getHeaders().get("etag").get(0);
        equal(refused(() -> SUBMISSIONS.getSubmission(one.ifNoneMatch(tag).build())).getCode(), 304);

        figure(figures, "TT.PT").setValue(new Value(64L));
        NewSubmission corrected = report("866", figures).note("one more broadcast");
        equal(submit(corrected, tag).getRevision(), 2);
        NewSubmission late = report("866", List.of(number("TT.PT", 65)));
        ApiException conflict = refused(() -> submit(late, tag));
        equal(conflict.getCode(), 412);
        equal(problem(conflict).getCode(), ProblemCode.REVISION_CONFLICT);
    }

    private static void meetFieldErrors() throws Exception {
        NewSubmission wrong = report("867", List.of(number("TT.PT", -1), number("NO.SUCH", 1)));
        Problem problem = problem(refused(() -> submit(wrong, null)));
        equal(problem.getCode(), ProblemCode.INVALID_SUBMISSION);
        equal(problem.getErrors().get(0).getPointer(), "/figures/0/value");
        equal(problem.getErrors().get(0).getCode(), FieldErrorCode.BELOW_MINIMUM);
        equal(problem.getErrors().get(1).getPointer(), "/figures/1/indicator");
        equal(problem.getErrors().get(1).getCode(), FieldErrorCode.UNKNOWN_INDICATOR);
    }

    private static void sendBatch() throws ApiException {
        SubmissionBatch batch = new SubmissionBatch()
            .addSubmissionsItem(report("867", List.of(number("TT.PT", 10))))
            .addSubmissionsItem(report("868", List.of(number("TT.PT", -1))))
            .addSubmissionsItem(report("869", List.of(number("TT.PT", 20))));
        var request = APICreateSubmissionBatchRequest.newBuilder().submissionBatch(batch).build();
        List<BatchResult> results = SUBMISSIONS.createSubmissionBatch(request).getResults();
        equal(results.stream().map(BatchResult::getStatus).collect(Collectors.toList()), List.of(201, 422, 201));
        equal(results.get(1).getProblem().getErrors().get(0).getCode(), FieldErrorCode.BELOW_MINIMUM);
    }

    private static void followPages() throws ApiException {
        List<String> units = new ArrayList<>();
        var request = APIListSubmissionsRequest.newBuilder().form(FORM).period(PERIOD).limit(1);
        String cursor = null;
        do {
            SubmissionList page = SUBMISSIONS.listSubmissions(request.cursor(cursor).build());
            page.getSubmissions().forEach(submission -> units.add(submission.getUnit()));
            cursor = page.getNextCursor();
        } while (cursor != null);
        equal(units.stream().sorted().collect(Collectors.toList()), List.of("866", "867", "869"));
    }

    private static void readTotal() throws Exception {
        var request = APIGetTotalRequest.newBuilder().form(FORM).period(PERIOD).unit("87").build();
        for (int turn = 0; turn < 100; turn++) {
            Totals total = TOTALS.getTotal(request);
            if (total.getFreshness().getPending() == 0) {
                Map<String, TotalRow> rows = total.getTotals().stream()
                    .collect(Collectors.toMap(TotalRow::getIndicator, row -> row));
                equal(rows.get("TT.PT").getValue(), 64L + 10 + 20);
                equal(rows.get("NN.TN").getBreakdowns().get(0).getBy(), Map.of("sex", "nu", "age", "16_17"));
                return;
            }
            Thread.sleep(100);
        }
        throw new AssertionError("the total does not contain the reports");
    }

    private static void followChanges() throws Exception {
        String after = changesAfter("latest").getNextAfter();
        submit(report("870", List.of(number("TT.PT", 1))), null);
        for (int turn = 0; turn < 100; turn++) {
            ChangeList page = changesAfter(after);
            for (Change change : page.getChanges()) {
                if (change.getKind() == ChangeKind.SUBMISSION) {
                    equal(change.getUnit(), "870");
                    equal(change.getRevision(), 1);
                    equal(change.getStatus(), Status.ACCEPTED);
                    var request = APIGetRevisionRequest.newBuilder().id(change.getSubmission()).revision(1).build();
                    Submission recorded = SUBMISSIONS.getRevision(request);
                    equal(figure(recorded.getFigures(), "TT.PT").getValue().getActualInstance(), 1L);
                    return;
                }
            }
            after = page.getNextAfter();
            Thread.sleep(50);
        }
        throw new AssertionError("the change does not appear");
    }

    private static Submission submit(NewSubmission report, String ifMatch) throws ApiException {
        var request = APICreateSubmissionRequest.newBuilder().newSubmission(report).ifMatch(ifMatch).build();
        return SUBMISSIONS.createSubmission(request);
    }

    private static ChangeList changesAfter(String after) throws ApiException {
        return CHANGES.listChanges(APIListChangesRequest.newBuilder().after(after).build());
    }

    private static NewSubmission report(String unit, List<Figure> figures) {
        return new NewSubmission().form(FORM).period(PERIOD).unit(unit).figures(figures);
    }

    private static Figure number(String indicator, long value) {
        return new Figure().indicator(indicator).value(new Value(value));
    }

    private static Figure figure(List<Figure> figures, String indicator) {
        return figures.stream().filter(figure -> figure.getIndicator().equals(indicator)).findFirst().orElseThrow();
    }

    private static ApiException refused(Call call) {
        try {
            call.send();
        } catch (ApiException refusal) {
            return refusal;
        }
        throw new AssertionError("the request is accepted");
    }

    private static Problem problem(ApiException refusal) throws Exception {
        return CLIENT.getObjectMapper().readValue(refusal.getResponseBody(), Problem.class);
    }

    private static void equal(Object left, Object right) {
        check(Objects.equals(left, right), left + " is not " + right);
    }

    private static void check(boolean holds, Object otherwise) {
        if (!holds) {
            throw new AssertionError(otherwise);
        }
    }
}
