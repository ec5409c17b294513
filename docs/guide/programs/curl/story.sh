#!/bin/sh
# Sends a report, corrects it, handles errors, reads a total and follows changes. Needs curl 7.71 or newer, and jq.
#
# TONGHOP_URL is the address of the service, TONGHOP_KEY a submitter key of a unit that reports, such as a district.
set -eu
: "${TONGHOP_URL:?set TONGHOP_URL}" "${TONGHOP_KEY:?set TONGHOP_KEY}"
url=${TONGHOP_URL%/}
form=ngay-30-7 period=2021-07 indicator=TT.PT

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# The key is in a file: other users of the machine can see the arguments of a process.
(umask 077 && printf 'header = "Authorization: Bearer %s"\n' "$TONGHOP_KEY" > "$folder/key")

fail() {
  echo "error: $*" >&2
  exit 1
}

# call 'ACCEPTED STATUSES' PATH [OPTION...]: sends a request; leaves $status, and the files `body` and `headers`.
# curl retries failed connections, timeouts and the statuses 408, 429, 5xx, and heeds Retry-After.
call() {
  accepted=$1 path=$2
  shift 2
  : > "$folder/body"
  status=$(curl --silent --show-error --config "$folder/key" --header 'Accept: application/json' \
    --max-time 30 --retry 4 --retry-all-errors --retry-max-time 120 \
    --output "$folder/body" --dump-header "$folder/headers" --write-out '%{http_code}' "$@" "$url$path") ||
    fail "$path: no response"
  for one in $accepted; do
    [ "$status" != "$one" ] || return 0
  done
  problem=$(jq -r '"\(.code): \(.detail) (request \(.request_id))"' "$folder/body" 2>/dev/null) || problem='no problem document'
  fail "$path: $status $problem"
}

field() { jq -er "$1" "$folder/body" || fail "the response has no $1"; }

# The value of a header of the last response; the file has those of all attempts.
header() { tr -d '\r' < "$folder/headers" | sed -n "s/^$1: *//Ip" | tail -n 1; }

new_key() { tr -d '\n' < /proc/sys/kernel/random/uuid 2>/dev/null || uuidgen; }

# send 'ACCEPTED STATUSES' FIGURES [OPTION...]: sends the whole report. All attempts have the same Idempotency-Key.
send() {
  send_accepted=$1
  jq -n --arg form "$form" --arg period "$period" --arg unit "$unit" --argjson figures "$2" \
    '{$form, $period, $unit, $figures}' > "$folder/report"
  shift 2
  call "$send_accepted" /v1/submissions --header 'Content-Type: application/json' \
    --header "Idempotency-Key: $(new_key)" --data-binary "@$folder/report" "$@"
}

# correct VALUE ETAG: corrects the revision with this ETag. If another revision is current, reads it and decides again.
correct() {
  tag=$2
  for _ in 1 2 3; do
    send '200 201 412' "[{\"indicator\":\"$indicator\",\"value\":$1}]" --header "If-Match: $tag" --header 'Prefer: wait=5'
    if [ "$status" != 412 ]; then
      revision=$(field .revision)
      echo "corrected: revision $revision, $indicator = $1"
      return
    fi
    call 200 "$self"
    tag=$(header ETag)
    echo "conflict: revision $(field .revision) is current; sending the correction for it"
  done
  fail 'the report was corrected by others three times'
}

call 200 /v1/me
unit=$(field .key.unit)
echo "unit $unit"
call 200 '/v1/changes?after=latest'
after=$(field .next_after)

send '200 201' "[{\"indicator\":\"$indicator\",\"value\":100}]"
tag=$(header ETag) self=$(field .links.self) word=recorded
[ "$status" = 201 ] || word=unchanged
echo "$word: revision $(field .revision), $indicator = 100"

correct 101 "$tag"
correct 102 "$tag" # the ETag is out of date by now

send 422 "[{\"indicator\":\"$indicator\",\"value\":-1},{\"indicator\":\"NO.SUCH\",\"value\":1}]"
jq -r '.errors[]? | "rejected: \(.pointer): \(.detail)"' "$folder/body"

total="/v1/totals?form=$form&period=$period&unit=$unit&indicator=$indicator"
turn=0
until call 200 "$total" && [ "$(field .freshness.pending)" = 0 ]; do
  turn=$((turn + 1))
  [ "$turn" -lt 20 ] || fail 'the total is not up to date after 10 s'
  sleep 0.5
done
echo "total: $indicator = $(field '.totals[0].value'), as of $(field .freshness.as_of)"
call '200 304' "$total" --header "If-None-Match: $(header ETag)"
if [ "$status" = 304 ]; then echo 'total: 304, not modified'; else echo 'total: 200, changed meanwhile'; fi

turn=0
while :; do
  call 200 "/v1/changes?after=$after"
  after=$(field .next_after) # keep it: the next run of a real program goes on from here
  jq -r '.changes[] | "change: \(.kind) of \(.unit), revision \(.revision)"' "$folder/body"
  ! jq -e --argjson revision "$revision" 'any(.changes[]; .revision == $revision)' "$folder/body" > /dev/null || break
  turn=$((turn + 1))
  [ "$turn" -lt 20 ] || fail 'the change did not appear within 10 s'
  [ "$(jq .more "$folder/body")" = true ] || sleep 0.5
done
echo 'done'
