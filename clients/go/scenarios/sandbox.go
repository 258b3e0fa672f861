package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// sandbox steers the in-memory Seam behind the service.
type sandbox struct {
	url    string
	client *http.Client
}

func newSandbox(url string) sandbox {
	// The sandbox runs on this machine, so no proxy of the environment stands before it.
	return sandbox{strings.TrimSuffix(url, "/"), &http.Client{Transport: &http.Transport{}, Timeout: limit}}
}

func (s sandbox) post(route string, body []byte) error {
	_, err := s.send(http.MethodPost, route, body)
	return err
}

// requests is how many requests came from the service since the reset.
func (s sandbox) requests() (int, error) {
	text, err := s.send(http.MethodGet, "requests", nil)
	if err != nil {
		return 0, err
	}
	var response struct {
		Requests []json.RawMessage `json:"requests"`
	}
	if err := json.Unmarshal(text, &response); err != nil {
		return 0, fmt.Errorf("read the sandbox's requests: %w", err)
	}
	return len(response.Requests), nil
}

func (s sandbox) send(method, route string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(
		context.Background(), method, s.url+"/_sandbox/"+route, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask the sandbox: %w", err)
	}
	request.Header.Set("content-type", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the sandbox: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read the sandbox's response: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the sandbox refused %s %s: %s", method, route, text)
	}
	return text, nil
}
