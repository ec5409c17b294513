// Sends a report, corrects it, handles errors, reads a total and follows changes. .NET 8 or newer, no packages.
//
// TONGHOP_URL is the address of the service, TONGHOP_KEY a submitter key of a unit that reports, such as a district.

using System;
using System.Collections.Generic;
using System.Linq;
using System.Net.Http;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Threading.Tasks;

class Failure : Exception
{
    public Failure(string message) : base(message) { }
}

class Answer
{
    public int Status;
    public HttpResponseMessage Response;
    public JsonNode Json;
    public string Tag => Response.Headers.ETag.ToString();
}

static class Program
{
    const string Form = "ngay-30-7", Period = "2021-07", Indicator = "TT.PT";
    const int Attempts = 5, LongestWaitSeconds = 60;
    static readonly int[] Temporary = { 408, 429, 502, 503, 504 };
    static readonly Random Random = new Random();
    static readonly Dictionary<string, string> NoHeaders = new Dictionary<string, string>();
    static readonly HttpClient Client =
        new HttpClient(new HttpClientHandler { AllowAutoRedirect = false }) { Timeout = TimeSpan.FromSeconds(30) };

    static string url, key, unit, self;

    static string Setting(string name)
    {
        var value = Environment.GetEnvironmentVariable(name);
        return string.IsNullOrEmpty(value) ? throw new Failure($"set {name}") : value;
    }

    /// <summary>Sends one request and reads the whole response; throws if there is none in time.</summary>
    static async Task<Answer> AttemptOnce(HttpMethod method, string path, string body, Dictionary<string, string> headers)
    {
        var request = new HttpRequestMessage(method, url + path);
        request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {key}");
        request.Headers.TryAddWithoutValidation("Accept", "application/json");
        foreach (var header in headers) request.Headers.TryAddWithoutValidation(header.Key, header.Value);
        if (body != null) request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        var response = await Client.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        var answer = new Answer { Status = (int)response.StatusCode, Response = response };
        try
        {
            answer.Json = JsonNode.Parse(text.Length == 0 ? "{}" : text);
        }
        catch (JsonException) // a proxy that answers itself
        {
            answer.Json = JsonNode.Parse("{\"detail\": \"the body is not JSON\"}");
            if (answer.Status < 400) answer.Status = 502;
        }
        return answer;
    }

    /// <summary>Sends a request and retries it if it may succeed later. Returns an accepted status.</summary>
    static async Task<Answer> Call(HttpMethod method, string path, string body, Dictionary<string, string> headers, params int[] accept)
    {
        for (var attempt = 1; ; attempt++)
        {
            string reason;
            double wanted = 0;
            try
            {
                var answer = await AttemptOnce(method, path, body, headers);
                if (accept.Contains(answer.Status)) return answer;
                reason = $"{answer.Status} {answer.Json["code"]}: {answer.Json["detail"]}";
                if (!Temporary.Contains(answer.Status))
                {
                    answer.Response.Headers.TryGetValues("X-Request-Id", out var ids);
                    throw new Failure($"{method} {path}: {reason} (request {ids?.FirstOrDefault()})");
                }
                wanted = answer.Response.Headers.RetryAfter?.Delta?.TotalSeconds ?? 0;
            }
            catch (Exception error) when (error is HttpRequestException || error is TaskCanceledException)
            {
                reason = error.Message; // no connection, a timeout, or the connection was lost
            }
            if (attempt == Attempts) throw new Failure($"{method} {path}: gave up after {Attempts} attempts: {reason}");
            var wait = Math.Min(Math.Max(wanted, 1 << (attempt - 1)), LongestWaitSeconds) + Random.NextDouble();
            Console.WriteLine(FormattableString.Invariant($"  attempt {attempt} failed ({reason}); waiting {wait:F1} s"));
            await Task.Delay(TimeSpan.FromSeconds(wait));
        }
    }

    static Task<Answer> Read(string path) => Call(HttpMethod.Get, path, null, NoHeaders, 200);

    /// <summary>Sends the whole report. Every attempt of one request has the same Idempotency-Key.</summary>
    static Task<Answer> Send(object[] figures, Dictionary<string, string> headers, params int[] accept)
    {
        var body = JsonSerializer.Serialize(new { form = Form, period = Period, unit, figures });
        var all = new Dictionary<string, string>(headers) { ["Idempotency-Key"] = Guid.NewGuid().ToString() };
        return Call(HttpMethod.Post, "/v1/submissions", body, all, accept);
    }

