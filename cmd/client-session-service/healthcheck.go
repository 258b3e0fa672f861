package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// healthcheckTimeout is for a service on the same machine, which responds within milliseconds unless it hangs.
const healthcheckTimeout = 3 * time.Second

// healthcheck asks the admin listener of a running service with the same configuration whether it is ready. It is for
// images that have no shell and no curl.
func healthcheck(adminListen string) error {
	ctx, cancel := context.WithTimeout(context.Background(), healthcheckTimeout)
	defer cancel()
	// An address without a host, or with 0.0.0.0 or ::, is dialled on this machine.
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+adminListen+"/readyz", http.NoBody)
	if err != nil {
		return fmt.Errorf("--admin-listen: %w", err)
	}
	request.Host = "localhost" // The listener accepts this name always, and an empty one never.
	// No proxy of the environment comes between.
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return fmt.Errorf("the admin listener does not respond: %w", err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: the admin listener responds with %s", response.Status)
	}
	return nil
}
