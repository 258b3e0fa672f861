package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"flag"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// waitingMetric is the metric of the requests to which the upstream has not responded yet.
const waitingMetric = "upstream_waiting"

// upstream stands in for Seam. It reads a request and writes prepared bytes, so that it takes as little CPU time as
// possible from the program under test.
type upstream struct {
	grant, list []byte
	delay       time.Duration
	waiting     atomic.Int64
}

func runUpstream(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("upstream", flag.ContinueOnError)
	delay := flags.Duration("delay", 0, "how long a response takes")
	sessions := flags.Int("sessions", 1, "how many sessions a list has")
	certificate := flags.String("cert", "", "serve TLS with the certificate of this file")
	key := flags.String("key", "", "file with the key of the certificate")
	http2 := flags.Bool("http2", false, "offer HTTP/2 over TLS")
	if err := flags.Parse(args); err != nil {
		return err
	}
	u := &upstream{
		grant: rawResponse(grantResponseJSON()), list: rawResponse(listResponseJSON(*sessions)), delay: *delay,
	}
	_, listener, err := openFaces(ctx, prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: waitingMetric, Help: "Requests without a response."},
		func() float64 { return float64(u.waiting.Load()) }))
	if err != nil {
		return err
	}
	if *certificate == "" {
		return u.serve(listener)
	}
	if *http2 {
		return newServer(u).ServeTLS(listener, *certificate, *key)
	}
	pair, err := tls.LoadX509KeyPair(*certificate, *key)
	if err != nil {
		return err
	}
	return u.serve(tls.NewListener(listener, &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair},
	}))
}

// rawResponse is a whole response of HTTP/1.1.
func rawResponse(body string) []byte {
	return []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" +
		"Date: Fri, 02 Jan 2026 03:04:05 GMT\r\nSeam-Request-Id: 06161bd0-b59a-4a49-89ce-d76274a1558b\r\n" +
		"Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

func (u *upstream) serve(listener net.Listener) error {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go u.serveConnection(connection)
	}
}

func (u *upstream) serveConnection(connection net.Conn) {
	defer func() { _ = connection.Close() }()
	reader := bufio.NewReader(connection)
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return
		}
		if _, err := connection.Write(u.respond(request)); err != nil {
			return
		}
	}
}

func (u *upstream) respond(request *http.Request) []byte {
	if u.delay > 0 {
		u.waiting.Add(1)
		time.Sleep(u.delay)
		u.waiting.Add(-1)
	}
	if strings.HasSuffix(request.URL.Path, listPath) {
		return u.list
	}
	return u.grant
}

// ServeHTTP responds over HTTP/2.
func (u *upstream) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	_, _ = io.Copy(io.Discard, request.Body)
	_, body, _ := strings.Cut(string(u.respond(request)), "\r\n\r\n")
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Seam-Request-Id", "06161bd0-b59a-4a49-89ce-d76274a1558b")
	_, _ = io.WriteString(w, body)
}
