// Sends a report, corrects it, handles errors, reads a total and follows changes. Java 17 or newer, only the JDK.
//
// TONGHOP_URL is the address of the service, TONGHOP_KEY a submitter key of a unit that reports, such as a district.

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class Story {
    static final String FORM = "ngay-30-7", PERIOD = "2021-07", INDICATOR = "TT.PT";
    static final int ATTEMPTS = 5, LONGEST_WAIT_S = 60;
    static final Duration TIMEOUT = Duration.ofSeconds(30);
    static final HttpClient CLIENT = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();

    static String url, key, unit, self;

    static class Failure extends RuntimeException {
        Failure(String message) { super(message); }
    }

    record Answer(int status, HttpResponse<String> response, Object json) {
        Object get(Object... path) { return Json.get(json, path); }
        String header(String name) { return response.headers().firstValue(name).orElse(""); }
    }

    static String setting(String name) {
        String value = System.getenv(name);
        if (value == null || value.isEmpty()) throw new Failure("set " + name);
        return value;
    }

    /** Sends a request and retries it if it may succeed later. Returns an answer with one of the accepted statuses. */
    static Answer call(String method, String path, String body, Map<String, String> headers, Integer... accept)
            throws InterruptedException {
        var publisher = body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body);
        var builder = HttpRequest.newBuilder(URI.create(url + path)).timeout(TIMEOUT).method(method, publisher)
            .header("Authorization", "Bearer " + key).header("Accept", "application/json");
        if (body != null) builder.header("Content-Type", "application/json");
        headers.forEach(builder::header);
        var request = builder.build();
        for (int attempt = 1; ; attempt++) {
            String reason;
            int wanted = 0;
            try {
                var response = CLIENT.send(request, BodyHandlers.ofString());
                Object json = Json.parse(response.body());
                int status = response.statusCode();
                if (json == null) { // a proxy that answers itself
                    json = Map.of("detail", "the body is not JSON");
                    if (status < 400) status = 502;
                }
                if (Set.of(accept).contains(status)) return new Answer(status, response, json);
                reason = status + " " + Objects.toString(Json.get(json, "code"), "") + ": " + Json.get(json, "detail");
                if (!Set.of(408, 429, 502, 503, 504).contains(status)) {
                    String id = response.headers().firstValue("X-Request-Id").orElse("");
                    throw new Failure(method + " " + path + ": " + reason + " (request " + id + ")");
                }
                String after = response.headers().firstValue("Retry-After").orElse("");
                wanted = after.matches("\\d{1,6}") ? Integer.parseInt(after) : 0;
            } catch (IOException error) { // no connection, a timeout, or the connection was lost
                reason = error.toString();
            }
            if (attempt == ATTEMPTS) throw new Failure(method + " " + path + ": gave up after " + ATTEMPTS + " attempts: " + reason);
            double wait = Math.min(Math.max(wanted, 1 << (attempt - 1)), LONGEST_WAIT_S) + Math.random();
            System.out.printf("  attempt %d failed (%s); waiting %.1f s%n", attempt, reason, wait);
            Thread.sleep((long) (wait * 1000));
        }
    }

    static Answer read(String path) throws InterruptedException {
        return call("GET", path, null, Map.of(), 200);
    }

    /** Sends the whole report. Every attempt of one request has the same Idempotency-Key. */
    static Answer send(String figures, Map<String, String> headers, Integer... accept) throws InterruptedException {
        String body = """
            {"form": "%s", "period": "%s", "unit": "%s", "figures": [%s]}""".formatted(FORM, PERIOD, unit, figures);
        var all = new LinkedHashMap<>(headers);
        all.put("Idempotency-Key", UUID.randomUUID().toString());
        return call("POST", "/v1/submissions", body, all, accept);
    }

    static String figure(String indicator, int value) {
        return "{\"indicator\": \"%s\", \"value\": %d}".formatted(indicator, value);
    }

    /** Corrects the revision with this ETag. If another revision is current, reads it and decides again. */
    static Object correct(int value, String tag) throws InterruptedException {
        for (int turn = 0; turn < 3; turn++) {
            var answer = send(figure(INDICATOR, value), Map.of("If-Match", tag, "Prefer", "wait=5"), 200, 201, 412);
            if (answer.status != 412) {
                System.out.printf("corrected: revision %s, %s = %d%n", answer.get("revision"), INDICATOR, value);
                return answer.get("revision");
            }
            var current = read(self);
            tag = current.header("ETag");
            System.out.printf("conflict: revision %s is current; sending the correction for it%n", current.get("revision"));
        }
        throw new Failure("the report was corrected by others three times");
    }

    /** Reads a total until it contains every report. */
    static Answer settledTotal(String path) throws InterruptedException {
        for (int turn = 0; turn < 20; turn++) {
            var answer = read(path);
            if (answer.get("freshness", "pending").equals(0L)) return answer;
            Thread.sleep(500);
        }
        throw new Failure("the total is not up to date after 10 s");
    }

    /** Follows the changes until a revision appears. */
    static void followUntil(Object revision, Object after) throws InterruptedException {
        for (int turn = 0; turn < 20; turn++) {
            var page = read("/v1/changes?after=" + after);
            after = page.get("next_after"); // keep it: the next run of a real program goes on from here
            boolean found = false;
            for (Object change : (List<?>) page.get("changes")) {
                Object number = Json.get(change, "revision");
                System.out.printf("change: %s of %s, revision %s%n", Json.get(change, "kind"), Json.get(change, "unit"), number);
                found |= revision.equals(number);
            }
            if (found) return;
            if (page.get("more").equals(false)) Thread.sleep(500);
        }
        throw new Failure("the change did not appear within 10 s");
    }

    static void story() throws InterruptedException {
        url = setting("TONGHOP_URL").replaceAll("/$", "");
        key = setting("TONGHOP_KEY");
        unit = (String) read("/v1/me").get("key", "unit");
        System.out.println("unit " + unit);
        Object after = read("/v1/changes?after=latest").get("next_after");

        var first = send(figure(INDICATOR, 100), Map.of(), 200, 201);
        self = (String) first.get("links", "self");
        String word = first.status == 201 ? "recorded" : "unchanged";
        System.out.printf("%s: revision %s, %s = 100%n", word, first.get("revision"), INDICATOR);

        correct(101, first.header("ETag"));
        Object revision = correct(102, first.header("ETag")); // the ETag is out of date by now

        var rejected = send(figure(INDICATOR, -1) + ", " + figure("NO.SUCH", 1), Map.of(), 422);
        if (rejected.get("errors") instanceof List<?> errors) {
            errors.forEach(error -> System.out.printf("rejected: %s: %s%n", Json.get(error, "pointer"), Json.get(error, "detail")));
        }

        String path = "/v1/totals?form=%s&period=%s&unit=%s&indicator=%s".formatted(FORM, PERIOD, unit, INDICATOR);
        var total = settledTotal(path);
        Object value = total.get("totals", 0, "value");
        System.out.printf("total: %s = %s, as of %s%n", INDICATOR, value, total.get("freshness", "as_of"));
        var again = call("GET", path, null, Map.of("If-None-Match", total.header("ETag")), 200, 304);
        System.out.printf("total: %d, %s%n", again.status, again.status == 304 ? "not modified" : "changed meanwhile");

        followUntil(revision, after);
        System.out.println("done");
    }

    public static void main(String[] arguments) throws InterruptedException {
        try {
            story();
        } catch (Failure failure) {
            System.err.println("error: " + failure.getMessage());
            System.exit(1);
        }
    }

    /** Reads JSON, which the JDK cannot. A larger program uses a library, such as Jackson. */
    static class Json {
        static final Pattern TOKEN = Pattern.compile("\\s*([\\[\\]{}:,]|\"(?:[^\"\\\\]|\\\\.)*\"|[^\\s\\[\\]{}:,\"]+)");
        static final Pattern ESCAPE = Pattern.compile("\\\\(u([0-9a-fA-F]{4})|.)");
        final List<String> tokens = new ArrayList<>();
        int at = 0;

        /** Returns maps, lists, strings, numbers and booleans; null for a body that is not JSON. */
        static Object parse(String text) {
            var json = new Json();
            TOKEN.matcher(text.isEmpty() ? "{}" : text).results().forEach(token -> json.tokens.add(token.group(1)));
            try {
                return json.value();
            } catch (IndexOutOfBoundsException | NumberFormatException | ClassCastException error) {
                return null;
            }
        }

        static Object get(Object json, Object... path) {
            for (Object step : path) {
                if (json instanceof Map<?, ?> map) json = map.get(step);
                else json = json instanceof List<?> list ? list.get((Integer) step) : null;
            }
            return json;
        }

        Object value() {
            String token = tokens.get(at++);
            switch (token.charAt(0)) {
                case '{': {
                    var map = new LinkedHashMap<String, Object>();
                    while (!tokens.get(at).equals("}")) {
                        if (tokens.get(at).equals(",")) at++;
                        String name = (String) value();
                        at++; // the colon
                        map.put(name, value());
                    }
                    at++;
                    return map;
                }
                case '[': {
                    var list = new ArrayList<Object>();
                    while (!tokens.get(at).equals("]")) {
                        if (tokens.get(at).equals(",")) at++;
                        list.add(value());
                    }
                    at++;
                    return list;
                }
                case '"': return unescape(token.substring(1, token.length() - 1));
                case 't': case 'f': return Boolean.valueOf(token);
                case 'n': return null;
                default: return token.matches("-?\\d+") ? (Object) Long.valueOf(token) : Double.valueOf(token);
            }
        }

        static String unescape(String text) {
            return ESCAPE.matcher(text).replaceAll(match -> {
                if (match.group(2) != null) return Matcher.quoteReplacement("" + (char) Integer.parseInt(match.group(2), 16));
                int known = "ntrbf".indexOf(match.group(1));
                return Matcher.quoteReplacement(known < 0 ? match.group(1) : "\n\t\r\b\f".substring(known, known + 1));
            });
        }
    }
}
