package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/clientsession/client-session-service/service/text"
)

const (
	// issuerTimeout bounds a request to an issuer. A call that waits for it has its own deadline, too.
	issuerTimeout = 5 * time.Second
	// refetchInterval is the minimum time between two fetches from an issuer, so that callers with invalid tokens cannot
	// make the service flood it.
	refetchInterval = 5 * time.Second
	// keysKept is how long a key may still be used after the issuer has withdrawn it.
	keysKept = 10 * time.Minute
	// maxWaiting is how many calls may wait for the keys of an issuer at once.
	maxWaiting = 256
	// maxRedirects bounds the redirects of one request to an issuer.
	maxRedirects = 3
)

// issuers are the issuers of tokens, with their keys. They outlive a reload of the callers file.
type issuers struct {
	client *http.Client
	now    func() time.Time

	mu    sync.Mutex
	known map[string]*issuer
}

func newIssuers(client *http.Client, now func() time.Time) *issuers {
	bounded := *client
	bounded.Timeout = issuerTimeout
	bounded.CheckRedirect = func(request *http.Request, via []*http.Request) error {
		if !isSecureURL(request.URL) || len(via) > maxRedirects {
			return errAddress
		}
		return nil
	}
	return &issuers{client: &bounded, now: now, known: map[string]*issuer{}}
}

func (i *issuers) get(address string) *issuer {
	i.mu.Lock()
	defer i.mu.Unlock()
	known, ok := i.known[address]
	if !ok {
		known = &issuer{url: address, client: i.client, now: i.now}
		i.known[address] = known
	}
	return known
}

// issuer is one issuer. Its keys are fetched for the first of its tokens.
type issuer struct {
	url    string
	client *http.Client
	now    func() time.Time

	mu sync.Mutex
	// keys are those that keysURL had at the time of since, nil before the first fetch.
	keys    *keySet
	keysURL string
	since   time.Time
	// fetching is closed at the end of the fetch in progress, and nil while there is none. lastFetch is when the last one
	// began, and fetchErr its error.
	fetching  chan struct{}
	lastFetch time.Time
	fetchErr  error
	// waiting is how many calls wait for that fetch.
	waiting int
}

var (
	errIssuer   = errors.New("the keys of the token's issuer could not be fetched")
	errAddress  = errors.New("the keys of an issuer need https://, and no more than a few redirects")
	errWaiting  = errors.New("too many calls wait for the keys of the issuer")
	errUnsigned = errors.New("none of the issuer's keys has signed the token")
)

// current returns the issuer's keys, nil if they are not known or too old. After half of their lifetime they are
// fetched in the background while they are still used, so that a short outage of the issuer does not affect its
// callers.
func (i *issuer) current() *keySet {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.fresh() {
		return nil
	}
	if i.now().Sub(i.since) >= keysKept/2 {
		i.fetch("")
	}
	return i.keys
}

// fresh reports whether the keys can be used. The caller of fresh, as of fetch, holds the lock.
func (i *issuer) fresh() bool { return i.keys != nil && i.now().Sub(i.since) < keysKept }

// fetch starts a fetch of the keys. Without a URL it takes that of the issuer's discovery document. It does nothing
// while a fetch is in progress, or within refetchInterval of the last one.
//
//nolint:contextcheck,nolintlint // The fetch has to outlive its call. The linter reads this for all callers of fetch.
func (i *issuer) fetch(keysURL string) {
	if i.fetching != nil || i.now().Sub(i.lastFetch) < refetchInterval {
		return
	}
	i.lastFetch, i.fetching = i.now(), make(chan struct{})
	go func() {
		// It outlives the call that started it, since others wait for it too. The client's timeout bounds it.
		keysURL, keys, err := fetchKeys(context.Background(), i.client, i.url, keysURL)
		i.mu.Lock()
		defer i.mu.Unlock()
		i.fetchErr = nil
		if err != nil {
			i.fetchErr = fmt.Errorf("%w: %w", errIssuer, err)
		} else {
			i.keysURL, i.since = keysURL, i.lastFetch
			// The same keys stay the same *keySet, so that cached tokens stay valid.
			if i.keys == nil || i.keys.digest != keys.digest {
				i.keys = keys
			}
		}
		close(i.fetching)
		i.fetching = nil
	}()
}

// refresh fetches the keys and waits for them until ctx ends. It returns the known keys within refetchInterval of the
// last fetch, or when the issuer cannot be reached. Without known keys it fails.
func (i *issuer) refresh(ctx context.Context, keysURL string) (*keySet, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fetch(keysURL)
	if i.fetching != nil {
		if err := i.wait(ctx, i.fetching); err != nil {
			return nil, err
		}
	}
	if !i.fresh() {
		return nil, cmp.Or(i.fetchErr, errIssuer)
	}
	return i.keys, nil
}

// wait waits until the fetch has ended. It releases the lock meanwhile.
func (i *issuer) wait(ctx context.Context, fetched <-chan struct{}) error {
	if i.waiting >= maxWaiting {
		return errWaiting
	}
	i.waiting++
	i.mu.Unlock()
	var err error
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case <-fetched:
	}
	i.mu.Lock()
	i.waiting--
	return err
}

// nextFetch is when the keys can be fetched again.
func (i *issuer) nextFetch() time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.lastFetch.Add(refetchInterval)
}

// verify returns the keys of which one has signed the token. With errUnsigned it returns the keys that have not.
func (i *issuer) verify(ctx context.Context, token *jose.JSONWebSignature) (*keySet, error) {
	keys := i.current()
	if keys == nil {
		var err error
		if keys, err = i.refresh(ctx, ""); err != nil {
			return nil, err
		}
	}
	if keys.signed(token) {
		return keys, nil
	}
	// The token's key may be newer than the known ones.
	i.mu.Lock()
	keysURL := i.keysURL
	i.mu.Unlock()
	newer, err := i.refresh(ctx, keysURL)
	if err != nil {
		return nil, err
	}
	if newer == keys || !newer.signed(token) {
		return newer, errUnsigned
	}
	return newer, nil
}

// isSecureURL reports whether a URL's responses are safe from tampering in transit: it is https, or loopback.
func isSecureURL(address *url.URL) bool {
	return address.Scheme == "https" || address.Scheme == "http" && text.IsLoopback(address.Hostname())
}