    static object[] Figures(int value) => new object[] { new { indicator = Indicator, value } };

    /// <summary>Corrects the revision with this ETag. If another one is current, reads it and decides again.</summary>
    static async Task<int> Correct(int value, string tag)
    {
        for (var turn = 0; turn < 3; turn++)
        {
            var headers = new Dictionary<string, string> { ["If-Match"] = tag, ["Prefer"] = "wait=5" };
            var answer = await Send(Figures(value), headers, 200, 201, 412);
            if (answer.Status != 412)
            {
                Console.WriteLine($"corrected: revision {answer.Json["revision"]}, {Indicator} = {value}");
                return answer.Json["revision"].GetValue<int>();
            }
            var current = await Read(self);
            tag = current.Tag;
            Console.WriteLine($"conflict: revision {current.Json["revision"]} is current; sending the correction for it");
        }
        throw new Failure("the report was corrected by others three times");
    }

    /// <summary>Reads a total until it contains every report.</summary>
    static async Task<Answer> SettledTotal(string path)
    {
        for (var turn = 0; turn < 20; turn++)
        {
            var answer = await Read(path);
            if (answer.Json["freshness"]["pending"].GetValue<int>() == 0) return answer;
            await Task.Delay(500);
        }
        throw new Failure("the total is not up to date after 10 s");
    }

    /// <summary>Follows the changes until a revision appears.</summary>
    static async Task FollowUntil(int revision, string after)
    {
        for (var turn = 0; turn < 20; turn++)
        {
            var page = (await Read($"/v1/changes?after={after}")).Json;
            after = page["next_after"].GetValue<string>(); // keep it: the next run of a real program goes on from here
            var found = false;
            foreach (var change in page["changes"].AsArray())
            {
                Console.WriteLine($"change: {change["kind"]} of {change["unit"]}, revision {change["revision"]}");
                found |= change["revision"] != null && change["revision"].GetValue<int>() == revision;
            }
            if (found) return;
            if (!page["more"].GetValue<bool>()) await Task.Delay(500);
        }
        throw new Failure("the change did not appear within 10 s");
    }

    static async Task Story()
    {
        url = Setting("TONGHOP_URL").TrimEnd('/');
        key = Setting("TONGHOP_KEY");
        unit = (await Read("/v1/me")).Json["key"]["unit"].GetValue<string>();
        Console.WriteLine($"unit {unit}");
        var after = (await Read("/v1/changes?after=latest")).Json["next_after"].GetValue<string>();

        var first = await Send(Figures(100), NoHeaders, 200, 201);
        self = first.Json["links"]["self"].GetValue<string>();
        var word = first.Status == 201 ? "recorded" : "unchanged";
        Console.WriteLine($"{word}: revision {first.Json["revision"]}, {Indicator} = 100");

        await Correct(101, first.Tag);
        var revision = await Correct(102, first.Tag); // the ETag is out of date by now

        var wrong = Figures(-1).Append(new { indicator = "NO.SUCH", value = 1 }).ToArray();
        var errors = (await Send(wrong, NoHeaders, 422)).Json["errors"];
        if (errors != null)
        {
            foreach (var error in errors.AsArray()) Console.WriteLine($"rejected: {error["pointer"]}: {error["detail"]}");
        }

        var path = $"/v1/totals?form={Form}&period={Period}&unit={unit}&indicator={Indicator}";
        var total = await SettledTotal(path);
        Console.WriteLine($"total: {Indicator} = {total.Json["totals"][0]["value"]}, as of {total.Json["freshness"]["as_of"]}");
        var condition = new Dictionary<string, string> { ["If-None-Match"] = total.Tag };
        var again = await Call(HttpMethod.Get, path, null, condition, 200, 304);
        Console.WriteLine($"total: {again.Status}, {(again.Status == 304 ? "not modified" : "changed meanwhile")}");

        await FollowUntil(revision, after);
        Console.WriteLine("done");
    }

    static async Task<int> Main()
    {
        try
        {
            await Story();
            return 0;
        }
        catch (Failure failure)
        {
            Console.Error.WriteLine($"error: {failure.Message}");
            return 1;
        }
    }
}
