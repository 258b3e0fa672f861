package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// issuerTimeout bounds a request to an issuer; a call that waits for it has its own deadline, too.
	issuerTimeout = 5 * time.Second
	// refetchInterval is the least time between two fetches from an issuer, so that callers with junk tokens cannot
	// make the service flood it.
	refetchInterval = 5 * time.Second
	// keysKept is how long a key that the issuer has withdrawn may still be good.
	keysKept = 10 * time.Minute
	// maxWaiting is how many calls may wait for the keys of an issuer at once.
	maxWaiting = 256
	// maxRedirects bounds how often an issuer may send the service elsewhere for one document.
	maxRedirects = 3
)

// issuers are the issuers of tokens, with their keys. They outlive a callers file that is read anew.
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

// issuer is one issuer. It is asked for its keys when the first token of it comes.
type issuer struct {
	url    string
	client *http.Client
	now    func() time.Time

	mu sync.Mutex
	// keys are those it had at the time of since, at keysURL; nil before they came.
	keys    *keySet
	keysURL string
	since   time.Time
	// fetching is closed when the fetch under way has ended; nil when none is. tried is when the last one began, and
	// fetchErr why it failed, nil if it did not.
	fetching chan struct{}
	tried    time.Time
	fetchErr error
	// waiting is how many calls wait for that fetch.
	waiting int
}

var (
	errIssuer   = errors.New("the issuer of the token could not be asked for its keys")
	errAddress  = errors.New("the keys of an issuer need https://, and no more than a few redirects")
	errWaiting  = errors.New("too many calls wait for the keys of the issuer")
	errUnsigned = errors.New("none of the issuer's keys has signed the token")
)

// current returns the issuer's keys, nil if they are not known or too old. From half of their time on they are fetched
// anew while they are still used, so that an issuer which is down for a moment does not take its callers down.
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

// fresh says whether the keys can be used. The lock is held, here and in fetch.
func (i *issuer) fresh() bool { return i.keys != nil && i.now().Sub(i.since) < keysKept }

// fetch begins to fetch the keys, from where the issuer says that they are if no address is given. It does nothing
// while a fetch is under way, or when the last one was a moment ago.
//
//nolint:contextcheck,nolintlint // The fetch is to outlive its call. The linter reads this for all who call it.
func (i *issuer) fetch(keysURL string) {
	if i.fetching != nil || i.now().Sub(i.tried) < refetchInterval {
		return
	}
	i.tried, i.fetching = i.now(), make(chan struct{})
	go func() {
		// It goes on when the call that began it ends: others wait for it too. The client's timeout ends it.
		keysURL, keys, err := fetchKeys(context.Background(), i.client, i.url, keysURL)
		i.mu.Lock()
		defer i.mu.Unlock()
		i.fetchErr = nil
		if err != nil {
			i.fetchErr = fmt.Errorf("%w: %w", errIssuer, err)
		} else {
			i.keysURL, i.since = keysURL, i.tried
			// What was verified with the same keys need not be verified again.
			if i.keys == nil || i.keys.digest != keys.digest {
				i.keys = keys
			}
		}
		close(i.fetching)
		i.fetching = nil
	}()
}

// renewed has the keys fetched and waits for them, no longer than the call lives. It returns those that are known if
// the issuer was asked a moment ago, or cannot be reached. Before any came, it fails.
func (i *issuer) renewed(ctx context.Context, keysURL string) (*keySet, error) {
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

// wait waits until the fetch has ended. The lock is held, but not meanwhile.
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

// nextFetch is when the issuer can be asked for its keys again.
func (i *issuer) nextFetch() time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.tried.Add(refetchInterval)
}

// verify returns the keys of which one has signed the token. With errUnsigned it returns those that have not.
func (i *issuer) verify(ctx context.Context, token *jose.JSONWebSignature) (*keySet, error) {
	keys := i.current()
	if keys == nil {
		var err error
		if keys, err = i.renewed(ctx, ""); err != nil {
			return nil, err
		}
	}
	if keys.signed(token) {
		return keys, nil
	}
	// The key may be newer than those.
	i.mu.Lock()
	keysURL := i.keysURL
	i.mu.Unlock()
	newer, err := i.renewed(ctx, keysURL)
	if err != nil {
		return nil, err
	}
	if newer == keys || !newer.signed(token) {
		return newer, errUnsigned
	}
	return newer, nil
}

// isSecureURL says whether keys that come from an address are the issuer's: nobody can change them on the way.
func isSecureURL(address *url.URL) bool {
	ip, err := netip.ParseAddr(address.Hostname())
	return address.Scheme == "https" || (address.Scheme == "http" && err == nil && ip.IsLoopback())
}
