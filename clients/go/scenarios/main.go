// Command scenarios runs ../scenarios.json with the library for Go, and checks that it retries what it says it does.
//
// Environment: GRPC_ADDRESS (host:port of the gRPC face, plaintext) and SANDBOX_URL (http://host:port of the sandbox).
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/gen/go/clientsession"
)

const limit = 10 * time.Second

// A scenario is one of scenarios.json. A member that this runner does not know is an error: an expectation that it
// cannot check must not pass unseen.
type scenario struct {
	Name       string            `json:"name"`
	RPC        string            `json:"rpc"`
	Fault      json.RawMessage   `json:"fault"`
	Metadata   map[string]string `json:"metadata"`
	Request    json.RawMessage   `json:"request"`
	DeadlineMS int               `json:"deadline_ms"`
	Expect     expectation       `json:"expect"`
}

type expectation struct {
	Code              codes.Code     `json:"code"`
	Session           map[string]any `json:"session"`
	Reason            string         `json:"reason"`
	Type              string         `json:"type"`
	HTTPStatus        string         `json:"http_status"`
	Domain            string         `json:"domain"`
	Fields            []string       `json:"fields"`
	RetryDelaySeconds *float64       `json:"retry_delay_seconds"`
	Status            string         `json:"status"`
	Services          []string       `json:"services"`
}

// A check returns what is not as expected.
type check struct {
	name string
	run  func() []string
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: scenarios SCENARIOS.JSON")
		os.Exit(2)
	}
	failed, err := run(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "scenarios:", err)
	}
	if failed > 0 || err != nil {
		os.Exit(1)
	}
}

func run(path string) (int, error) {
	scenarios, err := load(path)
	if err != nil {
		return 0, err
	}
	address, box := os.Getenv("GRPC_ADDRESS"), newSandbox(os.Getenv("SANDBOX_URL"))
	conn, err := clientsession.Connect(address, "") // Each scenario has its own credential.
	if err != nil {
		return 0, fmt.Errorf("connect to %s: %w", address, err)
	}
	defer conn.Close()

	var checks []check
	for _, s := range scenarios {
		checks = append(checks, check{s.Name, func() []string { return s.play(conn, box) }})
	}
	checks = append(checks,
		check{"the library's retries do not multiply the service's", func() []string { return retried(address, box) }},
		check{"the library does not retry a rate limit", func() []string { return notRetried(address, box) }})

	failed := 0
	for _, c := range checks {
		problems := c.problems(box)
		if len(problems) == 0 {
			continue
		}
		failed++
		fmt.Println("FAIL", c.name)
		for _, problem := range problems {
			fmt.Println("     " + strings.ReplaceAll(problem, "\n", "\n     "))
		}
	}
	fmt.Printf("%d passed, %d failed\n", len(checks)-failed, failed)
	return failed, nil
}

func (c check) problems(box sandbox) []string {
	if err := box.post("reset", nil); err != nil {
		return []string{err.Error()}
	}
	return c.run()
}

func load(path string) ([]scenario, error) {
	file, err := os.Open(path) //nolint:gosec // The path is for who runs this to choose.
	if err != nil {
		return nil, fmt.Errorf("read the scenarios: %w", err)
	}
	defer file.Close()
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	var scenarios []scenario
	if err := decoder.Decode(&scenarios); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return scenarios, nil
}
