package rest_test

import (
	"testing"

	"github.com/clientsession/client-session-service/service/rest"
)

// TestHosts shows which Host headers a listener accepts: addresses, which cannot be rebound, and the configured names.
func TestHosts(t *testing.T) {
	names := []string{"sessions.example.com", "10.1.2.3"}
	for host, want := range map[string]struct{ loopback, other bool }{
		"127.0.0.1":                     {true, true},
		"127.0.0.1:8080":                {true, true},
		"127.9.9.9:80":                  {true, true},
		"[::1]:8080":                    {true, true},
		"[::1]":                         {true, true},
		"[::ffff:127.0.0.1]":            {true, true},
		"localhost":                     {true, true},
		"LocalHost:8080":                {true, true},
		"sessions.example.com":          {true, true},
		"Sessions.Example.Com:443":      {true, true},
		"10.1.2.3:80":                   {true, true},
		"192.0.2.1:8080":                {false, true},
		"[2001:db8::1]:8080":            {false, true},
		"[2001:db8::1]":                 {false, true},
		"0.0.0.0:8080":                  {false, true},
		"":                              {},
		":8080":                         {},
		"evil.example":                  {},
		"evil.example:8080":             {},
		"a.sessions.example.com":        {},
		"sessions.example.com.evil.com": {},
		"sessions.example.com.":         {true, true}, // The absolute name.
		"localhost.":                    {true, true},
		"localhost.:8080":               {true, true},
		"localhost..":                   {},
		"evil.example.":                 {},
		"localhost.evil.example":        {},
		"127.0.0.1.evil.example":        {},
		"127.1":                         {},
		"2130706433":                    {},
		"0x7f.0.0.1":                    {},
		"127.0.0.01":                    {},
		"user@127.0.0.1":                {},
		"127.0.0.1,evil.example":        {},
	} {
		if got := (rest.Hosts{Names: names, LoopbackOnly: true}).Allow(host); got != want.loopback {
			t.Errorf("on loopback, %q is allowed: %t", host, got)
		}
		if got := (rest.Hosts{Names: names}).Allow(host); got != want.other {
			t.Errorf("on another address, %q is allowed: %t", host, got)
		}
	}
}
