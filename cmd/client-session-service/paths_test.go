package main_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"regexp"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/clientsession/client-session-service/service/servicetest"
)

// TestMalformedPathsLeaveNothing shows that requests which grpc-go refuses by itself leave nothing in memory, whatever
// deadline they have. Each once left 270 bytes until its deadline.
func TestMalformedPathsLeaveNothing(t *testing.T) {
	s := startService(t, "--pprof")
	before := heap(t, s.Process)
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			if err := sendPaths(s.GRPC, 5000); err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
	after := heap(t, s.Process)
	t.Logf("the heap has %d KiB, and %d afterwards", before>>10, after>>10)
	if after-before > 6<<20 {
		t.Errorf("100,000 refused requests leave %d bytes", after-before)
	}
}

// sendPaths makes requests with a malformed path and a long deadline on one connection, and waits for the responses.
func sendPaths(address string, requests uint32) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	framer := http2.NewFramer(conn, conn)
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	_, prefaceErr := io.WriteString(conn, http2.ClientPreface)
	if err := errors.Join(prefaceErr, framer.WriteSettings()); err != nil {
		return err
	}
	const atOnce = 50
	for sent, answered := uint32(0), uint32(0); answered < requests; {
		for ; sent < requests && sent-answered < atOnce; sent++ {
			block.Reset()
			for _, field := range [][2]string{
				{":method", "POST"},
				{":scheme", "http"},
				{":path", "/x"},
				{":authority", "a"},
				{"content-type", "application/grpc"},
				{"te", "trailers"},
				{"grpc-timeout", "99999999H"},
			} {
				if err := encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
					return err
				}
			}
			err := framer.WriteHeaders(http2.HeadersFrameParam{
				StreamID: 2*sent + 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true,
			})
			if err != nil {
				return err
			}
		}
		frame, err := framer.ReadFrame()
		if err != nil {
			return err
		}
		if headers, ok := frame.(*http2.HeadersFrame); ok && headers.StreamEnded() {
			answered++
		}
	}
	return nil
}

// heap returns the bytes of the heap after two collections: the first one leaves what pools keep.
func heap(t *testing.T, process *servicetest.Process) int {
	t.Helper()
	process.Get("/debug/pprof/heap?gc=1")
	found := regexp.MustCompile(`# HeapAlloc = (\d+)`).FindStringSubmatch(process.Get("/debug/pprof/heap?gc=1&debug=1"))
	if found == nil {
		t.Fatal("the profile does not tell the size of the heap")
	}
	bytes, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}
