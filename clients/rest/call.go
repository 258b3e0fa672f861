// Command rest makes the calls that standard input has, one a line, with the client of oapi-codegen.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/clientsession/client-session-service/clients/rest/generated/api"
)

type call struct {
	URL      string                 `json:"url"`
	Metadata map[string]string      `json:"metadata"`
	Request  api.GrantAccessRequest `json:"request"`
	Seconds  float64                `json:"seconds"`
}

func (c call) grant() (map[string]any, error) {
	client, err := api.NewClientWithResponses(c.URL)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(c.Seconds*float64(time.Second)))
	defer cancel()
	reply, err := client.GrantAccessWithResponse(ctx, c.Request, func(_ context.Context, r *http.Request) error {
		for name, value := range c.Metadata {
			r.Header.Set(name, value)
		}
		return nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return map[string]any{"timeout": true}, nil
	}
	if err != nil {
		return nil, err
	}
	headers := map[string]string{}
	for name := range reply.HTTPResponse.Header {
		headers[strings.ToLower(name)] = reply.HTTPResponse.Header.Get(name)
	}
	seen := map[string]any{"status": reply.StatusCode(), "headers": headers}
	if success := reply.JSON200; success != nil {
		seen["session"] = success.ClientSession
	}
	if failure := cmp.Or(reply.JSON400, reply.JSON401, reply.JSON404, reply.JSON429); failure != nil {
		seen["error"] = failure.Error
	}
	return seen, nil
}

func run() error {
	calls, answers := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for calls.More() {
		var next call
		if err := calls.Decode(&next); err != nil {
			return err
		}
		seen, err := next.grant()
		if err != nil {
			return err
		}
		if err := answers.Encode(seen); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
