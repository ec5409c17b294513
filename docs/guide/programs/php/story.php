<?php
// Sends a report, corrects it, handles errors, reads a total and follows changes. PHP 8.1 or newer with the extension curl.
//
// TONGHOP_URL is the address of the service, TONGHOP_KEY a submitter key of a unit that reports, such as a district.

declare(strict_types=1);

const ABOUT = ['form' => 'ngay-30-7', 'period' => '2021-07'];
const INDICATOR = 'TT.PT';
const ATTEMPTS = 5;
const TIMEOUT_S = 30;
const LONGEST_WAIT_S = 60;

final class Answer
{
    /** @param array<string, string> $headers by name in lower case */
    public function __construct(public int $status, public array $headers, public array $json)
    {
    }
}

function setting(string $name): string
{
    return getenv($name) ?: throw new RuntimeException("set $name");
}

/** Sends one request. Returns null and sets $reason if there is no response in time. */
function attempt_once(string $method, string $path, ?string $body, array $headers, string &$reason): ?Answer
{
    $received = [];
    $curl = curl_init(URL . $path);
    curl_setopt_array($curl, [
        CURLOPT_CUSTOMREQUEST => $method,
        CURLOPT_HTTPHEADER => $headers,
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_TIMEOUT => TIMEOUT_S,
        CURLOPT_HEADERFUNCTION => function ($_, string $line) use (&$received): int {
            [$name, $value] = array_map(trim(...), explode(':', $line, 2)) + ['', ''];
            $received[strtolower($name)] = $value;
            return strlen($line);
        },
    ]);
    if ($body !== null) {
        curl_setopt($curl, CURLOPT_POSTFIELDS, $body);
    }
    $text = curl_exec($curl);
    if ($text === false) {
        $reason = curl_error($curl);
        return null;
    }
    $status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
    $json = json_decode($text === '' ? '{}' : $text, true);
    if (!is_array($json)) {
        $json = ['detail' => 'the body is not JSON']; // a proxy that answers itself
        $status = $status < 400 ? 502 : $status;
    }
    return new Answer($status, $received, $json);
}

/** Sends a request and retries it if it may succeed later. Returns an answer with one of the accepted statuses. */
function call(string $method, string $path, ?array $body = null, array $headers = [], array $accept = [200]): Answer
{
    $headers = [...$headers, 'Authorization: Bearer ' . KEY, 'Accept: application/json'];
    if ($body !== null) {
        $headers[] = 'Content-Type: application/json';
    }
    $text = $body === null ? null : json_encode($body, JSON_THROW_ON_ERROR);
    $reason = '';
    for ($attempt = 1; ; $attempt++) {
        $answer = attempt_once($method, $path, $text, $headers, $reason);
        if ($answer !== null) {
            if (in_array($answer->status, $accept, true)) {
                return $answer;
            }
            $reason = "$answer->status " . ($answer->json['code'] ?? '') . ': ' . ($answer->json['detail'] ?? '');
            if (!in_array($answer->status, [408, 429, 502, 503, 504], true)) {
                $request = $answer->headers['x-request-id'] ?? '';
                throw new RuntimeException("$method $path: $reason (request $request)");
            }
        }
        if ($attempt === ATTEMPTS) {
            throw new RuntimeException("$method $path: gave up after " . ATTEMPTS . " attempts: $reason");
        }
        $wanted = (int) ($answer?->headers['retry-after'] ?? 0);
        $wait = min(max($wanted, 2 ** ($attempt - 1)), LONGEST_WAIT_S) + mt_rand() / mt_getrandmax();
        printf("  attempt %d failed (%s); waiting %.1f s\n", $attempt, $reason, $wait);
        usleep((int) ($wait * 1_000_000));
    }
}

