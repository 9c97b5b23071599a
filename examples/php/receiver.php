<?php
// Webhook receiver in plain PHP 8.1.
//
//   WEBHOOK_SECRET=... php -S 127.0.0.1:4000 receiver.php
//
// The built-in server is for development. In production serve this file with PHP-FPM.
declare(strict_types=1);

const MAX_AGE_SECONDS = 5 * 60;
const REMEMBERED_IDS = 10_000;

// X-Webhook-Signature: HMAC-SHA256 of the raw body in hex. The key is the secret as given, a
// whsec_ prefix included. hash_equals compares in constant time. The header has room for one
// signature: see "Rotate a secret" in the README before you change the secret.
function has_body_signature(string $secret, string $body): bool
{
    $expected = hash_hmac('sha256', $body, $secret);
    return hash_equals($expected, header_value('X-Webhook-Signature'));
}

// Standard Webhooks: HMAC-SHA256 of "id.timestamp.body" in base64. The timestamp limits replays.
// During a secret rotation the header holds several signatures; one match is enough.
function has_standard_signature(string $secret, string $body): bool
{
    $id = header_value('webhook-id');
    $timestamp = header_value('webhook-timestamp');
    if ($id === '' || !preg_match('/^[0-9]{1,12}$/D', $timestamp)) {
        return false;
    }
    if (abs(time() - (int) $timestamp) > MAX_AGE_SECONDS) {
        return false;
    }
    // The decoded bytes of a whsec_ secret, else the secret as given.
    $key = str_starts_with($secret, 'whsec_') ? base64_decode(substr($secret, 6)) : $secret;
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
    foreach (explode(' ', header_value('webhook-signature')) as $given) {
        if (hash_equals($expected, $given)) {
            return true;
        }
    }
    return false;
}

// Returns true for a new id. PHP keeps nothing between requests, so the latest ids are in a file.
// Several servers need a shared store instead, such as a table with a unique key.
function remember(string $id): bool
{
    $file = fopen(sys_get_temp_dir() . '/webhook-receiver-ids.txt', 'c+');
    flock($file, LOCK_EX);
    $ids = explode("\n", stream_get_contents($file));
    $is_new = !in_array($id, $ids, true);
    if ($is_new) {
        $ids = array_slice([...$ids, $id], -REMEMBERED_IDS);
        rewind($file);
        ftruncate($file, 0);
        fwrite($file, implode("\n", $ids));
    }
    // Unlocks it too.
    fclose($file);
    return $is_new;
}

// Your code. The sender waits for the end of this script, and retries after its timeout: write the
// event to a queue or a table, and leave slow work to another process.
function handle(array $event): void
{
    error_log('received ' . $event['event']);
}

function header_value(string $name): string
{
    return $_SERVER['HTTP_' . strtoupper(strtr($name, '-', '_'))] ?? '';
}

function answer(int $status, array $body): never
{
    http_response_code($status);
    header('Content-Type: application/json');
    exit(json_encode($body));
}

if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
    answer(405, ['error' => 'POST only']);
}
$secret = (string) getenv('WEBHOOK_SECRET');
if ($secret === '') {
    error_log('set WEBHOOK_SECRET to the secret of the endpoint');
    answer(500, ['error' => 'not configured']);
}
// The raw body: the signatures cover its bytes, not the parsed JSON.
$body = file_get_contents('php://input');
if (!has_body_signature($secret, $body) || !has_standard_signature($secret, $body)) {
    answer(401, ['error' => 'invalid signature or timestamp']);
}
$event = json_decode($body, true, flags: JSON_THROW_ON_ERROR);
$is_new = remember(header_value('webhook-id'));
if ($is_new) {
    handle($event);
}
answer(200, ['duplicate' => !$is_new]);
