// Package seam is the one place that knows Seam's HTTP: addresses, headers, JSON, limits and error bodies.
package seam

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/clientsession/service/service/seamerr"
	"github.com/clientsession/service/service/seamjson"
)

// maxAnswerBytes bounds what is read of one answer: a list of 10,000 sessions is about 5 MB.
const maxAnswerBytes = 8 << 20

// Config is what a Client needs to know.
type Config struct {
	// Endpoint is Seam's base URL, such as https://connect.getseam.com.
	Endpoint *url.URL
	// UserAgent is sent with every request.
	UserAgent string
	// Codec reads and writes the messages.
	Codec *seamjson.Codec
	// CAs are the authorities that Seam's certificate may come from, nil for the system's.
	CAs *x509.CertPool
}

// Client calls Seam. It is safe for concurrent use and keeps its connections until Close.
type Client struct {
	base      string
	host      string
	userAgent string
	codec     *seamjson.Codec
	transport *http.Transport
}

// New returns a client for the endpoint.
func New(config Config) *Client {
	return &Client{
		base:      strings.TrimRight(config.Endpoint.String(), "/"),
		host:      config.Endpoint.Hostname(),
		userAgent: config.UserAgent,
		codec:     config.Codec,
		transport: newTransport(config.CAs),
	}
}

// newTransport returns a transport that keeps as many connections as there are calls in flight: http.DefaultTransport
// keeps two for a host and dials anew for the rest.
func newTransport(authorities *x509.CertPool) *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		TLSClientConfig:       &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   5 * time.Second,
		ExpectContinueTimeout: time.Second,
		MaxIdleConns:          1024,
		MaxIdleConnsPerHost:   1024,
		// Under the 60 seconds after which common load balancers close an idle connection, so that it is closed here
		// first and no request meets a closed one.
		IdleConnTimeout:        55 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		// A few kilobytes of gzip can unfold to gigabytes, and the answers are small.
		DisableCompression: true,
		// Without pings, a connection whose path went dead is used until the kernel gives up, after 15 minutes.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
}

// Close ends the idle connections. Call it when no calls are in flight.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Answer is what Seam says beside the body of an answer.
type Answer struct {
	// RequestID is Seam's name for the request, empty when no answer came or it had none.
	RequestID string
	// HTTPStatus is the status of the answer, 0 when none came.
	HTTPStatus int
}

// Do sends in to the endpoint with the caller's headers and reads the answer into out. The request lives no longer
// than ctx. Any failure is an *seamerr.Error; the Answer is filled as far as Seam answered.
//
// It goes through the transport and not through an http.Client: a redirect is then an answer like any other, and
// credentials never follow one to another host.
func (c *Client) Do(ctx context.Context, at Endpoint, header http.Header, in, out proto.Message) (Answer, error) {
	body, err := c.codec.AppendRequest(nil, in)
	if err != nil {
		return Answer{}, seamerr.Internal(fmt.Errorf("write the request: %w", err))
	}
	request, err := http.NewRequestWithContext(ctx, at.Method, c.base+at.Path, bytes.NewReader(body))
	if err != nil {
		return Answer{}, seamerr.Internal(fmt.Errorf("make the request: %w", err))
	}
	maps.Copy(request.Header, header)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", c.userAgent)

	response, err := c.transport.RoundTrip(request)
	if err != nil {
		cause := fmt.Errorf("call %s: %w", c.host, err)
		if e := ended(ctx, cause); e != nil {
			return Answer{}, e
		}
		return Answer{}, seamerr.Unreachable(cause)
	}
	answer := Answer{
		RequestID:  requestID(response.Header),
		HTTPStatus: response.StatusCode,
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		// Nobody asked for another protocol, and the body of this answer is the bare connection, which has no end.
		_ = response.Body.Close()
		return answer, named(seamerr.BadAnswer(errors.New("switched to another protocol")), answer)
	}
	text, err := readBody(response)
	good := response.StatusCode >= 200 && response.StatusCode <= 299
	if err != nil {
		cause := fmt.Errorf("read Seam's %d answer: %w", response.StatusCode, err)
		if e := ended(ctx, cause); e != nil {
			return answer, named(e, answer)
		}
		if good {
			// It has been carried out, so this is not the same as a connection that broke before.
			return answer, named(seamerr.BadAnswer(cause), answer)
		}
	}
	if !good {
		// The status says enough: an error whose body broke off is one without a body.
		return answer, errorAnswer(response, answer, text, header)
	}
	if err := c.codec.ReadAnswer(text, out); err != nil {
		return answer, named(seamerr.BadAnswer(fmt.Errorf("read Seam's %d answer: %w", response.StatusCode, err)), answer)
	}
	return answer, nil
}

// readBody reads the body to its end, so that the connection can be used again, or fails at the limit.
func readBody(response *http.Response) ([]byte, error) {
	defer response.Body.Close() //nolint:errcheck // Nothing is left to lose: the body has been read or given up.
	var text bytes.Buffer
	if n := response.ContentLength; n > 0 && n <= maxAnswerBytes {
		text.Grow(int(n) + bytes.MinRead)
	}
	if _, err := text.ReadFrom(io.LimitReader(response.Body, maxAnswerBytes+1)); err != nil {
		return nil, err
	}
	if text.Len() > maxAnswerBytes {
		return nil, errTooLong
	}
	return text.Bytes(), nil
}

var errTooLong = fmt.Errorf("the answer is longer than %d bytes", maxAnswerBytes)

// ended returns the error of a call that ended because its context did, nil while the context lives.
func ended(ctx context.Context, cause error) *seamerr.Error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return seamerr.Canceled(cause)
	case expired(ctx):
		return seamerr.Timeout(cause)
	default:
		return nil
	}
}

// expired says whether the deadline has passed. The context may not know yet: the network has clocks of its own.
func expired(ctx context.Context) bool {
	deadline, set := ctx.Deadline()
	return set && !time.Now().Before(deadline)
}

// named puts Seam's request id on an error that is ours.
func named(e *seamerr.Error, answer Answer) *seamerr.Error {
	e.RequestID = answer.RequestID
	return e
}