/** Sends the whole report. Every attempt of one request has the same Idempotency-Key. */
function send(array $figures, array $headers = [], array $accept = [200, 201]): Answer
{
    global $unit;
    $headers[] = 'Idempotency-Key: ' . bin2hex(random_bytes(16));
    return call('POST', '/v1/submissions', [...ABOUT, 'unit' => $unit, 'figures' => $figures], $headers, $accept);
}

/** Corrects the revision with this ETag. If another revision is current, reads it and decides again. */
function correct(int $value, string $tag, string $self): int
{
    for ($turn = 0; $turn < 3; $turn++) {
        $figures = [['indicator' => INDICATOR, 'value' => $value]];
        $answer = send($figures, ["If-Match: $tag", 'Prefer: wait=5'], [200, 201, 412]);
        if ($answer->status !== 412) {
            echo "corrected: revision {$answer->json['revision']}, " . INDICATOR . " = $value\n";
            return $answer->json['revision'];
        }
        $current = call('GET', $self);
        $tag = $current->headers['etag'];
        echo "conflict: revision {$current->json['revision']} is current; sending the correction for it\n";
    }
    throw new RuntimeException('the report was corrected by others three times');
}

/** Reads a total until it contains every report. */
function settled_total(string $path): Answer
{
    for ($turn = 0; $turn < 20; $turn++) {
        $answer = call('GET', $path);
        if ($answer->json['freshness']['pending'] === 0) {
            return $answer;
        }
        usleep(500_000);
    }
    throw new RuntimeException('the total is not up to date after 10 s');
}

/** Follows the changes until a revision appears. */
function follow_until(int $revision, string $after): void
{
    for ($turn = 0; $turn < 20; $turn++) {
        $page = call('GET', "/v1/changes?after=$after")->json;
        $after = $page['next_after']; // keep it: the next run of a real program goes on from here
        foreach ($page['changes'] as $change) {
            echo "change: {$change['kind']} of {$change['unit']}, revision " . ($change['revision'] ?? '-') . "\n";
        }
        if (in_array($revision, array_column($page['changes'], 'revision'), true)) {
            return;
        }
        usleep($page['more'] ? 0 : 500_000);
    }
    throw new RuntimeException('the change did not appear within 10 s');
}

set_error_handler(fn ($_, string $message) => throw new RuntimeException($message));
try {
    define('URL', rtrim(setting('TONGHOP_URL'), '/'));
    define('KEY', setting('TONGHOP_KEY'));
    $unit = call('GET', '/v1/me')->json['key']['unit'];
    echo "unit $unit\n";
    $after = call('GET', '/v1/changes?after=latest')->json['next_after'];

    $first = send([['indicator' => INDICATOR, 'value' => 100]]);
    $word = $first->status === 201 ? 'recorded' : 'unchanged';
    echo "$word: revision {$first->json['revision']}, " . INDICATOR . " = 100\n";

    [$tag, $self] = [$first->headers['etag'], $first->json['links']['self']];
    correct(101, $tag, $self);
    $revision = correct(102, $tag, $self); // the ETag is out of date by now

    $wrong = [['indicator' => INDICATOR, 'value' => -1], ['indicator' => 'NO.SUCH', 'value' => 1]];
    foreach (send($wrong, accept: [422])->json['errors'] ?? [] as $error) {
        echo "rejected: {$error['pointer']}: {$error['detail']}\n";
    }

    $path = '/v1/totals?' . http_build_query([...ABOUT, 'unit' => $unit, 'indicator' => INDICATOR]);
    $total = settled_total($path);
    echo 'total: ' . INDICATOR . " = {$total->json['totals'][0]['value']}, as of {$total->json['freshness']['as_of']}\n";
    $again = call('GET', $path, headers: ["If-None-Match: {$total->headers['etag']}"], accept: [200, 304]);
    echo "total: $again->status, " . ($again->status === 304 ? 'not modified' : 'changed meanwhile') . "\n";

    follow_until($revision, $after);
    echo "done\n";
} catch (Throwable $error) {
    fwrite(STDERR, "error: {$error->getMessage()}\n");
    exit(1);
}
