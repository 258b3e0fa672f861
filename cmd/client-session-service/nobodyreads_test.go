package main_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/servicetest"
)

// TestNobodyReadsTheLog shows that calls succeed and the process ends on a signal while nobody reads the log, and when
// its reader has gone.
func TestNobodyReadsTheLog(t *testing.T) {
	for name, test := range map[string]struct {
		gone   bool
		signal syscall.Signal
	}{
		"unread, SIGTERM": {false, syscall.SIGTERM},
		"gone, SIGHUP":    {true, syscall.SIGHUP},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, stderr, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			command := servicetest.Command(t, listen("--sandbox")...)
			command.Stderr = stderr
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			_ = stderr.Close()
			ended := make(chan error, 1)
			go func() { ended <- command.Wait() }()
			at := readyAddresses(t, log)
			if test.gone {
				_ = log.Close()
			}
			// The lines of these calls are more than a pipe takes.
			for range 600 {
				if status := get(t, "http://"+at.HTTP+"/client_sessions/list", "Bearer "+sandbox.APIKey); status != http.StatusOK {
					t.Fatalf("a call gets %d", status)
				}
			}
			if err := command.Process.Signal(test.signal); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("the process ended with %v", err)
				}
			case <-time.After(20 * time.Second):
				t.Error("the process does not end")
				_ = command.Process.Kill()
				<-ended
			}
		})
	}
}

// readyAddresses reads the log up to the line that says where the service is, and no further than its buffer.
func readyAddresses(t *testing.T, log *os.File) (at servicetest.Addresses) {
	t.Helper()
	lines := bufio.NewReaderSize(log, 4096)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, `"msg":"ready"`) {
			if err := json.Unmarshal([]byte(line), &at); err != nil {
				t.Fatal(err)
			}
			return at
		}
	}
}
