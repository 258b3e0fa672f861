package config

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/alecthomas/kong"
)

// secret is the kind of a setting that is never a flag and never printed.
const secret = "secret"

// kinds are the kinds of settings, by the types that the declarations name.
func (r *reader) kinds() []kong.Option {
	text := func(text string) (string, error) { return text, nil }
	return []kong.Option{
		kong.NamedMapper("switch", switchMapper{r}),
		one(r, "text", text),
		one(r, "file", text),
		one(r, secret, text),
		one(r, "address", address),
		one(r, "URL", endpoint),
		one(r, "duration", atLeast(1, "a time above zero, such as 30s")),
		one(r, "delay", atLeast(0, "a time, such as 5s or 0s")),
		one(r, "count", func(text string) (int, error) { return integer(text, 1<<20-1) }),
		one(r, "MiB", func(text string) (int, error) { return integer(text, 1024) }),
		one(r, "rate", rate),
		one(r, "reflection", among("none of auto, on, off", ReflectionAuto, ReflectionOn, ReflectionOff)),
		one(r, "TLS version", tlsVersion),
		one(r, "log level", logLevel),
		one(r, "log format", among("neither json nor text", "json", "text")),
		list(r, "networks", network),
		list(r, "origins", origin),
		list(r, "host names", host),
	}
}

// one is a kind with one value. The error of a value is noted and not returned: kong ends at the first error.
func one[T any](r *reader, kind string, parse func(text string) (T, error)) kong.Option {
	return kong.NamedMapper(kind, kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto(kind, &text); err != nil {
			return err
		}
		value, err := parse(text)
		r.note(ctx.Value, err)
		target.Set(reflect.ValueOf(value))
		return nil
	}))
}

// list is a kind with any number of values, of which each flag brings one or several with commas between them.
func list[T any](r *reader, kind string, parse func(text string) (T, error)) kong.Option {
	return kong.NamedMapper(kind, kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
		var texts string
		if err := ctx.Scan.PopValueInto(kind, &texts); err != nil || texts == "" {
			return err
		}
		for text := range strings.SplitSeq(texts, ",") {
			value, err := parse(text)
			r.note(ctx.Value, err)
			target.Set(reflect.Append(target, reflect.ValueOf(value)))
		}
		return nil
	}))
}

// switchMapper is the kind that is on or off; a flag without a value turns it on.
type switchMapper struct{ *reader }

func (switchMapper) IsBool() bool { return true }

func (m switchMapper) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	target.SetBool(true)
	if ctx.Scan.Peek().Type != kong.FlagValueToken {
		return nil
	}
	switch text := ctx.Scan.Pop().String(); strings.ToLower(text) {
	case "true", "1", "yes":
	case "false", "0", "no":
		target.SetBool(false)
	default:
		m.note(ctx.Value, fmt.Errorf("%q is neither true nor false", text))
	}
	return nil
}

func address(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	var want string
	switch {
	case err != nil && strings.Count(text, ":") > 1:
		want = "an address of IPv6 is in brackets, as in [::1]:9090"
	case err != nil:
		want = "give host:port, such as 127.0.0.1:9090"
	case !isPort(port):
		want = "the port is a number from 0 to 65535"
	case host != "" && net.ParseIP(host) == nil && strings.Trim(host, "0123456789.:") == "":
		want = "the host is an IP address, a name or nothing"
	default:
		return text, nil
	}
	return "", fmt.Errorf("%q is not an address: %s", text, want)
}

func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

// atLeast parses a time. what is for the error: what a text is not.
func atLeast(least time.Duration, what string) func(text string) (time.Duration, error) {
	return func(text string) (time.Duration, error) {
		value, err := time.ParseDuration(text)
		if err == nil && value >= least {
			return value, nil
		}
		unit := strings.TrimLeft(text, "0123456789.")
		switch {
		case text != "" && unit == "":
			what += ": it has no unit, such as " + text + "s"
		case unit == "d" || unit == "w":
			what += ": the largest unit is h"
		}
		return 0, fmt.Errorf("%q is not %s", text, what)
	}
}

