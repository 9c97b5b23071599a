// Webhook receiver with the standard library only.
//
//	WEBHOOK_SECRET=... PORT=4000 go run main.go
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxAge        = 5 * time.Minute
	rememberedIDs = 10_000
	maxBody       = 2 << 20
)

// receiver verifies deliveries and drops duplicates.
type receiver struct {
	// bodyKey is the key of X-Webhook-Signature: the secret as given, a whsec_ prefix included.
	bodyKey []byte
	// standardKey is the key of webhook-signature: the decoded bytes of a whsec_ secret, else the
	// secret as given.
	standardKey []byte
	seen        recentIDs
}

func newReceiver(secret string) (*receiver, error) {
	key := []byte(secret)
	if strings.HasPrefix(secret, "whsec_") {
		encoded := strings.TrimRight(strings.TrimPrefix(secret, "whsec_"), "=")
		decoded, err := base64.RawStdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, err
		}
		key = decoded
	}
	return &receiver{bodyKey: []byte(secret), standardKey: key}, nil
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	// The raw body: the signatures cover its bytes, not the parsed JSON.
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	if err != nil {
		http.Error(w, "cannot read the body", http.StatusBadRequest)
		return
	}
	if !r.hasBodySignature(req.Header, body) || !r.hasStandardSignature(req.Header, body) {
		http.Error(w, "invalid signature or timestamp", http.StatusUnauthorized)
		return
	}
	var event struct {
		Event string          `json:"event"`
		Data  json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &event); err != nil {
		http.Error(w, "invalid JSON", http.StatusBadRequest)
		return
	}
	isNew := r.seen.remember(req.Header.Get("webhook-id"))
	if isNew {
		go handle(event.Event, event.Data)
	}
	// Answer at once: the sender waits, and retries after its timeout.
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]bool{"duplicate": !isNew})
}

// hasBodySignature checks X-Webhook-Signature: HMAC-SHA256 of the raw body in hex. hmac.Equal
// compares in constant time. The header has room for one signature: see "Rotate a secret" in the
// README before you change the secret.
func (r *receiver) hasBodySignature(header http.Header, body []byte) bool {
	expected := hex.EncodeToString(sign(r.bodyKey, body))
	return hmac.Equal([]byte(header.Get("X-Webhook-Signature")), []byte(expected))
}

// hasStandardSignature checks the Standard Webhooks headers: HMAC-SHA256 of "id.timestamp.body" in
// base64. The timestamp limits replays. During a secret rotation the header holds several
// signatures; one match is enough.
func (r *receiver) hasStandardSignature(header http.Header, body []byte) bool {
	id, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || id == "" || time.Since(time.Unix(seconds, 0)).Abs() > maxAge {
		return false
	}
	digest := sign(r.standardKey, []byte(id+"."+timestamp+"."), body)
	expected := "v1," + base64.StdEncoding.EncodeToString(digest)
	for _, given := range strings.Split(header.Get("webhook-signature"), " ") {
		if hmac.Equal([]byte(given), []byte(expected)) {
			return true
		}
	}
	return false
}

func sign(key []byte, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}

// recentIDs holds the latest ids. Several processes need a shared store instead, such as a table
// with a unique key.
type recentIDs struct {
	mutex sync.Mutex
	known map[string]bool
	// order is a ring: the next new id replaces the oldest one.
	order []string
	next  int
}

// remember returns true for a new id.
func (r *recentIDs) remember(id string) bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.known == nil {
		r.known = make(map[string]bool)
		r.order = make([]string, rememberedIDs)
	}
	if r.known[id] {
		return false
	}
	delete(r.known, r.order[r.next])
	r.known[id] = true
	r.order[r.next] = id
	r.next = (r.next + 1) % rememberedIDs
	return true
}

// handle is your code. It runs next to the answer, so a crash here loses the event: where that
// matters, write the event to a queue or a table before you answer.
func handle(event string, data json.RawMessage) {
	log.Printf("received %s (%d bytes of data)", event, len(data))
}

func environment(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func main() {
	secret := os.Getenv("WEBHOOK_SECRET")
	if secret == "" {
		log.Fatal("set WEBHOOK_SECRET to the secret of the endpoint")
	}
	receiver, err := newReceiver(secret)
	if err != nil {
		log.Fatalf("WEBHOOK_SECRET is not base64 after whsec_: %v", err)
	}
	http.Handle("/webhook", receiver)
	address := net.JoinHostPort(environment("LISTEN_HOST", "127.0.0.1"), environment("PORT", "4000"))
	server := &http.Server{
		Addr:        address,
		ReadTimeout: 30 * time.Second,
		// The sender keeps idle connections for 50 s; close them later than it does.
		IdleTimeout: 65 * time.Second,
	}
	log.Printf("listening on http://%s/webhook", address)
	log.Fatal(server.ListenAndServe())
}