// among parses one of the words. what is for the error: what any other text is.
func among[T ~string](what string, words ...T) func(text string) (T, error) {
	return func(text string) (T, error) {
		if !slices.Contains(words, T(text)) {
			return "", fmt.Errorf("%q is %s", text, what)
		}
		return T(text), nil
	}
}

func integer(text string, most uint64) (int, error) {
	value, err := strconv.ParseUint(text, 10, 31)
	if err != nil || value == 0 || value > most {
		return 0, fmt.Errorf("%q is not a number from 1 to %d", text, most)
	}
	return int(value), nil
}

func rate(text string) (float64, error) {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || !(value >= 0 && value <= 1e6) {
		return 0, fmt.Errorf("%q is not a number from 0 to 1000000", text)
	}
	return value, nil
}

// endpoint is Seam's base URL. An error does not quote it: it may hold a password.
func endpoint(text string) (*url.URL, error) {
	value, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("is not a URL")
	case !isHTTP(value):
		return nil, errors.New("needs http:// or https:// and a host")
	case value.User != nil || value.RawQuery != "" || value.ForceQuery || value.Fragment != "":
		return nil, errors.New("must have no user, no query and no fragment")
	}
	return value, nil
}

func isHTTP(u *url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
}

// origin is an origin in the form in which browsers send it, or every one. Browsers send the host in lower case, and no
// port that is the default of the scheme.
func origin(text string) (string, error) {
	if text == "*" {
		return text, nil
	}
	parsed, err := url.Parse(text)
	// A * within an origin would be a wildcard for the CORS handler.
	if err != nil || !isHTTP(parsed) || parsed.Scheme+"://"+parsed.Host != text || strings.Contains(text, "*") ||
		!isPort(cmp.Or(parsed.Port(), "0")) || strings.HasSuffix(text, ":") {
		return "", fmt.Errorf("%q is not an origin: give scheme://host or scheme://host:port, or *", text)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII }) {
		return "", fmt.Errorf("%q is not an origin: give the host in its ASCII form, with xn--", text)
	}
	text = strings.ToLower(text)
	if defaultPort := map[string]string{"http": "80", "https": "443"}[parsed.Scheme]; parsed.Port() == defaultPort {
		text = strings.TrimSuffix(text, ":"+defaultPort)
	}
	return text, nil
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)

func host(text string) (string, error) {
	if !hostName.MatchString(text) {
		return "", fmt.Errorf("%q is not a host name, such as sessions.example.com, without a port", text)
	}
	return strings.ToLower(text), nil
}

// network is a network of addresses as they are compared: those of IPv4 never in the form of IPv6.
func network(text string) (netip.Prefix, error) {
	value, err := netip.ParsePrefix(text)
	mapped := value.Addr().Is4In6()
	if single, singleErr := netip.ParseAddr(text); singleErr == nil {
		return value, fmt.Errorf("%q is not a network: give its length, as in %s/%d", text, text, single.BitLen())
	}
	if err != nil || mapped && value.Bits() < 96 {
		return value, fmt.Errorf("%q is not a network, such as 10.0.0.0/8", text)
	}
	if mapped {
		value = netip.PrefixFrom(value.Addr().Unmap(), value.Bits()-96)
	}
	return value, nil
}

func tlsVersion(text string) (uint16, error) {
	switch text {
	case "1.3":
		return tls.VersionTLS13, nil
	case "1.2":
		return tls.VersionTLS12, nil
	default:
		return 0, fmt.Errorf("%q is neither 1.3 nor 1.2", text)
	}
}

// logLevel is a level that has a name: one between or beyond those, such as error+100, could silence the log.
func logLevel(text string) (level *slog.LevelVar, err error) {
	level = new(slog.LevelVar)
	if strings.EqualFold(text, "warning") {
		text = "warn"
	}
	if level.UnmarshalText([]byte(text)) != nil || strings.ContainsAny(text, "+-") {
		return new(slog.LevelVar), fmt.Errorf("%q is none of debug, info, warn, error", text)
	}
	return level, nil
}
